"""What a file was before.

Owns: the list of its versions, one of them.  The caller has checked the right to versions.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import NotFound
from protocol.ids import NodeId
from protocol.messages import Content, Kind, Revision
from protocol.resources import Version, Versions
from server.access.rights import ReadableView
from server.database.tables import DeviceRow, NodeRow, UserRow, VersionRow
from server.spaces.inside import inside
from server.spaces.rows import versions_named

MAX_LISTED = 1_000  # the newest


def versions_of(session: Session, view: ReadableView, node: NodeId) -> Versions:
    """The newest first.  A file in the trash has them too.  Raises NotFound: absent, or a folder."""
    current = (
        session.execute(
            select(NodeRow.kind, NodeRow.content_epoch, NodeRow.content_number).where(
                NodeRow.space == view.space, NodeRow.id == node.bytes
            )
        )
    ).one_or_none()
    is_mine = node.bytes in inside(session, view, [node.bytes])
    if current is None or not is_mine or current.kind == Kind.FOLDER.value:
        raise NotFound("There is no such file", hint="Look at the folder again.")
    rows = session.execute(
        select(
            VersionRow.epoch,
            VersionRow.number,
            VersionRow.size,
            VersionRow.mtime_ns,
            VersionRow.executable,
            VersionRow.committed_at_ms,
            UserRow.name.label("user"),
            DeviceRow.name.label("device"),
        )
        .outerjoin(DeviceRow, DeviceRow.id == VersionRow.device)
        .outerjoin(UserRow, UserRow.id == DeviceRow.user)
        .where(VersionRow.space == view.space, VersionRow.node == node.bytes)
        .order_by(VersionRow.epoch.desc(), VersionRow.number.desc())
        .limit(MAX_LISTED)
    )
    return Versions(
        node=node,
        versions=[
            Version(
                revision=Revision(epoch=row.epoch, number=row.number),
                size=row.size,
                mtime_ns=row.mtime_ns,
                executable=row.executable,
                committed_at_ms=row.committed_at_ms,
                user=row.user or "",
                device=row.device or "",
                current=(row.epoch, row.number) == (current.content_epoch, current.content_number),
            )
            for row in rows
        ],
    )


def version_content(session: Session, view: ReadableView, node: NodeId, revision: Revision) -> Content:
    """Raises NotFound."""
    name = (node.bytes, revision.epoch, revision.number)
    found = versions_named(session, view.space, [name])
    if name not in found or node.bytes not in inside(session, view, [node.bytes]):
        raise NotFound("There is no such version", hint="Look at the list of versions.")
    return found[name].content
