"""Who may name a chunk because it uploaded it.

Owns: the leases of uploaded chunks.  May import: sqlalchemy, protocol, server.database.

That a node readable in a view holds a chunk is the other half of the rule; it is asked where nodes are.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from protocol.ids import ChunkId, DeviceId
from server.database.session import in_groups, insert_rows
from server.database.tables import PossessionRow

LEASE_MS = 24 * 3_600 * 1_000


def lease(session: Session, device: DeviceId, chunks: Collection[ChunkId], now_ms: int) -> None:
    """Let `device` name these chunks in a commit for a day from now."""
    until = now_ms + LEASE_MS
    own = device.bytes
    insert_rows(session, PossessionRow, sorted((own, chunk, until) for chunk in chunks), renew=True)


def leased(session: Session, device: DeviceId, chunks: Collection[ChunkId], now_ms: int) -> set[ChunkId]:
    """Those of `chunks` that `device` uploaded within its lease."""
    found: set[ChunkId] = set()
    own = PossessionRow.device == device.bytes
    for group in in_groups(chunks):
        query = select(PossessionRow.chunk).where(
            own, PossessionRow.chunk.in_(group), PossessionRow.leased_until_ms > now_ms
        )
        found.update(ChunkId(chunk) for chunk in session.scalars(query))
    return found


def forget_old_leases(session: Session, *, now_ms: int) -> None:
    """Leases that ran out open nothing any more."""
    session.execute(delete(PossessionRow).where(PossessionRow.leased_until_ms <= now_ms))
