"""What was moved, swapped and turned round while no client ran is found as that, and nothing is sent twice."""

from __future__ import annotations

import os
import random

import pytest

from tests.support.computers import Computer, Together, Tree

pytestmark = pytest.mark.timeout(300)

BIG = 300_000  # bytes: sent again, it would show
SECOND_NS = 1_000_000_000
TIMES_NS = {
    "1969": -2 * SECOND_NS + 500_000_001,
    "0": 0,
    "2106": 2**32 * SECOND_NS + 123_456_789,
    "1909": -1_900_000_000 * SECOND_NS + 7,
}


def fill(computer: Computer, top: str) -> None:
    """Every file with bytes of its own."""
    chance = random.Random(top)
    for name in (
        "renamed/old.bin",
        "moved/f.bin",
        "swap/one.bin",
        "swap/two.bin",
        "ring/a.bin",
        "ring/b.bin",
        "ring/c.bin",
        "case/readme.bin",
        "turned/parent/child/f.bin",
        "turned/parent/g.bin",
        "kinds/file",
        "kinds/folder/inside.bin",
        "edited/folder/f.bin",
        "taken/x.bin",
        "taken/y.bin",
        "into/deep/d/f.bin",
        "links/target.bin",
    ):
        computer.write(f"{top}/{name}", chance.randbytes(BIG))
    computer.at(f"{top}/links/link").symlink_to("target.bin")
    computer.at(f"{top}/case/Folder").mkdir()
    computer.write(f"{top}/case/Folder/f", b"small")
    computer.write(f"{top}/run.sh", b"#!/bin/sh\n")


def turn_round(computer: Computer, top: str) -> None:
    def move(old: str, new: str) -> None:
        computer.move(f"{top}/{old}", f"{top}/{new}")

    move("renamed/old.bin", "renamed/new.bin")
    move("moved/f.bin", "elsewhere/new folder/g.bin")
    for old, new in (("one", "between"), ("two", "one"), ("between", "two")):
        move(f"swap/{old}.bin", f"swap/{new}.bin")
    for old, new in (("a", "z"), ("c", "a"), ("b", "c"), ("z", "b")):
        move(f"ring/{old}.bin", f"ring/{new}.bin")
    move("case/readme.bin", "case/README.bin")
    move("case/Folder", "case/FOLDER")
    move("turned/parent/child", "turned/out")  # the child becomes the parent, under its name
    move("turned/parent", "turned/out/child")
    move("turned/out", "turned/parent")
    move("kinds/file", "kinds/was a file")
    move("kinds/folder/inside.bin", "kinds/file/inside.bin")
    computer.delete(f"{top}/kinds/folder")
    move("kinds/was a file", "kinds/folder")
    move("edited/folder", "edited/renamed")
    computer.save(f"{top}/edited/renamed/small.txt", b"new inside")
    computer.delete(f"{top}/taken/y.bin")
    move("taken/x.bin", "taken/y.bin")
    move("into", "taken/into")
    computer.delete(f"{top}/links/link")
    computer.at(f"{top}/links/link").symlink_to("/etc/hostname")
    computer.at(f"{top}/links/up").symlink_to("../../..")
    computer.at(f"{top}/run.sh").chmod(0o755)


def test_turned_round_while_off_it_is_moved_and_not_sent_again(pair: Together) -> None:
    fill(pair.a, "from a")
    fill(pair.b, "from b")
    pair.settle()
    expected: Tree = {}
    for computer, top in ((pair.a, "from a"), (pair.b, "from b")):
        turn_round(computer, top)
        expected |= {path: one for path, one in computer.tree().items() if path.startswith(top)}
    for computer in pair.computers:
        traffic = computer.once()["traffic"]
        assert traffic["sent_bytes"] < BIG / 3, computer.name
        assert traffic["received_bytes"] < BIG / 3, computer.name
    tree = pair.settle()
    assert tree == expected
    assert tree["from b/links/link"].detail == "/etc/hostname"
    assert tree["from b/links/up"].detail == "../../.."
    assert tree["from b/run.sh"].executable
    assert pair.conflict_copies() == []
    for path in ("from a/swap/one.bin", "from a/ring/b.bin", "from b/kinds/folder"):
        assert len(pair.a.mb_sync.json("revs", pair.a.at(path))) == 1, path
    pair.sound()


def test_times_before_1970_and_after_2106_arrive_to_the_nanosecond(pair: Together) -> None:
    for name, moment in TIMES_NS.items():
        pair.a.write(name, name.encode())
        os.utime(pair.a.at(name), ns=(moment, moment))
    pair.settle()
    assert {name: pair.b.at(name).stat().st_mtime_ns for name in TIMES_NS} == TIMES_NS
    pair.b.write("1969", b"edited")
    os.utime(pair.b.at("1969"), ns=(-1, -1))
    pair.settle()
    assert pair.a.read("1969") == b"edited"
    assert pair.a.at("1969").stat().st_mtime_ns == -1
    assert pair.conflict_copies() == []
