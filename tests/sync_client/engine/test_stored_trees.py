"""Rows in SQLite answer every question as rows in dictionaries do, through roll-backs, power cuts and tiny caches."""

from __future__ import annotations

import copy
import stat
import tempfile
import time
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import msgpack
from msgspec.structs import replace

from protocol.ids import Cursor, NodeId, ViewId
from protocol.messages import Kind, Revision
from protocol.names import name_key
from sync_client.engine import row_store, stored_trees
from sync_client.engine.database import StateDatabase
from sync_client.engine.memory_trees import MemoryTrees
from sync_client.engine.row_bytes import pack, unpack
from sync_client.engine.row_columns import WORTH_COPYING
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.trees import (
    PARKED,
    Agreed,
    Content,
    Fingerprint,
    Local,
    Place,
    Remote,
    Row,
    Side,
    root_row,
)

ROOT = NodeId(UUID(int=7 << 76))
NODES = [NodeId(UUID(int=7 << 76 | number)) for number in range(1, 9)]
NAMES = ["a", "A", "b", "\u00e9", "e\u0301", "stra\u00dfe", "STRASSE"]
DIGESTS = [bytes([number]) * 32 for number in range(3)]
INODES = [5, 6, 2**64 - 1]

node_ids = st.sampled_from(NODES)
int64s = st.integers(-(2**63), 2**63 - 1)
places = st.builds(Place, st.sampled_from([ROOT, ROOT, PARKED, *NODES]), st.sampled_from(NAMES))
revisions = st.builds(Revision, st.integers(0, 3), st.integers(0, 2**62))
contents = st.just(Content(Kind.FOLDER)) | st.builds(
    Content,
    st.sampled_from([Kind.FILE, Kind.LINK]),
    st.sampled_from(DIGESTS),
    st.sampled_from([0, 1, WORTH_COPYING - 1, WORTH_COPYING, 2**40]),
    st.booleans(),
    int64s,
)
fingerprints = st.builds(
    Fingerprint,
    st.sampled_from([1, 2, 2**64 - 1]),
    st.sampled_from(INODES),
    int64s,
    st.sampled_from([0, 10, 2**40]),
    int64s,
    int64s,
    st.sampled_from([stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777]),
)
maybe_node = st.none() | node_ids
remotes = st.builds(Remote, places, contents, revisions, revisions, maybe_node)
locals_ = st.builds(Local, places, st.none() | contents, fingerprints, maybe_node)
agreed_states = st.builds(Agreed, places, contents, revisions, revisions)
rows = st.builds(Row, node_ids, st.none() | remotes, st.none() | locals_, st.none() | agreed_states)

saves = st.tuples(st.just("save"), rows, st.booleans())
quiet_saves = st.tuples(st.just("save quietly"), rows, st.none())
settles = st.tuples(st.just("settle"), st.lists(node_ids, max_size=3), st.none())
questions = st.tuples(
    st.sampled_from(["row", "names", "children", "dirty", "is dirty", "inode", "digest"]), node_ids, st.none()
)
doings = st.lists(saves | saves | saves | quiet_saves | settles | questions, max_size=8)


transactions = st.tuples(doings, st.booleans(), st.booleans(), st.lists(questions, max_size=2))


class Broken(Exception):
    """What a test raises inside a transaction."""


