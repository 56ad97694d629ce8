"""Proof that `state.db` is as it was left: SQLite keeps no checksums, so a flipped bit would count as an observation.

Owns: `state.db-open`, the sign that stands while it is open and after a crash; `state.db-sum`, which stands while it is
closed.
May import: the standard library, xxhash, protocol.errors.

The sign is put up when the log has something in it, and taken down before the log goes: a sign without a log is a
loss.  The sum goes before the first write, and comes when the last one is on the disk.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from xxhash import xxh3_128

from protocol.errors import LocalProblem

_PIECE_BYTES = 1024 * 1024


class StateDamaged(LocalProblem):
    """The bytes of `state.db` are there and are wrong: engine.rebuilding says what is done then."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"MB-Sync's own records (state.db) are damaged ({why})",
            hint="They are set aside and made anew by themselves; nothing is deleted or sent twice.",
        )


class StateMalformed(StateDamaged):
    """SQLite says so, which it does too when a single read has failed."""

    def __init__(self, why: str) -> None:
        LocalProblem.__init__(
            self,
            f"MB-Sync's own records (state.db) could not be read ({why})",
            hint="They are looked at as a whole: if they are damaged they are made anew by themselves; nothing is"
            " deleted or sent twice.",
        )


class Seal:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._sign = path.with_name(path.name + "-open")
        self._sum = path.with_name(path.name + "-sum")

    def check(self) -> None:
        """Before it is opened.  Raises StateDamaged."""
        if not self._path.exists():
            return
        if self._sign.exists():
            if not self._has_log():
                raise StateDamaged("its log is gone")
        elif not self._log.exists():
            with suppress(OSError):  # there is none; or what reads it next meets that too
                left = self._sum.read_bytes()
                if len(left) == xxh3_128().digest_size and left != _sum_of(self._path):
                    raise StateDamaged("bytes of it have changed since it was closed")
        with suppress(OSError):  # a disk that cannot be written: then nothing else is written either
            self._sum.unlink(missing_ok=True)

    def opened(self) -> None:
        """Something was written, so the log is on the disk and the sum is gone."""
        with suppress(OSError):
            if self._has_log():
                os.close(os.open(self._sign, os.O_WRONLY | os.O_CREAT, mode=0o600))

    def closing(self) -> None:
        """The sign is gone from the disk before the log may go."""
        with suppress(OSError):
            self._sign.unlink(missing_ok=True)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def closed(self) -> None:
        with suppress(OSError):
            if not self._log.exists():
                self._sum.write_bytes(_sum_of(self._path))

    def _has_log(self) -> bool:
        try:
            return self._log.stat().st_size > 0
        except FileNotFoundError:
            return False


def _sum_of(path: Path) -> bytes:
    found = xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            found.update(piece)
    return found.digest()
