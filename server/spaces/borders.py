"""What a batch moves across the borders of shared folders.

Owns: departures and arrivals, the stamp of each shared folder's view.
May import: sqlalchemy, protocol, server.database, server.spaces.

What a view gains and loses is recorded in the transaction that moves it, never inferred.  A space in which no
folder is shared has no borders, and costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy.orm import Session

from protocol.ids import SpaceId
from protocol.messages import Kind
from server.database.facts import note_changed_rights
from server.database.session import insert_rows, rows_of_sql
from server.database.tables import BorderCrossingRow
from server.spaces.rows import load_with_ancestors
from server.spaces.staging import StagedNode

Nodes = Mapping[bytes, StagedNode]
_INNER_VIEWS = (
    "SELECT views.root, views.id, views.stamp FROM views JOIN spaces ON spaces.id = views.space"
    " WHERE views.space = ? AND views.root <> spaces.root"
)


class InnerView(NamedTuple):
    """The view of a shared folder.  stamp: of the last change in it."""

    root: bytes
    id: bytes
    stamp: int


class Crossing(NamedTuple):
    view: bytes
    node: bytes
    arrives: bool


class Borders:
    """Of one space, while one batch is decided.  `before` is taken first, `record` is called once it is done."""

    def __init__(self, session: Session, space: SpaceId) -> None:
        self._session = session
        self._space = space
        rows = [InnerView._make(row) for row in rows_of_sql(session, _INNER_VIEWS, space)]
        self.views = {view.root: view for view in rows}
        self._ways = load_with_ancestors(session, space, self.views)
        self._before: Nodes = {}

    def take(self, before: Nodes) -> None:
        """before: all that the batch can touch, with all above it."""
        self._before = {**self._ways, **before}

    def record(self, after: Nodes, changed: Iterable[bytes], *, stamp: int) -> None:
        """changed: in the order of their stamps, which follow `stamp`."""
        if not self.views:
            return
        now = {**self._ways, **after}
        crossings: list[tuple[object, ...]] = []
        moved: dict[bytes, int] = {}
        for count, node in enumerate(changed, start=1):
            here = _above(self.views, now, node)
            there = _above(self.views, self._before, node) if node in self._before else here
            for root in here | there:
                moved[root] = stamp + count
            for root in here ^ there:
                arrives = root in here
                if not arrives or now[node].kind is Kind.FOLDER:  # a file is told by its own stamp
                    crossings.append((self.views[root].id, stamp + count, node, arrives))
            if node in self._ways and _place(self._before[node]) != _place(now[node]):
                note_changed_rights(self._session)  # a shared folder has another name, or is gone, or is back
        insert_rows(self._session, BorderCrossingRow, crossings)
        if moved:
            self._session.connection().exec_driver_sql(
                "UPDATE views SET stamp = ? WHERE id = ?",
                [(number, self.views[root].id) for root, number in moved.items()],
            )


def _above(views: Mapping[bytes, InnerView], nodes: Nodes, node: bytes) -> frozenset[bytes]:
    """The roots of the views in which this node lies, deleted or not."""
    found: set[bytes] = set()
    seen: set[bytes] = set()
    row = nodes.get(node)
    while row is not None and row.id not in seen:
        seen.add(row.id)
        if row.parent in views:
            found.add(row.parent)
        row = nodes.get(row.parent)
    return frozenset(found)


def _place(row: StagedNode) -> tuple[bytes, str, bool]:
    return row.parent, row.name, row.is_deleted
