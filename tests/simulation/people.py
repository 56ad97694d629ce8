"""What people do to their files, at any moment.

Owns: the actions, unique contents, the memory of what nobody gave up.
May import: tests.simulation.memory_disk.

Each action is whole before anybody else gets to run.  A content that a person replaced or deleted is *given up*: it
need not be in the tree any more.  All else that a person ever wrote must be.
"""

from __future__ import annotations

import random
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.memory_disk import Inode, MemoryDisk

PRIVATE = ".mb-sync"
NAMES = ("a", "b", "c.txt", "d", "A", "B", "\u00e9", "e\u0301")
NO_TWINS = ("a", "b", "c.txt", "d")
ACTIONS = (
    *("create",) * 4,
    *("mkdir",) * 2,
    *("edit",) * 5,
    *("save",) * 4,
    *("rename",) * 3,
    *("move",) * 4,
    *("swap",) * 3,
    *("delete",) * 2,
    "rmtree",
    "turn",
    "twin",
    "chmod",
    "touch",
    "link",
)


@dataclass
class Memory:
    """Of all people together."""

    chance: random.Random
    made: set[bytes] = field(default_factory=set)
    given_up: set[bytes] = field(default_factory=set)
    creations: int = 0

    def a_content(self) -> bytes:
        if self.made and self.chance.random() < 0.04:
            return self.chance.choice(sorted(self.made))
        number = len(self.made)
        data = b"content %06d of one size\n" % number
        size = self.chance.random()
        if size < 0.03:  # too much to be sent without asking
            data += self.chance.randbytes(70_000)
        elif size < 0.04:  # several chunks
            data += self.chance.randbytes(600_000)
        self.made.add(data)
        return data


