"""What was: versions and the trash of both sides."""

from __future__ import annotations

import pytest

from tests.support.computers import Together, until

pytestmark = pytest.mark.timeout(120)


def test_an_old_version_comes_back_everywhere(running_pair: Together) -> None:
    pair = running_pair
    for data in (b"first", b"second one", b"third"):
        pair.a.write("notes.txt", data)
        pair.settle()
    revisions = pair.b.mb_sync.json("revs", pair.b.at("notes.txt"))
    assert [revision["size"] for revision in revisions] == [5, 10, 5]
    assert [revision["current"] for revision in revisions] == [True, False, False]
    pair.b.mb_sync.done("restore", pair.b.at("notes.txt"), "--rev", revisions[1]["rev"])
    pair.b.mb_sync.done(
        "restore", pair.b.at("notes.txt"), "--rev", revisions[2]["rev"], "--to", pair.b.at("first.txt")
    )
    pair.settle()
    assert pair.a.read("notes.txt") == pair.b.read("notes.txt") == b"second one"
    assert pair.a.read("first.txt") == b"first"
    assert len(pair.a.mb_sync.json("revs", pair.a.at("notes.txt"))) == 4
    pair.sound()


def test_what_was_deleted_comes_back_from_the_server(running_pair: Together) -> None:
    pair = running_pair
    pair.a.write("study/deep/scan.dcm", b"scan")
    pair.a.write("study/other.dcm", b"other")
    before = pair.settle()
    pair.a.delete("study")
    assert pair.settle() == {}
    [item] = [one for one in pair.a.mb_sync.json("trash") if one["where"] == "server"]
    pair.a.mb_sync.done("trash", "restore", item["id"])
    until(lambda: pair.a.tree() == pair.b.tree() == before, "the folder is back with all in it")
    assert pair.settle() == before
    pair.sound()


def test_what_was_removed_or_replaced_here_lies_in_the_local_trash(running_pair: Together) -> None:
    pair = running_pair
    pair.a.write("gone.txt", b"gone")
    pair.a.write("edited.txt", b"before")
    pair.settle()
    pair.a.delete("gone.txt")
    pair.a.write("edited.txt", b"after the edit")
    pair.settle()
    here = {
        one["path"].rpartition("/")[2]: one
        for one in pair.b.mb_sync.json("trash")
        if one["where"] == "this computer"
    }
    assert set(here) == {"gone.txt", "edited.txt"}
    pair.b.mb_sync.done("trash", "restore", here["gone.txt"]["id"])
    pair.settle()
    assert pair.a.read("gone.txt") == b"gone"
    assert pair.a.read("edited.txt") == b"after the edit"
    pair.sound()
