"""Two people turn the same few files and folders round, each in every way, before either knows of the other.

Each pair of ways has a folder of its own, and all are synced at once.  CI takes some pairs, others for each commit; all
of them with MB_BUDGET_SECONDS.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest

from tests.support.computers import Computer, Together, Tree, contents, tree

pytestmark = pytest.mark.timeout(900)

PAIRS = 40  # of 576
FILES = ("one", "two", "three", "p/x", "p/q/y", "dir/f", "dir/g")


def begin(here: Path) -> None:
    for name in FILES:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(f"{here.name} {name}".encode())


def write(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(f"by {path.parts[-5:]}".encode())  # the computer's name among them


def turn(here: Path, *moves: str) -> None:
    """moves: "from to", one after the other."""
    for move in moves:
        old, new = move.split()
        (here / old).rename(here / new)


def save(here: Path) -> None:
    write(here / "one~")
    turn(here, "one~ one")


def into_a_folder(here: Path) -> None:
    (here / "one").unlink()
    write(here / "one" / "in")


def into_a_folder_of_its_name(here: Path) -> None:
    turn(here, "one t")
    (here / "one").mkdir()
    turn(here, "t one/one")


def into_a_file(here: Path) -> None:
    shutil.rmtree(here / "dir")
    write(here / "dir")


def into_a_link(here: Path) -> None:
    (here / "one").unlink()
    (here / "one").symlink_to("two")


def emptied(here: Path) -> None:
    turn(here, "dir/f f", "dir/g g")
    (here / "dir").rmdir()


def edited_and_moved(here: Path) -> None:
    write(here / "one")
    turn(here, "one p/one")


WAYS: dict[str, Callable[[Path], object]] = {
    "swapped": lambda here: turn(here, "one t", "two one", "t two"),
    "rotated": lambda here: turn(here, "one t", "three one", "two three", "t two"),
    "other case": lambda here: turn(here, "one ONE"),
    "folder of other case": lambda here: turn(here, "dir DIR"),
    "child over parent": lambda here: turn(here, "p/q t", "p t/p", "t q"),
    "child in place of parent": lambda here: turn(here, "p/q t", "p t/q", "t p"),
    "file with folder": lambda here: turn(here, "one t", "dir one", "t dir"),
    "folders swapped": lambda here: turn(here, "p t", "dir p", "t dir"),
    "folder deleted": lambda here: shutil.rmtree(here / "dir"),
    "file deleted": lambda here: (here / "one").unlink(),
    "edited": lambda here: write(here / "one"),
    "edited inside": lambda here: write(here / "dir" / "f"),
    "moved in": lambda here: turn(here, "one dir/one"),
    "folder moved in": lambda here: turn(here, "dir p/q/dir"),
    "and the other way round": lambda here: turn(here, "p dir/p"),
    "moved over": lambda here: turn(here, "one two"),
    "new inside": lambda here: write(here / "dir" / "new"),
    "saved": save,
    "folder now": into_a_folder,
    "folder of its name": into_a_folder_of_its_name,
    "file now": into_a_file,
    "link now": into_a_link,
    "emptied and deleted": emptied,
    "edited and moved": edited_and_moved,
}


def chosen() -> list[tuple[str, str]]:
    pairs = list(product(WAYS, repeat=2))
    if os.environ.get("MB_BUDGET_SECONDS"):
        return pairs
    seed = os.environ.get("MB_SEED", "1")
    print(f"MB_SEED={seed}")
    return random.Random(seed).sample(pairs, PAIRS)


def at_rest(both: Together) -> Tree:
    """So many deletes ask first, and these people mean them."""
    for _ in range(20):
        before = [computer.tree() for computer in both.computers]
        for computer in both.computers:
            computer.once()
            while '"what"' in computer.mb_sync("guard", "--json").stdout:
                computer.mb_sync.done("guard", "apply")
                computer.once()
        if [computer.tree() for computer in both.computers] == before and before[0] == before[1]:
            return before[0]
    raise AssertionError("never at rest")


def test_whatever_two_people_turn_round_at_once_nothing_is_lost_and_both_end_equal(pair: Together) -> None:
    corners = {f"{number}": ways for number, ways in enumerate(chosen())}
    for corner in corners:
        begin(pair.a.at(corner))
    at_rest(pair)
    pair.note()
    left: dict[str, tuple[Tree, Tree]] = {}
    for corner, ways in corners.items():
        for computer, way in zip(pair.computers, ways, strict=True):
            WAYS[way](computer.at(corner))
        left[corner] = (tree(pair.a.at(corner)), tree(pair.b.at(corner)))
    pair.note()
    end = at_rest(pair)
    for corner, ways in corners.items():
        found = {path.partition("/")[2]: seen for path, seen in end.items() if path.startswith(f"{corner}/")}
        first = {sha256(f"{corner} {name}".encode()).hexdigest() for name in FILES}
        here, there = (contents(one) for one in left[corner])
        wanted = (here & there) | (here | there) - first  # what nobody deleted, and every edit
        assert wanted <= contents(found), ways
        twice = [seen.detail for seen in found.values() if seen.kind == "file"]
        assert len(twice) == len(set(twice)), f"{ways}: {sorted(found)}"
        assert not [path for path in found if "~" in path or path.endswith("/t")], ways
    for computer in pair.computers:
        assert computer.left_lying_about() == [], computer.name
        assert problems(computer) == {}, computer.name
    pair.sound()


def problems(computer: Computer) -> dict[str, str]:
    computer.start()
    computer.wait()
    found = computer.problems()
    computer.stop()
    return found
