"""Which chunks a device must upload.

Owns: the answer.  May import: sqlalchemy, protocol, server.access, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from protocol.ids import ChunkId
from server.access.rights import Action, Principal, ReadableView, authorise
from server.spaces.holdings import possessed


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
