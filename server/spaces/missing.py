"""Which chunks a device must upload.

Owns: the answer, and how much room there is.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from protocol.ids import ChunkId
from server.access.rights import Action, Principal, ReadableView, authorise
from server.database.session import rows_of_sql
from server.spaces.commit import room_of
from server.spaces.holdings import possessed


def room_in(session: Session, view: ReadableView, *, default_quota: int | None) -> int | None:
    """How many bytes may still be committed; None: no limit."""
    [(used, quota)] = rows_of_sql(
        session, "SELECT used_bytes, quota_bytes FROM spaces WHERE id = ?", view.space
    )
    return room_of(used, quota, default_quota)


def to_upload(
    session: Session,
    principal: Principal,
    view: ReadableView,
    chunks: Sequence[ChunkId],
    *,
    now_ms: int,
) -> list[int]:
    """Indexes into `chunks`, ascending: those that this device may not name, and of equal ones the first.

    The same rule as in a commit, so the answer tells nothing of what others store.
    Raises NotFound, AccessDenied: needs the right to write.
    """
    authorise(principal, Action.WRITE, view)
    first: dict[ChunkId, int] = {}
    for index, chunk in enumerate(chunks):
        first.setdefault(chunk, index)
    held = possessed(session, view, principal.device, list(first), now_ms)
    return [index for chunk, index in first.items() if chunk not in held]
