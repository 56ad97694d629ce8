"""Folders as people name them: a path, and what lies there.

Owns: walking a path, a page of children by name.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from protocol.errors import NotFound
from protocol.messages import Kind, Revision
from protocol.names import MAX_DEPTH, name_key
from protocol.resources import Listed, Listing
from server.access.rights import Action, Principal, ReadableView, authorise, rights_of
from server.database.session import AnyRow
from server.database.tables import NodeRow, VersionRow
from server.spaces.rows import IS_CURRENT_VERSION, kind_of

PAGE = 1_000


def list_folder(
    session: Session, principal: Principal, view: ReadableView, path: str = "/", *, after: str = ""
) -> Listing:
    """The children of the folder at `path`, by name; a file is listed alone.  after: `next` of the page before.
    Who may not read gets names and kinds; sizes and times are 0 then.

    Raises NotFound: nothing is there.  Raises AccessDenied: not theirs to see.
    """
    authorise(principal, Action.METADATA, view)
    with_contents = Action.READ in rights_of(principal, view)
    names = [name for name in path.split("/") if name]
    node, shown = view.root.bytes, ""
    found: AnyRow | None = None
    if len(names) > MAX_DEPTH:
        raise _nothing()
    for name in names:
        if found is not None and found.kind != Kind.FOLDER.value:
            raise _nothing()
        here = _children(view, node).where(NodeRow.name_key == name_key(name))
        found = session.execute(here).one_or_none()
        if found is None:
            raise _nothing()
        node, shown = found.id, f"{shown}/{found.name}"
    if found is not None and found.kind != Kind.FOLDER.value:
        return Listing(path=shown, node=UUID(bytes=node), items=[_item(found, with_contents=with_contents)])
    query = _children(view, node).where(NodeRow.name_key > after).order_by(NodeRow.name_key).limit(PAGE + 1)
    rows = session.execute(query).all()
    return Listing(
        path=shown or "/",
        node=UUID(bytes=node),
        items=[_item(row, with_contents=with_contents) for row in rows[:PAGE]],
        next=rows[PAGE - 1].name_key if len(rows) > PAGE else "",
    )


def _children(view: ReadableView, parent: bytes) -> Select[*tuple[object, ...]]:
    return (
        select(
            NodeRow.id,
            NodeRow.name,
            NodeRow.name_key,
            NodeRow.kind,
            NodeRow.place_epoch,
            NodeRow.place_number,
            NodeRow.content_epoch,
            NodeRow.content_number,
            func.coalesce(VersionRow.size, 0).label("size"),
            func.coalesce(VersionRow.mtime_ns, 0).label("mtime_ns"),
        )
        .outerjoin(VersionRow, IS_CURRENT_VERSION)
        .where(NodeRow.space == view.space, NodeRow.parent == parent, NodeRow.deleted_at_ms.is_(None))
    )


def _item(row: AnyRow, *, with_contents: bool) -> Listed:
    return Listed(
        node=UUID(bytes=row.id),
        name=row.name,
        kind=kind_of(row.kind),
        size=row.size if with_contents else 0,
        mtime_ns=row.mtime_ns if with_contents else 0,
        content_revision=Revision(epoch=row.content_epoch, number=row.content_number),
        place_revision=Revision(epoch=row.place_epoch, number=row.place_number),
    )


def _nothing() -> NotFound:
    return NotFound("There is nothing at this path", hint="`mb-sync ls` shows what there is.")
