"""One long poll for all views of a token.

Owns: which views have something after the cursors they were watched with.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from protocol.ids import SpaceId, ViewId
from protocol.messages import Moved, Wait
from server.access.cursors import START, Cursors
from server.access.rights import Principal
from server.access.views import readable_view, views_of
from server.database.facts import epoch_of
from server.database.session import Database
from server.spaces.wakeups import Wakeups


async def wait_for_moves(
    database: Database, wakeups: Wakeups, cursors: Cursors, principal: Principal, wait: Wait
) -> Moved:
    """Answers when one of these views, or the list of views, is not as the caller knows it, or the time is up.

    Raises NotFound: a view that is absent or not this principal's.  Raises BadRequest: a cursor of another view.
    """
    generation, spaces, stamps, unfinished = await database.read(
        lambda session: (
            views_of(session, principal, cursors).generation,
            *_watched(session, cursors, principal, wait),
        )
    )
    if unfinished or (wait.generation and wait.generation != generation):
        return Moved(views=unfinished, generation=generation)
    seen: dict[SpaceId, int] = {}
    for view, space in spaces.items():
        seen[space] = min(seen.get(space, stamps[view]), stamps[view])
    moved = await wakeups.wait(seen, wait.timeout_seconds)
    return Moved(views=[view for view, space in spaces.items() if space in moved], generation=generation)


def _watched(
    session: Session, cursors: Cursors, principal: Principal, wait: Wait
) -> tuple[dict[UUID, SpaceId], dict[UUID, int], list[UUID]]:
    """Of each view its space and the stamp of its cursor; and those whose cursors are not at a head at all."""
    epoch = epoch_of(session)
    spaces: dict[UUID, SpaceId] = {}
    stamps: dict[UUID, int] = {}
    unfinished: list[UUID] = []
    for watched in wait.views:
        view = readable_view(session, principal, ViewId(watched.view))
        position = cursors.open(view.id, watched.cursor) or START.of_epoch(epoch)
        spaces[view.id], stamps[view.id] = view.space, position.stamp
        if position.arrival_stamp or position.epoch != epoch:
            unfinished.append(view.id)
    return spaces, stamps, unfinished
