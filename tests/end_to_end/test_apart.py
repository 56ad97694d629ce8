"""Two computers that were apart, changed different things or the same, and meet again."""

from __future__ import annotations

import re

import pytest

from tests.support.computers import Together

pytestmark = pytest.mark.timeout(120)

COPY = re.compile(r"^notes \(conflict birch \d{4}-\d\d-\d\d \d\d-\d\d\)\.txt$")


def meet(pair: Together) -> None:
    """First anvil tells, then birch: so birch is the later one."""
    pair.note()
    pair.a.once()
    pair.b.once()
    pair.settle()


def test_different_changes_are_all_there_on_both(pair: Together) -> None:
    for name in ("stays", "moves", "goes", "grows"):
        pair.a.write(f"d/{name}", f"{name} as it was".encode())
    pair.settle()
    pair.a.move("d/moves", "elsewhere/moved")
    pair.a.write("new-of-anvil", b"1")
    pair.b.delete("d/goes")
    pair.b.save("d/grows", b"grown")
    pair.b.write("new-of-birch", b"2")
    meet(pair)
    found = {path for path, one in pair.b.tree().items() if one.kind == "file"}
    assert found == {"d/stays", "d/grows", "elsewhere/moved", "new-of-anvil", "new-of-birch"}
    assert pair.a.read("d/grows") == b"grown"
    pair.sound()


def test_renamed_here_and_edited_there_is_one_file(pair: Together) -> None:
    pair.a.write("plan.txt", b"first")
    pair.settle()
    pair.a.move("plan.txt", "old plans/plan.txt")
    pair.b.save("plan.txt", b"second")
    meet(pair)
    assert pair.a.read("old plans/plan.txt") == b"second"
    assert not pair.b.at("plan.txt").exists()
    assert pair.conflict_copies() == []
    pair.sound()


def both_edited(pair: Together) -> str:
    """The name of the conflict copy of notes.txt."""
    pair.a.write("notes.txt", b"as it was")
    pair.settle()
    pair.a.write("notes.txt", b"edited on anvil")
    pair.b.write("notes.txt", b"edited on birch, longer")
    meet(pair)
    [copy] = pair.conflict_copies()
    assert COPY.match(copy)
    assert pair.a.read("notes.txt") == pair.b.read("notes.txt") == b"edited on anvil"
    assert pair.a.read(copy) == pair.b.read(copy) == b"edited on birch, longer"
    return copy


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("mine", {"notes.txt": b"edited on birch, longer"}),
        ("theirs", {"notes.txt": b"edited on anvil"}),
        ("both", {"notes.txt": b"edited on anvil", "": b"edited on birch, longer"}),
    ],
)
def test_two_edits_are_kept_until_a_person_decides(
    pair: Together, keep: str, left: dict[str, bytes]
) -> None:
    copy = both_edited(pair)
    pair.start()
    pair.settle()
    for computer in pair.computers:
        [conflict] = computer.mb_sync.json("conflicts")
        assert conflict["path"] == str(computer.at(copy))
        assert conflict["original"] == str(computer.at("notes.txt"))
        assert conflict["device"] == "birch"
    pair.a.mb_sync.done("conflicts", "resolve", conflict["id"], "--keep", keep)
    pair.settle()
    expected = {name or copy: data for name, data in left.items()}
    assert {name: pair.b.read(name) for name in pair.b.tree()} == expected
    assert pair.a.mb_sync.json("conflicts") == []
    pair.sound()


def test_equal_edits_are_no_conflict(pair: Together) -> None:
    pair.a.write("notes.txt", b"as it was")
    pair.settle()
    for computer in pair.computers:
        computer.save("notes.txt", b"the same idea")
        computer.write("new.txt", b"the same new file")
    meet(pair)
    assert set(pair.a.tree()) == {"notes.txt", "new.txt"}
    pair.sound()


