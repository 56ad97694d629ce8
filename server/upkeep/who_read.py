"""Who read a file or anything in a folder, by its path as `mb-server manifest` writes it.

Owns: the readings of a subtree.  May import: sqlalchemy, protocol, server.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.orm import Session

from protocol.errors import NotFound
from server.audit.reading import Between, Reading, readings
from server.spaces.paths import nodes_at

_BELOW = text(
    "WITH RECURSIVE tree(id) AS (SELECT :node UNION SELECT n.id FROM tree t"
    " JOIN nodes n ON n.space = :space AND n.parent = t.id) SELECT id FROM tree"
)


def who_read(session: Session, path: str, between: Between) -> Iterator[Reading]:
    """path: of a file or folder, also of a deleted one; or the id of a node, for one that was purged.

    Raises NotFound: no tree knows it.
    """
    found = list(nodes_at(session, path))
    if not found:
        raise NotFound(
            f"No tree of this server knows {path[:200]!r}",
            hint="Write it as `mb-server manifest --trash` does, or give the id of the node.",
        )
    for space, node in found:
        nodes = session.scalars(_BELOW, {"node": node, "space": space}).all()
        yield from readings(session, space, nodes, between)
