"""The local trash: what stood in the folder when it was replaced or removed.

Owns: `.mb-sync/trash/`, its index (one JSON object a line), listing, restoring and dropping.
May import: msgspec, protocol, sync_client.engine.disk, sync_client.engine.system_calls.

A file lies there as `MILLISECONDS-ID`.  Its index line is written before the file arrives, so every file has
one; a line whose file is not there says nothing.  What may be dropped, and when, is said in engine.trash_care.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from protocol.errors import LocalProblem
from sync_client.engine.disk import TRASH, FollowedRoot, Parts
from sync_client.engine.system_calls import look, rename_noreplace
from sync_client.engine.trees import Fingerprint

_INDEX = "index.jsonl"
_NEW_INDEX = "index.jsonl.new"


class Why(StrEnum):
    REPLACED = "replaced"  # by a newer version from the server
    REMOVED = "removed"  # because it was deleted elsewhere
    RECOVERED = "recovered"  # left over by a crash; the server holds these bytes


class Trashed(msgspec.Struct, frozen=True, kw_only=True):
    """path: where it stood, with "/".  seen: as it was when it came here; a later write shows."""

    name: str
    path: str
    size: int
    trashed_at_ms: int
    why: Why
    seen: tuple[int, ...]

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(*self.seen)


def announced(parts: Parts, seen: Fingerprint, why: Why, now_ms: int) -> Trashed:
    """An index line for something that is about to go to the trash."""
    return Trashed(
        name=f"{now_ms}-{uuid4().hex}",
        path="/".join(parts),
        size=seen.size,
        trashed_at_ms=now_ms,
        why=why,
        seen=(seen.device, seen.inode, seen.birth_ns, seen.size, seen.mtime_ns, seen.ctime_ns, seen.mode),
    )


def announce(root: FollowedRoot, coming: Iterable[Trashed]) -> None:
    """Write the index lines; the files follow, by a rename to `trash/NAME` each."""
    encode = msgspec.json.Encoder().encode
    lines = b"".join(encode(one) + b"\n" for one in coming)
    if lines:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with root.index_lock:
            handle = os.open(_INDEX, flags, mode=0o600, dir_fd=root.trash())
            with os.fdopen(handle, "ab") as file:
                file.write(lines)


def list_trash(root: FollowedRoot) -> list[Trashed]:
    """What lies in the local trash, the newest first."""
    root.look_afresh()
    if not root.has(TRASH):
        return []
    trash = root.trash()
    there = set(os.listdir(trash)) - {_INDEX, _NEW_INDEX}
    found = [line for line in _read_index(root) if line.name in there]
    for name in there.difference(line.name for line in found):  # its line was lost with the power
        seen = look(trash, name)
        if seen is not None:
            when = int(name.partition("-")[0]) if name.partition("-")[0].isdigit() else 0
            found.append(replace(announced((name,), seen, Why.RECOVERED, when), name=name))
    return sorted(found, key=lambda line: line.trashed_at_ms, reverse=True)


def restore_trashed(root: FollowedRoot, name: str, parts: Parts | None = None) -> Parts:
    """Put a file back where it stood, or at `parts`; the place must be free.  It is then a new file for sync, in
    folders that are made where they are gone.

    Raises LocalProblem: no such file in the trash, the place is taken, a file stands where its folder was.
    """
    line = next((line for line in list_trash(root) if line.name == name), None)
    if line is None:
        raise LocalProblem(f"There is no {name!r} in the trash", hint="See `mb-sync trash list`.")
    target = parts or tuple(line.path.split("/"))
    try:
        _make_folders(root, target[:-1])
        rename_noreplace(root.trash(), name, root.folder_fd(target[:-1]), root.spell(target[-1]))
    except FileExistsError as error:
        raise LocalProblem("Something stands there now", hint="Name another place with --to.") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LocalProblem(
            "Something that is no folder stands where its folder was", hint="Name another place with --to."
        ) from error
    return target


def _make_folders(root: FollowedRoot, parts: Parts) -> None:
    root.look_afresh()
    for depth in range(1, len(parts) + 1):
        with suppress(FileExistsError):
            os.mkdir(root.spell(parts[depth - 1]), dir_fd=root.folder_fd(parts[: depth - 1]))


def drop(root: FollowedRoot, files: Mapping[str, Fingerprint]) -> list[str]:
    """Delete these for good, each if it still is what was looked at; returns the names of those that went."""
    dropped = []
    trash = root.trash()
    for name, expected in files.items():
        seen = look(trash, name)
        if seen is not None and seen == expected:
            os.unlink(name, dir_fd=trash)
            dropped.append(name)
    if dropped:
        gone = set(dropped)
        with root.index_lock:
            _write_index(root, [line for line in _read_index(root) if line.name not in gone])
    return dropped


def _read_index(root: FollowedRoot) -> Iterator[Trashed]:
    try:
        handle = os.open(_INDEX, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root.trash())
    except FileNotFoundError:
        return
    decoder = msgspec.json.Decoder(Trashed)
    with os.fdopen(handle, "rb") as file:
        for line in file:
            try:
                yield decoder.decode(line)
            except msgspec.DecodeError:  # the last line of a crash; its file never came
                continue


def _write_index(root: FollowedRoot, lines: Iterable[Trashed]) -> None:
    trash = root.trash()
    encode = msgspec.json.Encoder().encode
    handle = os.open(
        _NEW_INDEX, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode=0o600, dir_fd=trash
    )
    with os.fdopen(handle, "wb") as file:
        file.writelines(encode(line) + b"\n" for line in lines)
        file.flush()
        os.fsync(handle)
    os.rename(_NEW_INDEX, _INDEX, src_dir_fd=trash, dst_dir_fd=trash)
