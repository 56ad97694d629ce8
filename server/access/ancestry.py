"""The folders that a folder lies in.

Owns: the way up, as rights need it.  May import: sqlalchemy, protocol, server.database.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy.orm import Session

from protocol.ids import NodeId, SpaceId
from server.database.session import rows_of_sql

_WAY_UP = (  # no step asks anything of the nodes alone, see server.spaces.rows
    "WITH RECURSIVE up(space, id, depth) AS (SELECT id, ?, 0 FROM spaces WHERE id = ?"
    " UNION ALL SELECT nodes.space, nodes.parent, up.depth + 1"
    " FROM up JOIN nodes ON nodes.space = up.space AND nodes.id = up.id WHERE up.depth < 1000)"
    " SELECT nodes.id, nodes.name, nodes.kind, nodes.deleted_at_ms FROM up"
    " JOIN nodes ON nodes.space = up.space AND nodes.id = up.id ORDER BY up.depth"
)


class Above(NamedTuple):
    id: bytes
    name: str
    kind: str
    deleted_at_ms: int | None


def folders_above(session: Session, space: SpaceId, node: NodeId) -> list[Above]:
    """The node itself, what it lies in, and so on to the root; empty if there is no such node."""
    rows = rows_of_sql(session, _WAY_UP, node.bytes, space)
    return [Above._make(row) for row in rows]


def is_live(chain: list[Above]) -> bool:
    """There is such a node, and neither it nor a folder above it is deleted."""
    return bool(chain) and all(folder.deleted_at_ms is None for folder in chain)
