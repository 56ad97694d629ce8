"""inotify, asked for what sync needs and nothing else.

Owns: the watches below one root, their paths through moves, the queue's overflow, the limit of watches.
May import: sync_client.engine.disk.

One watch per folder.  A folder that comes is watched with all that is below it and reported with it, since
files may have come before the watch did.  Reports are at most a hundred a second; the first comes at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import select
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from sync_client.engine.disk import PRIVATE, Parts

log = logging.getLogger(__name__)

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x002, 0x004, 0x008
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x040, 0x080, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLYDIR, _DONT_FOLLOW, _EXCL_UNLINK, _ISDIR = 0x0100_0000, 0x0200_0000, 0x0400_0000, 0x4000_0000
_MASK = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_FOLDER_MASK = _MASK | _ONLYDIR | _DONT_FOLLOW | _EXCL_UNLINK
_ROOT_MASK = _MASK | _ONLYDIR | _DELETE_SELF | _MOVE_SELF

_EVENT = struct.Struct("=iIII")
_BUFFER_BYTES = 256 * 1024
_GATHER_MS = 10


class InotifyWatcher:
    """See engine.watcher.Watcher."""

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._folders: dict[int, Parts] = {}  # by watch
        self._at_limit = False
        self._handle = -1
        self._thread: threading.Thread | None = None

    def start(self, on_dirty: Callable[[set[Parts]], None], on_lost: Callable[[str], None]) -> None:
        self._on_dirty, self._on_lost = on_dirty, on_lost
        self._handle = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._handle < 0:
            log.warning("no inotify: %s", os.strerror(ctypes.get_errno()))
            on_lost("limit" if ctypes.get_errno() in (errno.EMFILE, errno.ENFILE) else "failed")
            return
        self._stopping, self._stop = os.pipe()
        self._watch_tree((), set())
        self._thread = threading.Thread(target=self._run, name="inotify", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            os.write(self._stop, b"!")
            self._thread.join()
            self._thread = None
            for handle in (self._handle, self._stopping, self._stop):
                os.close(handle)

    # ---- watches -----------------------------------------------------------------------------------------

    def _watch_tree(self, parts: Parts, dirty: set[Parts]) -> None:
        """Watch this folder and all below it, under the paths they have now; each is dirty."""
        waiting = [parts]
        while waiting:
            folder = waiting.pop()
            path = os.path.join(self._root, *map(os.fsencode, folder))
            if not self._watch(path, folder):
                continue
            dirty.add(folder)
            with contextlib.suppress(OSError), os.scandir(path) as entries:
                waiting.extend(
                    (*folder, os.fsdecode(entry.name))
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and (folder or entry.name != PRIVATE.encode())
                )

    def _watch(self, path: bytes, parts: Parts) -> bool:
        watch = self._libc.inotify_add_watch(self._handle, path, _FOLDER_MASK if parts else _ROOT_MASK)
        if watch >= 0:
            self._folders[watch] = parts
            return True
        if ctypes.get_errno() == errno.ENOSPC:
            if not self._at_limit:
                self._at_limit = True
                self._on_lost("limit")
        elif not parts:
            self._on_lost("gone")
        return False  # else it is gone again, or no folder, or not ours to read: the scan says so

    def _look_into(self, parts: Parts, dirty: set[Parts]) -> None:
        """The rights of this folder changed: it may be ours to read only now, or no more."""
        dirty.add(parts)
        before = len(self._folders)
        self._watch(os.path.join(self._root, *map(os.fsencode, parts)), parts)
        if len(self._folders) > before:
            self._watch_tree(parts, dirty)

    def _unwatch_tree(self, parts: Parts) -> None:
        """This folder left the root."""
        left = [watch for watch, known in self._folders.items() if known[: len(parts)] == parts]
        for watch in left:
            self._libc.inotify_rm_watch(self._handle, watch)
            del self._folders[watch]

    # ---- events ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        events, stop = select.poll(), select.poll()
        events.register(self._handle, select.POLLIN)
        events.register(self._stopping, select.POLLIN)
        stop.register(self._stopping, select.POLLIN)
        while True:
            ready = [handle for handle, _ in events.poll()]
            if self._stopping in ready:
                return
            dirty: set[Parts] = set()
            try:
                self._take(os.read(self._handle, _BUFFER_BYTES), dirty)
            except OSError as error:
                log.warning("inotify failed: %s", error.strerror)
                self._on_lost("failed")
                return
            if dirty:
                self._on_dirty(dirty)
            if stop.poll(_GATHER_MS):  # what comes meanwhile is one report
                return

    def _take(self, data: bytes, dirty: set[Parts]) -> None:
        left: dict[int, Parts] = {}  # folders that were moved away, by cookie
        at = 0
        while at < len(data):
            watch, mask, cookie, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            if mask & _OVERFLOW:
                self._watch_tree((), dirty)
                self._on_lost("overflow")
                continue
            parts = self._folders.get(watch)
            if parts is None:
                continue
            if mask & _IGNORED:
                del self._folders[watch]
            if mask & (_DELETE_SELF | _MOVE_SELF | _UNMOUNT) and not parts:
                self._on_lost("gone")
            if not length:
                continue
            name = data[at - length : at].rstrip(b"\0")
            if not parts and name == PRIVATE.encode():
                continue
            dirty.add(parts)
            if mask & _ISDIR and mask & (_CREATE | _MOVED_TO | _MOVED_FROM):
                child = (*parts, os.fsdecode(name))
                if mask & _MOVED_FROM:
                    left[cookie] = child
                else:
                    left.pop(cookie, None)
                    self._watch_tree(child, dirty)
            elif mask & _ISDIR and mask & _ATTRIB:
                self._look_into((*parts, os.fsdecode(name)), dirty)
        for parts in left.values():
            self._unwatch_tree(parts)
