"""What a power cut leaves: the files as they were at the start, and of what was done since only what was synced, and
such a part of the rest as a disk may have got to.

before = Snapshot.of(roots)
...the program runs with a journal (shim.c) and is killed...
power_cut(before, journal, roots, chance)     # the roots now hold what was left

A write is safe once its file, or the whole file system, was synced after it; a name (made, renamed, exchanged,
removed) once its folder was.  Of what is not safe each thing may be there or not: `Loss` says how that is chosen.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

_HEAD = struct.Struct("=IIIIcq")
_TOP = 0  # the number of the folder that holds the roots
_RENAMES = ("r", "x", "l")


class Loss(Enum):
    """What becomes of that which was not synced."""

    EVERYTHING = "all of it is lost"
    DATA = "names are there, bytes are lost"
    NAMES = "bytes are there, names are lost"
    LATER_NAMES = "some bytes are lost, and the names from some moment on"
    ANY = "each thing is there or lost"


@dataclass(slots=True)
class Thing:
    """A file (data), a link (target), or a folder (neither)."""

    data: bytearray | None = None
    target: str = ""
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Name:
    """What a folder said about a name before and after: things by number; None: nothing stood there."""

    folder: int
    name: str
    before: int | None
    after: int | None


@dataclass(slots=True)
class Change:
    """One record.  names: of a change of names; else a change of `thing`'s bytes (data None: cut to `offset`)."""

    names: list[Name] = field(default_factory=list)
    thing: int = -1
    offset: int = 0
    data: bytes | None = None
    is_safe: bool = False


@dataclass
class Snapshot:
    """Things by number, and what each folder holds."""

    things: dict[int, Thing]
    held: dict[int, dict[str, int]]

    @classmethod
    def of(cls, roots: Sequence[Path]) -> Snapshot:
        found = cls({_TOP: Thing()}, {_TOP: {}})
        for root in roots:
            if root.exists():
                found.held[_TOP][str(root)] = found._take(root)
        return found

    def _take(self, path: Path) -> int:
        number = len(self.things)
        seen = path.lstat()
        thing = self.things[number] = Thing(mode=stat.S_IMODE(seen.st_mode))
        if stat.S_ISREG(seen.st_mode):
            thing.data = bytearray(path.read_bytes())
        elif stat.S_ISLNK(seen.st_mode):
            thing.target = os.readlink(path)
        elif stat.S_ISDIR(seen.st_mode):
            self.held[number] = {}
            for child in path.iterdir():
                if not stat.S_ISSOCK(child.lstat().st_mode):
                    self.held[number][child.name] = self._take(child)
        return number

    def copy(self) -> Snapshot:
        things = {
            number: Thing(None if one.data is None else bytearray(one.data), one.target, one.mode)
            for number, one in self.things.items()
        }
        return Snapshot(things, {number: dict(names) for number, names in self.held.items()})

    # ---- paths -------------------------------------------------------------------------------------------

    def place(self, path: str) -> tuple[int, str] | None:
        """The folder and the name; None: no such folder is known."""
        for root, number in self.held[_TOP].items():
            if path.startswith(root + "/"):
                *folders, name = path.removeprefix(root + "/").split("/")
                for folder in folders:
                    below = self.held.get(number, {}).get(folder)
                    if below is None:
                        return None
                    number = below
                return number, name
        return (_TOP, path)

    def at(self, path: str) -> int | None:
        place = self.place(path)
        return None if place is None else self.held.get(place[0], {}).get(place[1])

    # ---- changes -----------------------------------------------------------------------------------------

    def name(self, one: Name) -> None:
        if one.after is None:
            if self.held[one.folder].get(one.name) == one.before:
                self.held[one.folder].pop(one.name, None)
        else:
            self.held[one.folder][one.name] = one.after

    def change(self, one: Change) -> None:
        for name in one.names:
            self.name(name)
        if one.thing >= 0:
            data = self.things[one.thing].data
            assert data is not None
            if one.data is None:
                del data[one.offset :]
                data.extend(bytes(one.offset - len(data)))
            else:
                data.extend(bytes(max(0, one.offset - len(data))))
                data[one.offset : one.offset + len(one.data)] = one.data

    # ---- back to the disk --------------------------------------------------------------------------------

    def put_back(self, roots: Sequence[Path]) -> None:
        """Make the disk like this; what is like this already is not touched."""
        for root in roots:
            number = self.held[_TOP].get(str(root))
            if number is None:
                _clear(root)
            else:
                self._put(root, number)

    def _put(self, path: Path, number: int) -> None:
        thing = self.things[number]
        if number in self.held:
            if not path.is_dir() or path.is_symlink():
                _clear(path)
                path.mkdir()
            for child in set(os.listdir(path)) - self.held[number].keys():
                _clear(path / child)
            for name, below in self.held[number].items():
                self._put(path / name, below)
        elif thing.data is None:
            if not path.is_symlink() or os.readlink(path) != thing.target:
                _clear(path)
                path.symlink_to(thing.target)
        elif not path.is_file() or path.is_symlink() or path.read_bytes() != thing.data:
            _clear(path)
            path.write_bytes(thing.data)
            path.chmod(thing.mode)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def power_cut(
    before: Snapshot, journal: Path, roots: Sequence[Path], loss: Loss, chance: random.Random
) -> int:
    """Leave on the disk what a power cut may leave; how many changes were not safe."""
    now = before.copy()
    changes = list(_changes(journal, now, before))
    unsafe = [change for change in changes if not change.is_safe]
    kept = _kept(unsafe, loss, chance)
    for change in changes:
        if change.is_safe or id(change) in kept:
            before.change(change)
    before.put_back(roots)
    return len(unsafe)


