"""The calls of the operating system that Python has no name for, each with a fallback.

Owns: exchange, rename without replacing, birth times, syncing a whole file system, giving memory back.
May import: the standard library, sync_client.engine.trees.

Everything takes (folder descriptor, name) pairs and never follows a link.  Linux answers by `renameat2`,
`statx` and `syncfs`; where the system or the file system lacks one, the fallback below it is used: the same
outcome, with the small window that docs/durability.md names.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sync_client.engine.trees import Fingerprint

ASIDE = ".aside"  # what the fallback of `exchange` adds to a name while it is at work

_NOREPLACE, _EXCHANGE = 1, 2
_NOT_OFFERED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}
_NO_LINKS = _NOT_OFFERED | {errno.EPERM, errno.EMLINK}

_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BASIC_AND_BIRTH = 0xFFF
_STATX_BIRTH = 0x800
# struct statx, up to stx_dev_minor; "x" are fields and padding that nobody here asks for
_STATX = struct.Struct("=I 4x 8x 4x 4x 4x H 2x Q Q 8x 8x 16x qI4x qI4x qI4x 4x 4x I I")


def _find(name: str, *argument_types: Any) -> Callable[..., int] | None:
    """The C function, or None where this system has none."""
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (OSError, AttributeError, TypeError):  # TypeError: CDLL(None) on Windows
        return None
    function.argtypes = argument_types
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]  # ctypes is untyped here; restype makes it an int


_int, _text, _uint = ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
_renameat2 = _find("renameat2", _int, _text, _int, _text, _uint)
_syncfs = _find("syncfs", _int)
_malloc_trim = _find("malloc_trim", ctypes.c_size_t)
_statx = _find("statx", _int, _text, _int, _uint, _text)


def _failure(name: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name)


def give_memory_back() -> None:
    """What much work used and freed goes back to the system; by itself the allocator of glibc keeps most of it."""
    if _malloc_trim is not None:
        _malloc_trim(0)


# ---- renaming --------------------------------------------------------------------------------------------


def exchange(from_folder: int, name: str, to_folder: int, target: str) -> None:
    """`name` and `target` change places; both must be there."""
    if _renameat2 is None:
        exchange_by_link(from_folder, name, to_folder, target)
    elif _renameat2(from_folder, os.fsencode(name), to_folder, os.fsencode(target), _EXCHANGE):
        error = _failure(target)
        if error.errno not in _NOT_OFFERED:
            raise error
        exchange_by_link(from_folder, name, to_folder, target)


def exchange_by_link(from_folder: int, name: str, to_folder: int, target: str) -> None:
    """What `exchange` does, in three steps: link the target aside, rename over it, rename the link.

    Window: a file that another program *renames* onto `target` between the first step and the second is
    overwritten.  One that is written in place is not: its bytes are in the link.  On a disk without hard
    links the target is renamed aside instead, and its name is absent for that moment.
    """
    aside = name + ASIDE
    try:
        os.link(target, aside, src_dir_fd=to_folder, dst_dir_fd=from_folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(target, aside, src_dir_fd=to_folder, dst_dir_fd=from_folder)
    os.rename(name, target, src_dir_fd=from_folder, dst_dir_fd=to_folder)
    os.rename(aside, name, src_dir_fd=from_folder, dst_dir_fd=from_folder)


def rename_noreplace(from_folder: int, name: str, to_folder: int, target: str) -> None:
    """Rename, or FileExistsError if something else stands at `target`."""
    try:
        _rename_noreplace(from_folder, name, to_folder, target)
    except FileExistsError:
        if not _is_one_entry(from_folder, name, to_folder, target):
            raise
        os.rename(name, target, src_dir_fd=from_folder, dst_dir_fd=to_folder)


def _is_one_entry(from_folder: int, name: str, to_folder: int, target: str) -> bool:
    """Both names lead to the same entry: another spelling, on a disk that cannot tell upper from lower case."""
    try:
        one = os.stat(name, dir_fd=from_folder, follow_symlinks=False)
        two = os.stat(target, dir_fd=to_folder, follow_symlinks=False)
    except OSError:
        return False
    same = (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
    return same and (stat.S_ISDIR(one.st_mode) or one.st_nlink == 1)


def _rename_noreplace(from_folder: int, name: str, to_folder: int, target: str) -> None:
    if _renameat2 is None:
        rename_noreplace_by_link(from_folder, name, to_folder, target)
    elif _renameat2(from_folder, os.fsencode(name), to_folder, os.fsencode(target), _NOREPLACE):
        error = _failure(target)
        if error.errno not in _NOT_OFFERED:
            raise error
        rename_noreplace_by_link(from_folder, name, to_folder, target)


def rename_noreplace_by_link(from_folder: int, name: str, to_folder: int, target: str) -> None:
    """What `rename_noreplace` does: a hard link never replaces; then the old name goes.

    Folders, and disks without hard links: look, then rename (a file that appears in between is overwritten; a
    folder never is, unless it is empty).
    """
    try:
        os.link(name, target, src_dir_fd=from_folder, dst_dir_fd=to_folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if look(to_folder, target) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        os.rename(name, target, src_dir_fd=from_folder, dst_dir_fd=to_folder)
    else:
        left, moved = look(from_folder, name), look(to_folder, target)
        if left is not None and moved is not None and left.inode == moved.inode:
            os.unlink(name, dir_fd=from_folder)  # else another file was put there just now: it stays


# ---- looking ---------------------------------------------------------------------------------------------


def look(folder: int, name: str) -> Fingerprint | None:
    """What stands there, a link as itself; None: nothing.  Other failures are raised."""
    if _statx is None:
        return look_by_stat(folder, name)
    answer = _answer()
    if _statx(folder, os.fsencode(name), _AT_SYMLINK_NOFOLLOW, _STATX_BASIC_AND_BIRTH, answer):
        error = _failure(name)
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if error.errno == errno.ENOSYS:
            return look_by_stat(folder, name)
        raise error
    return _from_statx(answer)


_mine = threading.local()


def _answer() -> ctypes.Array[ctypes.c_char]:
    """Room for what statx says, of this thread: making it costs as much as the call."""
    try:
        return _mine.answer  # type: ignore[no-any-return]  # set below, and nowhere else
    except AttributeError:
        _mine.answer = answer = ctypes.create_string_buffer(256)
        return answer


def look_all(folder: int, names: Sequence[str]) -> Iterator[tuple[str, Fingerprint]]:
    """`look` at many names of one folder; those that are gone by now are left out."""
    if _statx is None:
        for name in names:
            seen = look_by_stat(folder, name)
            if seen is not None:
                yield name, seen
        return
    answer = ctypes.create_string_buffer(256)  # one for all of them
    encode = os.fsencode
    for name in names:
        if not _statx(folder, encode(name), _AT_SYMLINK_NOFOLLOW, _STATX_BASIC_AND_BIRTH, answer):
            yield name, _from_statx(answer)
        else:
            seen = look(folder, name)  # says what is wrong
            if seen is not None:
                yield name, seen


def look_by_stat(folder: int, name: str) -> Fingerprint | None:
    """`look` where there is no statx."""
    try:
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    birth = getattr(seen, "st_birthtime_ns", 0) or int(getattr(seen, "st_birthtime", 0) * 1_000_000_000)
    return Fingerprint(
        seen.st_dev, seen.st_ino, birth, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_mode
    )


def _from_statx(answer: ctypes.Array[ctypes.c_char]) -> Fingerprint:
    mask, mode, inode, size, birth, birth_rest, change, change_rest, written, written_rest, major, minor = (
        _STATX.unpack_from(answer)
    )
    return Fingerprint(
        os.makedev(major, minor),
        inode,
        birth * 1_000_000_000 + birth_rest if mask & _STATX_BIRTH else 0,
        size,
        written * 1_000_000_000 + written_rest,
        change * 1_000_000_000 + change_rest,
        mode,
    )


# ---- syncing ---------------------------------------------------------------------------------------------


def sync_file_system(folder: int) -> None:
    """All that was written to the file system of this folder is on the disk, or OSError."""
    if _syncfs is None:
        os.sync()
    elif _syncfs(folder):
        raise _failure("syncfs")
