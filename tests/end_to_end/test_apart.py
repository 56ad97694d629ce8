"""Two computers that were apart, changed different things or the same, and meet again."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.support.computers import Computer, Together

pytestmark = pytest.mark.timeout(300)

COPY = re.compile(r"^notes \(conflict birch \d{4}-\d\d-\d\d \d\d-\d\d\)\.txt$")


def test_different_changes_are_all_there_on_both(corner: Together) -> None:
    for name in ("stays", "moves", "goes", "grows"):
        corner.a.write(f"d/{name}", f"{name} as it was".encode())
    corner.settle()
    corner.part()
    corner.a.move("d/moves", "elsewhere/moved")
    corner.a.write("new-of-anvil", b"1")
    corner.b.delete("d/goes")
    corner.b.save("d/grows", b"grown")
    corner.b.write("new-of-birch", b"2")
    corner.meet()
    found = {path for path, one in corner.b.tree().items() if one.kind == "file"}
    assert found == {"d/stays", "d/grows", "elsewhere/moved", "new-of-anvil", "new-of-birch"}
    assert corner.a.read("d/grows") == b"grown"


def test_renamed_here_and_edited_there_is_one_file(corner: Together) -> None:
    corner.a.write("plan.txt", b"first")
    corner.settle()
    corner.part()
    corner.a.move("plan.txt", "old plans/plan.txt")
    corner.b.save("plan.txt", b"second")
    corner.meet()
    assert corner.a.read("old plans/plan.txt") == b"second"
    assert not corner.b.at("plan.txt").exists()
    assert corner.conflict_copies() == []


def both_edited(corner: Together) -> str:
    """The name of the conflict copy of notes.txt."""
    corner.a.write("notes.txt", b"as it was")
    corner.settle()
    corner.part()
    corner.a.write("notes.txt", b"edited on anvil")
    corner.b.write("notes.txt", b"edited on birch, longer")
    corner.meet()
    [copy] = corner.conflict_copies()
    assert COPY.match(copy)
    assert corner.a.read("notes.txt") == corner.b.read("notes.txt") == b"edited on anvil"
    assert corner.a.read(copy) == corner.b.read(copy) == b"edited on birch, longer"
    return copy


def open_conflicts(computer: Computer) -> list[dict[str, Any]]:
    return [one for one in computer.mb_sync.json("conflicts") if computer.corner in one["path"]]


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("mine", {"notes.txt": b"edited on birch, longer"}),
        ("theirs", {"notes.txt": b"edited on anvil"}),
        ("both", {"notes.txt": b"edited on anvil", "": b"edited on birch, longer"}),
    ],
)
def test_two_edits_are_kept_until_a_person_decides(
    corner: Together, keep: str, left: dict[str, bytes]
) -> None:
    copy = both_edited(corner)
    corner.settle()
    for computer in corner.computers:
        [conflict] = open_conflicts(computer)
        assert conflict["path"] == str(computer.at(copy))
        assert conflict["original"] == str(computer.at("notes.txt"))
        assert conflict["device"] == "birch"
    corner.a.mb_sync.done("conflicts", "resolve", conflict["id"], "--keep", keep)
    corner.settle()
    expected = {name or copy: data for name, data in left.items()}
    assert {name: corner.b.read(name) for name in corner.b.tree()} == expected
    assert open_conflicts(corner.a) == open_conflicts(corner.b) == []


def test_both_versions_are_told_with_size_date_author_and_device(corner: Together) -> None:
    before_ms = time.time() * 1_000 - 1_000
    both_edited(corner)
    corner.settle()
    [conflict] = open_conflicts(corner.a)
    for version, size, device in ((conflict["mine"], 23, "birch"), (conflict["theirs"], 15, "anvil")):
        assert (version["size"], version["user"], version["device"]) == (size, corner.user, device)
        assert before_ms < version["mtime"] < time.time() * 1_000
    screen = corner.a.mb_sync.done("conflicts")
    assert f"by {corner.user} on birch" in screen


def test_all_conflicts_are_decided_at_once_and_what_gave_way_comes_back(corner: Together) -> None:
    copy = both_edited(corner)
    corner.settle()
    everything = corner.a.mb_sync.json("conflicts", "resolve", "--all", "--keep", "mine")
    [decided] = [one for one in everything if one["original"] == str(corner.a.at("notes.txt"))]
    assert corner.a.mb_sync("conflicts", "resolve", "--keep", "mine").returncode == 2
    corner.settle()
    assert corner.b.read("notes.txt") == b"edited on birch, longer"
    place = corner.a.at("theirs.txt")
    corner.a.mb_sync.done("trash", "restore", decided["trash"], "--to", place)
    corner.settle()
    assert corner.b.read("theirs.txt") == b"edited on anvil"
    assert copy not in corner.b.tree()
    assert corner.a.mb_sync.json("conflicts", "resolve", "--all", "--keep", "both") == []


def test_a_folder_gives_way_to_no_file_and_does_not_keep_the_others_from_being_decided(
    corner: Together,
) -> None:
    corner.part()
    corner.a.write("notes.txt", b"from anvil")
    corner.b.write("notes.txt", b"from birch")
    corner.a.write("first/in", b"in a folder")
    corner.b.write("first", b"a file")
    corner.a.write("later", b"a file too")
    corner.b.write("later/in", b"in a folder")
    corner.meet()
    screen = corner.b.mb_sync.done("conflicts")
    assert screen.count("a folder") == 2, screen
    ran = corner.b.mb_sync("conflicts", "resolve", "--all", "--keep", "mine", "--json")
    assert ran.returncode == 1, ran
    answers = [one for one in json.loads(ran.stdout) if corner.b.corner in one["original"]]
    done = {one["original"].rpartition("/")[2]: one["failed"] for one in answers}
    assert done == {"notes.txt": False, "first": True, "later": False}
    corner.settle()
    assert corner.a.read("notes.txt") == b"from birch"
    assert corner.a.read("first/in") == b"in a folder", "it was first, and stays with what is in it"
    assert corner.a.read("later/in") == b"in a folder", "it was later, and has the name now"
    [left] = open_conflicts(corner.b)
    refused = corner.b.mb_sync("conflicts", "resolve", left["id"], "--keep", "mine")
    assert (refused.returncode, "is a folder with all that is in it" in refused.stderr) == (1, True), refused
    corner.b.mb_sync.done("conflicts", "resolve", left["id"], "--keep", "theirs")
    corner.settle()
    assert (open_conflicts(corner.a), corner.conflict_copies()) == ([], [])


def test_equal_edits_are_no_conflict(corner: Together) -> None:
    corner.a.write("notes.txt", b"as it was")
    corner.settle()
    corner.part()
    for computer in corner.computers:
        computer.save("notes.txt", b"the same idea")
        computer.write("new.txt", b"the same new file")
    corner.meet()
    assert set(corner.a.tree()) == {"notes.txt", "new.txt"}


@pytest.mark.parametrize("who", ["anvil", "birch"])
def test_an_edit_beats_a_delete(corner: Together, who: str) -> None:
    corner.a.write("d/notes.txt", b"as it was")
    corner.settle()
    corner.part()
    editor, deleter = (corner.a, corner.b) if who == "anvil" else (corner.b, corner.a)
    editor.write("d/notes.txt", b"edited after all")
    deleter.delete("d")
    corner.meet()
    assert corner.a.read("d/notes.txt") == corner.b.read("d/notes.txt") == b"edited after all"
    assert corner.conflict_copies() == []


@pytest.mark.parametrize("who", ["anvil", "birch"])
def test_a_moved_folder_takes_the_edit_inside_along(corner: Together, who: str) -> None:
    corner.a.write("study/series/scan.dcm", b"as it was")
    corner.a.write("study/other.dcm", b"other")
    corner.settle()
    corner.part()
    mover, editor = (corner.a, corner.b) if who == "anvil" else (corner.b, corner.a)
    mover.move("study", "archive/study")
    editor.write("study/series/scan.dcm", b"edited inside")
    editor.write("study/series/new.dcm", b"new inside")
    corner.meet()
    files = {path for path, one in corner.a.tree().items() if one.kind == "file"}
    assert files == {
        "archive/study/series/scan.dcm",
        "archive/study/series/new.dcm",
        "archive/study/other.dcm",
    }
    assert corner.b.read("archive/study/series/scan.dcm") == b"edited inside"


@pytest.mark.parametrize("who", ["anvil", "birch"])
def test_a_deleted_folder_stays_with_what_is_new_inside(corner: Together, who: str) -> None:
    corner.a.write("study/old.dcm", b"old")
    corner.a.write("study/deep/older.dcm", b"older")
    corner.settle()
    corner.part()
    deleter, creator = (corner.a, corner.b) if who == "anvil" else (corner.b, corner.a)
    deleter.delete("study")
    creator.write("study/deep/new.dcm", b"new")
    corner.meet()
    assert set(corner.a.tree()) == {"study", "study/deep", "study/deep/new.dcm"}


def test_names_swapped_while_apart_are_swapped(corner: Together) -> None:
    corner.a.write("one", b"the first")
    corner.a.write("two", b"the second one")
    corner.settle()
    corner.part()
    corner.b.move("one", "between")
    corner.b.move("two", "one")
    corner.b.move("between", "two")
    corner.meet()
    assert (corner.a.read("one"), corner.a.read("two")) == (b"the second one", b"the first")
    assert set(corner.a.tree()) == {"one", "two"}


def test_the_same_new_name_with_other_bytes_keeps_both(corner: Together) -> None:
    corner.part()
    corner.a.write("d/report.txt", b"of anvil")
    corner.b.write("d/report.txt", b"of birch")
    corner.meet()
    [copy] = corner.conflict_copies()
    assert copy.startswith("d/report (conflict birch ")
    assert {corner.a.read("d/report.txt"), corner.a.read(copy)} == {b"of anvil", b"of birch"}


def test_moved_to_two_places_it_is_in_one(corner: Together) -> None:
    corner.a.write("f", b"one file")
    corner.settle()
    corner.part()
    corner.a.move("f", "here/f")
    corner.b.move("f", "there/f")
    corner.meet()
    files = [path for path, one in corner.b.tree().items() if one.kind == "file"]
    assert files == ["here/f"]


def test_two_folders_moved_into_each_other_end_as_a_tree(corner: Together) -> None:
    corner.a.write("p/x", b"x")
    corner.a.write("q/y", b"y")
    corner.settle()
    corner.part()
    corner.a.move("p", "q/p")
    corner.b.move("q", "p/q")
    corner.meet()
    files = {path for path, one in corner.b.tree().items() if one.kind == "file"}
    assert files == {"q/p/x", "q/y"}
