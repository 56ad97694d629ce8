"""Who read a file or anything in a folder, by its path as `mb-server manifest` writes it.

Owns: from a path to nodes, deleted ones too.  May import: sqlalchemy, protocol, server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from protocol.errors import NotFound
from protocol.names import name_key
from server.audit.reading import Between, Reading, readings
from server.database.tables import NodeRow

_ROOTS = text(
    "SELECT v.space, v.root, coalesce(u.name, '') || v.name FROM views v LEFT JOIN users u ON u.id = v.owner"
    " WHERE v.kind <> 'folder'"
)
_BELOW = text(
    "WITH RECURSIVE tree(id) AS (SELECT :node UNION SELECT n.id FROM tree t"
    " JOIN nodes n ON n.space = :space AND n.parent = t.id) SELECT id FROM tree"
)


def who_read(session: Session, path: str, between: Between) -> Iterator[Reading]:
    """path: of a file or folder, also of a deleted one; or the id of a node, for one that was purged.

    Raises NotFound: no tree knows it.
    """
    found = list(_named(session, path))
    if not found:
        raise NotFound(
            f"No tree of this server knows {path[:200]!r}",
            hint="Write it as `mb-server manifest --trash` does, or give the id of the node.",
        )
    for space, node in found:
        nodes = session.scalars(_BELOW, {"node": node, "space": space}).all()
        yield from readings(session, space, nodes, between)


def _named(session: Session, path: str) -> Iterator[tuple[int, bytes]]:
    if re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", path):
        spaces = session.scalars(text("SELECT id FROM spaces")).all()
        yield from ((space, UUID(path).bytes) for space in spaces)
        return
    wanted = path.strip("/")
    for space, root, prefix in session.execute(_ROOTS).all():
        at = prefix.strip("/")
        if wanted == at:
            yield space, root
        elif wanted.startswith(at + "/"):
            names = wanted[len(at) + 1 :].split("/")
            yield from ((space, node) for node in _walk(session, space, root, names))


def _walk(session: Session, space: int, root: bytes, names: list[str]) -> list[bytes]:
    """Several where what was deleted had the name of what is there now."""
    nodes = [root]
    for name in names:
        rows = session.execute(
            select(NodeRow.id, NodeRow.name).where(NodeRow.space == space, NodeRow.parent.in_(nodes))
        )
        nodes = [node for node, found in rows if name_key(found) == name_key(name)]
    return nodes
