"""Who may name a chunk because it uploaded it, and what such chunks count for until a commit names them.

Owns: the leases of uploaded chunks.  May import: sqlalchemy, protocol, server.database.

That a node readable in a view holds a chunk is the other half of the rule; it is asked where nodes are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import ChunkId, DeviceId, SpaceId
from server.database.session import BULK, insert_rows, rows_in, rows_of_sql
from server.database.tables import PossessionRow

LEASE_MS = 24 * 3_600 * 1_000
_UNFINISHED = (
    "SELECT coalesce(sum(growing_bytes), 0), coalesce(sum(replacing_bytes), 0) FROM possessions"
    " WHERE space = ? AND leased_until_ms > ?"
)
_UNFINISHED_HERE = (  # the plus keeps SQLite from walking all of the space instead of the key
    "SELECT chunk, growing_bytes FROM possessions"
    " WHERE device = ? AND +space = ? AND leased_until_ms > ? AND chunk IN"
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What was uploaded for a space and named by no commit yet."""

    growing_bytes: int = 0
    replacing_bytes: int = 0


class Counted(Protocol):
    """Where the chunks of one upload count.  `lease` is called in the transaction that names their pack, `written` when
    it is on the disk."""

    def lease(self, session: Session, chunks: Collection[ChunkId], now_ms: int) -> None: ...
    def written(self, chunks: Collection[ChunkId]) -> None: ...


NOTHING = Unfinished()


def lease(
    session: Session,
    device: DeviceId,
    chunks: Mapping[ChunkId, Unfinished],
    now_ms: int,
    *,
    space: SpaceId | None = None,
) -> None:
    """Let `device` name these chunks in a commit for a day from now.

    space: where they count until then, each for as much as stands beside it; None: nowhere.
    """
    until = now_ms + LEASE_MS
    own = device.bytes
    rows = [
        (own, chunk, until, space, count.growing_bytes, count.replacing_bytes)
        for chunk, count in sorted(chunks.items(), key=itemgetter(0))
    ]
    insert_rows(session, PossessionRow, rows, renew=True)


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


def unfinished(session: Session, space: SpaceId, now_ms: int) -> Unfinished:
    """All that counts against the quota of this space though no commit has named it."""
    [(growing, replacing)] = rows_of_sql(session, _UNFINISHED, space, now_ms)
    return Unfinished(growing, replacing)


def unfinished_of(
    session: Session, device: DeviceId, space: SpaceId, chunks: Collection[ChunkId], now_ms: int
) -> dict[ChunkId, int]:
    """Those of `chunks` that count there because this device sent them, and by how much the space is to grow."""
    rows = rows_in(session, _UNFINISHED_HERE, device.bytes, space, now_ms, among=chunks)
    return dict(rows)


def settle(session: Session, device: DeviceId, chunks: Collection[ChunkId]) -> None:
    """A commit has named these: from now on they count as its files do.  The lease stays."""
    connection = session.connection()
    sql = "UPDATE possessions SET space = NULL WHERE device = ? AND chunk = ? AND space IS NOT NULL"
    if chunks:
        connection.exec_driver_sql(sql, [(device.bytes, chunk) for chunk in chunks])


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
