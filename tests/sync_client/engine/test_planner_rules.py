"""Each rule of the planner by name, and what random histories find when one is switched off."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from msgspec.structs import replace

from protocol.ids import NodeId
from protocol.messages import Kind, OpResult, Status
from sync_client.engine import effects, plan_down, planner, planning
from sync_client.engine.planner import Plan, Surroundings, plan
from sync_client.engine.steps import (
    DeleteTreeRemote,
    Fetch,
    KeepBoth,
    MakeRemote,
    MoveRemote,
    Problem,
    PutRemote,
    Relocate,
    Replace,
)
from sync_client.engine.trees import PARKED, Content, Side
from tests.support.histories import World, history
from tests.support.model_client import Client
from tests.support.model_server import ROOT, Rules, Violation

CONFLICT = "(conflict pc1 2026-11-22 14-03)"


class Two:
    """Two computers, A and B, that did nothing yet."""

    def __init__(self, *, clients: int = 2) -> None:
        self.world = World(1, clients=clients, case_blind=0.0)
        self.a, self.b = self.world.everyone[:2]
        self.plans: list[Plan] = []

    def write(self, client: Client, path: str, data: str) -> None:
        inode = self.at(client, path)
        if inode is not None:
            client.disk.entries[inode].data = data.encode().ljust(32)
            client.disk.entries[inode].changed = client.disk.tick()
            return
        folder, name = self._split(client, path)
        client.disk.make(folder, name, Kind.FILE, data.encode().ljust(32))

    def mkdir(self, client: Client, path: str) -> None:
        client.disk.make(*self._split(client, path), Kind.FOLDER)

    def move(self, client: Client, source: str, target: str) -> None:
        inode = self.at(client, source)
        assert inode is not None
        entry = client.disk.entries[inode]
        entry.parent, entry.name = self._split(client, target)

    def delete(self, client: Client, path: str) -> None:
        inode = self.at(client, path)
        assert inode is not None
        for below in reversed(client.disk.below(inode)):
            client.disk.remove(below)

    def at(self, client: Client, path: str) -> int | None:
        inode: int | None = 1
        for name in path.split("/"):
            inode = client.disk.child(inode or 0, name)
        return inode

    def _split(self, client: Client, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        inode = self.at(client, folder) if folder else 1
        assert inode is not None
        return inode, name

    def sync(self, *clients: Client) -> None:
        """Each of them, one after the other, until it has nothing left to do."""
        for client in clients:
            client.scan()
            client.pull()
            for _ in range(20):
                if not client.sweep():
                    break

    def plan_of(self, client: Client) -> Plan:
        client.scan()
        client.pull()
        return plan(client.trees, list(client.trees.dirty()), around())

    def end(self) -> dict[str, str | None]:
        """Everyone equal; what is in the tree at last."""
        self.world.given_up |= self.world.made
        self.world.quiesce()
        listing = self.world.server.listing()
        return {path: data if data is None else data.decode().strip() for path, data in listing.items()}


def around() -> Surroundings:
    return Surroundings("pc1", datetime(2026, 11, 22, 14, 3), lambda: NodeId(UUID(int=10**6)))  # noqa: DTZ001


def started(**files: str) -> Two:
    """Both have these files; `__` in a keyword stands for the slash."""
    two = Two()
    for path in files:
        folder = path.replace("__", "/").rpartition("/")[0]
        if folder and two.at(two.a, folder) is None:
            two.mkdir(two.a, folder)
    for path, data in files.items():
        two.write(two.a, path.replace("__", "/"), data)
    two.sync(two.a, two.b)
    return two


# ---- an edit or a move beats a delete --------------------------------------------------------------------


def test_an_edit_beats_a_delete_on_the_other_side() -> None:
    two = started(x="1", y="1")
    two.write(two.a, "x", "2")
    two.delete(two.b, "x")
    two.delete(two.a, "y")
    two.write(two.b, "y", "2")
    two.sync(two.a, two.b)
    assert two.end() == {"/x": "2", "/y": "2"}


def test_a_move_beats_a_delete_on_the_other_side() -> None:
    two = started(x="1", y="1")
    two.move(two.a, "x", "x2")
    two.delete(two.b, "x")
    two.delete(two.a, "y")
    two.move(two.b, "y", "y2")
    two.sync(two.a, two.b)
    assert two.end() == {"/x2": "1", "/y2": "1"}


@pytest.mark.parametrize("first", ["mover", "deleter"])
def test_a_moved_folder_keeps_all_that_is_in_it(first: str) -> None:
    two = started(d__x="1", d__y="2")
    two.move(two.a, "d", "e")
    two.delete(two.b, "d")
    two.sync(*((two.a, two.b) if first == "mover" else (two.b, two.a)))
    assert two.end() == {"/e": None, "/e/x": "1", "/e/y": "2"}


def test_a_folder_deleted_there_stays_with_only_what_is_new_in_it() -> None:
    two = started(d__x="1", d__y="2")
    two.write(two.b, "d/new", "3")
    two.delete(two.a, "d")
    two.sync(two.a, two.b)
    assert two.end() == {"/d": None, "/d/new": "3"}


def test_a_folder_deleted_here_comes_back_with_only_what_is_new_in_it() -> None:
    two = started(d__x="1", d__y="2")
    two.write(two.b, "d/new", "3")
    two.delete(two.a, "d")
    two.sync(two.b, two.a)
    assert two.end() == {"/d": None, "/d/new": "3"}


def test_what_was_moved_out_of_a_deleted_folder_survives() -> None:
    two = started(d__x="1", d__y="2")
    two.move(two.a, "d/x", "x")
    two.sync(two.a)
    two.delete(two.b, "d")
    assert two.end() == {"/x": "1"}


def test_a_folder_moved_out_in_time_of_what_another_deletes_survives_with_all_in_it() -> None:
    two = started(d__y="2")
    two.mkdir(two.a, "d/e")
    two.write(two.a, "d/e/x", "1")
    two.sync(two.a, two.b)
    two.delete(two.b, "d")
    two.b.scan()
    two.move(two.a, "d/e", "e")
    two.sync(two.a)
    two.b.sweep()  # it has not heard of the move; its delete goes through, since `e` is in `d` no more
    assert two.world.server.listing().keys() == {"/e", "/e/x"}
    sent = two.b.batches
    two.b.sweep()
    assert two.b.batches == sent  # what lay in `d` waits for the feed: was it moved out?
    assert two.end() == {"/e": None, "/e/x": "1"}


def test_a_move_into_a_deleted_folder_keeps_the_folder() -> None:
    two = started(d__x="1", y="2")
    two.delete(two.a, "d")
    two.sync(two.a)
    two.move(two.b, "y", "d/y")
    assert two.end() == {"/d": None, "/d/y": "2"}


def test_a_deleted_folder_is_one_operation() -> None:
    two = started(d__x="1", d__y="2")
    two.delete(two.a, "d")
    steps = two.plan_of(two.a).steps
    assert [type(step) for step in steps] == [DeleteTreeRemote]
    assert isinstance(steps[0], DeleteTreeRemote)
    assert len(steps[0].nodes) == 3


# ---- both are kept ---------------------------------------------------------------------------------------


def test_of_two_edits_the_first_keeps_the_name_and_the_other_remembers_whose_conflict_it_is() -> None:
    two = started(x="1")
    two.write(two.a, "x", "2")
    two.write(two.b, "x", "3")
    two.sync(two.a, two.b)
    assert two.end() == {"/x": "2", f"/x {CONFLICT}": "3"}
    nodes = two.world.server.nodes
    (copy,) = [found for found in nodes.values() if found.conflict_of is not None]
    assert copy.conflict_of is not None
    assert nodes[copy.conflict_of].name == "x"


def test_the_same_edit_on_both_sides_is_no_conflict() -> None:
    two = started(x="1")
    two.write(two.a, "x", "2")
    two.write(two.b, "x", "2")
    assert two.end() == {"/x": "2"}


def test_a_folder_that_holds_the_same_already_is_adopted() -> None:
    two = Two()
    for client in (two.a, two.b):
        two.mkdir(client, "d")
        two.write(client, "d/same", "1")
    two.write(two.a, "d/only a", "2")
    two.write(two.b, "d/only b", "3")
    two.write(two.a, "d/other", "4")
    two.write(two.b, "d/other", "5")
    two.sync(two.a, two.b)
    assert two.end() == {
        "/d": None,
        "/d/same": "1",
        "/d/only a": "2",
        "/d/only b": "3",
        "/d/other": "4",
        f"/d/other {CONFLICT}": "5",
    }


def test_a_folder_and_a_file_of_one_name_are_both_kept() -> None:
    two = Two()
    two.mkdir(two.a, "x")
    two.write(two.b, "x", "1")
    two.sync(two.a, two.b)
    assert two.end() == {"/x": None, f"/x {CONFLICT}": "1"}


def test_folders_that_differ_in_case_alone_become_one_spelt_as_on_the_server() -> None:
    two = Two()
    two.mkdir(two.a, "Data")
    two.mkdir(two.b, "data")
    two.write(two.b, "data/x", "1")
    two.sync(two.a, two.b)
    assert two.end() == {"/Data": None, "/Data/x": "1"}


def test_twins_on_one_disk_get_two_names_and_the_agreed_one_keeps_its_own() -> None:
    two = started(x="1")
    two.write(two.b, "X", "2")
    assert two.end() == {"/x": "1", f"/X {CONFLICT}": "2"}


def test_a_name_that_differs_in_case_alone_is_a_rename() -> None:
    two = started(x="1")
    two.move(two.a, "x", "X")
    assert two.end() == {"/X": "1"}


# ---- places ----------------------------------------------------------------------------------------------


def test_renamed_here_and_edited_there_merges_without_conflict() -> None:
    two = started(x="1")
    two.move(two.a, "x", "z")
    two.write(two.b, "x", "2")
    assert two.end() == {"/z": "2"}


def test_of_two_moves_the_servers_wins() -> None:
    two = started(x="1")
    two.move(two.a, "x", "a")
    two.move(two.b, "x", "b")
    two.sync(two.a, two.b)
    assert two.end() == {"/a": "1"}


def test_a_swap_is_one_group_and_is_parked_on_the_other_disk() -> None:
    two = started(x="1", y="2")
    two.move(two.a, "x", "t")
    two.move(two.a, "y", "x")
    two.move(two.a, "t", "y")
    sent = two.plan_of(two.a).steps
    assert [(type(step), step.group) for step in sent if isinstance(step, MoveRemote)] == [
        (MoveRemote, 1)
    ] * 2
    two.sync(two.a)
    did = two.plan_of(two.b).steps
    assert isinstance(did[0], Relocate)
    assert did[0].target.parent == PARKED
    assert two.end() == {"/x": "2", "/y": "1"}


def test_parent_and_child_change_places() -> None:
    two = Two()
    two.mkdir(two.a, "d")
    two.mkdir(two.a, "d/d")
    two.write(two.a, "d/d/x", "1")
    two.sync(two.a, two.b)
    inner, outer = two.at(two.a, "d/d"), two.at(two.a, "d")
    assert inner is not None
    assert outer is not None
    two.a.disk.entries[inner].parent = 1
    two.a.disk.entries[outer].parent = inner
    assert two.end() == {"/d": None, "/d/d": None, "/d/x": "1"}


def test_a_circle_across_two_computers_ends_in_a_tree() -> None:
    two = Two()
    two.mkdir(two.a, "d")
    two.mkdir(two.a, "e")
    two.sync(two.a, two.b)
    two.move(two.a, "d", "e/d")
    two.move(two.b, "e", "d/e")
    two.sync(two.a, two.b)
    assert two.end() == {"/e": None, "/e/d": None}


def test_a_circle_across_two_computers_through_a_new_folder_ends_in_a_tree() -> None:
    two = started(c__f="1")
    two.mkdir(two.a, "b")
    two.sync(two.a, two.b)
    two.move(two.a, "c", "b/c")
    two.sync(two.a)
    two.move(two.b, "b", "inner")
    two.move(two.b, "c/f", "b")  # it gives its name to the new folder, and takes that of `b`
    two.mkdir(two.b, "c/f")
    two.move(two.b, "inner", "c/f/inner")
    two.sync(two.b)
    assert two.end() == {"/b": None, "/b/c": None, "/b/c/f": None, f"/b {CONFLICT[:-1]})": "1"}


def test_a_file_becomes_a_folder_that_holds_it_in_one_group() -> None:
    two = started(x="1")
    two.move(two.a, "x", "t")
    two.mkdir(two.a, "x")
    two.move(two.a, "t", "x/inside")
    steps = two.plan_of(two.a).steps
    assert [(type(step), step.group) for step in steps if isinstance(step, MakeRemote | MoveRemote)] == [
        (MakeRemote, 1),
        (MoveRemote, 1),
    ]
    assert two.end() == {"/x": None, "/x/inside": "1"}


def test_a_long_chain_of_names_takes_a_few_rounds_only() -> None:
    two = Two()
    for number in range(200):
        two.write(two.a, f"image {number:04}", str(number))
    two.sync(two.a, two.b)
    for number in reversed(range(200)):
        two.move(two.a, f"image {number:04}", f"image {number + 1:04}")
    two.sync(two.a, two.b)
    assert two.a.batches <= 8
    want = {f"/image {number + 1:04}": str(number) for number in range(200)}
    assert two.end() == want


def test_a_very_deep_tree_arrives_and_goes_in_whatever_order_its_nodes_are_looked_at() -> None:
    two = Two()
    path = "d"
    for _ in range(110):
        two.mkdir(two.a, path)
        path += "/d"
    two.write(two.a, path, "1")
    two.sync(two.a)
    two.b.pull()
    backwards = list(two.b.trees.dirty())[::-1]
    assert plan(two.b.trees, backwards, around()).steps
    assert two.end()[f"/{path}"] == "1"
    two.write(two.b, path + "new", "2")
    two.delete(two.a, "d")
    two.sync(two.b, two.a)
    assert two.end()[f"/{path}new"] == "2"
    two.delete(two.b, "d")
    assert two.end() == {}


def test_what_was_moved_into_a_folder_deleted_since_is_gone() -> None:
    two = started(x="1")
    two.mkdir(two.a, "d")
    two.move(two.a, "x", "d/x")
    two.sync(two.a)
    two.delete(two.a, "d")
    two.sync(two.a)
    assert two.end() == {}


def test_what_lies_in_a_folder_moved_out_before_a_later_page_is_kept() -> None:
    two = Two()
    two.mkdir(two.a, "d")
    two.mkdir(two.a, "d/sub")
    two.write(two.a, "d/sub/x", "1")
    two.sync(two.a, two.b)
    two.move(two.a, "d/sub", "sub")
    two.sync(two.a)
    two.delete(two.a, "d")
    two.sync(two.a)
    pages = two.world.server.changes(two.b.cursor)
    for state in sorted(pages, key=lambda state: not state.deleted):  # the tombstone comes first
        effects.take_remote(two.b.trees, [state], head=False)
    effects.take_remote(two.b.trees, [], head=True)
    x = [row for row in two.b.trees.rows() if row.remote is not None and row.remote.place.name == "x"]
    assert len(x) == 1
    assert two.end() == {"/sub": None, "/sub/x": "1"}


# ---- waiting and trouble ---------------------------------------------------------------------------------


def test_a_file_not_read_yet_waits() -> None:
    two = Two()
    two.write(two.a, "x", "1")
    two.a.scan()
    (row,) = two.a.trees.rows()
    assert row.local is not None
    two.a.trees.save(replace(row, local=replace(row.local, content=None)), dirty=True)
    planned = plan(two.a.trees, [row.node], around())
    assert planned.steps == []
    assert planned.waiting == [row.node]


def test_a_child_whose_folder_the_server_never_named_is_a_problem_and_no_crash() -> None:
    two = started(d__x="1")
    states = [state for state in two.world.server.changes(0) if state.name == "x"]
    fresh = World(2).everyone[0].trees
    effects.take_remote(fresh, states, head=False)
    planned = plan(fresh, list(fresh.dirty()), around())
    assert [type(step) for step in planned.steps] == [Problem]
    assert len(planned.waiting) == 1


def test_an_id_that_is_spent_is_not_tried_again() -> None:
    two = Two()
    two.write(two.a, "x", "1")
    two.a.scan()
    (step,) = plan(two.a.trees, list(two.a.trees.dirty()), around()).steps
    assert isinstance(step, MakeRemote)
    effects.fold_wire_step(two.a.trees, step, OpResult(status=Status.ID_TAKEN))
    two.sync(two.a, two.b)
    assert step.node not in two.world.server.nodes
    assert two.end() == {"/x": "1"}


def test_a_spent_id_that_was_put_back_meanwhile_is_another_version_of_it_and_both_are_kept() -> None:
    two = Two()
    two.write(two.a, "x", "mine")
    two.a.scan()
    (step,) = plan(two.a.trees, list(two.a.trees.dirty()), around()).steps
    assert isinstance(step, MakeRemote)
    theirs = replace(step, content=replace(step.content, digest=b"theirs".ljust(32)))
    two.world.server.commit("pc1", 1, [theirs], 0)
    effects.fold_wire_step(two.a.trees, step, OpResult(status=Status.ID_TAKEN))
    assert set(two.end().values()) == {"mine", "theirs"}


def test_an_edit_made_while_the_upload_was_under_way_is_a_new_version_and_no_conflict() -> None:
    two = started(x="1")
    two.write(two.a, "x", "2")
    (step,) = two.plan_of(two.a).steps
    assert isinstance(step, PutRemote)
    ((result,), _) = two.world.server.commit("pc0", 99, [step], two.a.cursor)
    two.write(two.a, "x", "3")
    two.a.scan()
    effects.fold_wire_step(two.a.trees, step, result)
    assert two.end() == {"/x": "3"}


def test_a_read_only_folder_sends_nothing() -> None:
    two = started(x="1", y="1")
    two.write(two.a, "x", "2")
    two.delete(two.a, "y")
    two.a.scan()
    two.write(two.a, "new", "3")
    two.a.scan()
    planned = plan(two.a.trees, list(two.a.trees.dirty()), around(), read_only=True)
    assert [type(step) for step in planned.steps] == [KeepBoth, Fetch]
    assert [step.name for step in planned.steps if isinstance(step, KeepBoth)] == ["x (my copy)"]
    assert len(planned.settled) == 1


def test_a_touch_alone_is_nothing_to_do() -> None:
    two = started(x="1")
    (row,) = two.a.trees.rows()
    assert row.local is not None
    assert row.local.content is not None
    touched = replace(row.local.content, mtime_ns=77)
    two.a.trees.save(replace(row, local=replace(row.local, content=touched)), dirty=True)
    planned = plan(two.a.trees, [row.node], around())
    assert planned.steps == []
    assert planned.settled == [row.node]


def test_new_files_with_their_folder_are_one_plan_in_both_directions() -> None:
    two = Two()
    two.mkdir(two.a, "d")
    for number in range(200):
        two.write(two.a, f"d/{number}", str(number))
    up = two.plan_of(two.a)
    assert [type(step) for step in up.steps] == [MakeRemote] * 201
    two.sync(two.a)
    down = two.plan_of(two.b)
    assert [type(step) for step in down.steps[1:]] == [Fetch] * 200
    assert list(two.a.trees.dirty()) == []


def test_a_replaced_file_keeps_its_node_and_so_its_versions() -> None:
    two = started(x="1")
    two.delete(two.a, "x")
    two.write(two.a, "x", "2")
    two.sync(two.a)
    steps = two.plan_of(two.b).steps
    assert [type(step) for step in steps] == [Replace]
    assert [len(versions) for versions in two.world.server.versions.values()] == [2]


def test_content_differs_by_kind_bytes_or_mode_but_never_by_time() -> None:
    content = Content(Kind.FILE, b"1", 1)
    assert content == replace(content, mtime_ns=5)
    assert content != replace(content, executable=True)


def test_the_root_is_never_planned() -> None:
    two = started(x="1")
    planned = plan(two.a.trees, [ROOT], around())
    assert planned.steps == []
    assert list(two.a.trees.children(Side.LOCAL, ROOT))


# ---- take a rule away, and the histories fail ------------------------------------------------------------

SEARCHED = 2_000


def found(what: str, **how: object) -> bool:
    """Does some history fail in this way?"""
    for seed in range(SEARCHED):
        try:
            history(seed, **how)
        except Violation as violation:
            if what in str(violation):
                return True
    return False


def test_without_a_look_just_before_each_local_write_content_is_lost() -> None:
    assert found("lost", rules=Rules(look_before_writing=False))


def test_without_compare_and_swap_an_unseen_version_is_overwritten() -> None:
    assert found("never saw", rules=Rules(compare_and_swap=False))


def test_without_folding_effects_the_histories_never_end() -> None:
    assert found("no fixed point", rules=Rules(fold_effects=False))


def test_without_the_rule_that_a_change_here_beats_a_delete_there_content_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan_down, "edited_here", _never)
    monkeypatch.setattr(plan_down, "moved_here", _never)
    assert found("lost")


def test_without_the_rule_that_a_change_there_beats_a_delete_here_unseen_versions_are_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planner, "untouched_there", _always)
    assert found("never seen")


def test_without_parking_a_circle_of_names_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning.Planning, "park", lambda *_: planning.FREE)
    assert found("waits for ever")


def test_without_binding_a_replaced_file_to_its_node_each_save_loses_its_history() -> None:
    def nodes_after_a_save(*, bind_replaced: bool) -> int:
        two = started(x="1")
        two.world.shared.rules = Rules(bind_replaced=bind_replaced)
        two.delete(two.a, "x")
        two.write(two.a, "x", "2")
        two.end()
        return len(two.world.server.nodes)

    assert nodes_after_a_save(bind_replaced=True) == 1
    assert nodes_after_a_save(bind_replaced=False) == 2


def _never(*_: object) -> bool:
    return False


def _always(*_: object) -> bool:
    return True