@dataclass
class Person:
    """Who works at one computer."""

    name: str
    disk: MemoryDisk
    memory: Memory
    tell: Callable[[str], None]
    names: tuple[str, ...] = NAMES

    def act(self) -> None:
        """One thing, if it can be done."""
        self.do(self.memory.chance.choice(ACTIONS))

    def edit_named(self, name: str) -> None:
        """In place or as editors do, the file of this name (if there are several, the first)."""
        for path, inode, folder, here in self._files():
            if here == name and stat.S_ISREG(inode.mode):
                self._edit(path, inode, folder, here, self.memory.chance.choice(["edit", "save"]))
                return

    def do(self, action: str) -> None:
        chance, disk = self.memory.chance, self.disk
        every = self._files()
        files = [one for one in every if stat.S_ISREG(one[1].mode)]
        folders = [one for one in every if one[1].is_folder]
        into = chance.choice([disk.root, *(one[1] for one in folders)])
        name = chance.choice(self.names)
        match action:
            case "create" | "mkdir" | "link" if disk.find(into, name) is None:
                self._make(action, into, name)
            case "edit" | "save" if files:
                self._edit(*chance.choice(files), action)
            case "rename" if every:
                _, inode, folder, old = chance.choice(every)
                self._move(inode, folder, old, folder, name)
            case "twin" if every and self.names is NAMES:
                _, inode, folder, old = chance.choice(every)
                self._move(inode, folder, old, folder, old.swapcase())
            case "move" if every:
                _, inode, folder, old = chance.choice(every)
                self._move(inode, folder, old, into, chance.choice([old, name]))
            case "swap" if len(every) > 1:
                self._swap(*chance.sample(every, 2))
            case "delete" if files:
                path, inode, folder, old = chance.choice(files)
                self._say("deletes", path)
                self._give_up(inode)
                disk.unlink(folder, old)
            case "rmtree" if folders:
                path, inode, folder, old = chance.choice(folders)
                self._say("deletes all of", path)
                self._remove_below(inode)
                disk.rmdir(folder, old)
            case "turn" if files:  # a file becomes a folder that holds it
                path, _, folder, old = chance.choice(files)
                if disk.find(disk.root, "on its way") is None:
                    self._say("turns into a folder", path)
                    disk.rename(folder, old, disk.root, "on its way", replace=False)
                    self._made_folder(disk.make_folder(folder, old))
                    disk.rename(disk.root, "on its way", disk.get(folder, old), old, replace=False)
            case "chmod" if files:
                path, inode, _, _ = chance.choice(files)
                self._say("chmod", path)
                inode.mode ^= 0o111
                inode.ctime_ns = disk.clock_ns()
                disk.on_change(disk.root)
            case "touch" if files:
                path, inode, folder, _ = chance.choice(files)
                self._say("touches", path)
                inode.mtime_ns = inode.ctime_ns = disk.clock_ns()
                disk.on_change(folder)
        if chance.random() < 0.3:
            disk.sync()

    def _files(self) -> list[tuple[str, Inode, Inode, str]]:
        return [one for one in self.disk.walk() if one[0].partition("/")[0] != PRIVATE]

    def _make(self, action: str, into: Inode, name: str) -> None:
        self._say(action, name)
        if action == "mkdir":
            self._made_folder(self.disk.make_folder(into, name))
        elif action == "link":
            self.disk.make_link(into, name, b"nowhere %d" % self.memory.creations)
            self.memory.creations += 1
        else:
            inode = self.disk.make_file(into, name, self.memory.a_content())
            self.tell(f"     with {inode.data[:14].decode()}")
            inode.by = "person"
            self.memory.creations += 1

    def _made_folder(self, _: Inode) -> None:
        self.memory.creations += 1

    def _edit(self, path: str, inode: Inode, folder: Inode, name: str, how: str) -> None:
        data = self.memory.a_content()
        self._say(f"{how}s", f"{path} {inode.data[:14].decode('ascii', 'replace')} to {data[:14].decode()}")
        self._give_up(inode)
        if how == "edit":
            self.disk.write(inode, data, "person")
            self.disk.on_change(folder)
            return
        beside = f"{name}~new"
        while self.disk.find(folder, beside) is not None:  # what a power cut left of an earlier one
            beside += "~"
        new = self.disk.make_file(folder, beside, data, stat.S_IMODE(inode.mode))
        new.by = "person"
        self.disk.rename(folder, beside, folder, name, replace=True)

    def _move(self, inode: Inode, folder: Inode, old: str, into: Inode, name: str) -> None:
        if self.disk.find(into, name) not in (None, inode) or self._is_below(into, inode):
            return
        self._say("moves", f"{old} to {name}")
        self.disk.rename(folder, old, into, name, replace=True)

    def _swap(self, one: tuple[str, Inode, Inode, str], two: tuple[str, Inode, Inode, str]) -> None:
        (first, inode, folder, name), (second, other, other_folder, other_name) = one, two
        if self._is_below(other_folder, inode):
            if other.is_folder and self.disk.find(folder, other_name) in (None, inode):
                self._turn_inside_out(one, two)
            return
        if self._is_below(folder, other):
            return
        self._say("swaps", f"{first} and {second}")
        self.disk.exchange(folder, name, other_folder, other_name)

    def _turn_inside_out(
        self, one: tuple[str, Inode, Inode, str], two: tuple[str, Inode, Inode, str]
    ) -> None:
        """A folder and one inside it change places."""
        (path, outer, folder, name), (_, inner, above, inner_name) = one, two
        if (
            self.disk.find(inner, name) is not None
            or self.disk.find(self.disk.root, "on its way") is not None
        ):
            return
        self._say("turns inside out", path)
        self.disk.rename(above, inner_name, self.disk.root, "on its way", replace=False)
        self.disk.rename(folder, name, inner, name, replace=False)
        self.disk.rename(self.disk.root, "on its way", folder, inner_name, replace=False)
        del outer

    def _remove_below(self, folder: Inode) -> None:
        for name, inode in list(folder.entries.values()):
            if inode.is_folder:
                self._remove_below(inode)
                self.disk.rmdir(folder, name)
            else:
                self._give_up(inode)
                self.disk.unlink(folder, name)

    def _is_below(self, folder: Inode, above: Inode) -> bool:
        return folder is above or any(inode is folder for _, inode, _, _ in self.disk.walk(above))

    def _give_up(self, inode: Inode) -> None:
        if stat.S_ISREG(inode.mode):
            self.memory.given_up.add(inode.data)

    def _say(self, what: str, path: str) -> None:
        self.tell(f"{self.name} {what} {path!r}")
