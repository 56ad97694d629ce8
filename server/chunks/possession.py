"""Who may name a chunk because it uploaded it.

Owns: the leases of uploaded chunks.  May import: sqlalchemy, protocol, server.database.

That a node readable in a view holds a chunk is the other half of the rule; it is asked where nodes are.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import ChunkId, DeviceId
from server.database.session import BULK, insert_rows, rows_in
from server.database.tables import PossessionRow

LEASE_MS = 24 * 3_600 * 1_000


def lease(session: Session, device: DeviceId, chunks: Collection[ChunkId], now_ms: int) -> None:
    """Let `device` name these chunks in a commit for a day from now."""
    until = now_ms + LEASE_MS
    own = device.bytes
    insert_rows(session, PossessionRow, sorted((own, chunk, until) for chunk in chunks), renew=True)


def leased(session: Session, device: DeviceId, chunks: Collection[ChunkId], now_ms: int) -> set[ChunkId]:
    """Those of `chunks` that `device` uploaded within its lease."""
    return {
        chunk
        for (chunk,) in rows_in(
            session,
            "SELECT chunk FROM possessions WHERE leased_until_ms > ? AND device = ? AND chunk IN",
            now_ms,
            device.bytes,
            among=chunks,
        )
    }


def forget_old_leases(session: Session, *, ended_before_ms: int) -> bool:
    """Drop some thousand leases that ran out before then; whether there may be more."""
    ended = (
        select(PossessionRow.device, PossessionRow.chunk)
        .where(PossessionRow.leased_until_ms <= ended_before_ms)
        .limit(BULK)
    )
    rows = session.execute(ended).all()
    connection = session.connection()
    if rows:
        sql = "DELETE FROM possessions WHERE device = ? AND chunk = ?"
        connection.exec_driver_sql(sql, [tuple(row) for row in rows])
    return len(rows) == BULK
