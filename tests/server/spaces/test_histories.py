"""Random histories: batches of two devices against a plain model, and followers of the feed with pages of any size."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protocol.ids import Cursor
from protocol.messages import (
    AnyOp,
    Changes,
    Commit,
    Committed,
    Content,
    Delete,
    DeleteTree,
    Kind,
    Make,
    Move,
    NodeState,
    Put,
    Restore,
    Revision,
    Status,
)
from protocol.names import name_key
from server.upkeep.check import check
from server.upkeep.row_rules import Finding
from tests.support.spaces import FOLDER, START, Client, a_file, a_space

CONTENTS = [a_file(), a_file(executable=True), a_file(b"one"), a_file(b"two")]


@dataclass
class ModelNode:
    parent: UUID
    name: str
    content: Content
    place: int = 1
    edits: int = 1
    deleted: bool = False
    changed_in: int = 0


@dataclass
class Model:
    """A space as one would write it down on a sheet of paper."""

    root: UUID
    nodes: dict[UUID, ModelNode] = field(default_factory=dict)
    batch: int = 0

    def live(self, node: UUID) -> bool:
        for _ in range(len(self.nodes) + 1):
            if node == self.root:
                return True
            if node not in self.nodes or self.nodes[node].deleted:
                return False
            node = self.nodes[node].parent
        return False

    def below(self, node: UUID, folder: UUID) -> bool:
        while node != self.root and node in self.nodes:
            node = self.nodes[node].parent
            if node == folder:
                return True
        return False

    def tree(self) -> dict[UUID, tuple[UUID, str, Content]]:
        return {
            node: (row.parent, row.name, row.content) for node, row in self.nodes.items() if self.live(node)
        }

    def takes_children(self, node: UUID) -> bool:
        return node == self.root or (self.live(node) and self.nodes[node].content.kind is Kind.FOLDER)

    def twins(self) -> bool:
        places = [(row.parent, name_key(row.name)) for row in self.nodes.values() if not row.deleted]
        return len(places) != len(set(places))

    def apply(self, op: AnyOp, seen_batch: int) -> Status:
        """One operation alone."""
        before = deepcopy(self.nodes)
        status = self._apply(op, seen_batch)
        if status is Status.DONE and self.twins():
            status = Status.NAME_TAKEN
        if status is not Status.DONE:
            self.nodes = before
        return status

    def _apply(self, op: AnyOp, seen_batch: int) -> Status:
        row = self.nodes.get(op.node)
        if isinstance(op, Make):
            if row is not None:
                return Status.ID_TAKEN
            if not self.takes_children(op.parent):
                return Status.PARENT_GONE
            self.nodes[op.node] = ModelNode(op.parent, op.name, op.content, changed_in=self.batch)
            return Status.DONE
        if row is None or (not isinstance(op, Restore) and not self.live(op.node)):
            return Status.STALE
        match op:
            case Put():
                if row.content.kind is Kind.FOLDER:
                    return Status.CONTENT_REFUSED
                if row.content == op.content:
                    return Status.DONE
                if op.content_revision.number != row.edits:
                    return Status.STALE
                row.content, row.edits = op.content, row.edits + 1
            case Move():
                if (row.parent, row.name) == (op.parent, op.name):
                    return Status.DONE
                if op.place_revision.number != row.place:
                    return Status.STALE
                if not self.takes_children(op.parent):
                    return Status.PARENT_GONE
                if op.parent == op.node or self.below(op.parent, op.node):
                    return Status.CYCLE
                row.parent, row.name, row.place = op.parent, op.name, row.place + 1
            case Delete():
                if (op.place_revision.number, op.content_revision.number) != (row.place, row.edits):
                    return Status.STALE
                if any(other.parent == op.node and not other.deleted for other in self.nodes.values()):
                    return Status.NOT_EMPTY
                row.deleted, row.place = True, row.place + 1
            case DeleteTree():
                if op.place_revision.number != row.place:
                    return Status.STALE
                if any(
                    other.changed_in > seen_batch and self.live(node) and self.below(node, op.node)
                    for node, other in self.nodes.items()
                ):
                    return Status.NEWER_INSIDE
                row.deleted, row.place = True, row.place + 1
            case Restore():
                if not row.deleted or op.place_revision.number != row.place:
                    return Status.STALE
                parent = op.parent or row.parent
                if not self.takes_children(parent):
                    return Status.PARENT_GONE
                row.parent, row.name = parent, op.name or row.name
                row.deleted, row.place = False, row.place + 1
        row.changed_in = self.batch
        return Status.DONE


@dataclass
class Follower:
    """What a client knows: states as they came, made a tree only at the head."""

    root: UUID
    states: dict[UUID, NodeState] = field(default_factory=dict)
    cursor: Cursor = START

    def take(self, page: Changes) -> None:
        self.states.update((state.node, state) for state in page.nodes)
        self.cursor = Cursor(page.cursor)
        if not page.more:
            self.states = {node: state for node, state in self.states.items() if self._stands(node)}

    def _stands(self, node: UUID) -> bool:
        while node != self.root:
            state = self.states.get(node)
            if state is None or state.deleted:
                return False
            node = state.parent
        return True

    def tree(self) -> dict[UUID, tuple[UUID, str, Content | None]]:
        return {node: (state.parent, state.name, state.content) for node, state in self.states.items()}


NAMES = st.sampled_from(["a", "A", "b", "ä", "a\u0308"])
PLANS = st.tuples(
    st.sampled_from(
        ["make", "folder", "folder", "put", "move", "move", "move", "delete", "tree", "tree", "restore"]
    ),
    st.integers(0, 9),
    st.integers(0, 9),
    NAMES,
    st.sampled_from([0, 0, 0, 0, 0, 1]),  # how stale the revision is
)


class EveryoneSeesTheSameTree(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.open = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.clients: list[Client] = self.loop.run_until_complete(self._start())
        root = self.clients[0].root
        self.model = Model(root)
        self.followers = [Follower(root) for _ in range(3)]
        self.heads: list[tuple[Cursor, int]] = [(START, 0), (START, 0)]  # and the batches they have seen
        self.sent: list[tuple[Client, Commit, Committed]] = []

    async def _start(self) -> list[Client]:
        space = await self.open.enter_async_context(a_space(Path(self.folder.name)))
        clients = [await space.client("ada", "here"), await space.client("ada", "there")]
        for client in clients:
            await client.upload(b"one", b"two")
        return clients

    def teardown(self) -> None:
        try:
            for follower in self.followers:
                while self._follow(follower, 3):
                    pass
                assert follower.tree() == self.model.tree()
            fresh = Follower(self.model.root)
            while self._follow(fresh, 1):
                pass
            assert fresh.tree() == self.model.tree()
            assert self.loop.run_until_complete(self._check()) == []
        finally:
            self.loop.run_until_complete(self.open.aclose())
            self.loop.close()
            self.folder.cleanup()

    async def _check(self) -> list[Finding]:
        store = self.clients[0].space.store
        return check(store.database, store.packs, store.keys, deep=False)

    @rule(who=st.integers(0, 1), fresh=st.booleans(), plans=st.lists(PLANS, min_size=1, max_size=8))
    def commit(self, who: int, fresh: bool, plans: list[tuple[str, int, int, str, int]]) -> None:
        if fresh:
            self.heads[who] = (self.loop.run_until_complete(self.clients[who].head()), self.model.batch)
        cursor, seen_batch = self.heads[who]
        self.model.batch += 1
        ops: list[AnyOp] = []
        expected: list[Status] = []
        for plan in plans:
            op = self._op(plan, cursor)
            if op is not None:
                ops.append(op)
                expected.append(self.model.apply(op, seen_batch))
        if not ops:
            return
        client = self.clients[who]
        client.batches += 1
        batch = Commit(operation=uuid4(), number=client.batches, ops=ops)
        answer = self.loop.run_until_complete(client.send(batch))
        assert isinstance(answer, Committed)
        assert [result.status for result in answer.results] == expected, (ops, answer)
        self.sent.append((client, batch, answer))

    @rule(which=st.integers(0, 100))
    def send_again(self, which: int) -> None:
        if self.sent:
            client, batch, answer = self.sent[which % len(self.sent)]
            assert self.loop.run_until_complete(client.send(batch)) == answer

    @rule(which=st.integers(0, 2), limit=st.integers(1, 6))
    def follow_a_page(self, which: int, limit: int) -> None:
        if not self._follow(self.followers[which], limit):
            assert self.followers[which].tree() == self.model.tree()

    @rule(which=st.integers(0, 2), limit=st.integers(1, 6))
    def follow_to_the_head(self, which: int, limit: int) -> None:
        while self._follow(self.followers[which], limit):
            pass
        assert self.followers[which].tree() == self.model.tree()

    @invariant()
    def names_are_unique(self) -> None:
        assert not self.model.twins()

    def _follow(self, follower: Follower, limit: int) -> bool:
        page = self.loop.run_until_complete(self.clients[0].page(follower.cursor, limit))
        assert isinstance(page, Changes)
        follower.take(page)
        return page.more

    def _op(self, plan: tuple[str, int, int, str, int], cursor: Cursor) -> AnyOp | None:
        what, first, second, name, stale = plan
        folders = [
            self.model.root,
            *(n for n, row in self.model.nodes.items() if row.content.kind is Kind.FOLDER),
        ]
        parent = folders[second % len(folders)]
        if what in ("make", "folder"):
            content = FOLDER if what == "folder" else CONTENTS[first % len(CONTENTS)]
            return Make(node=uuid4(), parent=parent, name=name, content=content)
        wanted = [
            node
            for node, row in self.model.nodes.items()
            if row.deleted == (what == "restore") and (what != "tree" or row.content.kind is Kind.FOLDER)
        ]
        if not wanted:
            return None
        node = wanted[first % len(wanted)]
        row = self.model.nodes[node]
        place = Revision(epoch=1, number=max(1, row.place - stale))
        edits = Revision(epoch=1, number=max(1, row.edits - stale))
        more: dict[str, Any] = {"node": node}
        match what:
            case "put":
                return Put(content_revision=edits, content=CONTENTS[second % len(CONTENTS)], **more)
            case "move":
                return Move(place_revision=place, parent=parent, name=name, **more)
            case "delete":
                return Delete(place_revision=place, content_revision=edits, **more)
            case "tree":
                return DeleteTree(place_revision=place, cursor=cursor, **more)
            case _:
                return Restore(place_revision=place, parent=parent if stale else None, name=name, **more)


EveryoneSeesTheSameTree.TestCase.settings = settings(
    max_examples=int(os.environ.get("MB_EXAMPLES", "10")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestEveryoneSeesTheSameTree = EveryoneSeesTheSameTree.TestCase
