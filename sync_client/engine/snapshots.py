"""A copy of a file that never becomes quiet, as it stood at one moment.

Owns: how such a copy is made, and the proof that it is one.
May import: protocol, sync_client.engine.{disk,reading,system_calls,trees}.

Where the file system can share blocks (btrfs, XFS) the copy is made in one instant.  Elsewhere the file is copied
up to the length that it has, and then read once more: if it still equals the copy, every byte of it stood there
between the end of the one and the beginning of the other.  So it is with whatever is only appended to.
A file that is changed in its middle all the time has no such moment that could be seen; it is named and tried again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from uuid import uuid4

from msgspec.structs import replace

from sync_client.engine.disk import TMP, FollowedRoot, Parts
from sync_client.engine.reading import ReadFile, Unreadable, Wanted, changing, read_files, refused
from sync_client.engine.system_calls import look
from sync_client.engine.trees import Fingerprint, Value

_FICLONE = 0x40049409
_PIECE = 1 << 20
_ROOM_LEFT = 0.10  # of the disk stays free, whatever is to be copied


class Snapshot(Value):
    """read: as of the file itself, its change time 0 so that the next look reads it again.  parts, fingerprint:
    of the copy, from which its chunks are to be sent."""

    read: ReadFile
    parts: Parts
    fingerprint: Fingerprint


def take_snapshot(root: FollowedRoot, wanted: Wanted) -> Snapshot | Unreadable:
    """The copy lies in `.mb-sync/tmp` until `drop_snapshot`; after a crash the next start clears it away."""
    node, parts, _ = wanted
    root.look_afresh()
    name = uuid4().hex
    copy_parts: Parts = (*TMP, name)
    try:
        if not _copied(root, parts, name):
            drop_snapshot(root, copy_parts)
            return changing(node)
        seen = look(root.tmp(), name)
        here = look(root.folder_fd(parts[:-1]), root.spell(parts[-1]))
    except OSError as error:
        drop_snapshot(root, copy_parts)
        return refused(node, error)
    if seen is None or here is None:
        return changing(node)
    [read] = read_files(root, [(node, copy_parts, seen)], keep=True, lasting=False)
    if isinstance(read, Unreadable):
        drop_snapshot(root, copy_parts)
        return read
    content = replace(read.content, mtime_ns=here.mtime_ns, executable=bool(here.mode & stat.S_IXUSR))
    read = replace(read, content=content, fingerprint=replace(here, ctime_ns=0))
    return Snapshot(read, copy_parts, seen)


def drop_snapshot(root: FollowedRoot, parts: Parts) -> None:
    with contextlib.suppress(OSError):
        os.unlink(parts[-1], dir_fd=root.tmp())


def _copied(root: FollowedRoot, parts: Parts, name: str) -> bool:
    """False: it changed while it was copied, in what had been copied already."""
    source = root.open_file(parts)
    try:
        size = os.fstat(source).st_size
        target = os.open(
            name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=root.tmp()
        )
        try:
            if _cloned(source, target):
                return True
            disk = os.fstatvfs(target)
            if size > disk.f_bavail * disk.f_frsize - _ROOM_LEFT * disk.f_blocks * disk.f_frsize:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
            return _copied_bytes(source, target, size) and _still_equal(source, target, size)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _cloned(source: int, target: int) -> bool:
    try:
        import fcntl  # noqa: PLC0415 - not there on Windows

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):
        return False
    return True


def _copied_bytes(source: int, target: int, size: int) -> bool:
    at = 0
    while at < size:
        piece = os.pread(source, min(_PIECE, size - at), at)
        if not piece:  # it was cut short
            return False
        written = 0
        while written < len(piece):
            written += os.write(target, piece[written:])
        at += len(piece)
    return True


def _still_equal(source: int, target: int, size: int) -> bool:
    at = 0
    while at < size:
        piece = os.pread(source, min(_PIECE, size - at), at)
        if not piece or piece != os.pread(target, len(piece), at):
            return False
        at += len(piece)
    return True