class BothAgree(RuleBasedStateMachine):
    """`lasting` is what a power cut must leave at least; it loses what came later as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryTrees(ROOT)
        self.state: StateDatabase | None = None
        self.open()
        self.stored.save(root_row(ROOT), dirty=False)
        self.lasting = copy.deepcopy(self.memory)

    @initialize(
        rows=st.sampled_from([3, 8, 40_000]),
        folders=st.sampled_from([3, 256]),
        names=st.sampled_from([0, 3, 5_000]),
        waiting=st.sampled_from([(0, 5), (0, 5_000), (200, 5_000)]),
    )
    def limits_of_what_is_kept_in_memory(
        self, rows: int, folders: int, names: int, waiting: tuple[int, int]
    ) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(row_store, "CACHED_ROWS", rows)
        self.patch.setattr(stored_trees, "CACHED_FOLDERS", folders)
        self.patch.setattr(stored_trees, "LISTED_CHILDREN", names)
        self.patch.setattr(row_store, "FEW_ROWS", waiting[0])
        self.patch.setattr(row_store, "MANY_ROWS", waiting[1])

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()
        if self.state is not None:
            self.state.close()
        self.folder.cleanup()

    def open(self) -> None:
        self.state = StateDatabase(Path(self.folder.name) / "state.db")
        self.state.connection.execute("PRAGMA synchronous=OFF")  # this test cuts no power, and has no time
        if not self.state.folders():
            with self.state.transaction():
                self.state.add_folder(
                    follow=uuid4(),
                    view=ViewId(uuid4()),
                    root=ROOT,
                    whole_view=True,
                    remote="/Home",
                    local=Path("/data"),
                    cursor=Cursor(""),
                )
        self.stored = StoredTrees(self.state, 1, ROOT)

    # ---- what happens ------------------------------------------------------------------------------------

    @rule(row=rows, dirty=st.booleans())
    def save_alone(self, row: Row, dirty: bool) -> None:
        self.memory.save(copy.copy(row), dirty=dirty)
        self.stored.save(row, dirty=dirty)
        self.lasting = copy.deepcopy(self.memory)

    @rule(run=st.lists(transactions, min_size=1, max_size=3))
    def transactions_one_after_another(self, run: list[tuple[list, bool, bool, list]]) -> None:  # type: ignore[type-arg]  # as above
        """What is kept in memory meanwhile is seen by every question, and outlives a later one that is undone."""
        for doings, lasting, breaks, asked in run:
            before = copy.deepcopy(self.memory)
            try:
                with self.stored.transaction(lasting=lasting):
                    for what, subject, dirty in doings:
                        self.do(what, subject, dirty)
                    if breaks:
                        raise Broken
            except Broken:
                self.memory = before
            else:
                if lasting:
                    self.lasting = copy.deepcopy(self.memory)
            for question, node, _ in asked:
                self.ask(question, node)

    @rule(outer=doings, inner=doings, lasting=st.booleans())
    def one_inside_another(self, outer: list, inner: list, lasting: bool) -> None:  # type: ignore[type-arg]  # as above
        with self.stored.transaction(lasting=False):
            for doing in outer:
                self.do(*doing)
            with self.stored.transaction(lasting=lasting):
                for doing in inner:
                    self.do(*doing)
        if lasting:
            self.lasting = copy.deepcopy(self.memory)

    @rule()
    def the_program_ends_and_starts_again(self) -> None:
        assert self.state is not None
        self.state.close()
        self.lasting = copy.deepcopy(self.memory)
        self.open()

    @rule()
    def the_power_is_cut(self) -> None:
        assert self.state is not None
        self.state.connection.close()  # what was not committed is rolled back
        self.state.path.with_name(
            self.state.path.name + "-open"
        ).unlink()  # a close takes the log, a cut does not
        self.memory = copy.deepcopy(self.lasting)
        self.open()

    def do(self, what: str, subject: object, dirty: object) -> None:
        memory, stored = self.memory, self.stored
        if isinstance(subject, Row):
            if what == "save quietly":
                stored.save_quietly(subject)
                memory.save(copy.copy(subject), dirty=subject.node in list(memory.dirty()))
            else:
                stored.save(subject, dirty=bool(dirty))
                memory.save(copy.copy(subject), dirty=bool(dirty))
        elif isinstance(subject, list):
            stored.settle(subject)
            for node in subject:
                row = memory.row(node)
                if row is not None:
                    memory.save(copy.copy(row), dirty=False)
        else:
            self.ask(what, subject)  # type: ignore[arg-type]  # a node, as drawn above

    def ask(self, what: str, node: NodeId) -> None:
        memory, stored = self.memory, self.stored
        match what:
            case "row":
                assert stored.row(node) == memory.row(node)
            case "is dirty":
                assert stored.is_dirty(node) == (node in list(memory.dirty()))
            case "dirty":
                assert list(stored.dirty()) == list(memory.dirty())
            case "children":
                for side in (Side.REMOTE, Side.LOCAL):
                    same(stored.children(side, node), memory.children(side, node))
            case "names":
                for side in (Side.REMOTE, Side.LOCAL):
                    for key in {name_key(name) for name in NAMES}:
                        same(stored.named(side, node, key), memory.named(side, node, key))
            case "inode":
                for inode in INODES:
                    expected = [
                        (row.node, row.local)
                        for row in memory.rows()
                        if row.local
                        and (row.local.fingerprint.device, row.local.fingerprint.inode) == (1, inode)
                    ]
                    same(stored.by_inode(1, inode), expected)
            case "digest":
                for digest in DIGESTS:
                    holders = [row.node for row in memory.rows() if _may_be_copied(row, digest)]
                    found = stored.holding(digest)
                    assert set(found) <= set(holders)
                    assert len(found) == min(len(holders), 4)

    # ---- what must be true -------------------------------------------------------------------------------

    @invariant()
    def every_answer_is_the_same(self) -> None:
        for node in (*NODES, ROOT, PARKED):
            for question in ("children", "names"):
                self.ask(question, node)
        for node in NODES:
            self.ask("row", node)
            self.ask("is dirty", node)
        for question in ("dirty", "inode", "digest"):
            self.ask(question, ROOT)
        sizes = [
            row.local.fingerprint.size
            for row in self.memory.rows()
            if row.local and not stat.S_ISDIR(row.local.fingerprint.mode)
        ]
        assert self.state is not None
        assert self.state.totals(1) == (len(sizes), sum(sizes))
        assert self.stored.count_dirty() == len(list(self.memory.dirty()))
        same([row for row in self.stored.all_rows() if row.node != ROOT], self.memory.rows())
        same(
            self.stored.conflict_copies(),
            [row.node for row in self.memory.rows() if row.remote and row.remote.conflict_of],
        )

    @invariant()
    def paths_lead_down_and_up(self) -> None:
        for side in (Side.REMOTE, Side.LOCAL):
            paths = {node: _path(self.memory, side, node) for node in NODES}
            places = [row.remote if side is Side.REMOTE else row.local for row in self.memory.rows()]
            twins = len({seen.place for seen in places if seen}) < sum(seen is not None for seen in places)
            for node, path in paths.items():
                assert self.stored.path(side, node) == path
                if path is not None and not twins:
                    assert self.stored.at_path(side, path) == node


def same(some: object, others: object) -> None:
    """Whatever their order."""
    key = repr
    assert sorted(some, key=key) == sorted(others, key=key)  # type: ignore[call-overload]  # iterables


def _may_be_copied(row: Row, digest: bytes) -> bool:
    content = row.local.content if row.local else None
    return (
        content is not None
        and content.kind is Kind.FILE
        and content.digest == digest
        and content.size >= WORTH_COPYING
    )


def _path(trees: MemoryTrees, side: Side, node: NodeId) -> tuple[str, ...] | None:
    names: list[str] = []
    while node != ROOT:
        row = trees.row(node)
        seen = None if row is None else row.remote if side is Side.REMOTE else row.local
        if seen is None or len(names) > 100:
            return None
        names.insert(0, seen.place.name)
        node = seen.place.parent
    return tuple(names)


TestBothAgree = BothAgree.TestCase
TestBothAgree.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(row=rows)
@settings(max_examples=200, deadline=None)
def test_a_row_comes_back_from_its_bytes_as_it_was(row: Row) -> None:
    back = unpack(row.node, pack(row))
    assert back == row
    for mine, its in ((back.remote, row.remote), (back.agreed, row.agreed), (back.local, row.local)):
        if mine is not None and its is not None and mine.content and its.content:
            assert mine.content.mtime_ns == its.content.mtime_ns  # not part of ==


def test_rows_of_the_first_layout_are_still_read() -> None:
    node, parent = NodeId(UUID(int=7)), NodeId(UUID(int=8))
    place, content = Place(parent, "a.dcm"), Content(Kind.FILE, b"d" * 32, 5, True, -9)
    held = ("file", b"d" * 32, 5, True, -9)
    stat_fields = (1, 2, 3, 5, -9, 6, 33188)
    first = (
        1,
        (parent.bytes, "a.dcm", 1, 2, 3, 4, node.bytes, *held),
        (parent.bytes, "a.dcm", *stat_fields, None),
        (parent.bytes, "a.dcm", 1, 2, 3, 4, *held),
    )
    assert unpack(node, msgpack.encode(first)) == Row(
        node,
        Remote(place, content, Revision(1, 2), Revision(3, 4), node),
        Local(place, None, Fingerprint(*stat_fields)),
        Agreed(place, content, Revision(1, 2), Revision(3, 4)),
    )
    assert unpack(node, msgpack.encode((1, None, (*first[2][:-1], node.bytes, *held), None))).local == Local(
        place, content, Fingerprint(*stat_fields), node
    )


def a_new_file(number: int) -> Row:
    seen = Fingerprint(1, number, 0, 1, 0, 0, stat.S_IFREG)
    place = Place(ROOT, f"{number:06}.dcm")
    return Row(NodeId(UUID(int=1 << 100 | number)), None, Local(place, None, seen))


def test_more_new_files_than_are_kept_in_memory_cost_no_more_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_store, "CACHED_ROWS", 2_000)
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        trees = StoredTrees(state, 1, ROOT)
        seconds = []
        with trees.transaction():
            for start in range(0, 12_000, 2_000):
                began = time.process_time()
                for number in range(start, start + 2_000):
                    trees.save(a_new_file(number), dirty=True)
                seconds.append(time.process_time() - began)
        assert len(trees._rows) <= 2_000
        assert sorted(seconds[2:])[-2] < 8 * min(seconds) + 0.05  # one may be the machine's
        assert trees.count_dirty() == 12_000


def test_many_rows_outlive_a_kill_before_they_stand_in_their_table(tmp_path: Path) -> None:
    nodes = [NodeId(UUID(int=7 << 76 | number)) for number in range(1, 301)]
    state = StateDatabase(tmp_path / "state.db")
    trees = StoredTrees(state, 1, ROOT)
    for content in (None, Content(Kind.FILE, DIGESTS[1], 5)):  # each is laid down twice
        with trees.transaction():
            for number, node in enumerate(nodes):
                place = Place(ROOT, f"{number}.dcm")
                local = Local(place, content, Fingerprint(1, number, 1, 5, 1, 1, stat.S_IFREG))
                trees.save(Row(node, None, local, None), dirty=True)
    in_table = state.connection.execute("SELECT count(*) FROM nodes").fetchone()
    assert in_table == (0,), "this test is to be about what is not there yet"
    before = [trees.row(node) for node in nodes]
    state.connection.close()
    (tmp_path / "state.db-open").unlink()
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        trees = StoredTrees(state, 1, ROOT)
        assert [trees.row(node) for node in nodes] == before
        assert list(trees.dirty()) == nodes
        state.write_rows()
        assert state.connection.execute("SELECT count(*) FROM nodes").fetchone() == (300,)
        assert state.connection.execute("SELECT count(*) FROM waiting").fetchone() == (0,)


def test_marking_again_what_is_dirty_keeps_its_turn(tmp_path: Path) -> None:
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        trees = StoredTrees(state, 1, ROOT)
        one, two = a_new_file(1), a_new_file(2)
        trees.save(one, dirty=True)
        trees.save(two, dirty=True)
        trees.save(replace(one), dirty=True)
        assert list(trees.dirty()) == [one.node, two.node]
        with trees.transaction():  # done and at once dirty again: behind the others
            trees.save(replace(one), dirty=False)
            trees.save(replace(one), dirty=True)
        assert list(trees.dirty()) == [two.node, one.node]


def test_no_question_of_a_round_or_of_status_walks_the_whole_folder(tmp_path: Path) -> None:
    asked: list[str] = []
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        trees = StoredTrees(state, 1, ROOT)
        trees.save(root_row(ROOT), dirty=False)
        trees.save(a_new_file(1), dirty=True)
        trees.count_dirty()  # written
        trees._db.set_trace_callback(asked.append)
        trees.conflict_copies()
        trees.count_dirty()
        for side in Side:
            trees.has_dirty(missing=side)
            trees.dirty_rows(missing=side)
        trees.last_dirty()
        trees.is_empty()
        trees.by_inode(1, 1)
        trees.holding(DIGESTS[0])
        trees.local_children(ROOT)
        list(trees.dirty())
        trees._db.set_trace_callback(None)
        questions = [sql for sql in asked if sql.startswith("SELECT") and "LIMIT 2" not in sql]
        assert len(questions) >= 11
        for sql in questions:
            for *_, step in trees._db.execute(f"EXPLAIN QUERY PLAN {sql}"):
                assert not step.startswith("SCAN"), sql
                assert not step.endswith("PRIMARY KEY (folder=?)"), sql
