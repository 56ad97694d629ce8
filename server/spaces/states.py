"""Node states, as the feed tells them.

Owns: reading them with their manifests in one query, making messages of them.
May import: sqlalchemy, protocol, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from protocol.ids import SpaceId
from protocol.messages import Content, Kind, NodeState, Revision
from protocol.names import unportable
from server.database.session import AnyRow, in_groups
from server.database.tables import DeviceRow, NodeRow, UserRow, VersionRow
from server.spaces.rows import CONTENT_COLUMNS, IS_CURRENT_VERSION, content_value, kind_of

_FOLDER = Content(kind=Kind.FOLDER)


def states_query(space: SpaceId) -> Select[*tuple[Any, ...]]:
    """Rows that begin with id, parent, stamp, deleted_at_ms; the rest is `node_states`' own."""
    return (
        select(
            NodeRow.id,
            NodeRow.parent,
            NodeRow.stamp,
            NodeRow.deleted_at_ms,
            NodeRow.name,
            NodeRow.kind,
            NodeRow.place_epoch,
            NodeRow.place_number,
            NodeRow.content_epoch,
            NodeRow.content_number,
            NodeRow.place_operation,
            NodeRow.content_operation,
            NodeRow.changed_at_ms,
            NodeRow.changed_by,
            NodeRow.conflict_of,
            NodeRow.conflict_device,
            *CONTENT_COLUMNS,
        )
        .outerjoin(VersionRow, IS_CURRENT_VERSION)
        .where(NodeRow.space == space)
    )


def node_states(session: Session, rows: Iterable[AnyRow], hidden: Collection[bytes]) -> list[NodeState]:
    """Messages for these rows of `states_query`.  hidden: those that lie below a tombstone."""
    rows = list(rows)
    names = _device_names(session, {row[13] for row in rows})
    uuids: dict[bytes, UUID] = {}  # parents and operations come again and again

    def uuid(raw: bytes) -> UUID:
        known = uuids.get(raw)
        if known is None:
            known = uuids[raw] = UUID(bytes=raw)
        return known

    states: list[NodeState] = []
    for row in rows:
        (node, parent, _, deleted_at_ms, name, kind_text, place_epoch, place_number, content_epoch, *more) = (
            row
        )
        content_number, place_operation, content_operation, changed_at_ms, changed_by, *more = more
        conflict_of, conflict_device, *content_columns = more
        deleted = deleted_at_ms is not None or node in hidden
        kind = kind_of(kind_text)
        content: Content | None
        if deleted:
            content = None
        elif kind is Kind.FOLDER:
            content = _FOLDER
        else:
            content = content_value(kind, *content_columns)
        states.append(
            NodeState(
                node=UUID(bytes=node),
                parent=uuid(parent),
                name=name,
                place_revision=Revision(epoch=place_epoch, number=place_number),
                content_revision=Revision(epoch=content_epoch, number=content_number),
                place_operation=uuid(place_operation),
                content_operation=uuid(content_operation),
                content=content,
                deleted=deleted,
                conflict_of=None if conflict_of is None else uuid(conflict_of),
                conflict_device=conflict_device,
                not_portable=unportable(name) is not None,
                changed_at_ms=changed_at_ms,
                changed_by=names.get(changed_by, ""),
            )
        )
    return states


def _device_names(session: Session, devices: Collection[bytes]) -> dict[bytes, str]:
    """ "ada on laptop", for people."""
    found: dict[bytes, str] = {}
    for group in in_groups(devices):
        query = (
            select(DeviceRow.id, UserRow.name, DeviceRow.name)
            .join(UserRow, UserRow.id == DeviceRow.user)
            .where(DeviceRow.id.in_(group))
        )
        for device, user_name, device_name in session.execute(query):
            found[device] = f"{user_name} on {device_name}"
    return found
