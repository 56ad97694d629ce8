"""After the server came back from a backup: what this client agreed on with it goes back under its old revisions.

Owns: what is put back and in which order; that nothing is planned before (a fact of `state.db`, so that a restart
goes on with it).
May import: msgspec, protocol, the engine's batches, contents, database, stored trees, trees and window.

From the reset until all is put back, `agreed` of a row is what the server once acknowledged and this disk still holds.
What is refused, or is not here any more as it was agreed, counts as never agreed: it goes up as something new, or comes
from the server.  So no absence is believed, and no branch deletes anything.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from protocol.http import ServerApi
from protocol.messages import MAX_BATCH_OPS, Kind, Name, NodeState, OpResult, PutBack, Reset, Revision, Status
from protocol.messages import Content as WireContent
from sync_client.engine.batches import send
from sync_client.engine.contents import Contents
from sync_client.engine.database import Followed, StateDatabase
from sync_client.engine.judgement import is_settled
from sync_client.engine.manifests import Manifests
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.trees import Row
from sync_client.engine.window import Window

log = logging.getLogger(__name__)

AT_ONCE = 500
assert AT_ONCE <= MAX_BATCH_OPS


class _Above(Struct, frozen=True):
    """A folder above the followed one, or that one itself, as the server had it."""

    node: UUID
    parent: UUID
    name: Name
    place_revision: Revision
    content_revision: Revision


def is_still_held(row: Row) -> bool:
    """Whether this disk holds what was agreed, bytes and all."""
    return row.agreed is not None and row.local is not None and row.local.content == row.agreed.content


def is_lacking(row: Row) -> bool:
    """Whether the server, by its new listing, may not know what was agreed."""
    agreed, remote = row.agreed, row.remote
    if agreed is None:
        return False
    return remote is None or (remote.place_revision, remote.content_revision) != (
        agreed.place_revision,
        agreed.content_revision,
    )


def is_behind(row: Row) -> bool:
    """Whether the server, by its new listing, knows less than what was agreed."""
    agreed, remote = row.agreed, row.remote
    if agreed is None:
        return False
    return (
        remote is None
        or remote.place_revision < agreed.place_revision
        or remote.content_revision < agreed.content_revision
    )


class PuttingBack:
    def __init__(self, folder: Followed, state: StateDatabase, trees: StoredTrees, api: ServerApi) -> None:
        self._folder = folder
        self._state = state
        self._trees = trees
        self._api = api
        self._manifests = Manifests(state)
        self._fact = f"put back {folder.follow.hex}"

    @property
    def is_due(self) -> bool:
        return bool(self._state.fact(self._fact))

    # ---- at the reset ------------------------------------------------------------------------------------

    def begin(self, window: Window) -> None:
        """The rows keep what is still held; in the transaction of the reset, before the window forgets."""
        above = [
            _above(state) for state in reversed(window.above_root()) if state.name
        ]  # not the view's own root
        known = self._state.fact(self._fact)
        if above or not known:
            self._state.set_fact(self._fact, msgspec.json.encode(above).decode())
        for row in list(self._trees.all_rows()):
            if row.node != self._folder.root:
                agreed = row.agreed if is_still_held(row) else None
                self._trees.save(Row(row.node, None, row.local, agreed), dirty=True)

    # ---- at the head of the new listing ------------------------------------------------------------------

    async def run(self, contents: Contents) -> Reset | None:
        """Put all of it back.  A reset in answer: the server came back once more, and all begins anew."""
        above = msgspec.json.decode(self._state.fact(self._fact), type=list[_Above])
        if above:
            ops = [
                PutBack(
                    node=one.node,
                    parent=one.parent,
                    name=one.name,
                    place_revision=one.place_revision,
                    content_revision=one.content_revision,
                    content=WireContent(kind=Kind.FOLDER),
                )
                for one in above
            ]
            answer = await self._commit(ops)
            if isinstance(answer, Reset):
                return answer
        self._let_go_of_touched()
        rows = self._in_order()
        log.info("put back folder=%d nodes=%d", self._folder.id, len(rows))
        for start in range(0, len(rows), AT_ONCE):
            reset = await self._put_back(rows[start : start + AT_ONCE], contents)
            if reset is not None:
                return reset
        with self._state.transaction():
            self._state.set_fact(self._fact, "")
        return None

    def let_go(self) -> None:
        """Who may not write keeps what the server lacks by now as a file of their own."""
        with self._trees.transaction():
            for row in list(self._trees.all_rows()):
                if row.node != self._folder.root and is_lacking(row):
                    self._trees.save(Row(row.node, row.remote, row.local, None), dirty=True)
            self._state.set_fact(self._fact, "")

    def _let_go_of_touched(self) -> None:
        """What was touched, edited or deleted here since the reset is not put back.  It counts as never agreed: else
        what the listing lacks would be taken for deleted on the server."""
        with self._trees.transaction():
            for row in list(self._trees.all_rows()):
                if row.node != self._folder.root and is_behind(row) and not is_still_held(row):
                    self._trees.save(Row(row.node, row.remote, row.local, None), dirty=True)

    def _in_order(self) -> list[Row]:
        """Folders before what lies in them."""
        rows = {row.node: row for row in self._trees.all_rows() if is_still_held(row) and is_lacking(row)}
        rows.pop(self._folder.root, None)

        def depth(row: Row) -> int:
            steps = 0
            above: Row | None = row
            while above is not None and above.agreed is not None:
                steps += 1
                above = rows.get(above.agreed.place.parent)
            return steps

        return sorted(rows.values(), key=depth)

    async def _put_back(self, rows: Sequence[Row], contents: Contents) -> Reset | None:
        files = [
            (row.node, row.agreed.content, row.local.fingerprint)
            for row in rows
            if row.agreed is not None and row.local is not None and row.agreed.content.kind is not Kind.FOLDER
        ]
        contents.distrusted.update(row.node for row in rows)  # whatever it had of them may be gone
        changed = await contents.send(files)
        contents.distrusted.difference_update(row.node for row in rows)
        sent = [row for row in rows if row.node not in changed]
        ops = [self._operation(row) for row in sent]
        answer = await self._commit(ops) if ops else []
        if isinstance(answer, Reset):
            return answer
        # What was overtaken is not done: it counts as never agreed, and both contents are kept.
        done = {row.node for row, result in zip(sent, answer, strict=True) if result.status is Status.DONE}
        with self._trees.transaction():
            for before in rows:
                row = self._trees.row(before.node)
                if row is not None:
                    row = _answered(row, done=row.node in done)
                    self._trees.save(row, dirty=not is_settled(row))
        return None

    def _operation(self, row: Row) -> PutBack:
        agreed = row.agreed
        assert agreed is not None
        return PutBack(
            node=row.node,
            parent=agreed.place.parent,
            name=agreed.place.name,
            place_revision=agreed.place_revision,
            content_revision=agreed.content_revision,
            content=self._manifests.as_sent(agreed.content),
            conflict_of=row.local.conflict_of if row.local is not None else None,
        )

    async def _commit(self, ops: Sequence[PutBack]) -> list[OpResult] | Reset:
        folder = self._folder
        answer = await send(self._api, self._state, folder.view, ops, folder=folder.id, cursor=folder.cursor)
        return answer if isinstance(answer, Reset) else answer.results


def _answered(row: Row, *, done: bool) -> Row:
    """What the server has by now its feed tells, before anything is planned.  Of a node that came back it does; one
    of which it does not was deleted, or taken out of sight, since the restore: that is newer than what we put back."""
    return Row(row.node, row.remote, row.local, row.agreed if done else None)


def _above(state: NodeState) -> _Above:
    return _Above(state.node, state.parent, state.name, state.place_revision, state.content_revision)
