"""The files of some entries that can be seen in a view now, with what they say now.

Owns: that question, in a few reads for many entries.
May import: sqlalchemy, protocol, server.access, server.catalog, server.database, server.spaces.

Whatever the catalog keeps may be of yesterday: a file in the trash, one that was moved out of a shared folder, one
whose bytes are others now.  So nothing is told of a file before the tree has been asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from protocol.attributes import Values
from protocol.messages import Revision
from server.access.rights import ReadableView
from server.catalog.entries import attributes_in, labels_shown
from server.catalog.query import Facts
from server.database.session import rows_in
from server.spaces.rows import load_with_ancestors
from server.spaces.staging import StagedNode

_FILES = "SELECT entry, node, epoch, number, attributes FROM catalog_files WHERE entry IN"


@dataclass(frozen=True, slots=True)
class SeenFile:
    """path: its folders and its name, from the view's root.  is_current: it was read of its bytes of now, so what its
    entry says holds for it; else it has no attributes."""

    node: bytes
    revision: Revision
    path: tuple[str, ...]
    is_current: bool
    attributes: Mapping[str, Values]
    labels: Mapping[str, tuple[str, ...]]

    @property
    def facts(self) -> Facts:
        return {**self.labels, **self.attributes}


def seen_files(
    session: Session, view: ReadableView, entries: Collection[int], *, with_contents: bool
) -> dict[int, list[SeenFile]]:
    """By entry, in the order of a series.  with_contents: else attributes are left out."""
    rows = list(rows_in(session, _FILES, among=entries))
    tree = load_with_ancestors(session, view.space, (row.node for row in rows))
    ways = _Ways(tree, view.root.bytes)
    live = [row for row in rows if ways.to(row.node) is not None]
    labels = labels_shown(session, view.space, [row.node for row in live])
    found: dict[int, list[SeenFile]] = {}
    for row in live:
        now = tree[row.node].content
        is_current = (row.epoch, row.number) == (now.epoch, now.number)
        attributes = attributes_in(row.attributes) if with_contents and is_current else {}
        path = ways.to(row.node)
        assert path is not None, "looked at above"
        found.setdefault(row.entry, []).append(
            SeenFile(row.node, now, path, is_current, attributes, labels.get(row.node, {}))
        )
    for files in found.values():
        files.sort(key=_in_order)
    return found


def _in_order(file: SeenFile) -> tuple[float, tuple[str, ...], bytes]:
    number = file.attributes.get("InstanceNumber", (0,))[0]
    return (float(number), file.path, file.node)


class _Ways:
    """From the view's root down to each live node; each is walked once."""

    def __init__(self, tree: Mapping[bytes, StagedNode], root: bytes) -> None:
        self._tree = tree
        self._known: dict[bytes, tuple[str, ...] | None] = {root: ()}

    def to(self, node: bytes) -> tuple[str, ...] | None:
        """None: it is deleted, or lies outside."""
        for step in reversed(list(self._up(node))):
            above = self._known[step.parent]
            self._known[step.id] = None if above is None else (*above, step.name)
        return self._known[node]

    def _up(self, node: bytes) -> Iterator[StagedNode]:
        """What is not known yet, from the node on; the last one's parent is known."""
        seen: set[bytes] = set()
        while node not in self._known:
            row = self._tree.get(node)
            if row is None or row.is_deleted or node in seen:
                self._known[node] = None
                return
            seen.add(node)
            yield row
            node = row.parent
