"""Commits of the server itself, in the transaction of its caller.

Owns: on whose behalf blocks and cohorts write, and that all of such a batch is done or nothing.
May import: sqlalchemy, protocol, server.access, server.chunks, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from protocol.errors import Unavailable
from protocol.ids import DeviceId, NodeId, SpaceId, UserId, ViewId
from protocol.messages import AnyOp, Commit, Committed, Status
from server.access.cursors import Cursors
from server.access.devices import COHORTS, HOOKS
from server.access.rights import INTAKE, Principal, ReadableView, Role
from server.chunks.store import ChunkStore
from server.database.tables import BatchRow, SpaceRow, ViewRow
from server.spaces.commit import commit


def _own(device: DeviceId, name: str) -> Principal:
    return Principal(UserId(UUID(int=0)), "", device, name, is_admin=False, last_seen_at_ms=0)


BLOCKS = _own(HOOKS, "block")
FILLING = _own(COHORTS, "cohort")
_COULD_NOT = {
    HOOKS: "The results could not be put into their folder",
    COHORTS: "A cohort could not be filled",
}


def commit_as(
    session: Session,
    store: ChunkStore,
    cursors: Cursors,
    who: Principal,
    space: SpaceId,
    ops: Sequence[AnyOp],
    *,
    now_ms: int,
    default_quota: int | None,
) -> Committed:
    """who: BLOCKS or FILLING.  Raises Unavailable: not all of it could be done."""
    last = session.scalar(select(func.max(BatchRow.number)).where(BatchRow.device == who.device.bytes)) or 0
    batch = Commit(operation=uuid4(), number=last + 1, ops=list(ops))
    view = _whole_view(session, space)
    answer = commit(session, store, cursors, who, view, batch, now_ms=now_ms, default_quota=default_quota)
    assert isinstance(answer, Committed), "a batch without revisions of another epoch meets no reset"
    for result in answer.results:
        if result.status is not Status.DONE:
            raise Unavailable(f"{_COULD_NOT[who.device]} ({result.status.value})", hint="It is tried again.")
    return answer


def _whole_view(session: Session, space: SpaceId) -> ReadableView:
    """The space, as one who may write there sees it."""
    row = session.execute(
        select(ViewRow.id, ViewRow.root, ViewRow.kind, ViewRow.name)
        .join(SpaceRow, (SpaceRow.id == ViewRow.space) & (SpaceRow.root == ViewRow.root))
        .where(ViewRow.space == space)
    ).one()
    role = Role.CLINICIAN if row.kind == INTAKE else Role.EDITOR
    return ReadableView(
        id=ViewId(UUID(bytes=row.id)),
        space=space,
        root=NodeId(UUID(bytes=row.root)),
        kind=row.kind,
        name=row.name,
        roles=frozenset({role}),
    )
