"""One MB-Sync per client home.

Owns: the lock file.  May import: the standard library, protocol.errors.

The lock belongs to the open file, so the system drops it when the process ends in any way at all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protocol.errors import LocalProblem

if sys.platform == "win32":
    import msvcrt

    def _take(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # nobody can read a locked byte: not where the number stands
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    _touch = _take
else:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _touch(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two who only look are not in each other's way


class HomeInUse(LocalProblem):
    """Another process works with this client home."""


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """Hold the home while the block runs.  Raises HomeInUse, at once, if another process holds it."""
    file = os.open(lock_file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        try:
            _take(file)
        except OSError as error:
            raise HomeInUse(
                f"MB-Sync is already at work in {lock_file.parent} (process {_holder(file)})",
                hint="Stop it with `mb-sync stop`, or give this one a home of its own with --home.",
            ) from error
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(file)


def is_held(lock_file: Path) -> bool:
    """Whether some process holds the home right now."""
    try:
        file = os.open(lock_file, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        _touch(file)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(file)


def holder(lock_file: Path) -> str:
    """The number of the process that took the home last."""
    file = os.open(lock_file, os.O_RDONLY)
    try:
        return _holder(file)
    finally:
        os.close(file)


def _holder(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, 20).decode("ascii", "replace").strip() or "unknown"
