"""A disk that forgets what was not synced.

Owns: folders, files and links in memory; what is on the platter and what only in the cache; case-blind names.
May import: the standard library, protocol.names.

Names: a change to a folder is in the journal until that folder, or the whole disk, is synced; a power cut keeps a
beginning of the journal.  Bytes: a file that was not synced has after a power cut its old bytes, its new ones, or only
the first of the new ones.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from protocol.names import name_key

ROOT = 2
_Change = tuple["Inode", str, "tuple[str, Inode] | None"]  # folder, key of the name, what stood there before


@dataclass(slots=True)
class Inode:
    number: int
    mode: int
    birth_ns: int
    mtime_ns: int
    ctime_ns: int
    data: bytes = b""  # of a link: its text
    kept: bytes = b""  # what is on the platter
    entries: dict[str, tuple[str, Inode]] = field(default_factory=dict)  # key → name, what stands there
    links: int = 0
    opened: int = 0
    by: str = ""  # who wrote the bytes: "person", "engine"

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


def failure(number: int, name: str = "") -> OSError:
    return OSError(number, os.strerror(number), name)


class MemoryDisk:
    def __init__(self, device: int, clock_ns: Callable[[], int], *, case_blind: bool = False) -> None:
        self.device = device
        self.case_blind = case_blind
        self.clock_ns = clock_ns
        self._freed: list[int] = []
        self._numbers = ROOT
        self._journal: list[list[_Change]] = []
        self._group: list[_Change] | None = None
        self.root = self._inode(stat.S_IFDIR | 0o755)
        self.root.links = 1
        self.on_change: Callable[[Inode], None] = lambda folder: None  # a name in it came, went or changed
        self.on_shown: Callable[[Inode, str, Inode], None] = lambda folder, name, inode: None

    # ---- names -------------------------------------------------------------------------------------------

    def key(self, name: str) -> str:
        return name_key(name) if self.case_blind else name

    def find(self, folder: Inode, name: str) -> Inode | None:
        if not folder.is_folder:
            raise failure(errno.ENOTDIR, name)
        if name == ".":
            return folder
        found = folder.entries.get(self.key(name))
        return found[1] if found else None

    def get(self, folder: Inode, name: str) -> Inode:
        found = self.find(folder, name)
        if found is None:
            raise failure(errno.ENOENT, name)
        return found

    def names(self, folder: Inode) -> list[str]:
        if not folder.is_folder:
            raise failure(errno.ENOTDIR)
        return [name for name, _ in folder.entries.values()]

    def walk(self, folder: Inode | None = None, path: str = "") -> Iterator[tuple[str, Inode, Inode, str]]:
        """(path, inode, the folder it stands in, its name), parents first."""
        here = folder or self.root
        for name, inode in list(here.entries.values()):
            yield f"{path}{name}", inode, here, name
            if inode.is_folder:
                yield from self.walk(inode, f"{path}{name}/")

    # ---- changes of names --------------------------------------------------------------------------------

    def make_file(self, folder: Inode, name: str, data: bytes = b"", mode: int = 0o644) -> Inode:
        return self._new(folder, name, stat.S_IFREG | mode, data)

    def make_folder(self, folder: Inode, name: str, mode: int = 0o755) -> Inode:
        return self._new(folder, name, stat.S_IFDIR | mode, b"")

    def make_link(self, folder: Inode, name: str, text: bytes) -> Inode:
        return self._new(folder, name, stat.S_IFLNK | 0o777, text)

    def _new(self, folder: Inode, name: str, mode: int, data: bytes) -> Inode:
        if self.find(folder, name) is not None:
            raise failure(errno.EEXIST, name)
        self._still_there(folder)
        inode = self._inode(mode)
        inode.data = data
        self._set(folder, name, inode)
        return inode

    def hard_link(self, inode: Inode, folder: Inode, name: str) -> None:
        if self.find(folder, name) is not None:
            raise failure(errno.EEXIST, name)
        self._still_there(folder)
        self._set(folder, name, inode)

    def unlink(self, folder: Inode, name: str) -> None:
        inode = self.get(folder, name)
        if inode.is_folder:
            raise failure(errno.EISDIR, name)
        self._set(folder, name, None)

    def rmdir(self, folder: Inode, name: str) -> None:
        inode = self.get(folder, name)
        if not inode.is_folder:
            raise failure(errno.ENOTDIR, name)
        if inode.entries:
            raise failure(errno.ENOTEMPTY, name)
        self._set(folder, name, None)

    def rename(self, folder: Inode, name: str, to: Inode, new: str, *, replace: bool) -> None:
        moved, there = self.get(folder, name), self.find(to, new)
        self._still_there(to)
        if there is not None and there is not moved:
            if not replace:
                raise failure(errno.EEXIST, new)
            if there.is_folder != moved.is_folder:
                raise failure(errno.EISDIR if there.is_folder else errno.ENOTDIR, new)
            if there.is_folder and there.entries:
                raise failure(errno.ENOTEMPTY, new)
        elif there is moved:
            if not replace:
                raise failure(errno.EEXIST, new)
            if folder is not to or self.key(name) != self.key(new):
                return  # two names of one file: nothing happens
        if moved.is_folder and self._lies_in(to, moved):
            raise failure(errno.EINVAL, new)
        with _Together(self):
            self._set(folder, name, None)
            self._set(to, new, moved)
        moved.ctime_ns = self.clock_ns()

    def exchange(self, folder: Inode, name: str, to: Inode, other: str) -> None:
        one, two = self.get(folder, name), self.get(to, other)
        if (one.is_folder and self._lies_in(to, one)) or (two.is_folder and self._lies_in(folder, two)):
            raise failure(errno.EINVAL, other)
        shown, other_shown = folder.entries[self.key(name)][0], to.entries[self.key(other)][0]
        with _Together(self):
            self._set(folder, shown, two)
            self._set(to, other_shown, one)
        one.ctime_ns = two.ctime_ns = self.clock_ns()

    def write(self, inode: Inode, data: bytes, by: str) -> None:
        inode.data, inode.by = data, by
        inode.mtime_ns = inode.ctime_ns = self.clock_ns()

    def _inode(self, mode: int) -> Inode:
        """Numbers are used again at once."""
        if self._freed:
            number = self._freed.pop()
        else:
            number, self._numbers = self._numbers, self._numbers + 1
        now = self.clock_ns()
        return Inode(number, mode, now, now, now)

    def _set(self, folder: Inode, name: str, inode: Inode | None) -> None:
        key = self.key(name)
        before = folder.entries.get(key)
        change = (folder, key, before)
        if self._group is not None:
            self._group.append(change)
        else:
            self._journal.append([change])
        if inode is None:
            del folder.entries[key]
        else:
            folder.entries[key] = (name, inode)
            inode.links += 1
        folder.mtime_ns = folder.ctime_ns = self.clock_ns()
        if before is not None:
            before[1].links -= 1
            before[1].ctime_ns = self.clock_ns()
            if self._group is None:
                self.forget_unused(before[1])
        self.on_change(folder)
        if inode is not None:
            self.on_shown(folder, name, inode)

    def forget_unused(self, inode: Inode) -> None:
        """A file without a name that nobody has open gives up its number."""
        if inode.links == 0 and not inode.opened:
            self._freed.append(inode.number)

    def _still_there(self, folder: Inode) -> None:
        if folder.links == 0:
            raise failure(errno.ENOENT)

    def _lies_in(self, folder: Inode, above: Inode) -> bool:
        """Is `folder` the folder `above`, or below it?"""
        todo = [above]
        for one in todo:
            if one is folder:
                return True
            todo += [inode for _, inode in one.entries.values() if inode.is_folder]
        return False

    # ---- syncing, and what is left without -----------------------------------------------------------------

    def sync_bytes(self, inode: Inode) -> None:
        inode.kept = inode.data

    def sync_names(self, folder: Inode) -> None:
        """All of the journal up to the last change of this folder."""
        last = max(
            (at for at, group in enumerate(self._journal) if any(one[0] is folder for one in group)),
            default=-1,
        )
        del self._journal[: last + 1]

    def sync(self) -> None:
        for _, inode, _, _ in self.walk():
            inode.kept = inode.data
        self._journal.clear()

    def cut_power(self, chance: random.Random) -> None:
        """What a computer finds that starts after its power was cut."""
        keep = chance.choice([0, len(self._journal), chance.randint(0, len(self._journal))])
        for group in reversed(self._journal[keep:]):
            for folder, key, before in reversed(group):
                now = folder.entries.pop(key, None)
                if now is not None:
                    now[1].links -= 1
                if before is not None:
                    folder.entries[key] = before
                    before[1].links += 1
        used = {ROOT}
        for _, inode, _, _ in self.walk():
            used.add(inode.number)
            inode.opened = 0
            if stat.S_ISREG(inode.mode) and inode.kept != inode.data:
                torn = inode.data[: chance.randint(0, len(inode.data))]
                inode.data = chance.choice([inode.kept, inode.data, torn])
        self._freed = [number for number in range(ROOT, self._numbers) if number not in used]
        self.sync()


class _Together:
    """Changes that the journal holds as one."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk

    def __enter__(self) -> None:
        self._disk._group = []

    def __exit__(self, *_: object) -> None:
        group, self._disk._group = self._disk._group or [], None
        self._disk._journal.append(group)
        for _, _, before in group:
            if before is not None:
                self._disk.forget_unused(before[1])