@pytest.mark.parametrize("who", ["anvil", "birch"])
def test_an_edit_beats_a_delete(pair: Together, who: str) -> None:
    pair.a.write("d/notes.txt", b"as it was")
    pair.settle()
    editor, deleter = (pair.a, pair.b) if who == "anvil" else (pair.b, pair.a)
    editor.write("d/notes.txt", b"edited after all")
    deleter.delete("d")
    meet(pair)
    assert pair.a.read("d/notes.txt") == pair.b.read("d/notes.txt") == b"edited after all"
    assert pair.conflict_copies() == []
    pair.sound()


@pytest.mark.parametrize("who", ["anvil", "birch"])
def test_a_moved_folder_takes_the_edit_inside_along(pair: Together, who: str) -> None:
    pair.a.write("study/series/scan.dcm", b"as it was")
    pair.a.write("study/other.dcm", b"other")
    pair.settle()
    mover, editor = (pair.a, pair.b) if who == "anvil" else (pair.b, pair.a)
    mover.move("study", "archive/study")
    editor.write("study/series/scan.dcm", b"edited inside")
    editor.write("study/series/new.dcm", b"new inside")
    meet(pair)
    files = {path for path, one in pair.a.tree().items() if one.kind == "file"}
    assert files == {
        "archive/study/series/scan.dcm",
        "archive/study/series/new.dcm",
        "archive/study/other.dcm",
    }
    assert pair.b.read("archive/study/series/scan.dcm") == b"edited inside"
    pair.sound()


@pytest.mark.parametrize("who", ["anvil", "birch"])
def test_a_deleted_folder_stays_with_what_is_new_inside(pair: Together, who: str) -> None:
    pair.a.write("study/old.dcm", b"old")
    pair.a.write("study/deep/older.dcm", b"older")
    pair.settle()
    deleter, creator = (pair.a, pair.b) if who == "anvil" else (pair.b, pair.a)
    deleter.delete("study")
    creator.write("study/deep/new.dcm", b"new")
    meet(pair)
    assert set(pair.a.tree()) == {"study", "study/deep", "study/deep/new.dcm"}
    pair.sound()


def test_names_swapped_while_apart_are_swapped(pair: Together) -> None:
    pair.a.write("one", b"the first")
    pair.a.write("two", b"the second one")
    pair.settle()
    pair.b.move("one", "between")
    pair.b.move("two", "one")
    pair.b.move("between", "two")
    meet(pair)
    assert (pair.a.read("one"), pair.a.read("two")) == (b"the second one", b"the first")
    assert set(pair.a.tree()) == {"one", "two"}
    pair.sound()


def test_the_same_new_name_with_other_bytes_keeps_both(pair: Together) -> None:
    pair.a.write("d/report.txt", b"of anvil")
    pair.b.write("d/report.txt", b"of birch")
    meet(pair)
    [copy] = pair.conflict_copies()
    assert copy.startswith("d/report (conflict birch ")
    assert {pair.a.read("d/report.txt"), pair.a.read(copy)} == {b"of anvil", b"of birch"}
    pair.sound()


def test_moved_to_two_places_it_is_in_one(pair: Together) -> None:
    pair.a.write("f", b"one file")
    pair.settle()
    pair.a.move("f", "here/f")
    pair.b.move("f", "there/f")
    meet(pair)
    files = [path for path, one in pair.b.tree().items() if one.kind == "file"]
    assert files == ["here/f"]
    pair.sound()


def test_two_folders_moved_into_each_other_end_as_a_tree(pair: Together) -> None:
    pair.a.write("p/x", b"x")
    pair.a.write("q/y", b"y")
    pair.settle()
    pair.a.move("p", "q/p")
    pair.b.move("q", "p/q")
    meet(pair)
    files = {path for path, one in pair.b.tree().items() if one.kind == "file"}
    assert files == {"q/p/x", "q/y"}
    pair.sound()
