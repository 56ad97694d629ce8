"""Temporary files: where downloads wait until they are whole.

Owns: `.mb-sync/tmp/NODEID`; their bytes, times and x-bit.
May import: protocol, sync_client.engine.{disk,troubles}.

Nothing here verifies chunks: they were checked against their ids when they arrived.  A temporary file is
written, placed (engine.placement) or removed; those found at start are removed, unless they are `.swap`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.ids import NodeId
from protocol.messages import Kind
from sync_client.engine.disk import TMP, FollowedRoot, tmp_name
from sync_client.engine.trees import Value
from sync_client.engine.troubles import NO_PERMISSION

SWAP = ".swap"
PARKED_SUFFIX = ".parked"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """A disk step that was not carried out; the disk is as it was.

    code: "changed" (not what was expected stands there: look again, plan again), "exists" (something stands
    where nothing may), "parent-gone", "not-empty", "no-content" (no temporary file), "no-permission",
    "disk-full", "name-refused", "disk-failed" (nothing of the batch may be agreed).
    """

    node: NodeId
    code: str
    message: str


class SmallFile(Value):
    """A whole file, or the text of a link, to be written at once."""

    node: NodeId
    data: bytes
    executable: bool = False
    mtime_ns: int = 0
    kind: Kind = Kind.FILE


def write_small(root: FollowedRoot, files: Sequence[SmallFile]) -> list[NotPlaced]:
    """Write these as temporary files; returns those that could not be written, of which nothing is left."""
    root.look_afresh()
    failed = []
    for file in files:
        name = tmp_name(file.node)
        try:
            if file.kind is Kind.LINK:
                _write_link(root.tmp(), name, file)
            else:
                _write_file(root.tmp(), name, file)
        except OSError as error:
            failed.append(refused(file.node, error))
            discard(root, file.node)
    return failed


def _write_file(tmp: int, name: str, file: SmallFile) -> None:
    handle = os.open(name, _NEW, 0o777 if file.executable else 0o666, dir_fd=tmp)
    try:
        written = os.write(handle, file.data)
        while written < len(file.data):
            written += os.write(handle, file.data[written:])
        os.utime(handle, ns=(file.mtime_ns, file.mtime_ns))
    finally:
        os.close(handle)


def _write_link(tmp: int, name: str, file: SmallFile) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=tmp)
    if b"\0" in file.data:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    os.symlink(os.fsdecode(file.data), name, dir_fd=tmp)
    os.utime(name, ns=(file.mtime_ns, file.mtime_ns), dir_fd=tmp, follow_symlinks=False)


class Incoming:
    """A temporary file that is written in pieces as they come, in any order.  Holds one descriptor."""

    def __init__(self, root: FollowedRoot, node: NodeId, *, size: int) -> None:
        """Raises OSError: no room for `size` bytes (the file does not exist then), or no right."""
        self.node = node
        self._root = root
        root.look_afresh()
        tmp = root.tmp()
        if size > _room(tmp):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._handle = os.open(tmp_name(node), _NEW, 0o666, dir_fd=tmp)
        try:
            if size and hasattr(os, "posix_fallocate"):
                self._reserve(size)
        except OSError:
            self.abort()
            raise

    def _reserve(self, size: int) -> None:
        try:
            os.posix_fallocate(self._handle, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
            os.ftruncate(self._handle, size)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """May be called from several threads for different places."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._handle, view, offset)
            view, offset = view[written:], offset + written

    def finish(self, *, executable: bool, mtime_ns: int) -> None:
        """All bytes are there: set the rest and close.  `engine.placement.place` syncs it."""
        mode = os.fstat(self._handle).st_mode
        if executable:
            os.fchmod(self._handle, stat.S_IMODE(mode) | ((mode & 0o444) >> 2))
        os.utime(self._handle, ns=(mtime_ns, mtime_ns))
        os.close(self._handle)
        self._handle = -1

    def abort(self) -> None:
        """Leave nothing; harmless when it is finished or was placed."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        discard(self._root, self.node)


def _room(folder: int) -> int:
    """The free bytes of this disk less a tenth: a size that a server announces is not reserved beyond that."""
    if not hasattr(os, "fstatvfs"):
        return 2**63
    disk = os.fstatvfs(folder)
    return disk.f_bavail * disk.f_frsize * 9 // 10


def discard(root: FollowedRoot, node: NodeId) -> None:
    """Remove the temporary file of this node, if there is one."""
    with contextlib.suppress(OSError):  # it is removed at the next start then
        os.unlink(tmp_name(node), dir_fd=root.tmp())


def discard_leftovers(root: FollowedRoot) -> int:
    """At start: remove unfinished downloads.  Not what `recover` looks after, nor parked nodes."""
    root.look_afresh()
    if not root.has(TMP):
        return 0
    tmp = root.tmp()
    unfinished = [name for name in os.listdir(tmp) if len(name) == 32]
    for name in unfinished:
        os.unlink(name, dir_fd=tmp)
    return len(unfinished)


def refused(node: NodeId, error: OSError) -> NotPlaced:
    """What the disk's answer means for a step."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return NotPlaced(node, "disk-full", "There is no room left on the disk. Make some.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return NotPlaced(node, NO_PERMISSION, "You may not write here. Give yourself the right to.")
        case errno.ENOENT | errno.ENOTDIR | errno.ELOOP:
            return NotPlaced(node, "parent-gone", "The folder it belongs in is not there.")
        case errno.EEXIST:
            return NotPlaced(node, "exists", "Something stands there already.")
        case errno.ENOTEMPTY:
            return NotPlaced(
                node, "not-empty", "The folder holds something that is not synced. Move it away."
            )
        case errno.ENAMETOOLONG | errno.EILSEQ | errno.EINVAL:
            return NotPlaced(node, "name-refused", "This disk cannot hold this name. Rename it elsewhere.")
        case _:
            why = error.strerror or "unknown reason"
            return NotPlaced(node, "disk-failed", f"The disk refused: {why}. Check the disk.")
