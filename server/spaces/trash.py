"""What was deleted and can come back.

Owns: the list of tombstones with the paths they had.  The caller has checked the right to versions.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from protocol.errors import BadRequest
from protocol.messages import Revision
from protocol.resources import Trash, Trashed
from server.access.rights import ReadableView
from server.database.session import AnyRow
from server.database.tables import DeviceRow, NodeRow, UserRow, VersionRow
from server.spaces.inside import inside
from server.spaces.rows import IS_CURRENT_VERSION, kind_of, load_with_ancestors
from server.spaces.staging import StagedNode

PAGE = 500


def trash_of(session: Session, view: ReadableView, *, after: str = "") -> Trash:
    """The latest first; a deleted folder is one item, with all below it.  after: `next` of the page before.

    Raises BadRequest: `after` was not made here.
    """
    base = (
        select(
            NodeRow.id,
            NodeRow.kind,
            NodeRow.place_epoch,
            NodeRow.place_number,
            NodeRow.deleted_at_ms,
            func.coalesce(VersionRow.size, 0).label("size"),
            UserRow.name.label("user"),
            DeviceRow.name.label("device"),
        )
        .outerjoin(VersionRow, IS_CURRENT_VERSION)
        .outerjoin(DeviceRow, DeviceRow.id == NodeRow.changed_by)
        .outerjoin(UserRow, UserRow.id == DeviceRow.user)
        .where(NodeRow.space == view.space, NodeRow.deleted_at_ms.is_not(None))
        .order_by(NodeRow.deleted_at_ms.desc(), NodeRow.id)
        .limit(PAGE + 1)
    )
    query = base.where(_later_than(*_position(after))) if after else base
    rows: list[AnyRow] = []
    while True:
        found = session.execute(query).all()
        mine = inside(session, view, [row.id for row in found])
        rows += [row for row in found if row.id in mine]
        if len(rows) > PAGE or len(found) <= PAGE:
            break
        query = base.where(_later_than(found[-1].deleted_at_ms, found[-1].id))
    page = rows[:PAGE]
    nodes = load_with_ancestors(session, view.space, (row.id for row in page))
    return Trash(
        items=[_item(row, path_of(nodes, row.id, view.root.bytes)) for row in page],
        next=f"{page[-1].deleted_at_ms}-{page[-1].id.hex()}" if len(rows) > PAGE else "",
    )


def _later_than(at_ms: int, node: bytes) -> ColumnElement[bool]:
    """Further down in the list."""
    return or_(NodeRow.deleted_at_ms < at_ms, and_(NodeRow.deleted_at_ms == at_ms, NodeRow.id > node))


def path_of(nodes: Mapping[bytes, StagedNode], node: bytes, root: bytes) -> str:
    """ "/a/b": from the view's root, as it is or was."""
    names: list[str] = []
    while node != root and node in nodes:
        names.append(nodes[node].name)
        node = nodes[node].parent
    return "/" + "/".join(reversed(names))


def _item(row: AnyRow, path: str) -> Trashed:
    return Trashed(
        node=UUID(bytes=row.id),
        path=path,
        kind=kind_of(row.kind),
        size=row.size,
        deleted_at_ms=row.deleted_at_ms,
        deleted_by=f"{row.user} on {row.device}" if row.user else "",
        place_revision=Revision(epoch=row.place_epoch, number=row.place_number),
    )


def _position(after: str) -> tuple[int, bytes]:
    found = re.fullmatch(r"(\d{1,18})-([0-9a-f]{32})", after, re.ASCII)
    if found is None:
        raise BadRequest("This is no position in the trash", hint="Send `next` of the page before.")
    return int(found[1]), bytes.fromhex(found[2])
