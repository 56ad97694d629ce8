"""What was withdrawn stays away: its patient said no.

Owns: knowing such files in the trash, who may read them there and bring them back, marking what lay there before.
May import: sqlalchemy, server.access, server.database, server.spaces.

Only a withdrawal deletes as the device of the hooks, so its tombstones are known by that device.  Whoever may release
brings a source back; what blocks made of it only once the source is back, so that nobody who sees no more than the
results undoes what was decided at the intake.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from protocol.errors import AccessDenied
from protocol.ids import SpaceId
from server.access.devices import HOOKS
from server.access.rights import Action, Principal, ReadableView, rights_of
from server.database.session import in_groups, rows_in
from server.database.tables import NodeRow

_WITHOUT_SOURCE = (
    "SELECT DISTINCT provenance.node FROM provenance LEFT JOIN nodes ON nodes.space = provenance.source_space"
    " AND nodes.id = provenance.source_node WHERE (nodes.id IS NULL OR nodes.deleted_at_ms IS NOT NULL)"
    " AND provenance.source_node <> provenance.node AND provenance.space = ? AND provenance.node IN"
)


def barred_among(
    session: Session, principal: Principal, view: ReadableView, nodes: Collection[bytes]
) -> set[bytes]:
    """Those of these nodes of the view that were withdrawn and that this principal may not bring back."""
    withdrawn: set[bytes] = set()
    for group in in_groups(list(nodes)):
        query = select(NodeRow.id).where(
            NodeRow.space == view.space,
            NodeRow.id.in_(group),
            NodeRow.deleted_at_ms.is_not(None),
            NodeRow.changed_by == HOOKS.bytes,
        )
        withdrawn.update(session.scalars(query))
    if not withdrawn or Action.RELEASE not in rights_of(principal, view):
        return withdrawn
    return {row.node for row in rows_in(session, _WITHOUT_SOURCE, view.space, among=list(withdrawn))}


def refuse_barred(
    session: Session, principal: Principal, view: ReadableView, nodes: Collection[bytes]
) -> None:
    """Raises AccessDenied: one of them was withdrawn, and may not be read by this principal."""
    if barred_among(session, principal, view, nodes):
        raise AccessDenied("This file was withdrawn", hint="Ask whoever may release in the intake.")


def mark_withdrawn(session: Session, space: SpaceId, nodes: Collection[bytes]) -> None:
    """Those of them that people had deleted before: they too come back no more."""
    for group in in_groups(list(nodes)):
        session.execute(
            update(NodeRow)
            .where(NodeRow.space == space, NodeRow.id.in_(group), NodeRow.deleted_at_ms.is_not(None))
            .values(changed_by=HOOKS.bytes)
        )
