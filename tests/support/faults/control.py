"""What goes wrong in a running process, and when: the test's end of `shim.c`.

with Faults(tmp_path / "control") as faults:
    process = programs.start("client", [...], faults=faults, roots=[folder, home])
    faults.fail_at(17, errno.ENOSPC, sticky=True)
    ...
    faults.disarm()
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import subprocess
from enum import IntFlag
from pathlib import Path
from typing import Any, NamedTuple, Self

_SIZE = 4096
_HEAD = struct.Struct("=QQQIIIIIi64s512s128s")
_KILL, _FAIL = 1, 2


class Calls(IntFlag):
    """Classes of calls; the numbers stand in shim.c too."""

    OPEN_READ = 1
    OPEN_WRITE = 2
    READ = 4
    WRITE = 8
    SYNC = 16
    RENAME = 32
    REMOVE = 64
    MAKE = 128
    ATTR = 256
    CUT = 512


CHANGING = Calls.OPEN_WRITE | Calls.WRITE | Calls.SYNC | Calls.RENAME | Calls.REMOVE | Calls.MAKE
CHANGING |= Calls.ATTR | Calls.CUT
_NAMES = Calls.RENAME | Calls.REMOVE | Calls.MAKE

# Which calls may give this answer.
ANSWERS = {
    errno.ENOSPC: Calls.OPEN_WRITE | Calls.WRITE | Calls.SYNC | Calls.RENAME | Calls.MAKE,
    errno.EIO: CHANGING | Calls.READ | Calls.OPEN_READ,
    errno.EMFILE: Calls.OPEN_READ | Calls.OPEN_WRITE,
    errno.EROFS: CHANGING & ~(Calls.WRITE | Calls.SYNC),
    errno.EACCES: _NAMES | Calls.OPEN_READ | Calls.OPEN_WRITE | Calls.ATTR,
}


class Hit(NamedTuple):
    call: str
    path: str


class Faults:
    """One process's control file.  Counting begins anew with each `count`, `kill_at` or `fail_at`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("w+b") as file:
            file.truncate(_SIZE)
            self._memory = mmap.mmap(file.fileno(), _SIZE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.close()

    def count_calls(self, classes: Calls = CHANGING) -> None:
        """Nothing goes wrong; `count` tells how many there were."""
        self._set(0, 0, 0, classes)

    def kill_at(self, number: int, classes: Calls = CHANGING, *, only: str = "") -> None:
        """The process dies before its n-th call (from 1)."""
        self._set(number, _KILL, 0, classes, only=only)

    def fail_at(
        self,
        number: int,
        error: int,
        *,
        sticky: bool = False,
        classes: Calls | None = None,
        only: str = "",
    ) -> None:
        """The n-th call that may give this answer gives it; sticky: and all after it.

        only: of those whose path or name contains this.
        """
        wanted = ANSWERS[error] if classes is None else classes
        self._set(number, _FAIL, error, wanted, sticky=sticky, only=only)

    def disarm(self) -> None:
        self._set(0, 0, 0, Calls(0))

    @property
    def count(self) -> int:
        return int(self._read()[0])

    @property
    def sequence(self) -> int:
        """How many records the journal has by now."""
        return int(self._read()[2])

    @property
    def hits(self) -> int:
        return int(self._read()[7])

    @property
    def hit(self) -> Hit | None:
        """The first call it happened at."""
        found = self._read()
        if not found[7]:
            return None
        return Hit(found[9].rstrip(b"\0").decode(), os.fsdecode(found[10].rstrip(b"\0")))

    def _read(self) -> tuple[Any, ...]:
        return _HEAD.unpack_from(self._memory)

    def _set(
        self, at: int, action: int, error: int, classes: Calls, *, sticky: bool = False, only: str = ""
    ) -> None:
        """First nothing is wanted, so that the process never sees half of it."""
        for wanted in (0, int(classes)):
            _HEAD.pack_into(
                self._memory,
                0,
                *(0, at, self.sequence, action, error, int(sticky), wanted, 0, 0, b"", b"", only.encode()),
            )


def built(folder: Path) -> Path:
    """The shim, compiled."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"],
        check=True,
    )
    return library
