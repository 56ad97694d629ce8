"""Downloads, moves and removals on a real folder, and edits that come in between."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from protocol.ids import NodeId
from protocol.messages import Kind
from sync_client.engine import placement, system_calls
from sync_client.engine.disk import FollowedRoot, Parts, parked_parts, untouched
from sync_client.engine.incoming import (
    Incoming,
    NotPlaced,
    SmallFile,
    discard_leftovers,
    write_small,
)
from sync_client.engine.placement import (
    Placed,
    Removal,
    Removed,
    Target,
    make_folders,
    place,
    relocate,
    remove,
    remove_all,
)
from sync_client.engine.reading import ReadFile, read_files
from sync_client.engine.trash import list_trash
from sync_client.engine.trees import Content, Fingerprint
from tests.support.followed import a_node

OLD_NS = 1_600_000_000_123_456_789


@pytest.fixture(params=["as this system does it", "by the fallback"])
def root(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FollowedRoot]:
    if request.param == "by the fallback":
        monkeypatch.setattr(system_calls, "_renameat2", None)
        monkeypatch.setattr(system_calls, "_statx", None)
        monkeypatch.setattr(system_calls, "_syncfs", None)
    (tmp_path / "folder").mkdir()
    with FollowedRoot(tmp_path / "folder") as root:
        yield root


def fetched(
    root: FollowedRoot,
    path: str,
    data: bytes,
    *,
    over: Fingerprint | None = None,
    executable: bool = False,
    kind: Kind = Kind.FILE,
) -> Target:
    """A temporary file, ready to be placed at `path`."""
    node = a_node()
    assert not write_small(root, [SmallFile(node, data, executable, OLD_NS, kind)])
    return Target(node, tuple(path.split("/")), over, Content(kind, b"", len(data), executable))


def seen(root: FollowedRoot, path: str) -> Fingerprint:
    root.look_afresh()
    found = root.fingerprint(tuple(path.split("/")))
    assert found is not None
    return found


def the_code(result: object) -> str:
    assert isinstance(result, NotPlaced), result
    return result.code


def temporary_names(root: FollowedRoot) -> list[str]:
    return os.listdir(root.path / ".mb-sync/tmp")


def test_a_new_file_stands_there_with_its_time_and_rights(root: FollowedRoot) -> None:
    [result] = place(root, [fetched(root, "a", b"one", executable=True)])
    assert isinstance(result, Placed)
    file = root.path / "a"
    assert file.read_bytes() == b"one"
    assert file.stat().st_mtime_ns == OLD_NS
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert result.fingerprint == seen(root, "a")
    assert not temporary_names(root)


def test_a_link_is_placed_as_a_link(root: FollowedRoot) -> None:
    [result] = place(root, [fetched(root, "a", b"../../etc/passwd", kind=Kind.LINK)])
    assert isinstance(result, Placed)
    assert os.readlink(root.path / "a") == "../../etc/passwd"


def test_nothing_is_placed_over_a_file_that_nobody_expected(root: FollowedRoot) -> None:
    (root.path / "a").write_text("mine")
    assert the_code(place(root, [fetched(root, "a", b"theirs")])[0]) == "exists"
    assert (root.path / "a").read_text() == "mine"
    assert not temporary_names(root)


def test_what_is_replaced_lies_in_the_trash_and_its_rights_live_on(root: FollowedRoot) -> None:
    (root.path / "a").write_text("old")
    (root.path / "a").chmod(0o600)
    [result] = place(root, [fetched(root, "a", b"new", over=seen(root, "a"))])
    assert isinstance(result, Placed)
    assert result.kept is not None
    assert (root.path / "a").read_text() == "new"
    assert stat.S_IMODE((root.path / "a").stat().st_mode) == 0o600
    [line] = list_trash(root)
    assert (line.path, line.size, line.why) == ("a", 3, "replaced")
    assert (root.path / ".mb-sync/trash" / line.name).read_text() == "old"


def test_an_edit_before_the_look_is_left_alone(root: FollowedRoot) -> None:
    (root.path / "a").write_text("old")
    target = fetched(root, "a", b"new", over=seen(root, "a"))
    time.sleep(0.02)
    (root.path / "a").write_text("edit")
    assert the_code(place(root, [target])[0]) == "changed"
    assert (root.path / "a").read_text() == "edit"


def _edit_in_place(file: Path) -> None:
    with file.open("a") as open_file:
        open_file.write("+edit")


def _edit_by_rename(file: Path) -> None:
    other = file.with_name("saving")
    other.write_text("old+edit")
    other.replace(file)


def test_an_edit_between_look_and_exchange_is_put_back(
    root: FollowedRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root.path / "a").write_text("old")
    target = fetched(root, "a", b"new", over=seen(root, "a"))
    edits = iter([_edit_by_rename])
    real = placement.exchange

    def exchange_after_an_edit(*names: object) -> None:
        next(edits, lambda _: None)(root.path / "a")
        real(*names)  # type: ignore[arg-type]  # the four of the real one

    monkeypatch.setattr(placement, "exchange", exchange_after_an_edit)
    assert the_code(place(root, [target])[0]) == "changed"
    assert (root.path / "a").read_text() == "old+edit"
    assert not temporary_names(root)


def test_a_program_that_opened_ours_before_it_gave_way_writes_into_the_trash(
    root: FollowedRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root.path / "a").write_text("old")
    target = fetched(root, "a", b"new", over=seen(root, "a"))
    real = placement.exchange
    held = []

    def exchange_between_an_edit_and_an_opening(*names: object) -> None:
        if not held:
            _edit_by_rename(root.path / "a")
        real(*names)  # type: ignore[arg-type]  # the four of the real one
        held.append((root.path / "a").open("a"))

    monkeypatch.setattr(placement, "exchange", exchange_between_an_edit_and_an_opening)
    assert the_code(place(root, [target])[0]) == "changed"
    with held[0] as ours, held[1]:
        ours.write("+late")
    assert (root.path / "a").read_text() == "old+edit"
    [line] = list_trash(root)
    assert (root.path / ".mb-sync/trash" / line.name).read_text() == "new+late"


@pytest.mark.parametrize("way", ["by rename", "in place"])
def test_a_second_edit_while_the_first_is_put_back_is_kept_for_recovery(
    root: FollowedRoot, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (root.path / "a").write_text("old")
    target = fetched(root, "a", b"new", over=seen(root, "a"))
    real = placement.exchange
    texts = iter(["first", "second"])

    def exchange_after_an_edit(*names: object) -> None:
        if way == "in place":
            (root.path / "a").write_text(next(texts))
        else:
            (root.path / "saving").write_text(next(texts))
            (root.path / "saving").replace(root.path / "a")
        real(*names)  # type: ignore[arg-type]  # the four of the real one

    monkeypatch.setattr(placement, "exchange", exchange_after_an_edit)
    assert the_code(place(root, [target])[0]) == "changed"
    assert (root.path / "a").read_text() == "first"
    [left] = temporary_names(root)
    assert (root.path / ".mb-sync/tmp" / left).read_text() == "second"


def _read_within_a_tick(root: FollowedRoot, path: str) -> tuple[Fingerprint, Content]:
    """What a look shows, and a read finds, so soon after a write that a later one may show the same."""
    at, young = tuple(path.split("/")), seen(root, path)
    [read] = read_files(root, [(a_node(), at, young)], keep=False)
    assert isinstance(read, ReadFile)
    return msgspec.structs.replace(young, ctime_ns=0), read.content


def _edit_within_the_same_tick(file: Path) -> None:
    before = file.stat()
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("size", [30, 600_000])
def test_an_edit_that_only_the_bytes_show_is_put_back(root: FollowedRoot, size: int) -> None:
    (root.path / "a").write_bytes(os.urandom(size))
    expected, holds = _read_within_a_tick(root, "a")
    target = msgspec.structs.replace(fetched(root, "a", b"new", over=expected), holds=holds)
    _edit_within_the_same_tick(root.path / "a")
    edited = (root.path / "a").read_bytes()
    assert untouched(expected, seen(root, "a"))
    assert the_code(place(root, [target])[0]) == "changed"
    [removed] = remove_all(root, [Removal(a_node(), ("a",), expected, holds)])
    assert the_code(removed) == "changed"
    assert (root.path / "a").read_bytes() == edited
    assert temporary_names(root) == []


def test_what_was_written_just_before_it_was_read_is_replaced_and_removed_all_the_same(
    root: FollowedRoot,
) -> None:
    for name in "ab":
        (root.path / name).write_bytes(b"old")
    expected, holds = _read_within_a_tick(root, "a")
    target = msgspec.structs.replace(fetched(root, "a", b"new", over=expected), holds=holds)
    assert isinstance(place(root, [target])[0], Placed)
    expected, holds = _read_within_a_tick(root, "b")
    assert isinstance(remove_all(root, [Removal(a_node(), ("b",), expected, holds)])[0], Removed)
    assert (root.path / "a").read_bytes() == b"new"
    assert not (root.path / "b").exists()


def test_a_file_that_is_edited_as_soon_as_it_stands_there_does_not_look_untouched(root: FollowedRoot) -> None:
    target = fetched(root, "a", b"new")
    [result] = place(root, [target], on_swapped=lambda _: _edit_in_place(root.path / "a"))
    assert isinstance(result, Placed)
    assert not untouched(result.fingerprint, seen(root, "a"))


def test_a_program_that_holds_the_old_file_open_writes_into_the_trash(root: FollowedRoot) -> None:
    (root.path / "a").write_text("old")
    with (root.path / "a").open("a") as held:
        place(root, [fetched(root, "a", b"new", over=seen(root, "a"))])
        held.write("+late")
    [line] = list_trash(root)
    assert (root.path / ".mb-sync/trash" / line.name).read_text() == "old+late"


def test_no_link_is_followed_that_stands_for_a_folder(root: FollowedRoot, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("safe")
    (root.path / "d").symlink_to(outside)
    assert the_code(place(root, [fetched(root, "d/a", b"one")])[0]) == "parent-gone"
    assert the_code(make_folders(root, [(a_node(), ("d", "sub"))])[0]) == "parent-gone"
    victim = os.stat(outside / "victim")
    print_of_victim = Fingerprint(
        victim.st_dev,
        victim.st_ino,
        0,
        victim.st_size,
        victim.st_mtime_ns,
        victim.st_ctime_ns,
        victim.st_mode,
    )
    assert the_code(remove(root, ("d", "victim"), print_of_victim, Kind.FILE)) == "parent-gone"
    assert the_code(relocate(root, ("d", "victim"), ("stolen",), print_of_victim)) == "parent-gone"
    assert sorted(os.listdir(outside)) == ["victim"]


def test_a_full_disk_is_said_and_leaves_nothing(root: FollowedRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def no_room(handle: int, data: bytes) -> int:
        if len(data) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", no_room)
    node = a_node()
    [failed] = write_small(root, [SmallFile(node, b"x" * 1000), SmallFile(a_node(), b"fits")])
    assert (failed.node, failed.code) == (node, "disk-full")
    assert len(temporary_names(root)) == 1


def test_after_a_failed_sync_nothing_counts_as_placed(
    root: FollowedRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    targets = [fetched(root, f"a{number}", b"one") for number in range(20)]
    monkeypatch.setattr("sync_client.engine.disk.sync_file_system", broken)
    assert {the_code(result) for result in place(root, targets)} == {"disk-failed"}
    assert not temporary_names(root)


def test_one_that_cannot_be_placed_does_not_hold_up_the_rest(root: FollowedRoot) -> None:
    (root.path / "taken").write_text("mine")
    targets = [fetched(root, path, b"one") for path in ("a", "taken", "no/folder", "b")]
    results = place(root, [*targets, Target(a_node(), ("c",), None, Content(Kind.FILE))])
    assert [getattr(result, "code", "placed") for result in results] == [
        "placed",
        "exists",
        "parent-gone",
        "placed",
        "no-content",
    ]


def test_a_big_file_comes_in_pieces(root: FollowedRoot) -> None:
    node = a_node()
    incoming = Incoming(root, node, size=300_000)
    incoming.write(200_000, b"b" * 100_000)
    incoming.write(0, b"a" * 200_000)
    incoming.finish(executable=True, mtime_ns=OLD_NS)
    [result] = place(root, [Target(node, ("big",), None, Content(Kind.FILE, b"", 300_000, executable=True))])
    assert isinstance(result, Placed)
    assert (root.path / "big").read_bytes() == b"a" * 200_000 + b"b" * 100_000
    assert os.access(root.path / "big", os.X_OK)


def test_an_aborted_download_leaves_nothing_and_a_killed_one_is_tidied(root: FollowedRoot) -> None:
    Incoming(root, a_node(), size=10).abort()
    assert not temporary_names(root)
    Incoming(root, a_node(), size=10)
    assert discard_leftovers(root) == 1
    assert not temporary_names(root)


def test_folders_are_made_below_each_other(root: FollowedRoot) -> None:
    results = make_folders(root, [(a_node(), ("a",)), (a_node(), ("a", "b")), (a_node(), ("a",))])
    assert [getattr(result, "code", "placed") for result in results] == ["placed", "placed", "exists"]
    assert (root.path / "a/b").is_dir()


def test_a_file_moves_only_as_expected_and_only_to_a_free_place(root: FollowedRoot) -> None:
    (root.path / "d").mkdir()
    for name in ("a", "b"):
        (root.path / name).write_text(name)
    a = seen(root, "a")
    assert the_code(relocate(root, ("a",), ("b",), a)) == "exists"
    assert the_code(relocate(root, ("b",), ("d", "b"), a)) == "changed"
    moved = relocate(root, ("a",), ("d", "a"), a)
    assert moved == seen(root, "d/a")


def test_a_folder_moves_whatever_was_written_into_it(root: FollowedRoot) -> None:
    (root.path / "d").mkdir()
    expected = seen(root, "d")
    (root.path / "d/new").write_text("one")
    assert not isinstance(relocate(root, ("d",), ("e",), expected), NotPlaced)
    assert (root.path / "e/new").read_text() == "one"


def test_a_node_can_be_parked_and_come_back(root: FollowedRoot) -> None:
    (root.path / "a").write_text("one")
    node = a_node()
    parked = relocate(root, ("a",), parked_parts(node), seen(root, "a"))
    assert isinstance(parked, Fingerprint)
    assert os.listdir(root.path) == [".mb-sync"]
    assert not isinstance(relocate(root, parked_parts(node), ("b",), parked), NotPlaced)
    assert (root.path / "b").read_text() == "one"


def test_a_removed_file_lies_in_the_trash(root: FollowedRoot) -> None:
    (root.path / "d").mkdir()
    (root.path / "d/a").write_text("one")
    result = remove(root, ("d", "a"), seen(root, "d/a"), Kind.FILE)
    assert isinstance(result, Removed)
    [line] = list_trash(root)
    assert (line.path, line.why) == ("d/a", "removed")


def test_an_edited_file_is_not_removed(root: FollowedRoot) -> None:
    (root.path / "a").write_text("one")
    expected = seen(root, "a")
    _edit_in_place(root.path / "a")
    assert the_code(remove(root, ("a",), expected, Kind.FILE)) == "changed"
    assert (root.path / "a").exists()


def test_a_folder_is_removed_only_when_it_is_empty(root: FollowedRoot) -> None:
    (root.path / "d/e").mkdir(parents=True)
    (root.path / "d/a").write_text("one")
    removals = [
        Removal(a_node(), tuple(path.split("/")), seen(root, path)) for path in ("d/e", "d", "d/a", "d")
    ]
    results = remove_all(root, removals)
    assert [getattr(result, "code", "removed") for result in results] == [
        "removed",
        "not-empty",
        "removed",
        "removed",
    ]
    assert os.listdir(root.path) == [".mb-sync"]


@pytest.mark.parametrize("count", [1_000])
def test_a_thousand_small_files_need_two_syncs(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    real: Callable[[int], None] = system_calls.sync_file_system

    def counted(folder: int) -> None:
        syncs.append(folder)
        real(folder)

    monkeypatch.setattr("sync_client.engine.disk.sync_file_system", counted)
    with FollowedRoot(tmp_path) as root:
        nodes: list[tuple[NodeId, Parts]] = [(a_node(), (f"{number}.dcm",)) for number in range(count)]
        assert not write_small(root, [SmallFile(node, b"x" * 2048, mtime_ns=OLD_NS) for node, _ in nodes])
        results = place(root, [Target(node, parts, None, Content(Kind.FILE)) for node, parts in nodes])
    assert all(isinstance(result, Placed) for result in results)
    assert len(syncs) == 2
