"""A followed folder, reached through directory handles so that no link inside it is ever followed.

Owns: how paths below the root are opened and names spelled, the private folder `.mb-sync`, syncing, the question "is
this still the file that was seen".
May import: the standard library, protocol.names, sync_client.engine.system_calls, sync_client.engine.trees.

A path is a tuple of names below the root (`Parts`); () is the root itself.  They are the true names, as all sides
know them; how this disk spells them (protocol.names) is known here and in the calls of `spell` and `name_of` alone.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Self

from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.names import Os, from_disk, to_disk
from sync_client.engine.system_calls import look, sync_file_system
from sync_client.engine.trees import Fingerprint

Parts = tuple[str, ...]

PRIVATE = ".mb-sync"
TMP: Parts = (PRIVATE, "tmp")
TRASH: Parts = (PRIVATE, "trash")

RACY_NS = 2_000_000_000  # FAT and SMB count in steps of two seconds
CLOCK_STEP_NS = 50_000_000  # no system ticks more slowly than this where it shows parts of a second

THIS_OS = {"win32": Os.WINDOWS, "darwin": Os.MACOS}.get(sys.platform, Os.LINUX)
_PROBE = "probe: a name?"
_CANNOT_SPELL = {errno.EINVAL, errno.EILSEQ, errno.ENOENT, errno.EIO, errno.ENAMETOOLONG}

_OPEN_FOLDERS = 48  # per thread
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a pipe must not hold us


class FollowedRoot:
    """The disk below one folder.  May be used from several threads: each keeps its own open folders.

    Handles are kept only inside one bulk call (each begins with `look_afresh`), so a folder that the user
    moves is not written to for longer than that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spelling = THIS_OS
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.device = os.fstat(self._root).st_dev
        self._mine = threading.local()
        self._all: list[OrderedDict[Parts, int]] = []
        self._lock = threading.Lock()
        self.index_lock = threading.Lock()  # of the trash: one appends to it, another one writes it anew

    def close(self) -> None:
        """No other thread may be using the root by now."""
        with self._lock:
            for handles in self._all:
                while handles:
                    os.close(handles.popitem()[1])
        if self._root >= 0:
            os.close(self._root)
        self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- folders -----------------------------------------------------------------------------------------

    def folder_fd(self, parts: Parts) -> int:
        """A handle that stays ours: use it at once, do not close it (those of `.mb-sync` last a bulk call).

        Raises OSError: FileNotFoundError and NotADirectoryError also where a link stands for a folder.
        """
        if not parts:
            return self._root
        handles = self._handles()
        handle = handles.get(parts)
        if handle is not None:
            handles.move_to_end(parts)
            return handle
        handle = os.open(self.spell(parts[-1]), _FOLDER, dir_fd=self.folder_fd(parts[:-1]))
        if len(handles) >= _OPEN_FOLDERS:
            oldest = next(known for known in handles if known[0] != PRIVATE)
            os.close(handles.pop(oldest))
        handles[parts] = handle
        return handle

    def look_afresh(self) -> None:
        """Forget this thread's handles: what stood at a path may stand elsewhere by now."""
        handles = self._handles()
        while handles:
            os.close(handles.popitem()[1])

    def _handles(self) -> OrderedDict[Parts, int]:
        handles: OrderedDict[Parts, int] | None = getattr(self._mine, "handles", None)
        if handles is None:
            handles = self._mine.handles = OrderedDict()
            with self._lock:
                self._all.append(handles)
        return handles

    # ---- how names are spelled on this disk --------------------------------------------------------------

    def learn_spelling(self) -> None:
        """Does this disk hold the names that Windows cannot?  FAT, exFAT and NTFS do not, wherever they are mounted.
        Whoever opens the root to sync asks once."""
        if self.spelling is Os.WINDOWS:
            return
        try:
            handle = os.open(_PROBE, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=self.tmp())
        except OSError as error:
            if error.errno in _CANNOT_SPELL:
                self.spelling = Os.WINDOWS
        else:
            os.close(handle)
            os.unlink(_PROBE, dir_fd=self.tmp())

    def spell(self, name: str) -> str:
        """As this disk has it; every name that goes to a system call was spelled before."""
        return name if self.spelling is not Os.WINDOWS else to_disk(name, self.spelling)

    def name_of(self, spelled: str) -> str:
        """The true name of what the disk has under this one."""
        return spelled if self.spelling is not Os.WINDOWS else from_disk(spelled, self.spelling)

    # ---- files -------------------------------------------------------------------------------------------

    def fingerprint(self, parts: Parts) -> Fingerprint | None:
        """What stands there now; None: nothing, or no such folder.  For one path, not for a bulk call."""
        self.look_afresh()
        try:
            return look(self.folder_fd(parts[:-1]), self.spell(parts[-1])) if parts else look(self._root, ".")
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise

    def open_file(self, parts: Parts) -> int:
        """A descriptor to read from; the caller closes it and checks that it is a regular file."""
        return os.open(self.spell(parts[-1]), _FILE, dir_fd=self.folder_fd(parts[:-1]))

    # ---- ours --------------------------------------------------------------------------------------------

    def private(self) -> int:
        """`.mb-sync`, made with its folders if it is not there; for this user only."""
        return self._made((PRIVATE,))

    def has(self, parts: Parts) -> bool:
        """Is there a folder?  Asks without making one, as `tmp` and `trash` would."""
        try:
            self.folder_fd(parts)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def tmp(self) -> int:
        self._made((PRIVATE,))
        return self._made(TMP)

    def trash(self) -> int:
        self._made((PRIVATE,))
        return self._made(TRASH)

    def _made(self, parts: Parts) -> int:
        try:
            return self.folder_fd(parts)
        except FileNotFoundError:
            os.mkdir(parts[-1], 0o700, dir_fd=self.folder_fd(parts[:-1]))
            return self.folder_fd(parts)

    def sync(self) -> None:
        """All that was written to the file system of the root is on the disk, or OSError."""
        sync_file_system(self._root)


