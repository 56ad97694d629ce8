"""What crosses the wire, both hops together."""

from __future__ import annotations

import random

import pytest

from tests.support.computers import Together

pytestmark = pytest.mark.timeout(300)


def test_a_copied_folder_costs_no_content_and_few_bytes_a_file(pair: Together) -> None:
    for number in range(100):
        pair.a.write(f"first/file{number:06}.dat", random.Random(number).randbytes(128 << 10))
    pair.settle()
    for path in sorted(pair.a.at("first").iterdir()):
        pair.a.write(f"second/{path.name}", path.read_bytes())
    up, down = pair.a.once()["traffic"], pair.b.once()["traffic"]
    assert pair.b.tree() == pair.a.tree()
    assert len(pair.b.tree()) == 202
    total = sum(up.values()) + sum(down.values())
    assert total < 260 * 100 + 20_000
    again = pair.a.once()["traffic"]
    assert again["received_bytes"] < 1_000, "who copied is not told its own work"


def test_what_this_computer_made_and_was_not_told_again_is_known_to_it(pair: Together) -> None:
    """A part of /Home is followed: what others put into our new folders, or move with them, lies inside it."""
    pair.a.write("ours/deep/first", b"first")
    pair.a.write("ours/gone", b"soon gone")
    pair.settle()
    pair.a.delete("ours/gone")
    pair.a.write("more/second", b"second")
    pair.a.once()
    pair.b.once()
    pair.b.write("ours/deep/theirs", b"theirs")
    pair.b.write("more/theirs", b"also theirs")
    pair.b.move("ours/deep", "more/deep")
    pair.settle()
    assert pair.a.read("more/deep/theirs") == b"theirs"
    assert sorted(pair.a.tree()) == sorted(
        ["more", "more/deep", "more/deep/first", "more/deep/theirs", "more/second", "more/theirs", "ours"]
    )
    pair.sound()
