"""After kill -9 at any call of a placement, and the local trash."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from protocol.errors import LocalProblem
from protocol.ids import NodeId
from protocol.messages import Kind
from sync_client.engine import system_calls
from sync_client.engine.disk import FollowedRoot, Parts, parked_parts
from sync_client.engine.incoming import SmallFile, discard_leftovers, write_small
from sync_client.engine.placement import Target, place
from sync_client.engine.recovery import bring_back_parked, drop_second_name, parked_nodes, recover
from sync_client.engine.trash import drop, list_trash, restore_trashed
from sync_client.engine.trees import Content
from tests.support.followed import a_node


def beside(name: str, taken: Callable[[str], bool]) -> str:
    return next(
        found for found in (f"{name} (recovered {number})" for number in range(100)) if not taken(found)
    )


CALLS = ("rename", "link", "unlink", "symlink", "open", "write", "utime", "fsync", "chmod")


def place_and_die(folder: Path, calls_before: int, *, fallback: bool) -> bool:
    """Place two replacements and a new file in a process that is killed at a call; False: it got through."""
    child = os.fork()
    if child == 0:
        left = calls_before

        def counted(call: Callable[..., object]) -> Callable[..., object]:
            def call_or_die(*args: object, **named: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **named)

            return call_or_die

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        if fallback:
            system_calls._renameat2 = None
        elif system_calls._renameat2 is not None:
            system_calls._renameat2 = counted(system_calls._renameat2)  # type: ignore[assignment]  # same call
        root = FollowedRoot(folder)
        nodes = [NodeId(UUID(int=number)) for number in range(1, 4)]
        write_small(root, [SmallFile(node, b"new") for node in nodes])
        place(
            root,
            [
                Target(node, (name_of(node),), root.fingerprint((name_of(node),)), Content(Kind.FILE))
                for node in nodes
            ],
        )
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def name_of(node: NodeId) -> str:
    return f"f{node.int}"


@pytest.mark.parametrize("fallback", [False, True])
def test_a_kill_at_any_call_leaves_old_or_new_and_loses_nothing(fallback: bool, tmp_path: Path) -> None:
    for calls_before in range(200):
        folder = tmp_path / str(calls_before)
        folder.mkdir()
        (folder / "f1").write_text("old 1")
        (folder / "f2").write_text("old 2")
        died = place_and_die(folder, calls_before, fallback=fallback)
        for name in ("f1", "f2"):
            assert (folder / name).read_text() in ("new", f"old {name[1:]}"), calls_before
        with FollowedRoot(folder) as root:
            recover(root, lambda _: False, lambda node: (name_of(node),), beside)
            discard_leftovers(root)
            assert not [*folder.glob(".mb-sync/tmp/*")], calls_before
            in_trash = [(folder / ".mb-sync/trash" / line.name).read_text() for line in list_trash(root)]
        texts = [file.read_text() for file in folder.iterdir() if file.is_file()]
        assert {"old 1", "old 2"} <= {*texts, *in_trash}, calls_before
        assert {*texts, *in_trash} <= {"old 1", "old 2", "new"}, calls_before
        if not died:
            assert calls_before > 20
            return
    pytest.fail("it never got through")


@pytest.fixture
def root(tmp_path: Path) -> FollowedRoot:
    root = FollowedRoot(tmp_path)
    root.tmp()
    return root


def left_over(root: FollowedRoot, text: str, ending: str = ".swap") -> NodeId:
    node = a_node()
    (root.path / f".mb-sync/tmp/{node.hex}{ending}").write_text(text)
    return node


def recovered(root: FollowedRoot, *, known: str = "", parts: Parts | None = ("d", "a")) -> list[Parts | None]:
    digest = hashlib.sha256(known.encode()).digest()
    return [one.parts for one in recover(root, lambda asked: asked == digest, lambda _: parts, beside)]


def test_what_the_server_holds_goes_to_the_trash(root: FollowedRoot) -> None:
    left_over(root, "known")
    assert recovered(root, known="known") == [None]
    [line] = list_trash(root)
    assert (line.path, line.why) == ("d/a", "recovered")


def test_an_edit_comes_back_beside_what_stands_there(root: FollowedRoot) -> None:
    (root.path / "d").mkdir()
    (root.path / "d/a").write_text("new")
    left_over(root, "edit")
    assert recovered(root) == [("d", "a (recovered 0)")]
    assert (root.path / "d/a (recovered 0)").read_text() == "edit"


def test_an_edit_comes_back_under_its_name_if_that_is_free(root: FollowedRoot) -> None:
    (root.path / "d").mkdir()
    left_over(root, "edit", ".swap.aside")
    assert recovered(root) == [("d", "a")]


def test_an_edit_whose_folder_is_gone_comes_back_to_the_top(root: FollowedRoot) -> None:
    left_over(root, "edit")
    assert recovered(root) == [("a",)]


def test_an_edit_whose_place_is_forgotten_comes_back_all_the_same(root: FollowedRoot) -> None:
    node = left_over(root, "edit")
    assert recovered(root, parts=None) == [(node.hex,)]


def test_a_second_link_of_the_fallback_is_only_taken_away(root: FollowedRoot) -> None:
    (root.path / "a").write_text("mine")
    os.link(root.path / "a", root.path / f".mb-sync/tmp/{a_node().hex}.swap.aside")
    assert recovered(root, parts=("a",)) == []
    assert os.listdir(root.path / ".mb-sync/tmp") == []


def test_a_file_that_was_parked_by_half_stays_where_it_stands(root: FollowedRoot) -> None:
    """Without exchange a rename is a link and a removal; the crash came in between."""
    node = a_node()
    (root.path / "a").write_text("mine")
    root.tmp()
    parked = root.path.joinpath(*parked_parts(node))
    parked.hardlink_to(root.path / "a")
    assert not drop_second_name(root, node, [("elsewhere",)])
    assert drop_second_name(root, node, [("elsewhere",), ("a",)])
    assert not parked.exists()
    assert (root.path / "a").read_text() == "mine"


def test_what_is_parked_and_known_to_nobody_comes_back_and_replaces_nothing(root: FollowedRoot) -> None:
    node = a_node()
    root.tmp()
    root.path.joinpath(*parked_parts(node)).write_text("mine")
    (root.path / "a").write_text("another")
    parts = bring_back_parked(root, node, ("a",), beside)
    assert (root.path / "a").read_text() == "another"
    assert root.path.joinpath(*parts).read_text() == "mine"
    assert not parked_nodes(root)


def test_parked_nodes_are_left_alone(root: FollowedRoot) -> None:
    left_over(root, "mine", ".parked")
    assert recovered(root) == []
    assert discard_leftovers(root) == 0
    assert len(os.listdir(root.path / ".mb-sync/tmp")) == 1


# ---- the trash -------------------------------------------------------------------------------------------


def replaced(root: FollowedRoot, name: str) -> None:
    (root.path / name).write_text("old")
    node = a_node()
    write_small(root, [SmallFile(node, b"new")])
    place(root, [Target(node, (name,), root.fingerprint((name,)), Content(Kind.FILE))])


def test_a_file_comes_back_from_the_trash_to_a_free_place(root: FollowedRoot) -> None:
    replaced(root, "a")
    [line] = list_trash(root)
    with pytest.raises(LocalProblem, match="Something stands there"):
        restore_trashed(root, line.name)
    assert restore_trashed(root, line.name, ("b",)) == ("b",)
    assert (root.path / "b").read_text() == "old"
    assert list_trash(root) == []
    with pytest.raises(LocalProblem, match="no "):
        restore_trashed(root, line.name)


def test_only_what_is_still_as_it_was_looked_at_is_dropped(root: FollowedRoot) -> None:
    replaced(root, "a")
    replaced(root, "b")
    later, line = list_trash(root)
    seen = {one.name: system_calls.look(root.trash(), one.name) for one in (line, later)}
    time.sleep(0.02)
    with (root.path / ".mb-sync/trash" / later.name).open("a") as file:
        file.write("late")
    assert drop(root, {name: one for name, one in seen.items() if one}) == [line.name]
    assert [one.name for one in list_trash(root)] == [later.name]


def test_a_file_without_its_line_is_listed_too(root: FollowedRoot) -> None:
    replaced(root, "a")
    (root.path / ".mb-sync/trash/index.jsonl").write_text('{"name": "cut of')
    [line] = list_trash(root)
    assert line.size == 3
