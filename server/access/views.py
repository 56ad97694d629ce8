"""The views that a token sees.

Owns: finding them; one answer for "absent" and "not yours".
May import: sqlalchemy, protocol, server.access, server.database.
"""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from protocol.ids import NodeId, SpaceId, UserId, ViewId
from protocol.messages import View, Views
from server.access.cursors import START, Cursors
from server.access.rights import Action, Principal, ReadableView, authorise, rights_of
from server.database.facts import epoch_of
from server.database.tables import SpaceRow, ViewRow

_COLUMNS = (ViewRow.id, ViewRow.space, ViewRow.root, ViewRow.kind, ViewRow.name, ViewRow.owner)
_NAMED = select(*_COLUMNS).where(ViewRow.id == bindparam("view"))


def readable_view(
    session: Session, principal: Principal, view: ViewId, action: Action = Action.READ
) -> ReadableView:
    """Raises NotFound: absent or not yours.  Raises AccessDenied: yours, but not for this action."""
    row = session.execute(_NAMED, {"view": view.bytes}).one_or_none()
    found = None if row is None else _value(row)
    authorise(principal, action, found)
    assert found is not None
    return found


def views_of(session: Session, principal: Principal, cursors: Cursors) -> Views:
    """All that this principal may read, by name."""
    rows = session.execute(
        select(*_COLUMNS, SpaceRow.used_bytes)
        .join(SpaceRow, SpaceRow.id == ViewRow.space)
        .where(ViewRow.owner == principal.user.bytes)
        .order_by(ViewRow.name, ViewRow.id)
    )
    start = START.of_epoch(epoch_of(session))
    views = []
    for row in rows:
        found = _value(row)
        rights = rights_of(principal, found)
        if Action.READ in rights:
            views.append(
                View(
                    view=found.id,
                    name=found.name,
                    kind=found.kind,
                    root=found.root,
                    rights=[action.value for action in Action if action in rights],
                    cursor=cursors.seal(found.id, start),
                    used_bytes=row.used_bytes,
                )
            )
    return Views(user=principal.user_name, generation=_generation(views), views=views)


def _generation(views: list[View]) -> str:
    """Changes when the list does; not with what is inside the views."""
    seen = "\n".join(
        f"{view.view} {view.kind} {view.root} {' '.join(view.rights)} {view.name}" for view in views
    )
    return hashlib.sha256(seen.encode()).hexdigest()[:32]


def _value(row: Row[*tuple[Any, ...]]) -> ReadableView:
    return ReadableView(
        id=ViewId(UUID(bytes=row.id)),
        space=SpaceId(row.space),
        root=NodeId(UUID(bytes=row.root)),
        kind=row.kind,
        name=row.name,
        owner=UserId(UUID(bytes=row.owner)),
    )
