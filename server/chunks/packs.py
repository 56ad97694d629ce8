"""Where packs lie: a folder of files today, an object store later.

Owns: the small interface that a place for packs has, and its form as a folder.
May import: the standard library.

All calls block: they are made in worker threads, several chunks to a call.  A pack is written under a
temporary name, synced, renamed, its folder synced; under its own name it never changes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self

_SUFFIX = ".pack"
_TEMPORARY = ".tmp"
_RETIRED = ".retired"
Span = tuple[int, int]  # offset, length


class NewPack(Protocol):
    """A pack that is being written.  Ended by `keep` or by `drop`."""

    name: str

    def write(self, data: bytes | memoryview) -> None: ...

    def keep(self) -> None:
        """Durable, under its name, when this returns."""
        ...

    def drop(self) -> None: ...


class PackStore(Protocol):
    def begin(self) -> NewPack: ...

    def read(self, name: str, spans: Sequence[Span]) -> list[bytes]:
        """The bytes of each span; short ones where the pack ends.  Raises OSError: no such pack."""
        ...

    def size(self, name: str) -> int | None:
        """In bytes; None if there is no such pack."""
        ...

    def names(self) -> Iterator[str]:
        """All packs that were kept."""
        ...

    def retire(self, name: str) -> None:
        """Nothing names this pack any more.  Who began to read it may go on: its bytes stay for a while."""
        ...

    def drop_retired(self, *, older_than: float) -> int:
        """Delete what was retired before `older_than` (seconds since 1970); returns how many bytes."""
        ...

    def leftovers(self, *, older_than: float) -> list[str]:
        """Packs neither kept nor dropped that nobody wrote to since `older_than` (seconds since 1970)."""
        ...


class FolderPacks:
    """Packs as files of one folder.  `open` is for the one server that owns the folder: it also removes what
    a killed server left half-written.  Commands that work beside a server use `FolderPacks(folder)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, folder: Path) -> Self:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in folder.glob(f"*{_TEMPORARY}"):
            leftover.unlink(missing_ok=True)
        return cls(folder)

    def begin(self) -> FileBeingPacked:
        return FileBeingPacked(self.folder, f"{secrets.token_hex(16)}{_SUFFIX}")

    def read(self, name: str, spans: Sequence[Span]) -> list[bytes]:
        handle = self._open(name)
        try:
            return [_pread(handle, offset, length) for offset, length in spans]
        finally:
            os.close(handle)

    def size(self, name: str) -> int | None:
        for found in (name, name + _RETIRED):
            try:
                return (self.folder / found).stat().st_size
            except FileNotFoundError:
                continue
        return None

    def names(self) -> Iterator[str]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX):
                    yield entry.name

    def retire(self, name: str) -> None:
        path = self.folder / name
        os.utime(path)
        path.rename(path.with_name(name + _RETIRED))

    def drop_retired(self, *, older_than: float) -> int:
        dropped = 0
        for path in self.folder.glob(f"*{_RETIRED}"):
            if _mtime(path) < older_than:
                dropped += path.stat().st_size
                path.unlink()
        return dropped

    def _open(self, name: str) -> int:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
        try:
            return os.open(self.folder / name, flags)
        except FileNotFoundError:  # gc took it away since it was looked up
            return os.open(self.folder / (name + _RETIRED), flags)

    def leftovers(self, *, older_than: float) -> list[str]:
        return [path.name for path in self.folder.glob(f"*{_TEMPORARY}") if _mtime(path) < older_than]


class FileBeingPacked:
    """A pack under its temporary name, in the folder where it will stay."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._folder = folder
        self._temporary = folder / f"{name}{_TEMPORARY}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._handle = os.open(self._temporary, flags, 0o600)

    def write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def keep(self) -> None:
        os.fsync(self._handle)
        self._close()
        self._temporary.rename(self._folder / self.name)
        if hasattr(os, "O_DIRECTORY"):  # Windows has no such thing to sync
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def drop(self) -> None:
        self._close()
        self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _pread(handle: int, offset: int, length: int) -> bytes:
    data = os.pread(handle, length, offset)
    while 0 < len(data) < length:
        more = os.pread(handle, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # renamed to its name in the meantime
        return float("inf")
