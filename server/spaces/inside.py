"""Which nodes lie in a view.

Owns: that question, where the view is a folder of its space; of a whole space everything lies inside.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy.orm import Session

from server.access.rights import ReadableView
from server.database.session import BULK, in_groups, rows_of_sql
from server.spaces.rows import with_ancestors

_PARENTS = "SELECT nodes.id, nodes.parent FROM up JOIN nodes ON nodes.space = ? AND nodes.id = up.id"


def inside(session: Session, view: ReadableView, nodes: Collection[bytes]) -> Collection[bytes]:
    """Those of `nodes` that are the root of the view or lie below it, deleted ones too."""
    if view.is_whole:
        return nodes
    parents: dict[bytes, bytes] = {}
    for group in in_groups(dict.fromkeys(nodes), BULK):
        sql = f"{with_ancestors(len(group))} {_PARENTS}"
        rows = rows_of_sql(session, sql, view.space, *group, view.space)
        parents.update((node, parent) for node, parent in rows)
    return below_or_at(view.root.bytes, nodes, parents)


def below_or_at(root: bytes, nodes: Iterable[bytes], parents: Mapping[bytes, bytes]) -> set[bytes]:
    """Those whose way up meets `root`.  parents: of all that lies on those ways."""
    verdicts: dict[bytes, bool] = {root: True}
    found: set[bytes] = set()
    for node in nodes:
        way: list[bytes] = []
        at = node
        while at not in verdicts:
            verdicts[at] = False  # also the end of a way that comes back to itself
            way.append(at)
            if at not in parents:
                break
            at = parents[at]
        is_inside = verdicts[at]
        for passed in way:
            verdicts[passed] = is_inside
        if verdicts[node]:
            found.add(node)
    return found