def _kept(unsafe: Sequence[Change], loss: Loss, chance: random.Random) -> set[int]:
    match loss:
        case Loss.EVERYTHING:
            return set()
        case Loss.DATA:
            return {id(one) for one in unsafe if one.names}
        case Loss.NAMES:
            return {id(one) for one in unsafe if not one.names}
        case Loss.LATER_NAMES:
            named = [one for one in unsafe if one.names]
            first = named[: chance.randrange(len(named) + 1)]
            return {id(one) for one in first} | {
                id(one) for one in unsafe if not one.names and chance.random() < 0.5
            }
        case Loss.ANY:
            return {id(one) for one in unsafe if chance.random() < 0.5}


def _changes(journal: Path, now: Snapshot, before: Snapshot) -> Iterator[Change]:
    """What was done, in order, each with whether it was synced.  New things are added to both snapshots."""
    waiting: list[Change] = []
    done: list[Change] = []
    for kind, one, other, offset, data in _records(journal):
        if kind in ("s", "S"):
            holds_roots = any(os.path.dirname(root) == one for root in now.held[_TOP])
            synced = _TOP if holds_roots else now.at(one)
            for change in waiting:
                if kind == "S" or synced in (change.thing, *(name.folder for name in change.names)):
                    change.is_safe = True
            waiting = [change for change in waiting if not change.is_safe]
            continue
        change = _change(kind, one, other, offset, data, now, before)
        if change is not None:
            now.change(change)
            waiting.append(change)
            done.append(change)
    yield from done


def _change(
    kind: str, one: str, other: str, offset: int, data: bytes, now: Snapshot, before: Snapshot
) -> Change | None:
    place = now.place(one)
    if kind in ("w", "t"):
        thing = now.at(one)
        return (
            None if thing is None else Change(thing=thing, offset=offset, data=data if kind == "w" else None)
        )
    if place is None or kind in ("a", "f"):  # times; a sync that failed
        return None
    there = now.at(one)
    if kind in ("c", "m", "y"):
        number = len(now.things)
        for snapshot in (now, before):
            snapshot.things[number] = Thing(
                bytearray() if kind == "c" else None, other, 0o700 if kind == "m" else 0o600
            )
            if kind == "m":
                snapshot.held[number] = {}
        return Change([Name(*place, there, number)])
    if kind == "u":
        return Change([Name(*place, there, None)])
    target = now.place(other)
    assert kind in _RENAMES
    if target is None:
        return None
    standing = now.at(other)
    arrives = Name(*target, standing, there)
    if kind == "l":
        return Change([arrives])
    return Change([Name(*place, there, standing if kind == "x" else None), arrives])


def _records(journal: Path) -> Iterator[tuple[str, str, str, int, bytes]]:
    data = journal.read_bytes() if journal.exists() else b""
    at = 0
    while at < len(data):
        size, one, other, length, kind, offset = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        names = data[start : start + one + other]
        yield (
            kind.decode(),
            os.fsdecode(names[:one]),
            os.fsdecode(names[one:]),
            offset,
            data[start + one + other : start + one + other + length],
        )
        at += size
