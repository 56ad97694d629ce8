"""Random histories of several computers end equal, with nothing lost.

MB_SEED chooses which histories (CI takes it from the commit), MB_BUDGET_SECONDS how long to go on.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocol.ids import NodeId
from protocol.messages import Kind
from sync_client.engine.database import StateDatabase
from sync_client.engine.memory_trees import MemoryTrees
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.trees import Row, Side, root_row
from tests.support.histories import World, history
from tests.support.model_client import Crash
from tests.support.model_server import ROOT

SEED = int(os.environ.get("MB_SEED", "1"), 0) % 10**9 * 1_000_000
BUDGET_SECONDS = float(os.environ.get("MB_BUDGET_SECONDS", "20"))

KINDS: dict[str, dict[str, object]] = {
    "two computers": {},
    "three computers": {"clients": 3},
    "two computers that crash": {"crashes": 0.04},
    "three computers that crash": {"clients": 3, "crashes": 0.02},
    "disks that cannot tell case": {"case_blind": 1.0, "crashes": 0.01},
}


@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", KINDS)
def test_everyone_ends_equal_and_nothing_is_lost(kind: str) -> None:
    end = time.monotonic() + BUDGET_SECONDS / (len(KINDS) + 1)
    for seed in itertools.count(SEED):
        history(seed, **KINDS[kind])
        if time.monotonic() > end:
            break


@pytest.mark.timeout(0)
def test_where_one_computer_writes_no_conflict_copy_is_ever_made() -> None:
    end = time.monotonic() + BUDGET_SECONDS / (len(KINDS) + 1)
    for seed in itertools.count(SEED):
        world = history(seed, writers=1, case_blind=1.0)
        copies = [path for path in world.server.listing() if "(conflict" in path]
        assert not copies, f"seed {seed}"
        if time.monotonic() > end:
            break


class InOrder:
    """Which of several children or twins comes first is no promise of a store, and decides which plan is made: so
    that two stores can be compared, the one with the lower id does."""

    def named(self, side: Side, parent: NodeId, name_key: str) -> Iterable[NodeId]:
        return sorted(super().named(side, parent, name_key))

    def children(self, side: Side, parent: NodeId) -> Iterator[NodeId]:
        return iter(sorted(super().children(side, parent)))


class Stored(InOrder, StoredTrees):
    def rows(self) -> Iterator[Row]:
        return iter([row for row in self.all_rows() if row.node != ROOT])


class InMemory(InOrder, MemoryTrees):
    def rows(self) -> Iterator[Row]:
        return iter(sorted(super().rows(), key=lambda row: row.node))


@pytest.mark.timeout(0)
def test_the_same_holds_with_the_rows_in_sqlite(tmp_path: Path) -> None:
    end = time.monotonic() + BUDGET_SECONDS / (len(KINDS) + 1)
    for seed in itertools.count(SEED):
        with closing(StateDatabase(tmp_path / f"{seed}.db")) as state:
            folders = itertools.count(1)

            def new_trees(state: StateDatabase = state, folders: Iterator[int] = folders) -> Stored:
                trees = Stored(state, next(folders), ROOT)
                trees.save(root_row(ROOT), dirty=False)
                return trees

            stored = history(seed, crashes=0.02, new_trees=new_trees)
            in_memory = history(seed, crashes=0.02, new_trees=lambda: InMemory(ROOT))
            assert stored.server.listing() == in_memory.server.listing(), f"seed {seed}"
        if time.monotonic() > end:
            break


class NothingIsLost(RuleBasedStateMachine):
    """The same world, driven step by step, so that a failure shrinks to a short story."""

    @initialize(seed=st.integers(0, 2**32), clients=st.integers(2, 3))
    def begin(self, seed: int, clients: int) -> None:
        self.world = World(seed, clients=clients)

    @rule(who=st.integers(0, 2), times=st.integers(1, 3))
    def somebody_works(self, who: int, times: int) -> None:
        for _ in range(times):
            self.world.touch(self.world.everyone[who % self.world.clients])

    @rule(who=st.integers(0, 2), read_all=st.booleans())
    def a_scan(self, who: int, read_all: bool) -> None:
        self.world.everyone[who % self.world.clients].scan(read_all=read_all)

    @rule(who=st.integers(0, 2))
    def a_pull(self, who: int) -> None:
        self.world.everyone[who % self.world.clients].pull()

    @rule(who=st.integers(0, 2), slice_size=st.sampled_from([1, 3, 1_000]), crashes=st.booleans())
    def a_sweep(self, who: int, slice_size: int, crashes: bool) -> None:
        client = self.world.everyone[who % self.world.clients]
        client.crashes = 0.2 if crashes else 0.0
        try:
            client.sweep(slice_size)
        except Crash:
            client.scan()
        finally:
            client.crashes = 0.0

    @invariant()
    def the_server_keeps_a_tree(self) -> None:
        if hasattr(self, "world"):
            nodes = self.world.server.nodes
            for found in nodes.values():
                parent = nodes.get(found.parent)
                assert parent is None or parent.content.kind is Kind.FOLDER

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.quiesce()


TestNothingIsLost = NothingIsLost.TestCase
TestNothingIsLost.settings = settings(
    max_examples=max(20, int(BUDGET_SECONDS * 3)),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
