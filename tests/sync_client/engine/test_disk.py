"""Ways into the folder, and the calls of the system with their fallbacks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from protocol.errors import LocalProblem
from sync_client.engine.disk import FollowedRoot, Parts, same_thing, too_young, untouched
from sync_client.engine.incoming import discard_leftovers
from sync_client.engine.marker import Marker, read_marker, write_marker
from sync_client.engine.recovery import recover
from sync_client.engine.system_calls import (
    exchange,
    exchange_by_link,
    look,
    look_by_stat,
    rename_noreplace,
    rename_noreplace_by_link,
)
from sync_client.engine.trash import list_trash
from sync_client.engine.trees import Fingerprint
from tests.support.followed import a_node

Rename = Callable[[int, str, int, str], None]


@pytest.fixture
def folder(tmp_path: Path) -> int:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    return os.open(tmp_path, os.O_RDONLY)


@pytest.mark.parametrize("swap", [exchange, exchange_by_link])
def test_two_files_change_places(swap: Rename, folder: int, tmp_path: Path) -> None:
    swap(folder, "a", folder, "b")
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("two", "one")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("swap", [exchange, exchange_by_link])
def test_nothing_changes_places_with_what_is_not_there(swap: Rename, folder: int, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        swap(folder, "a", folder, "c")
    assert (tmp_path / "a").read_text() == "one"


@pytest.mark.parametrize("rename", [rename_noreplace, rename_noreplace_by_link])
def test_renaming_never_replaces(rename: Rename, folder: int, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        rename(folder, "a", folder, "b")
    rename(folder, "a", folder, "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "e").mkdir()
    with pytest.raises(FileExistsError):
        rename(folder, "d", folder, "e")
    rename(folder, "d", folder, "f")
    assert sorted(os.listdir(tmp_path)) == ["b", "c", "e", "f"]


def test_both_ways_to_look_see_the_same(folder: int) -> None:
    one, other = look(folder, "a"), look_by_stat(folder, "a")
    assert one is not None
    assert other is not None
    assert replace(one, birth_ns=0) == replace(other, birth_ns=0)
    assert look(folder, "c") is None
    assert look_by_stat(folder, "c") is None


def a_print(**changes: int) -> Fingerprint:
    return replace(Fingerprint(1, 2, 3, 4, 5_000_000_000, 6_000_000_000, 0o100644), **changes)


def test_the_same_number_with_another_birth_is_another_file() -> None:
    assert same_thing(a_print(), a_print(size=9))
    assert not same_thing(a_print(), a_print(birth_ns=9))
    assert same_thing(a_print(), a_print(birth_ns=0))


def test_any_trace_of_a_write_is_a_touch() -> None:
    assert untouched(a_print(), a_print())
    for change in ({"size": 9}, {"mtime_ns": 9}, {"ctime_ns": 9}, {"mode": 0o100755}, {"inode": 9}):
        assert not untouched(a_print(), a_print(**change)), change
    assert untouched(a_print(ctime_ns=0), a_print())


def test_only_what_is_recent_in_both_times_is_too_young() -> None:
    assert too_young(a_print(), 6_500_000_000)
    assert not too_young(a_print(), 9_000_000_000)
    assert not too_young(a_print(mtime_ns=4_000_000_000_000_000_000), 6_500_000_000)


def test_no_component_of_a_path_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with FollowedRoot(tmp_path) as root:
        root.folder_fd(("real", "deep"))
        with pytest.raises(NotADirectoryError):
            root.folder_fd(("link", "deep"))
        assert root.fingerprint(("link", "deep")) is None


def test_a_folder_that_moved_is_not_found_at_its_old_path(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/a").touch()
    with FollowedRoot(tmp_path) as root:
        assert root.fingerprint(("old", "a")) is not None
        (tmp_path / "old").rename(tmp_path / "new")
        assert root.fingerprint(("old", "a")) is None


def test_looking_for_what_a_crash_left_makes_nothing(tmp_path: Path) -> None:
    with FollowedRoot(tmp_path) as root:
        assert discard_leftovers(root) == 0
        assert recover(root, lambda _: True, lambda _: None, lambda name, _: name) == []
        assert list_trash(root) == []
    assert os.listdir(tmp_path) == []


def test_hundreds_of_folders_need_few_descriptors(tmp_path: Path) -> None:
    deep: Parts = tuple(f"d{number}" for number in range(100))
    tmp_path.joinpath(*deep).mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    with FollowedRoot(tmp_path) as root:
        root.tmp()
        for length in range(len(deep)):
            root.folder_fd(deep[:length])
        root.folder_fd(deep)
        assert len(os.listdir("/proc/self/fd")) - before < 60
        assert os.listdir(root.tmp()) == []


def test_our_folder_is_for_this_user_only(tmp_path: Path) -> None:
    with FollowedRoot(tmp_path) as root:
        root.trash()
    assert (tmp_path / ".mb-sync").stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_our_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".mb-sync").symlink_to("elsewhere")
    with FollowedRoot(tmp_path) as root, pytest.raises(NotADirectoryError):
        root.tmp()


def test_a_marker_is_read_as_it_was_written(tmp_path: Path) -> None:
    marker = Marker(view=a_node(), node=a_node(), server=a_node(), follow=a_node(), generation=7)
    with FollowedRoot(tmp_path) as root:
        assert read_marker(root) is None
        write_marker(root, marker)
        assert read_marker(root) == marker
        assert os.listdir(tmp_path / ".mb-sync") == ["marker.json"]


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"format": 1'])
def test_a_damaged_marker_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / ".mb-sync").mkdir()
    (tmp_path / ".mb-sync/marker.json").write_text(text)
    with FollowedRoot(tmp_path) as root, pytest.raises(LocalProblem, match="damaged"):
        read_marker(root)
