"""What the engine takes for the operating system: its calls, answered by disks in memory.

Owns: descriptors, paths, who is calling (a life of a computer), the moment before each call.
May import: the standard library, sync_client.engine.system_calls, tests.simulation.memory_disk.

Each start of an engine is a *life*; the tasks and jobs that begin in it carry it along.  The calls of a life that has
ended fail: a dead program does nothing any more, whatever its code would still like to tidy up.
"""

from __future__ import annotations

import ctypes
import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

from sync_client.engine import system_calls
from tests.simulation.memory_disk import Inode, MemoryDisk, failure

FIRST_DESCRIPTOR = 1_000_000
_PURE = {
    "fsencode",
    "fsdecode",
    "strerror",
    "fspath",
    "path",
    "sep",
    "makedev",
    "name",
    "environ",
    "PathLike",
}


@dataclass
class Life:
    """From a start of a program to its end, however it comes.

    before: told of each call that changes the disk, before it is done; may raise.
    """

    name: str
    before: Callable[[str, str], None] = lambda _call, _name: None
    over: bool = False


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


@dataclass
class _Open:
    disk: MemoryDisk
    inode: Inode
    life: Life | None
    at: int = 0
    writes: bool = False
    appends: bool = False


@dataclass
class System:
    """The disks of all computers, by the folder that each is mounted at; stands for the module `os`."""

    mounted: dict[str, MemoryDisk] = field(default_factory=dict)
    _open: dict[int, _Open] = field(default_factory=dict)
    _next: int = FIRST_DESCRIPTOR

    def __getattr__(self, name: str) -> Any:
        if name in _PURE or name[0].isupper() or name.startswith(("O_", "CLD_")):
            return getattr(os, name)
        raise AttributeError(f"the disks of the simulation have no os.{name} yet")

    # ---- who, where --------------------------------------------------------------------------------------

    def _life(self, call: str = "", name: str = "") -> Life | None:
        life = LIFE.get()
        if life is not None:
            if life.over:
                raise failure(errno.EIO, name)
            if call:
                life.before(call, name)
                if life.over:
                    raise failure(errno.EIO, name)
        return life

    def _of(self, handle: int) -> _Open:
        found = self._open.get(handle)
        if found is None:
            raise failure(errno.EBADF)
        return found

    def _at(self, path: Any, dir_fd: int | None) -> tuple[MemoryDisk, Inode, str]:
        """The folder that a path ends in, and its last name."""
        text = os.fsdecode(path)
        if dir_fd is not None:
            here = self._of(dir_fd)
            if "/" in text:
                raise NotImplementedError(f"a path below a descriptor: {text}")
            return here.disk, here.inode, text
        disk = self.mounted.get(text)
        if disk is None:
            raise failure(errno.ENOENT, text)
        return disk, disk.root, "."

    def close_all(self, life: Life) -> None:
        for handle, one in list(self._open.items()):
            if one.life is life:
                del self._open[handle]
                one.inode.opened = max(0, one.inode.opened - 1)

    # ---- descriptors -------------------------------------------------------------------------------------

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is None and os.path.isabs(path) and os.fsdecode(path) not in self.mounted:
            return os.open(path, flags, mode)  # beside a `state.db`, which is a real file as well
        life = self._life("open" if flags & os.O_CREAT else "", os.fsdecode(path))
        disk, folder, name = self._at(path, dir_fd)
        inode = disk.find(folder, name)
        if inode is None:
            if not flags & os.O_CREAT:
                raise failure(errno.ENOENT, name)
            inode = disk.make_file(folder, name, mode=mode & 0o755)
            inode.by = "engine"
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise failure(errno.EEXIST, name)
        if stat.S_ISLNK(inode.mode):
            raise failure(errno.ELOOP if flags & os.O_NOFOLLOW else errno.ENOTSUP, name)
        if flags & os.O_DIRECTORY and not inode.is_folder:
            raise failure(errno.ENOTDIR, name)
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
        if writes and inode.is_folder:
            raise failure(errno.EISDIR, name)
        if flags & os.O_TRUNC and inode.data:
            disk.write(inode, b"", "engine")
        inode.opened += 1
        self._next += 1
        self._open[self._next] = _Open(disk, inode, life, writes=writes, appends=bool(flags & os.O_APPEND))
        return self._next

    def close(self, handle: int) -> None:
        if handle < FIRST_DESCRIPTOR:
            os.close(handle)
            return
        one = self._open.pop(handle, None)
        if one is None:
            life = LIFE.get()
            if life is not None and life.over:  # its descriptors ended with it
                return
            raise failure(errno.EBADF)
        one.inode.opened -= 1
        one.disk.forget_unused(one.inode)

    def dup(self, handle: int) -> int:
        one = self._of(handle)
        one.inode.opened += 1
        self._next += 1
        self._open[self._next] = _Open(one.disk, one.inode, one.life, one.at, one.writes, one.appends)
        return self._next

    def read(self, handle: int, count: int) -> bytes:
        one = self._of(handle)
        data = one.inode.data[one.at : one.at + count]
        one.at += len(data)
        return data

    def readv(self, handle: int, buffers: list[Any]) -> int:
        total = 0
        for buffer in buffers:
            data = self.read(handle, len(buffer))
            memoryview(buffer)[: len(data)] = data
            total += len(data)
        return total

    def pread(self, handle: int, count: int, offset: int) -> bytes:
        one = self._of(handle)
        if one.inode.is_folder:
            raise failure(errno.EISDIR)
        return one.inode.data[offset : offset + count]

    def write(self, handle: int, data: Any) -> int:
        one = self._of(handle)
        if one.appends:
            one.at = len(one.inode.data)
        written = self.pwrite(handle, data, one.at)
        one.at += written
        return written

    def pwrite(self, handle: int, data: Any, offset: int) -> int:
        self._life("write")
        one = self._of(handle)
        if not one.writes:
            raise failure(errno.EBADF)
        old, new = one.inode.data, bytes(data)
        old = old.ljust(offset, b"\0")
        one.disk.write(one.inode, old[:offset] + new + old[offset + len(new) :], "engine")
        return len(new)

    def ftruncate(self, handle: int, size: int) -> None:
        self._life("ftruncate")
        one = self._of(handle)
        one.disk.write(one.inode, one.inode.data[:size].ljust(size, b"\0"), "engine")

    def posix_fallocate(self, handle: int, offset: int, size: int) -> None:
        self.ftruncate(handle, max(len(self._of(handle).inode.data), offset + size))

    def fdopen(self, handle: int, mode: str = "r") -> Any:
        if mode == "rb":
            return _Reading(self, handle)
        if mode in ("wb", "ab"):
            return _Writing(self, handle)
        raise NotImplementedError(f"fdopen with {mode!r}")

    def fsync(self, handle: int) -> None:
        if handle < FIRST_DESCRIPTOR:
            return  # what is real does not lose power here
        self._life("fsync")
        one = self._of(handle)
        if one.inode.is_folder:
            one.disk.sync_names(one.inode)
        else:
            one.disk.sync_bytes(one.inode)

    def syncfs(self, handle: int) -> int:
        self._life("syncfs")
        self._of(handle).disk.sync()
        return 0

    # ---- looking -----------------------------------------------------------------------------------------

    def fstat(self, handle: int) -> Any:
        self._life()
        one = self._of(handle)
        return _stat(one.disk, one.inode)

    def stat(self, path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> Any:
        self._life()
        disk, folder, name = self._at(path, dir_fd)
        inode = disk.get(folder, name)
        if stat.S_ISLNK(inode.mode) and follow_symlinks:
            raise NotImplementedError("a link is never followed")
        return _stat(disk, inode)

    def listdir(self, handle: int) -> list[str]:
        self._life()
        one = self._of(handle)
        return one.disk.names(one.inode)

    def readlink(self, path: Any, *, dir_fd: int | None = None) -> str:
        self._life()
        disk, folder, name = self._at(path, dir_fd)
        inode = disk.get(folder, name)
        if not stat.S_ISLNK(inode.mode):
            raise failure(errno.EINVAL, name)
        return os.fsdecode(inode.data)

    # ---- names -------------------------------------------------------------------------------------------

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._life("mkdir", os.fsdecode(path))
        disk, folder, name = self._at(path, dir_fd)
        disk.make_folder(folder, name, mode & 0o755)

    def rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._life("rmdir", os.fsdecode(path))
        disk, folder, name = self._at(path, dir_fd)
        disk.rmdir(folder, name)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._life("unlink", os.fsdecode(path))
        disk, folder, name = self._at(path, dir_fd)
        disk.unlink(folder, name)

    def symlink(self, text: Any, path: Any, *, dir_fd: int | None = None) -> None:
        self._life("symlink", os.fsdecode(path))
        disk, folder, name = self._at(path, dir_fd)
        disk.make_link(folder, name, os.fsencode(text)).by = "engine"

    def link(
        self,
        path: Any,
        new: Any,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        del follow_symlinks
        self._life("link", os.fsdecode(new))
        disk, folder, name = self._at(path, src_dir_fd)
        _, to, target = self._at(new, dst_dir_fd)
        inode = disk.get(folder, name)
        if inode.is_folder:
            raise failure(errno.EPERM, name)
        disk.hard_link(inode, to, target)

    def rename(
        self, path: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        self._life("rename", os.fsdecode(new))
        disk, folder, name = self._at(path, src_dir_fd)
        _, to, target = self._at(new, dst_dir_fd)
        disk.rename(folder, name, to, target, replace=True)

    def renameat2(self, from_folder: int, name: bytes, to_folder: int, new: bytes, flags: int) -> int:
        """As the C function: 0, or -1 and errno."""
        try:
            self._life("exchange" if flags == 2 else "rename", os.fsdecode(new))
            disk, folder, old = self._at(name, from_folder)
            _, to, target = self._at(new, to_folder)
            if flags == 2:
                disk.exchange(folder, old, to, target)
            else:
                disk.rename(folder, old, to, target, replace=False)
        except OSError as error:
            ctypes.set_errno(error.errno or errno.EIO)
            return -1
        return 0

    # ---- attributes --------------------------------------------------------------------------------------

    def utime(
        self, path: Any, *, ns: tuple[int, int], dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> None:
        del follow_symlinks
        self._life("utime")
        if isinstance(path, int):
            disk, inode = self._of(path).disk, self._of(path).inode
        else:
            disk, folder, name = self._at(path, dir_fd)
            inode = disk.get(folder, name)
        inode.mtime_ns, inode.ctime_ns = ns[1], disk.clock_ns()

    def chmod(self, path: Any, mode: int, *, dir_fd: int | None = None) -> None:
        self._life("chmod")
        disk, folder, name = self._at(path, dir_fd)
        _chmod(disk, disk.get(folder, name), mode)

    def fchmod(self, handle: int, mode: int) -> None:
        self._life("chmod")
        one = self._of(handle)
        _chmod(one.disk, one.inode, mode)


def _chmod(disk: MemoryDisk, inode: Inode, mode: int) -> None:
    inode.mode = stat.S_IFMT(inode.mode) | stat.S_IMODE(mode)
    inode.ctime_ns = disk.clock_ns()


def _stat(disk: MemoryDisk, inode: Inode) -> Any:
    return SimpleNamespace(
        st_dev=disk.device,
        st_ino=inode.number,
        st_mode=inode.mode,
        st_size=len(inode.data),
        st_nlink=inode.links,
        st_mtime_ns=inode.mtime_ns,
        st_ctime_ns=inode.ctime_ns,
        st_birthtime_ns=inode.birth_ns,
    )


class _Reading(io.BytesIO):
    def __init__(self, system: System, handle: int) -> None:
        super().__init__(system._of(handle).inode.data)
        self._close_it = lambda: system.close(handle)

    def __exit__(self, *_: object) -> None:
        self._close_it()


class _Writing:
    """Writes at once: there is no buffer that a crash could lose, so each piece is a call of its own."""

    def __init__(self, system: System, handle: int) -> None:
        self._system, self._handle = system, handle

    def write(self, data: bytes) -> int:
        return self._system.write(self._handle, data)

    def writelines(self, lines: Any) -> None:
        self.write(b"".join(lines))

    def flush(self) -> None: ...

    def fileno(self) -> int:
        return self._handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._system.close(self._handle)


# ---- in place of the real one --------------------------------------------------------------------------------


@contextmanager
def installed(system: System, *, exchanges: bool = True) -> Iterator[None]:
    """While this is open, every module of the engine has `system` for its `os`.

    exchanges: whether the disks can exchange two names in one call.
    """
    modules = [
        module
        for name, module in sorted(sys.modules.items())
        if name.startswith("sync_client.engine.") and getattr(module, "os", None) is os
    ]
    c_functions = {name: getattr(system_calls, name) for name in ("_renameat2", "_syncfs", "_statx")}
    for module in modules:
        module.os = system  # type: ignore[attr-defined]
    vars(system_calls).update(
        _renameat2=system.renameat2 if exchanges else None, _syncfs=system.syncfs, _statx=None
    )
    try:
        yield
    finally:
        for module in modules:
            module.os = os  # type: ignore[attr-defined]
        vars(system_calls).update(c_functions)
