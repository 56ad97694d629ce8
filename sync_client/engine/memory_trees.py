"""The three trees in dictionaries.

Owns: `MemoryTrees`, what `engine.trees.Trees` asks for without a database.
May import: protocol, engine.trees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from protocol.ids import NodeId
from protocol.names import name_key
from sync_client.engine.trees import Place, Row, Side, Trees, root_row

_SIDES = (0, 1, 2)  # as `Side`, without the price of an enum


class MemoryTrees(Trees):
    """For tests, and for plans small enough to hold in memory."""

    def __init__(self, root: NodeId) -> None:
        self.root = root
        self._rows: dict[NodeId, Row] = {}
        self._children: tuple[dict[NodeId, dict[NodeId, None]], ...] = ({}, {}, {})
        self._named: tuple[dict[tuple[NodeId, str], dict[NodeId, None]], ...] = ({}, {}, {})
        self._dirty: dict[NodeId, None] = {}
        self._rows[root] = root_row(root)

    def row(self, node: NodeId) -> Row | None:
        return self._rows.get(node)

    def named(self, side: Side, parent: NodeId, name_key: str) -> Iterable[NodeId]:
        return self._named[side].get((parent, name_key), ())

    def children(self, side: Side, parent: NodeId) -> Iterator[NodeId]:
        return iter(tuple(self._children[side].get(parent, ())))

    def save(self, row: Row, *, dirty: bool) -> None:
        node = row.node
        old = self._rows.get(node)
        if old is row:
            raise ValueError("a row is replaced, never changed in place")
        for side, before, after in zip(_SIDES, _places(old), _places(row), strict=True):
            if before is not after and before != after:
                if before is not None:
                    del self._children[side][before.parent][node]
                    del self._named[side][before.parent, name_key(before.name)][node]
                if after is not None:
                    self._children[side].setdefault(after.parent, {})[node] = None
                    self._named[side].setdefault((after.parent, name_key(after.name)), {})[node] = None
        if row.remote is None and row.local is None and row.agreed is None:
            self._rows.pop(node, None)
            self._dirty.pop(node, None)
            return
        self._rows[node] = row
        if dirty:
            self._dirty[node] = None
        else:
            self._dirty.pop(node, None)

    def dirty(self) -> Iterator[NodeId]:
        return iter(tuple(self._dirty))

    def rows(self) -> Iterator[Row]:
        """Every row but the root's."""
        return iter([row for node, row in self._rows.items() if node != self.root])


def _places(row: Row | None) -> tuple[Place | None, Place | None, Place | None]:
    """In the order of `Side`."""
    if row is None:
        return None, None, None
    remote, local, agreed = row.remote, row.local, row.agreed
    return (
        None if remote is None else remote.place,
        None if local is None else local.place,
        None if agreed is None else agreed.place,
    )
