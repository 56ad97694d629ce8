"""Taking a file out together with all that blocks made of it: its patient said no.

Owns: what was derived from what, and that all of it goes in one transaction, or nothing.
May import: sqlalchemy, protocol, server.access, server.chunks, server.database, server.hooks, server.spaces.

Provenance names every version that a block ever published, so it finds a derived file wherever people moved it, under
whatever name, beside a person's edit, and what another block made of it in turn.  A job that runs meanwhile loses its
lease: what it makes is never published.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from protocol.ids import CHUNK_ID_BYTES, NodeId, SpaceId
from protocol.limits import MAX_BATCH_OPS
from protocol.messages import Delete
from server.access.ancestry import folders_above
from server.access.cursors import Cursors
from server.access.rights import ReadableView
from server.chunks.store import ChunkStore
from server.database.session import in_groups, rows_in
from server.database.tables import JobRow, RuleRow
from server.hooks.committing import BLOCKS, commit_as
from server.hooks.jobs import State
from server.hooks.rules import Folder, path_of
from server.spaces.rows import load_with_ancestors
from server.spaces.withdrawn import mark_withdrawn

Named = tuple[SpaceId, bytes]  # a node of a space
_BELOW = text(
    "WITH RECURSIVE tree(id) AS (SELECT :node UNION SELECT n.id FROM tree t"
    " JOIN nodes n ON n.space = :space AND n.parent = t.id)"
    " SELECT nodes.id FROM tree JOIN nodes ON nodes.space = :space AND nodes.id = tree.id WHERE nodes.kind = 'file'"
)
_DERIVED = "SELECT DISTINCT space, node FROM provenance WHERE source_space = ? AND source_node IN"
_CONTENTS = "SELECT chunks FROM versions WHERE length(chunks) > 0 AND space = ? AND node IN"
_HOLDING = (
    "SELECT DISTINCT versions.space, versions.node, versions.chunks FROM chunk_uses"
    " JOIN versions ON versions.space = chunk_uses.space AND versions.node = chunk_uses.node"
    " AND versions.epoch = chunk_uses.epoch AND versions.number = chunk_uses.number WHERE chunk_uses.chunk IN"
)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """How many files went into the trash, and jobs were ended.  spaces: that moved.  copies: paths of live files that
    people made themselves of what was withdrawn, byte for byte; they stay."""

    sources: int
    derived: int
    jobs: int
    spaces: frozenset[SpaceId]
    copies: tuple[str, ...]

    @property
    def words(self) -> str:
        """For the log."""
        return f"{self.sources} with {self.derived} derived, {len(self.copies)} copies by people stay"


def withdraw(
    session: Session, store: ChunkStore, cursors: Cursors, *named: tuple[int, bytes], now_ms: int
) -> Withdrawal:
    """These files, or all below these folders, and everything derived from them.  Again: nothing more happens."""
    sources = {
        (SpaceId(space), node)
        for space, folder in named
        for node in session.scalars(_BELOW, {"space": space, "node": folder})
    }
    derived = _derived(session, sources) - sources
    every = sources | derived
    jobs = _end_jobs(session, every, now_ms=now_ms)
    live = {one for space in _spaces(every) for one in _live(session, space, every)}
    for space in _spaces(live):
        _bury(session, store, cursors, space, [node for where, node in live if where == space], now_ms=now_ms)
    for space in _spaces(every):
        mark_withdrawn(session, space, [node for where, node in every if where == space])
    return Withdrawal(
        sources=len(live & sources),
        derived=len(live & derived),
        jobs=jobs,
        spaces=frozenset(_spaces(live)),
        copies=tuple(sorted(_copies(session, derived, every))),
    )


def lies_in(session: Session, view: ReadableView, node: NodeId) -> bool:
    """Also what lies in its trash."""
    return any(folder.id == view.root.bytes for folder in folders_above(session, view.space, node))


def _spaces(named: Iterable[Named]) -> set[SpaceId]:
    return {space for space, _ in named}


def _derived(session: Session, sources: Collection[Named]) -> set[Named]:
    """What blocks made of these, and of that in turn."""
    found: set[Named] = set()
    new = set(sources)
    while new:
        found_now = {
            (SpaceId(row.space), row.node)
            for space in _spaces(new)
            for row in rows_in(
                session, _DERIVED, space, among=[node for where, node in new if where == space]
            )
        }
        new = found_now - found
        found |= new
    return found


def _end_jobs(session: Session, every: Collection[Named], *, now_ms: int) -> int:
    """None of these is worked on any more; one that is restored later is done again."""
    ended = 0
    for space in _spaces(every):
        rules = session.scalars(select(RuleRow.id).where(RuleRow.space == space)).all()
        for group in in_groups([node for where, node in every if where == space]):
            stop = update(JobRow).where(
                JobRow.rule.in_(rules),
                JobRow.node.in_(group),
                JobRow.state.not_in((State.REJECTED, State.GONE)),
            )
            values = {
                "state": State.GONE,
                "lease": None,
                "leased_until_ms": None,
                "is_released": False,
                "digest": None,
                "ended_at_ms": now_ms,
            }
            ended += len(session.execute(stop.values(**values).returning(JobRow.id)).all())
    return ended


def _live(session: Session, space: SpaceId, every: Collection[Named]) -> list[Named]:
    wanted = [node for where, node in every if where == space]
    nodes = load_with_ancestors(session, space, wanted)
    live = []
    for node in wanted:
        at, is_live = nodes.get(node), node in nodes
        while at is not None:
            is_live = is_live and not at.is_deleted
            at = nodes.get(at.parent)
        if is_live:
            live.append((space, node))
    return live


def _bury(
    session: Session,
    store: ChunkStore,
    cursors: Cursors,
    space: SpaceId,
    wanted: list[bytes],
    *,
    now_ms: int,
) -> None:
    nodes = load_with_ancestors(session, space, wanted)
    root = next(node.id for node in nodes.values() if not any(node.parent))
    folder = Folder(space, NodeId(UUID(bytes=root)), is_intake=False)
    for group in in_groups(wanted, MAX_BATCH_OPS):
        ops = [
            Delete(
                node=UUID(bytes=node),
                place_revision=nodes[node].place,
                content_revision=nodes[node].content,
            )
            for node in group
        ]
        commit_as(session, store, cursors, BLOCKS, folder.space, ops, now_ms=now_ms, default_quota=None)


def _copies(session: Session, derived: Collection[Named], every: Collection[Named]) -> set[str]:
    """Live files that hold what was withdrawn, and that no block put there."""
    contents: set[bytes] = set()
    for space in _spaces(derived):
        nodes = [node for where, node in derived if where == space]
        contents.update(row.chunks for row in rows_in(session, _CONTENTS, space, among=nodes))
    first = {chunks[:CHUNK_ID_BYTES] for chunks in contents}
    holding: dict[SpaceId, set[bytes]] = {}
    for row in rows_in(session, _HOLDING, among=first):
        if row.chunks in contents and (row.space, row.node) not in every:
            holding.setdefault(SpaceId(row.space), set()).add(row.node)
    return {
        path_of(session, Folder(space, NodeId(UUID(bytes=node)), is_intake=False))
        for space, nodes in holding.items()
        for _, node in _live(session, space, [(space, node) for node in nodes])
    }
