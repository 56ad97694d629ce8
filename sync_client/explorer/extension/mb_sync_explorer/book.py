"""What is known of files, at most so many, the least looked at forgotten first.

Owns: that memory, what of it a change puts in doubt.  Pure; whoever calls holds a lock.
May import: the standard library.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Optional

MOST_KNOWN = 5_000
MOST_BUSY = 400  # are asked about again by themselves

Mark = dict[
    str, Any
]  # one answer of `marks`: path, state, reason, remote, top, read_only, conflict, excluded
ON_ITS_WAY = frozenset({"syncing", "starting", "unknown"})


class Book:
    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._most = most
        self._marks: OrderedDict[str, Mark] = OrderedDict()
        self.folders: Optional[tuple[str, ...]] = None

    def may_be_followed(self, path: str) -> bool:
        """Whether it lies in a followed folder; before these are known, perhaps."""
        if self.folders is None:
            return True
        return any(path == folder or path.startswith(folder.rstrip("/\\") + "/") for folder in self.folders)

    def mark(self, path: str) -> Mark | None:
        found = self._marks.get(path)
        if found is not None:
            self._marks.move_to_end(path)
        return found

    def take(self, marks: Iterable[Mark]) -> set[str]:
        """Remember these; the paths of those that look different."""
        different = set()
        for mark in marks:
            path = str(mark["path"])
            if self._marks.get(path) != mark:
                different.add(path)
            self._marks[path] = mark
            self._marks.move_to_end(path)
        while len(self._marks) > self._most:
            self._marks.popitem(last=False)
        return different

    def busy(self) -> list[str]:
        """What is on its way, or was not seen by the client yet."""
        found = [
            path
            for path, mark in self._marks.items()
            if mark["state"] in ON_ITS_WAY and mark["remote"] is not None
        ]
        return found[-MOST_BUSY:]

    def changed(self, paths: Iterable[str] | None, folders: Iterable[str]) -> tuple[list[str], set[str]]:
        """What is to be asked about again, and what is followed no more.  paths: None for everything."""
        self.folders = tuple(folders)
        gone = {path for path in self._marks if not self.may_be_followed(path)}
        for path in gone:
            del self._marks[path]
        if paths is None:
            return list(self._marks), gone
        doubtful = set(paths)
        return [path for path in self._marks if path in doubtful], gone

    def clear(self) -> set[str]:
        """The client is away: nothing is claimed.  The paths that were known."""
        known = set(self._marks)
        self._marks.clear()
        self.folders = None
        return known
