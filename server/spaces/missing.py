"""Which chunks a device must upload.

Owns: the answer, and how much room there is.
May import: sqlalchemy, protocol, server.access, server.chunks, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from protocol.ids import ChunkId
from server.access.rights import Action, Principal, ReadableView, authorise
from server.chunks.possession import unfinished, unfinished_of
from server.database.session import rows_of_sql
from server.spaces.holdings import possessed
from server.spaces.uploads import room_of


def room_for(
    session: Session,
    principal: Principal,
    view: ReadableView,
    chunks: Sequence[ChunkId],
    *,
    now_ms: int,
    default_quota: int | None,
) -> int | None:
    """How many bytes may still be committed, with these chunks among them; None: no limit.

    What others sent and did not finish takes room; what this device sent of these chunks does not.
    """
    [(used, quota)] = rows_of_sql(
        session, "SELECT used_bytes, quota_bytes FROM spaces WHERE id = ?", view.space
    )
    room = room_of(used, quota, default_quota)
    if room is None:
        return None
    mine = unfinished_of(session, principal.device, view.space, chunks, now_ms)
    return room - unfinished(session, view.space, now_ms).growing_bytes + sum(mine.values())


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
