"""From a path as an operator writes it to nodes, deleted ones too.

Owns: the way from text to (space, node): as `mb-server manifest` writes it, or with a home's owner after /Home.
May import: sqlalchemy, protocol, server.database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from protocol.names import name_key
from server.database.tables import NodeRow

_ROOTS = text(
    "SELECT v.space, v.root, v.name, u.name FROM views v LEFT JOIN users u ON u.id = v.owner"
    " WHERE v.kind <> 'folder'"
)
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def nodes_at(session: Session, path: str) -> Iterator[tuple[int, bytes]]:
    """(space, node) of all that have or had this path, the deepest tree first.

    path: ada/Home/…, /Home/ada/…, /Projects/NAME/… or /Projects/NAME/Intake/…, or the id of a node, for one that was
    purged.
    """
    if _ID.fullmatch(path):
        spaces = session.scalars(text("SELECT id FROM spaces")).all()
        yield from ((space, UUID(path).bytes) for space in spaces)
        return
    parts = _keys(path)
    found = []
    for space, root, view, owner in session.execute(_ROOTS).all():
        starts = (
            [[name_key(owner), *_keys(view)], [*_keys(view), name_key(owner)]] if owner else [_keys(view)]
        )
        found += [(len(at), space, root) for at in starts if parts[: len(at)] == at]
    for length, space, root in sorted(found, reverse=True):
        yield from ((space, node) for node in _walk(session, space, root, parts[length:]))


def _keys(path: str) -> list[str]:
    return [name_key(part) for part in path.strip().strip("/").split("/")]


def _walk(session: Session, space: int, root: bytes, keys: list[str]) -> list[bytes]:
    """Several where what was deleted had the name of what is there now."""
    nodes = [root]
    for key in keys:
        rows = session.execute(
            select(NodeRow.id, NodeRow.name).where(NodeRow.space == space, NodeRow.parent.in_(nodes))
        )
        nodes = [node for node, name in rows if name_key(name) == key]
    return nodes
