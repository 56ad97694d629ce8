"""One long poll for all views of a token.

Owns: which views have something after the cursors they were watched with.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.

The view of a shared folder is woken by its space, and looks whether it was about something in it: of what lies
outside nobody is told, not even by an answer that comes early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import NotFound
from protocol.ids import SpaceId, ViewId
from protocol.messages import Moved, Wait
from server.access.cursors import START, Cursors
from server.access.rights import Action, Principal, rights_of
from server.access.views import readable_view, views_of
from server.database.facts import epoch_of, rights_number
from server.database.session import Database
from server.database.tables import ViewRow
from server.spaces.wakeups import Wakeups, stamps_of


@dataclass(slots=True)
class _Look:
    """What a poll found.  spaces: of each watched view its space; stamps: that of its cursor, or a later one up to
    which nothing in it moved.  parts: the views that are a part of their space.  due: those to be told of."""

    generation: str
    rights: int
    spaces: dict[UUID, SpaceId] = field(default_factory=dict)
    stamps: dict[UUID, int] = field(default_factory=dict)
    parts: set[UUID] = field(default_factory=set)
    due: list[UUID] = field(default_factory=list)

    def seen(self) -> dict[SpaceId, int]:
        lowest: dict[SpaceId, int] = {}
        for view, space in self.spaces.items():
            lowest[space] = min(lowest.get(space, self.stamps[view]), self.stamps[view])
        return lowest

    def moved_with(self, spaces: Collection[SpaceId]) -> list[UUID]:
        return [view for view, space in self.spaces.items() if space in spaces]


async def wait_for_moves(
    database: Database, wakeups: Wakeups, cursors: Cursors, principal: Principal, wait: Wait
) -> Moved:
    """Answers when one of these views, or the list of views, is not as the caller knows it, or the time is up.

    Raises NotFound: a view that is absent or not this principal's.  Raises BadRequest: a cursor of another view.
    """
    clock = asyncio.get_running_loop().time
    ends = clock() + wait.timeout_seconds
    look = first = await database.read(lambda session: _look(session, cursors, principal, wait))
    while not look.due and wait.generation in ("", look.generation):
        moved = await wakeups.wait(look.seen(), look.rights, max(0.0, ends - clock()))
        if moved is None:
            break
        due = look.moved_with(moved)
        if due and look.parts.isdisjoint(due):
            return Moved(views=due, generation=look.generation)
        look = await database.read(lambda session: _look(session, cursors, principal, wait, after=first))
    return Moved(views=look.due, generation=look.generation)


def _look(
    session: Session, cursors: Cursors, principal: Principal, wait: Wait, *, after: _Look | None = None
) -> _Look:
    """after: the first look.  A view that was there then and is no more is due: asking for it tells the rest."""
    epoch = epoch_of(session)
    look = _Look(views_of(session, principal, cursors).generation, rights_number(session))
    for watched in wait.views:
        try:
            view = readable_view(session, principal, ViewId(watched.view))
        except NotFound:
            if after is None:
                raise
            look.due.append(watched.view)
            continue
        position = cursors.open(view.id, watched.cursor) or START.of_epoch(epoch)
        look.spaces[view.id], look.stamps[view.id] = view.space, position.stamp
        with_contents = Action.READ in rights_of(principal, view)
        if (
            position.arrival_stamp
            or position.epoch != epoch
            or (position.with_contents != with_contents and not position.is_start)
        ):
            look.due.append(view.id)
        elif not view.is_whole:
            look.parts.add(view.id)
    _pass_over_what_lies_outside(session, look)
    if after is not None:
        stamps = stamps_of(session, set(look.spaces.values()))
        for view_id, space in look.spaces.items():
            if stamps.get(space, 0) > look.stamps[view_id] and view_id not in look.due:
                look.due.append(view_id)
    return look


def _pass_over_what_lies_outside(session: Session, look: _Look) -> None:
    """A part of a space in which nothing moved counts as read up to the stamp of that space."""
    if not look.parts:
        return
    stamps = stamps_of(session, {look.spaces[view] for view in look.parts})
    query = select(ViewRow.id, ViewRow.stamp).where(ViewRow.id.in_([view.bytes for view in look.parts]))
    for id_bytes, moved in session.execute(query):
        view = UUID(bytes=id_bytes)
        if moved <= look.stamps[view]:
            look.stamps[view] = max(look.stamps[view], stamps[look.spaces[view]])