# ---- what a fingerprint tells ----------------------------------------------------------------------------


def kind_of(mode: int) -> Kind | None:
    """None: a device, a pipe, a socket."""
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    return Kind.LINK if stat.S_ISLNK(mode) else None


def is_executable(mode: int) -> bool:
    return stat.S_ISREG(mode) and bool(mode & stat.S_IXUSR)


def same_thing(one: Fingerprint, other: Fingerprint) -> bool:
    """The same file or folder, whatever it holds.  Inode numbers are used again, birth times are not."""
    return (
        one.inode == other.inode
        and one.device == other.device
        and stat.S_IFMT(one.mode) == stat.S_IFMT(other.mode)
        and (one.birth_ns == other.birth_ns or not (one.birth_ns and other.birth_ns))
    )


def untouched(expected: Fingerprint, seen: Fingerprint) -> bool:
    """Nothing happened to it since: same thing, and for a file same size and times.

    A folder's size and times are those of its list of names and say nothing here.  Change time 0 in
    `expected`: it was seen when it was too young to trust (`too_young`), so that is not compared.
    """
    return same_bytes(expected, seen) and (
        expected.ctime_ns in (0, seen.ctime_ns) or stat.S_ISDIR(expected.mode)
    )


def same_bytes(expected: Fingerprint, seen: Fingerprint) -> bool:
    """`untouched`, but for the change time, which a rename of our own moves on."""
    return same_thing(expected, seen) and (
        stat.S_ISDIR(expected.mode)
        or (
            expected.size == seen.size
            and expected.mtime_ns == seen.mtime_ns
            and is_executable(expected.mode) == is_executable(seen.mode)
        )
    )


def too_young(seen: Fingerprint, now_ns: int) -> bool:
    """Could a write after `now_ns` leave the very same stat?  Only if both times in it are recent."""
    return abs(now_ns - seen.mtime_ns) < RACY_NS and abs(now_ns - seen.ctime_ns) < RACY_NS


def placed_too_young(seen: Fingerprint, now_ns: int) -> bool:
    """`too_young` for a file whose times we set: a later write takes the clock's time instead, so that only a
    clock that has not ticked since, or a disk that counts in whole seconds, can show the same."""
    window = RACY_NS if seen.mtime_ns % 10_000_000 == 0 else CLOCK_STEP_NS
    return abs(now_ns - seen.mtime_ns) < window


def tmp_name(node: NodeId) -> str:
    return f"{node.int:032x}"  # as `node.hex`, in half the time


def parked_parts(node: NodeId) -> Parts:
    """Where a node waits that had to leave its name: the place PARKED."""
    return (*TMP, f"{tmp_name(node)}.parked")
