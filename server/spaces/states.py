"""Node states, as the feed tells them.

Owns: reading them with their manifests in one query, making messages of them.
May import: msgspec, sqlalchemy, protocol, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from protocol.limits import MAX_PAGE_MANIFEST_BYTES
from protocol.messages import Content, Kind, NodeState, Revision
from protocol.names import unportable
from server.database.session import rows_in, rows_of_sql
from server.spaces.rows import content_value, kind_of

_FOLDER = Content(kind=Kind.FOLDER)


class FoundState(NamedTuple):
    """A node's row, and of its current version what a content is made of (all None for a folder)."""

    id: bytes
    parent: bytes
    stamp: int
    deleted_at_ms: int | None
    name: str
    kind: str
    place_epoch: int
    place_number: int
    content_epoch: int
    content_number: int
    place_operation: bytes
    content_operation: bytes
    changed_at_ms: int
    changed_by: bytes
    conflict_of: bytes | None
    conflict_device: str
    size: int
    mtime_ns: int
    executable: int
    chunks: bytes
    lengths: bytes
    indirect: int


_ROWS_AT_ONCE = 500  # of these a few may have manifests of 64 KB each
_FIRST_OF_VERSION = FoundState._fields.index("size")
_COLUMNS = ", ".join(
    f"{'nodes' if index < _FIRST_OF_VERSION else 'versions'}.{name}"
    for index, name in enumerate(FoundState._fields)
)
_WITH_VERSIONS = (
    "LEFT JOIN versions ON versions.space = nodes.space AND versions.node = nodes.id"
    " AND versions.epoch = nodes.content_epoch AND versions.number = nodes.content_number"
)


def found_states(
    session: Session, condition: str, *values: object, among: str = "nodes", before: str = ""
) -> list[FoundState]:
    """The nodes that a statement written out names, with their manifests.

    condition: from WHERE on.  among: what stands for FROM.  before: common table expressions.
    """
    sql = f"{before} SELECT {_COLUMNS} FROM {among} {_WITH_VERSIONS} {condition}"  # noqa: S608 - constants of our own
    return [FoundState._make(row) for row in rows_of_sql(session, sql, *values)]


def found_page(
    session: Session, condition: str, *values: object, room: int, among: str = "nodes", before: str = ""
) -> tuple[list[FoundState], bool]:
    """As `found_states`, at most `room` of them and about MAX_PAGE_MANIFEST_BYTES; and whether there are more.

    condition: its LIMIT asks for one more than `room`.
    """
    sql = f"{before} SELECT {_COLUMNS} FROM {among} {_WITH_VERSIONS} {condition}"  # noqa: S608 - constants of our own
    result = session.connection().exec_driver_sql(sql, values)
    found: list[FoundState] = []
    manifest_bytes = 0
    for rows in result.partitions(_ROWS_AT_ONCE):
        for row in rows:
            if len(found) >= room or manifest_bytes >= MAX_PAGE_MANIFEST_BYTES:
                result.close()
                return found, True
            state = FoundState._make(row)
            found.append(state)
            if state.chunks:
                manifest_bytes += len(state.chunks)
    return found, False


def node_states(
    session: Session,
    rows: Sequence[FoundState],
    hidden: Collection[bytes],
    *,
    with_contents: bool = True,
    with_people: bool = True,
) -> list[NodeState]:
    """Messages for these rows.  hidden: those that lie below a tombstone.  with_contents: else of a file neither
    manifest nor size nor time is told.  with_people: also who changed what, from which device."""
    names = _device_names(session, {row.changed_by for row in rows}) if with_people else {}
    ids: dict[bytes, None] = {}  # parents and operations come again and again
    for row in rows:
        ids[row.id] = ids[row.parent] = ids[row.place_operation] = ids[row.content_operation] = None
        if row.conflict_of is not None:
            ids[row.conflict_of] = None
    # an eighth of the cost of a call for each
    uuids = dict(zip(ids, msgspec.convert(list(ids), list[UUID]), strict=True))
    states: list[NodeState] = []
    for row in rows:
        deleted = row.deleted_at_ms is not None or row.id in hidden
        kind = kind_of(row.kind)
        content: Content | None
        if deleted:
            content = None
        elif kind is Kind.FOLDER:
            content = _FOLDER
        elif not with_contents:
            content = None
        else:
            content = content_value(
                kind, row.size, row.mtime_ns, row.executable, row.chunks, row.lengths, row.indirect
            )
        states.append(
            NodeState(
                node=uuids[row.id],
                parent=uuids[row.parent],
                name=row.name,
                place_revision=Revision(row.place_epoch, row.place_number),
                content_revision=Revision(row.content_epoch, row.content_number),
                place_operation=uuids[row.place_operation],
                content_operation=uuids[row.content_operation],
                content=content,
                deleted=deleted,
                conflict_of=None if row.conflict_of is None else uuids[row.conflict_of],
                conflict_device=row.conflict_device if with_people else "",
                not_portable=unportable(row.name) is not None,
                changed_at_ms=row.changed_at_ms if with_contents else 0,
                changed_by=names.get(row.changed_by, ""),
            )
        )
    return states


def _device_names(session: Session, devices: Collection[bytes]) -> dict[bytes, str]:
    """ "ada on laptop", for people."""
    sql = (
        'SELECT devices.id, users.name, devices.name FROM devices JOIN users ON users.id = devices."user"'
        " WHERE devices.id IN"
    )
    rows = rows_in(session, sql, among=devices)
    return {device: f"{user_name} on {device_name}" for device, user_name, device_name in rows}
