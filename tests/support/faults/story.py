"""What two people do to the same files in every step of a fault search: each thing that sync must carry, once.

Owns: the cast and its moves, what must be true when both are at rest.

Each person works in a folder of their own, so nothing that they do is ever a conflict; names go back and forth, so
the world stays small however many steps there are.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.computers import Computer, Seen, Together, Tree, tree

LARGE_BYTES = 300_000  # two chunks


@dataclass
class Cast:
    """One person's files below `folder`."""

    folder: Path
    chance: random.Random
    turn: int = 0

    def begin(self) -> None:
        for name in (
            "edited",
            "saved",
            "even",
            "moved-0",
            "folder-0/x",
            "folder-0/y",
            "one",
            "two",
            "gone-0",
        ):
            self._write(name)
        self._write("tree-0/p")
        self._write("tree-0/deep/q")
        self._write("large", LARGE_BYTES)
        (self.folder / "link").symlink_to("edited")

    def act(self) -> None:
        """Every kind of change once."""
        here = self.folder
        before, now = self.turn, self.turn + 1
        self.turn = now
        self._write("edited")
        self._save("saved")
        self._write(f"gone-{now}")
        (here / f"gone-{before}").unlink()
        (here / f"moved-{before % 2}").rename(here / f"moved-{now % 2}")
        self._write(f"folder-{before % 2}/x")
        (here / f"folder-{before % 2}").rename(here / f"folder-{now % 2}")
        (here / "one").rename(here / "between")
        (here / "two").rename(here / "one")
        (here / "between").rename(here / "two")
        shutil.rmtree(here / f"tree-{before}")
        self._write(f"tree-{now}/p")
        self._write(f"tree-{now}/deep/q")
        (here / "even").chmod(0o755 if now % 2 else 0o644)
        (here / "link").unlink()
        (here / "link").symlink_to(f"target-{now}")
        data = bytearray((here / "large").read_bytes())
        data[now % len(data)] ^= 1
        (here / "large").write_bytes(data)

    def _write(self, name: str, size: int = 0) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.chance.randbytes(size or self.chance.randrange(1, 3_000)))

    def _save(self, name: str) -> None:
        beside = self.folder / f"{name}~"
        beside.write_bytes(self.chance.randbytes(700))
        beside.replace(self.folder / name)


@dataclass
class Story:
    """Two computers, each with its person."""

    both: Together
    chance: random.Random
    casts: list[Cast] = field(init=False)
    wanted: Tree = field(default_factory=dict)  # what both folders must show: what each person left in theirs

    def __post_init__(self) -> None:
        self.casts = [
            Cast(computer.folder / f"of-{computer.name}", self.chance) for computer in self.both.computers
        ]

    def begin(self) -> None:
        for cast in self.casts:
            cast.folder.mkdir()
            cast.begin()
        self._note()

    def act(self) -> None:
        for cast in self.casts:
            cast.act()
        self._note()

    def _note(self) -> None:
        """At once: what happens later in these folders is MB-Sync's doing."""
        self.both.note()
        self.wanted = {}
        for cast in self.casts:
            prefix = cast.folder.name
            self.wanted[prefix] = Seen("folder")
            self.wanted |= {f"{prefix}/{path}": seen for path, seen in tree(cast.folder).items()}


def differences(computer: Computer, wanted: Tree) -> list[str]:
    found = computer.tree()
    return [
        f"{path}: {found.get(path)} instead of {wanted.get(path)}"
        for path in sorted(found.keys() | wanted.keys())
        if found.get(path) != wanted.get(path)
    ]


def torn(computer: Computer, ever: set[str]) -> list[str]:
    """Files that hold what nobody ever wrote: half-written ones."""
    return [path for path, seen in computer.tree().items() if seen.kind == "file" and seen.detail not in ever]


def points(count: int, wanted: int, chance: random.Random) -> list[int]:
    """`wanted` numbers from 1 to `count`, spread over all of it; other ones each time.  All, if there are fewer."""
    if wanted >= count:
        return list(range(1, count + 1))
    step = count / wanted
    return [int(number * step + chance.uniform(0, step)) + 1 for number in range(wanted)]


def wanted_points(usual: int) -> int:
    """MB_FAULT_POINTS in the environment: a number, or "all"."""
    asked = os.environ.get("MB_FAULT_POINTS", "")
    return 1_000_000 if asked == "all" else int(asked or usual)


def seeded(name: str) -> random.Random:
    import time  # noqa: PLC0415 - only here

    seed = int(os.environ.get("MB_SEED") or time.time_ns() % 1_000_000)
    print(f"MB_SEED={seed}")  # shown when the test fails
    return random.Random(f"{seed} {name}")
