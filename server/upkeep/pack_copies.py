"""Packs copied from one folder into another, proven on the way.

Owns: what a copy may be trusted for.  May import: xxhash, the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import xxhash

_PIECE_BYTES = 4 * 1024 * 1024
_PART = ".tmp"  # what `serve` removes at its start, and a next backup too


class Wanted(NamedTuple):
    """A pack as the database knows it."""

    name: str
    size: int
    digest: bytes


@dataclass(slots=True)
class Copies:
    """copied: new ones.  present: were there already.  broken: missing or changed where they come from."""

    copied: int = 0
    copied_bytes: int = 0
    present: int = 0
    broken: list[str] = field(default_factory=list)


def copy_packs(
    wanted: Iterable[Wanted], find: Callable[[str], Path | None], target: Path, *, look: bool
) -> Copies:
    """Bring each pack into `target`, durable when this returns.

    A pack never changes under its name, so one of the right size is taken for there; look: only if its bytes are
    right.  find: where a pack lies, None if nowhere.  Raises OSError: the target cannot be written.
    """
    done = Copies()
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for pack in wanted:
        there = target / pack.name
        if _size(there) == pack.size and (not look or _digest(there) == pack.digest):
            done.present += 1
            continue
        source = find(pack.name)
        if source is None or not _copy(source, there, pack):
            done.broken.append(pack.name)
            continue
        done.copied += 1
        done.copied_bytes += pack.size
    sync_folder(target)
    return done


def sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # Windows has no such thing to sync
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _copy(source: Path, there: Path, pack: Wanted) -> bool:
    """False: what was read is not the pack that was meant; then nothing is at `there` that was not before."""
    part = there.with_name(there.name + _PART)
    try:
        reading = source.open("rb")
    except OSError:
        return False
    whole = xxhash.xxh3_128()
    size = 0
    with reading, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as writing:
        while piece := reading.read(_PIECE_BYTES):
            whole.update(piece)
            size += len(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    if (size, whole.digest()) != (pack.size, pack.digest):
        part.unlink()
        return False
    part.replace(there)
    return True


def _digest(path: Path) -> bytes:
    whole = xxhash.xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            whole.update(piece)
    return whole.digest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
