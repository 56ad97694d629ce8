"""The part of a view's tree that lies below the followed folder and is wanted on this computer.

Owns: which remote nodes are inside, for a folder that is followed below the root of its view, or of which something is
excluded, or of which only what is here already is wanted for now.
May import: msgspec, protocol, engine.database, engine.stored_trees, engine.trees.

The feed tells of the whole view.  What lies outside is kept as it came (`outside`), since a folder may be moved in
later, with all below it, by one record.  Inside and outside are judged at the head of the feed only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from uuid import UUID

import msgspec
from msgspec import msgpack

from protocol.ids import NodeId
from protocol.messages import Content as WireContent
from protocol.messages import Kind, NodeState
from protocol.names import name_key
from sync_client.engine.database import Followed, StateDatabase
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.trees import Content, Place, Remote, Side

_DEEPEST = 256
_NOT_TOLD = UUID(int=0)

_WITH_ALL_BELOW = (
    "WITH RECURSIVE below(node) AS (SELECT ? UNION SELECT seen_states.node FROM below JOIN seen_states"
    " ON seen_states.folder = ? AND seen_states.parent = below.node)"
    " SELECT state FROM seen_states JOIN below ON seen_states.node = below.node WHERE seen_states.folder = ?"
)


class Window:
    """For the whole of a view nothing is stored and everything is inside."""

    def __init__(self, folder: Followed, state: StateDatabase, trees: StoredTrees) -> None:
        self._folder = folder.id
        self._root = folder.root
        self._db = state.connection
        self._trees = trees
        self._of_whole_view = folder.whole_view
        self.reload()
        self._encode = msgpack.Encoder(uuid_format="bytes").encode
        self._decode = msgpack.Decoder(NodeState).decode

    def reload(self) -> None:
        """What is excluded is another by now."""
        rows = self._db.execute(
            "SELECT node, asked FROM excluded WHERE folder = ?", (self._folder,)
        ).fetchall()
        self._excluded = {NodeId(UUID(bytes=node)) for node, asked in rows if not asked}
        self._held = {NodeId(UUID(bytes=node)) for node, asked in rows if asked}
        self._whole = self._of_whole_view and not (rows or self._has_states())

    def _has_states(self) -> bool:
        query = "SELECT 1 FROM seen_states WHERE folder = ? LIMIT 1"
        return self._db.execute(query, (self._folder,)).fetchone() is not None

    @property
    def has_exclusions(self) -> bool:
        return bool(self._excluded or self._held)

    def is_held(self, node: UUID) -> bool:
        return node in self._held

    # ---- what is not wanted here -------------------------------------------------------------------------

    def exclude(self, node: NodeId, content_of: Callable[[Content], WireContent]) -> None:
        """From now on it and all below it is outside; judged with the next page."""
        self._keep_all(content_of)
        self._db.execute("INSERT OR REPLACE INTO excluded VALUES (?, ?, 0)", (self._folder, node.bytes))
        self._judge_again(node)

    def hold(self, node: NodeId, content_of: Callable[[Content], WireContent]) -> None:
        """From now on what lies below it and is not on this disk is outside; judged with the next page."""
        self._keep_all(content_of)
        self._db.execute("INSERT OR IGNORE INTO excluded VALUES (?, ?, 1)", (self._folder, node.bytes))
        self._judge_again(node)

    def include(self, node: NodeId) -> None:
        """It is inside again, or all of it; judged with the next page."""
        self._db.execute("DELETE FROM excluded WHERE folder = ? AND node = ?", (self._folder, node.bytes))
        if node in self._held:
            self._judge_again(node)
            return
        self._db.execute(
            "UPDATE seen_states SET fresh = 1 WHERE folder = ? AND node = ?", (self._folder, node.bytes)
        )

    def _keep_all(self, content_of: Callable[[Content], WireContent]) -> None:
        """So far nothing was kept of a whole view."""
        if not self._whole:
            return
        rows = (row for row in self._trees.all_rows() if row.node != self._root and row.remote is not None)
        for some in iter(lambda: list(islice(rows, 1_000)), []):
            states = [
                _state_of_own(row.node, row.remote, content_of(row.remote.content))
                for row in some
                if row.remote
            ]
            self._keep(states, fresh=False)

    def _judge_again(self, node: NodeId) -> None:
        """It and all below it."""
        below = [node.bytes]
        for one in below:  # grows while it is walked
            self._db.execute(
                "UPDATE seen_states SET fresh = 1 WHERE folder = ? AND node = ?", (self._folder, one)
            )
            query = "SELECT node FROM seen_states WHERE folder = ? AND parent = ?"
            below.extend(child for (child,) in self._db.execute(query, (self._folder, one)).fetchall())

    def path_of(self, node: NodeId) -> tuple[str, ...] | None:
        """Where something that is excluded lies on the server now; None: it is deleted, or outside of the folder."""
        names: list[str] = []
        while node != self._root:
            state = self._state_of(node)
            if state is None or state.deleted or len(names) > _DEEPEST:
                return None
            names.append(state.name)
            node = NodeId(state.parent)
        return tuple(reversed(names))

    def is_excluded_name(self, place: Place) -> bool:
        """Does something that is excluded hold this name?"""
        key = name_key(place.name)
        states = [self._state_of(node) for node in self._excluded]
        if self._held:
            states += [state for state in self._children(place.parent) if self._is_not_here(state.node)]
        return any(
            state is not None
            and not state.deleted
            and state.parent == place.parent
            and name_key(state.name) == key
            for state in states
        )

    def holds_excluded(self, folder: NodeId) -> bool:
        """Does something that is excluded lie below this folder?"""
        for node in self._excluded:
            state = self._state_of(node)
            for _ in range(_DEEPEST):
                if state is None or state.deleted:
                    break
                if state.parent == folder:
                    return True
                state = self._state_of(NodeId(state.parent))
        return bool(self._held) and self._holds_what_is_not_here(folder)

    def _holds_what_is_not_here(self, folder: NodeId) -> bool:
        """Does something lie below this folder that was not let in?"""
        pending: list[UUID] = [folder]
        while pending:
            for state in self._children(pending.pop()):
                if self._is_not_here(state.node):
                    return True
                if state.content is not None and state.content.kind is Kind.FOLDER:
                    pending.append(state.node)
        return False

    def _is_not_here(self, node: UUID) -> bool:
        row = self._trees.row(NodeId(node))
        return row is None or (row.local is None and row.agreed is None)

    def _children(self, folder: UUID) -> list[NodeState]:
        """What lies there on the server now, inside or not."""
        rows = self._db.execute(
            "SELECT state FROM seen_states WHERE folder = ? AND parent = ?", (self._folder, folder.bytes)
        ).fetchall()
        return [state for (packed,) in rows if not (state := self._decode(packed)).deleted]

    # ---- pages -------------------------------------------------------------------------------------------

    def take(self, states: Sequence[NodeState], *, head: bool) -> list[NodeState]:
        """A page.  Returns what may go into the trees at once; the rest waits for `judge`, which is given the page
        of the head itself."""
        if self._whole:
            return [state for state in states if state.node != self._root]
        self._keep(states, fresh=not head)
        return []

    def leave(self, gone: Iterable[UUID]) -> None:
        """These left the view with all below them; what of that is still in the view is told anew."""
        if self._whole:
            return
        for node in gone:
            rows = self._db.execute(_WITH_ALL_BELOW, (node.bytes, self._folder, self._folder)).fetchall()
            states = [self._decode(packed) for (packed,) in rows]
            left = [msgspec.structs.replace(state, deleted=True, content=None) for state in states]
            self._keep(left, fresh=True)

    def take_own(self, nodes: Iterable[NodeId], content_of: Callable[[Content], WireContent]) -> None:
        """What this client did itself and the feed will not tell: these nodes, as the remote tree has them now."""
        if self._whole:
            return
        states: list[NodeState] = []
        for node in nodes:
            row = self._trees.row(node)
            if row is not None and row.remote is not None:
                states.append(_state_of_own(node, row.remote, content_of(row.remote.content)))
            elif (before := self._state_of(node)) is not None:
                states.append(msgspec.structs.replace(before, deleted=True, content=None))
        self._keep(states, fresh=False)

    def _keep(self, states: Sequence[NodeState], *, fresh: bool) -> None:
        """fresh: to be judged at the head."""
        self._db.executemany(
            "INSERT INTO seen_states VALUES (?, ?, ?, ?, ?) ON CONFLICT (folder, node) DO UPDATE SET"
            " parent = excluded.parent, state = excluded.state, fresh = excluded.fresh",
            [
                (self._folder, state.node.bytes, state.parent.bytes, self._encode(state), fresh)
                for state in states
            ],
        )

    def judge(self, told: Sequence[NodeState]) -> tuple[list[NodeState], list[NodeId]]:
        """At the head, whose page was `told`: what is inside now, parents first, and what has left."""
        if self._whole:
            return [], []
        states = {state.node.int: state for state in (*self._take_fresh(), *told)}
        nodes = [NodeId(state.node) for node, state in states.items() if node != self._root.int]
        self._trees.load(nodes)
        ways = _Ways(self._state_of, states, self._root)
        coming: dict[int, NodeState] = {}
        leaving: list[NodeId] = []
        for node in nodes:
            state = states[node.int]
            row = self._trees.row(node)
            was_inside = row is not None and row.remote is not None
            if self._is_inside(state, ways) and not self._is_held_off(state, ways):
                self._bring(state, coming, ways, with_all_below=not was_inside)
            elif was_inside:
                leaving.append(node)
        return list(coming.values()), [node for node in leaving if node.int not in coming]

    def _take_fresh(self) -> list[NodeState]:
        """What earlier pages told, or a person's choice made worth a look."""
        fresh = self._db.execute(
            "SELECT state FROM seen_states WHERE folder = ? AND fresh = 1", (self._folder,)
        ).fetchall()
        if fresh:
            self._db.execute(
                "UPDATE seen_states SET fresh = 0 WHERE folder = ? AND fresh = 1", (self._folder,)
            )
        return [self._decode(packed) for (packed,) in fresh]

    def root_is_gone(self) -> bool:
        """Asked at the head: the followed folder is deleted on the server or not told of, or something above it is
        deleted."""
        if self._of_whole_view:
            return False
        state = self._state_of(self._root)
        if state is None:
            return True
        depth = 0
        while state is not None and depth < _DEEPEST:
            if state.deleted:
                return True
            state = self._state_of(NodeId(state.parent))
            depth += 1
        return False

    def above_root(self) -> list[NodeState]:
        """The followed folder and those that it lies in, upwards, as far as the view goes."""
        found: list[NodeState] = []
        state = None if self._whole else self._state_of(self._root)
        while state is not None and not state.deleted and len(found) < _DEEPEST:
            found.append(state)
            state = self._state_of(NodeId(state.parent))
        return found

    def _bring(
        self, state: NodeState, coming: dict[int, NodeState], ways: _Ways, *, with_all_below: bool
    ) -> None:
        above: list[NodeState] = []
        parent = ways.state_of(state.parent)
        while parent is not None and parent.node.int != self._root.int and parent.node.int not in coming:
            above.append(parent)
            parent = ways.state_of(parent.parent)
        for one in (*reversed(above), state):
            coming.setdefault(one.node.int, one)
        if (
            not with_all_below
            or state.deleted
            or state.content is None
            or state.content.kind is not Kind.FOLDER
        ):
            return
        pending = [state.node]
        while pending:
            for node, packed in self._db.execute(
                "SELECT node, state FROM seen_states WHERE folder = ? AND parent = ?",
                (self._folder, pending.pop().bytes),
            ).fetchall():
                below = ways.states.get(int.from_bytes(node)) or self._decode(packed)
                if self._is_excluded(below.node) or self._is_held_off(below, ways):
                    continue
                coming.setdefault(below.node.int, below)
                if not below.deleted and below.content is not None and below.content.kind is Kind.FOLDER:
                    pending.append(below.node)

    def _is_inside(self, state: NodeState, ways: _Ways) -> bool:
        return self._leads_inside(state.parent, ways) and not self._is_excluded(state.node)

    def _is_held_off(self, state: NodeState, ways: _Ways) -> bool:
        """It is not here, and lies in a folder of which no more is wanted for now."""
        if not self._held or not self._is_not_here(state.node):
            return False
        path = self.path_of(NodeId(state.node))
        if path is not None and self._trees.at_path(Side.LOCAL, path) is not None:
            return False  # after our records were lost what stands there is still to be found to be the same
        at: UUID = state.parent
        for _ in range(_DEEPEST):
            if at in self._held:
                return True
            above = ways.state_of(at)
            if above is None:
                return False
            at = above.parent
        return False

    def _leads_inside(self, folder: UUID, ways: _Ways) -> bool:
        """Whether what lies in this folder is inside."""
        passed: list[int] = []
        found = False
        while len(passed) < _DEEPEST:
            known = ways.inside.get(folder.int)
            if known is not None:
                found = known
                break
            passed.append(folder.int)
            above = ways.state_of(folder)
            if above is None or self._is_excluded(folder):
                break
            folder = above.parent
        ways.inside.update(dict.fromkeys(passed, found))
        return found

    def _is_excluded(self, node: UUID) -> bool:
        return bool(self._excluded) and node in self._excluded

    def _state_of(self, node: NodeId) -> NodeState | None:
        found = self._db.execute(
            "SELECT state FROM seen_states WHERE folder = ? AND node = ?", (self._folder, node.bytes)
        ).fetchone()
        return self._decode(found[0]) if found else None

    def forget(self) -> None:
        """Before a new listing."""
        self._db.execute("DELETE FROM seen_states WHERE folder = ?", (self._folder,))


class _Ways:
    """The ways up, as far as one judgement has walked them: thousands of files ask for the same few folders.

    states: by `NodeId.int`; None: not told of.  inside: whether what lies in a folder is.
    """

    def __init__(
        self, look_up: Callable[[NodeId], NodeState | None], states: dict[int, NodeState], root: NodeId
    ) -> None:
        self.states: dict[int, NodeState | None] = dict(states)
        self.inside = {root.int: True}
        self._look_up = look_up

    def state_of(self, node: UUID) -> NodeState | None:
        if node.int not in self.states:
            self.states[node.int] = self._look_up(NodeId(node))
        return self.states[node.int]


def _state_of_own(node: NodeId, remote: Remote, content: WireContent) -> NodeState:
    return NodeState(
        node=node,
        parent=remote.place.parent,
        name=remote.place.name,
        place_revision=remote.place_revision,
        content_revision=remote.content_revision,
        place_operation=_NOT_TOLD,
        content_operation=_NOT_TOLD,
        content=content,
        conflict_of=remote.conflict_of,
    )
