"""A disk as a plain dictionary of inodes, which are used again.

Owns: what a directory entry is, and what stat would say of it.
May import: protocol, sync_client.engine.trees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocol.messages import Kind
from protocol.names import name_key
from sync_client.engine.trees import Content, Fingerprint

FOLDER = Content(Kind.FOLDER)


@dataclass
class Entry:
    kind: Kind
    parent: int
    name: str
    data: bytes
    birth: int
    changed: int


class Disk:
    """Inodes; 1 is the followed folder, 2 the hidden one."""

    def __init__(self, *, case_blind: bool) -> None:
        self.case_blind = case_blind
        self.clock = 10
        self.entries: dict[int, Entry] = {
            1: Entry(Kind.FOLDER, 0, "", b"", 1, 1),
            2: Entry(Kind.FOLDER, 0, "hidden", b"", 1, 1),
        }
        self.freed: list[int] = []
        self.next_inode = 3

    def child(self, folder: int, name: str) -> int | None:
        for inode, entry in self.entries.items():
            if entry.parent == folder and (
                entry.name == name or (self.case_blind and name_key(entry.name) == name_key(name))
            ):
                return inode
        return None

    def children(self, folder: int) -> list[int]:
        return [inode for inode, entry in self.entries.items() if entry.parent == folder]

    def below(self, inode: int) -> list[int]:
        found = [inode]
        for one in found:
            found += self.children(one)
        return found

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def make(self, folder: int, name: str, kind: Kind, data: bytes = b"") -> int:
        inode = self.freed.pop() if self.freed else self.next_inode
        if inode == self.next_inode:
            self.next_inode += 1
        now = self.tick()
        self.entries[inode] = Entry(kind, folder, name, data, now, now)
        return inode

    def remove(self, inode: int) -> None:
        del self.entries[inode]
        self.freed.append(inode)

    def fingerprint(self, inode: int) -> Fingerprint:
        entry = self.entries[inode]
        size = len(entry.data)
        return Fingerprint(
            1, inode, entry.birth, size, entry.changed, 0, 0o40755 if entry.kind is Kind.FOLDER else 0o100644
        )

    def content(self, inode: int) -> Content:
        entry = self.entries[inode]
        return FOLDER if entry.kind is Kind.FOLDER else Content(entry.kind, entry.data, len(entry.data))

    def walk(self) -> Iterator[tuple[int, Entry]]:
        """Parents first."""
        todo = [1]
        for folder in todo:
            for inode in self.children(folder):
                yield inode, self.entries[inode]
                if self.entries[inode].kind is Kind.FOLDER:
                    todo.append(inode)

    def listing(self) -> dict[str, bytes | None]:
        paths = {1: ""}
        found: dict[str, bytes | None] = {}
        for inode, entry in self.walk():
            paths[inode] = f"{paths[entry.parent]}/{entry.name}"
            found[paths[inode]] = None if entry.kind is Kind.FOLDER else entry.data
        return found
