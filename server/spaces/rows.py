"""Rows of nodes and versions, and the values they stand for.

Owns: which columns are read, turning them into values, ways up and down a tree in one query each.
May import: sqlalchemy, protocol, server.database, server.spaces.staging.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from protocol.ids import SpaceId
from protocol.messages import Content, Kind, Manifest, Revision
from server.database.session import BULK, AnyRow, in_groups, rows_in, rows_of_sql
from server.database.tables import NodeRow, VersionRow
from server.spaces.staging import StagedNode

VersionName = tuple[bytes, int, int]  # node, epoch, number
_KINDS = {kind.value: kind for kind in Kind}

NODE_COLUMNS = (
    NodeRow.id,
    NodeRow.parent,
    NodeRow.name,
    NodeRow.name_key,
    NodeRow.kind,
    NodeRow.place_epoch,
    NodeRow.place_number,
    NodeRow.content_epoch,
    NodeRow.content_number,
    NodeRow.place_operation,
    NodeRow.content_operation,
    NodeRow.changed_by,
    NodeRow.deleted_at_ms,
    NodeRow.conflict_of,
    NodeRow.conflict_device,
)
CONTENT_COLUMNS = (
    VersionRow.size,
    VersionRow.mtime_ns,
    VersionRow.executable,
    VersionRow.chunks,
    VersionRow.lengths,
    VersionRow.indirect,
)
_CONTENT_NAMES = ", ".join(f"versions.{column.name}" for column in CONTENT_COLUMNS)
_VERSION_COLUMNS = (  # %d: whether it is superseded
    "SELECT nodes.id, versions.epoch, versions.number, nodes.kind, nodes.deleted_at_ms IS NOT NULL, %d,"
    f" {_CONTENT_NAMES}"
)
_NODE_NAMES = ", ".join(f"nodes.{column.name}" for column in NODE_COLUMNS)
IS_CURRENT_VERSION = (
    (VersionRow.space == NodeRow.space)
    & (VersionRow.node == NodeRow.id)
    & (VersionRow.epoch == NodeRow.content_epoch)
    & (VersionRow.number == NodeRow.content_number)
)


class FoundVersion(NamedTuple):
    """A version as its row has it: of thousands that are asked for, few are looked at as a `content`."""

    node: bytes
    epoch: int
    number: int
    kind: str
    is_deleted: int
    is_superseded: int
    size: int
    mtime_ns: int
    is_executable: int
    chunks: bytes
    lengths: bytes
    is_indirect: int

    @property
    def is_past(self) -> bool:
        """Superseded, or of a node in the trash."""
        return bool(self.is_deleted or self.is_superseded)

    @property
    def content(self) -> Content:
        return content_value(_KINDS[self.kind], *self[6:])


def kind_of(text: str) -> Kind:
    return _KINDS[text]


def staged_node(row: AnyRow) -> StagedNode:
    """From NODE_COLUMNS."""
    (node, parent, name, key, kind, place_epoch, place_number, content_epoch, content_number, *rest) = row
    place_operation, content_operation, changed_by, deleted_at_ms, conflict_of, conflict_device = rest
    return StagedNode(
        id=node,
        parent=parent,
        name=name,
        name_key=key,
        kind=_KINDS[kind],
        place=Revision(epoch=place_epoch, number=place_number),
        content=Revision(epoch=content_epoch, number=content_number),
        place_operation=place_operation,
        content_operation=content_operation,
        changed_by=changed_by,
        deleted_at_ms=deleted_at_ms,
        conflict_of=conflict_of,
        conflict_device=conflict_device,
    )


def content_of(row: AnyRow) -> Content:
    """From a row with `kind` and CONTENT_COLUMNS."""
    return content_value(
        _KINDS[row.kind], row.size, row.mtime_ns, row.executable, row.chunks, row.lengths, row.indirect
    )


def content_value(
    kind: Kind,
    size: int,
    mtime_ns: int,
    executable: int,
    chunks: bytes,
    lengths: bytes,
    indirect: int,
) -> Content:
    """From CONTENT_COLUMNS."""
    return Content(
        kind=kind,
        manifest=Manifest(size=size, chunks=chunks, lengths=unpack_lengths(lengths), indirect=bool(indirect)),
        mtime_ns=mtime_ns,
        executable=bool(executable),
    )


def pack_lengths(lengths: list[int]) -> bytes:
    return _lengths(len(lengths)).pack(*lengths)


def unpack_lengths(packed: bytes) -> list[int]:
    return list(_lengths(len(packed) // 4).unpack(packed))


@lru_cache(maxsize=4_096)
def _lengths(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}I")


# ---- ways up and down ------------------------------------------------------------------------------------


#
# A step asks nothing of `nodes` that does not also name the row that it came from.  Where one does (`nodes.space = ?`),
# SQLite walks the whole space before the first step, to make itself a Bloom filter: 40 ms among 400,000 nodes for a way
# of three steps, which so takes 0.04 ms.


def with_ancestors(count: int) -> str:
    """`up`: space and ids of `count` nodes and of all above them, each once.  Its values: space, the nodes."""
    return (
        "WITH RECURSIVE up(space, id) AS (SELECT space, id FROM nodes WHERE space = ? AND id IN"  # noqa: S608 - marks
        f" ({', '.join('?' * count)})"
        " UNION SELECT nodes.space, nodes.parent FROM up JOIN nodes ON nodes.space = up.space AND nodes.id = up.id)"
    )


# `below`: space and ids of what lives below a folder, itself not among them; nothing below a tombstone.
# Its values: space, the folder.
LIVE_BELOW = (
    "WITH RECURSIVE below(space, id) AS (SELECT space, id FROM nodes WHERE space = ? AND deleted_at_ms IS NULL"
    " AND parent = ? UNION ALL SELECT nodes.space, nodes.id FROM below JOIN nodes ON nodes.space = below.space"
    " AND nodes.parent = below.id WHERE CASE WHEN below.id IS NULL THEN 1 ELSE nodes.deleted_at_ms END IS NULL)"
)


def load_with_ancestors(session: Session, space: SpaceId, nodes: Iterable[bytes]) -> dict[bytes, StagedNode]:
    """These nodes (those that exist) and all above them."""
    found: dict[bytes, StagedNode] = {}
    for group in in_groups(dict.fromkeys(nodes), BULK):
        sql = (
            f"{with_ancestors(len(group))} SELECT {_NODE_NAMES} FROM up"  # noqa: S608 - names of our own columns
            " JOIN nodes ON nodes.space = ? AND nodes.id = up.id"
        )
        for row in rows_of_sql(session, sql, space, *group, space):
            found[row[0]] = staged_node(row)
    return found


# ---- rows by several columns -----------------------------------------------------------------------------
#
# Written out, since SQLite walks the whole space for `(parent, name_key) IN (VALUES …)`, and uses the index
# for a join with the values.


def standing_at(session: Session, space: SpaceId, places: Iterable[tuple[bytes, str]]) -> list[StagedNode]:
    """Who holds these places (parent, name key) now."""
    join = (
        f"SELECT {_NODE_NAMES} FROM wanted JOIN nodes ON nodes.space = ?"  # noqa: S608 - names of our own columns
        " AND nodes.parent = wanted.parent AND nodes.name_key = wanted.name_key"
    )
    return [staged_node(row) for row in _joined(session, ("parent", "name_key"), places, join, space)]


def versions_named(
    session: Session, space: SpaceId, names: Collection[VersionName]
) -> dict[VersionName, FoundVersion]:
    """Those of these versions that there are."""
    wanted = set(names)
    current = (
        f"{_VERSION_COLUMNS % 0} FROM nodes JOIN versions ON versions.space = nodes.space AND versions.node = nodes.id"
        " AND versions.epoch = nodes.content_epoch AND versions.number = nodes.content_number"
        " WHERE nodes.space = ? AND nodes.id IN"
    )
    found = {
        row[:3]: FoundVersion._make(row)
        for row in rows_in(session, current, space, among={name[0] for name in wanted})
        if row[:3] in wanted
    }
    if len(found) < len(wanted):  # the rest is superseded, or not there
        join = (
            f"{_VERSION_COLUMNS % 1} FROM wanted JOIN versions ON versions.space = ? AND versions.node = wanted.node"
            " AND versions.epoch = wanted.epoch AND versions.number = wanted.number"
            " JOIN nodes ON nodes.space = versions.space AND nodes.id = versions.node"
        )
        rows = _joined(session, ("node", "epoch", "number"), wanted - found.keys(), join, space)
        found.update((row[:3], FoundVersion._make(row)) for row in rows)
    return found


def came_late(
    session: Session, space: SpaceId, names: Iterable[VersionName], device: bytes
) -> set[VersionName]:
    """Those of these versions, all of them superseded, that this device brought after the current content of their node
    was given, though the current one is of a later epoch: put back, and the current one does not know them."""
    join = (
        "SELECT mine.node, mine.epoch, mine.number, mine.device FROM wanted"
        " JOIN versions AS mine ON mine.space = ? AND mine.node = wanted.node"
        " AND mine.epoch = wanted.epoch AND mine.number = wanted.number"
        " JOIN nodes ON nodes.space = mine.space AND nodes.id = mine.node"
        " JOIN versions AS now ON now.space = nodes.space AND now.node = nodes.id"
        " AND now.epoch = nodes.content_epoch AND now.number = nodes.content_number"
        " WHERE now.epoch > mine.epoch AND mine.committed_at_ms >= now.committed_at_ms"
    )
    found = _joined(session, ("node", "epoch", "number"), names, join, space)
    return {(row[0], row[1], row[2]) for row in found if row[3] == device}


def _joined(
    session: Session,
    columns: Sequence[str],
    wanted: Iterable[tuple[Any, ...]],
    join: str,
    space: SpaceId,
) -> list[AnyRow]:
    connection = session.connection()
    marks = f"({', '.join('?' * len(columns))})"
    found: list[AnyRow] = []
    for group in in_groups(wanted, BULK):
        sql = f"WITH wanted({', '.join(columns)}) AS (VALUES {', '.join([marks] * len(group))}) {join}"
        bound = (*(value for values in group for value in values), space)
        found += connection.exec_driver_sql(sql, bound).all()
    return found
