"""What was: versions and the trash of both sides."""

from __future__ import annotations

import pytest

from tests.support.computers import Together, until

pytestmark = pytest.mark.timeout(300)


def test_an_old_version_comes_back_everywhere(corner: Together) -> None:
    for data in (b"first", b"second one", b"third"):
        corner.a.put("notes.txt", data)
        corner.settle()
    revisions = corner.b.mb_sync.json("revs", corner.b.at("notes.txt"))
    assert [revision["size"] for revision in revisions] == [5, 10, 5]
    assert [revision["current"] for revision in revisions] == [True, False, False]
    corner.b.mb_sync.done("restore", corner.b.at("notes.txt"), "--rev", revisions[1]["rev"])
    corner.b.mb_sync.done(
        "restore", corner.b.at("notes.txt"), "--rev", revisions[2]["rev"], "--to", corner.b.at("first.txt")
    )
    corner.settle()
    assert corner.a.read("notes.txt") == corner.b.read("notes.txt") == b"second one"
    assert corner.a.read("first.txt") == b"first"
    assert len(corner.a.mb_sync.json("revs", corner.a.at("notes.txt"))) == 4


def test_what_was_deleted_comes_back_from_the_server(corner: Together) -> None:
    corner.a.write("study/deep/scan.dcm", b"scan")
    corner.a.write("study/other.dcm", b"other")
    before = corner.settle()
    corner.a.delete("study")
    assert corner.settle() == {}
    [item] = [
        one
        for one in corner.a.mb_sync.json("trash")
        if one["where"] == "server" and corner.a.corner in one["path"]
    ]
    corner.a.mb_sync.done("trash", "restore", item["id"])
    until(lambda: corner.a.tree() == corner.b.tree() == before, "the folder is back with all in it")
    assert corner.settle() == before


def test_what_was_removed_or_replaced_here_lies_in_the_local_trash(corner: Together) -> None:
    corner.a.write("gone.txt", b"gone")
    corner.a.write("edited.txt", b"before")
    corner.settle()
    corner.a.delete("gone.txt")
    corner.a.write("edited.txt", b"after the edit")
    corner.settle()
    here = {
        one["path"].rpartition("/")[2]: one
        for one in corner.b.mb_sync.json("trash")
        if one["where"] == "this computer" and corner.b.corner in one["path"]
    }
    assert set(here) == {"gone.txt", "edited.txt"}
    corner.b.mb_sync.done("trash", "restore", here["gone.txt"]["id"])
    corner.settle()
    assert corner.a.read("gone.txt") == b"gone"
    assert corner.a.read("edited.txt") == b"after the edit"


def test_a_place_that_is_gone_is_made_and_one_that_is_taken_or_ours_is_refused(corner: Together) -> None:
    corner.a.write("d/deep/image.dcm", b"image")
    corner.settle()
    corner.a.delete("d")
    corner.settle()
    [item] = [one["id"] for one in corner.b.mb_sync.json("trash") if one["path"].endswith("/image.dcm")]
    corner.a.write("d", b"a file where the folder was")
    corner.settle()
    for to, words in (
        (None, "Something that is no folder stands where its folder was"),
        (corner.b.at("d"), "Something stands there now"),
        (corner.b.folder / ".mb-sync" / "image.dcm", "kept for the sync program itself"),
        (corner.b.folder, "is the followed folder itself"),
        (corner.b.base / "elsewhere", "is in no followed folder"),
    ):
        refused = corner.b.mb_sync("trash", "restore", item, *(["--to", to] if to else []))
        assert (refused.returncode, words in refused.stderr) == (1, True), refused
    corner.a.delete("d")
    corner.settle()
    corner.b.mb_sync.done("trash", "restore", item)
    corner.settle()
    assert corner.a.read("d/deep/image.dcm") == b"image"
