"""What a batch did, for the log.

Owns: which word stands for which operation, one row for all operations of one kind.
May import: sqlalchemy, protocol, server.access, server.audit, server.database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.messages import (
    AnyOp,
    Copy,
    Delete,
    DeleteTree,
    Make,
    Move,
    OpResult,
    Put,
    PutBack,
    Resolve,
    Restore,
    Status,
)
from server.access.rights import Principal, ReadableView
from server.audit.rows import Came, Did, Entry, pack_nodes, record
from server.database.tables import ViewRow

_DID: dict[type[AnyOp], Did] = {
    Make: Did.IMPORT,
    Put: Did.CHANGE,
    Move: Did.MOVE,
    Delete: Did.DELETE,
    DeleteTree: Did.DELETE,
    Restore: Did.RESTORE,
    Copy: Did.COPY,
    PutBack: Did.PUT_BACK,
    Resolve: Did.RESOLVE,
}
_TOLD = frozenset(
    {Status.DONE, Status.OVERTAKEN, Status.DENIED, Status.IDENTIFIED}
)  # all else changed nothing, and was allowed


def record_batch(
    session: Session,
    principal: Principal,
    view: ReadableView,
    ops: Sequence[AnyOp],
    results: Sequence[OpResult],
    *,
    came: Came,
    now_ms: int,
) -> None:
    groups: defaultdict[tuple[Did, Status], list[tuple[bytes, int, int]]] = defaultdict(list)
    sources: defaultdict[UUID, list[tuple[bytes, int, int]]] = defaultdict(list)
    for op, result in zip(ops, results, strict=True):
        status = result.status
        if status not in _TOLD:
            continue
        revision = result.content_revision
        number = (0, 0) if revision is None else (revision.epoch, revision.number)
        groups[_DID[type(op)], status].append((op.node.bytes, *number))
        if isinstance(op, Copy) and status is Status.DONE:
            read = op.from_revision
            sources[op.from_view].append((op.from_node.bytes, read.epoch, read.number))
    told: list[tuple[int, Did, Status, list[tuple[bytes, int, int]]]]
    told = [(view.space, did, status, names) for (did, status), names in groups.items()]
    for source, names in sources.items():
        space = session.scalar(select(ViewRow.space).where(ViewRow.id == source.bytes)) or 0
        told.append((space, Did.READ, Status.DONE, names))
    record(
        session,
        [
            Entry(
                at_ms=now_ms,
                did=did,
                space=space,
                result=status.value,
                actor=principal.user,
                device=principal.device,
                came=came,
                count=len(names),
                nodes=pack_nodes(names),
            )
            for space, did, status, names in told
        ],
    )
