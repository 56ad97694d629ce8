"""Following a folder: what stands there already, a part of /Home only, and folders that are not there any more."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.support.computers import Computer, Together, together, until
from tests.support.server import RunningServer

pytestmark = pytest.mark.timeout(300)


def another(pair: Together, name: str, remote: str, base: Path, before: dict[str, bytes]) -> Computer:
    """One more computer of the same user, whose folder holds something before it is followed."""
    computer = Computer(base, name)
    for path, data in before.items():
        computer.write(path, data)
    computer.login(pair.server, pair.user)
    computer.follow(remote)
    return computer


def test_equal_files_are_adopted_and_sent_by_nobody(server: RunningServer, tmp_path: Path) -> None:
    files = {f"series/{number}.dcm": random.Random(number).randbytes(100_000) for number in range(20)}
    with together(server, tmp_path, "anvil") as pair:
        for path, data in files.items():
            pair.a.write(path, data)
        pair.settle()
        linked = another(pair, "cedar", "/Home/study", tmp_path, files)
        traffic = linked.once()["traffic"]
        pair.computers.append(linked)
        seen = pair.settle()
        assert {path for path, one in seen.items() if one.kind == "file"} == set(files)
        assert traffic["sent_bytes"] < 20_000
        assert traffic["received_bytes"] < 60_000
        pair.sound()


def test_different_twins_are_both_kept_and_the_rest_is_added(server: RunningServer, tmp_path: Path) -> None:
    with together(server, tmp_path, "anvil") as pair:
        pair.a.write("d/same", b"same")
        pair.a.write("d/twin", b"of anvil")
        pair.a.write("d/only-there", b"there")
        pair.settle()
        linked = another(
            pair,
            "cedar",
            "/Home/study",
            tmp_path,
            {"d/same": b"same", "d/twin": b"of cedar!", "d/only-here": b"here", "e/new": b"new"},
        )
        pair.computers.append(linked)
        pair.settle()
        [copy] = pair.conflict_copies()
        assert copy.startswith("d/twin (conflict cedar ")
        assert pair.a.read(copy) == b"of cedar!"
        assert pair.a.read("d/twin") == linked.read("d/twin") == b"of anvil"
        files = {path for path, one in pair.a.tree().items() if one.kind == "file"}
        assert files == {"d/same", "d/twin", copy, "d/only-there", "d/only-here", "e/new"}
        pair.sound()


def test_a_part_of_home_sees_what_is_moved_in_and_out_of_it(server: RunningServer, tmp_path: Path) -> None:
    with together(server, tmp_path, "anvil", remote="/Home") as pair:
        whole = pair.a
        whole.write("study/inside.txt", b"inside")
        whole.write("outside/deep/far.txt", b"far")
        pair.settle()
        part = another(pair, "cedar", "/Home/study", tmp_path, {})
        part.once()
        assert files_of(part) == {"inside.txt"}

        whole.move("outside/deep", "study/deep")  # in, by one record for the folder
        whole.once()
        part.once()
        assert files_of(part) == {"inside.txt", "deep/far.txt"}

        part.write("deep/new.txt", b"made in the part")
        part.once()
        whole.once()
        assert whole.read("study/deep/new.txt") == b"made in the part"

        whole.move("study/deep", "outside/again")  # and out
        whole.write("outside/noise.txt", b"none of its business")
        whole.once()
        part.once()
        assert files_of(part) == {"inside.txt"}

        whole.move("outside/again", "study/back")  # and in again, with all below it
        whole.once()
        part.once()
        assert files_of(part) == {"inside.txt", "back/far.txt", "back/new.txt"}

        whole.move("study", "renamed")  # the followed folder itself: known by its node, not by its path
        whole.once()
        part.write("still.txt", b"still followed")
        part.once()
        whole.once()
        assert whole.read("renamed/still.txt") == b"still followed"
        assert part.left_lying_about() == []
        pair.sound()


def test_a_followed_folder_deleted_on_the_server_stops_and_keeps_its_files(
    server: RunningServer, tmp_path: Path
) -> None:
    with together(server, tmp_path, "anvil", remote="/Home") as pair:
        whole = pair.a
        whole.write("study/inside.txt", b"inside")
        pair.settle()
        part = another(pair, "cedar", "/Home/study", tmp_path, {})
        part.once()
        whole.delete("study")
        whole.once()
        ended = part.mb_sync("once")
        assert ended.returncode == 3
        assert "was deleted on the server" in ended.stdout
        assert part.read("inside.txt") == b"inside"
        pair.sound()


def files_of(computer: Computer) -> set[str]:
    return {path for path, one in computer.tree().items() if one.kind == "file"}


def test_a_folder_moved_away_is_not_all_deleted(pair: Together) -> None:
    pair.start()
    pair.a.write("d/keep.txt", b"keep")
    before = pair.settle()
    away = pair.a.folder.with_name("away")
    pair.a.folder.rename(away)
    until(lambda: pair.a.status()["state"] == "error", "the folder is missed")
    pair.b.wait()
    assert pair.b.tree() == before
    away.rename(pair.a.folder)
    until(lambda: pair.a.status()["state"] == "synced", "the folder is back")
    assert pair.settle() == before
    pair.sound()


def test_another_folder_in_its_place_is_not_all_deleted(pair: Together) -> None:
    pair.start()
    pair.a.write("d/keep.txt", b"keep")
    before = pair.settle()
    pair.a.folder.rename(pair.a.folder.with_name("away"))
    pair.a.folder.mkdir()
    until(lambda: pair.a.status()["state"] == "error", "the folder is missed")
    pair.b.wait()
    assert pair.b.tree() == before


def test_a_folder_without_its_marker_is_not_all_deleted(pair: Together) -> None:
    pair.a.write("d/keep.txt", b"keep")
    before = pair.settle()
    shutil.rmtree(pair.a.folder / ".mb-sync")
    shutil.rmtree(pair.a.at("d"))
    ended = pair.a.mb_sync("once")
    assert ended.returncode == 3
    assert "lost its marker" in ended.stdout
    pair.b.once()
    assert pair.b.tree() == before
    pair.sound()
