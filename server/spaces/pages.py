"""A page of a feed, being filled.

Owns: what it tells beside the nodes that changed: folders above them, subtrees that arrived, what is hidden below
a tombstone.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.messages import NodeState
from server.access.cursors import START, Position
from server.access.rights import ReadableView
from server.database.session import BULK, in_groups, rows_of_sql
from server.database.tables import ArrivalRow
from server.spaces.rows import LIVE_BELOW, with_ancestors
from server.spaces.states import FoundState, found_page, found_states, node_states

_NO_NODE = START.arrival_after
_CHANGED = (
    "WHERE nodes.space = ? AND nodes.stamp > ? AND nodes.stamp <= ?"
    " AND (nodes.deleted_at_ms IS NULL OR nodes.stamp > ?) ORDER BY nodes.stamp LIMIT ?"
)
_LISTED = "nodes ON nodes.space = ? AND nodes.id = below.id"
_ARRIVED = "WHERE nodes.id > ? ORDER BY nodes.id LIMIT ?"
_ABOVE = "nodes ON nodes.space = ? AND nodes.id = up.id"


@dataclass(slots=True)
class Page:
    """A page being filled: stretches of changes, and after each the subtrees that arrived at its end."""

    session: Session
    view: ReadableView
    position: Position
    head: int
    room: int
    with_people: bool = True  # also who changed what
    changed: list[FoundState] = field(default_factory=list)
    arrived: list[FoundState] = field(default_factory=list)

    def fill(self) -> bool:
        """Whether there is more after it."""
        while True:
            if self.position.arrival_stamp:
                if self._list_arrived():
                    return True
            elif self._list_changed():
                return True
            elif not self.position.arrival_stamp:
                return False

    def _list_changed(self) -> bool:
        """Up to the next arrival, or the head; True if that was too much for this page."""
        position = self.position
        arrival = self.next_arrival(max(position.stamp, position.listing))
        end = self.head if arrival is None else arrival
        rows, more = self.changed_up_to(end)
        self.changed += rows
        if more:
            if rows:
                self.position = replace(position, stamp=rows[-1].stamp)
            return True
        self.room -= len(rows)
        self.position = replace(position, stamp=end, arrival_stamp=arrival or 0, arrival_after=_NO_NODE)
        return False

    def _list_arrived(self) -> bool:
        """What lives below a folder that came back, by id; True if that was too much for this page."""
        position = self.position
        space = self.view.space
        folder = self.arrived_at(position.arrival_stamp)
        rows: Sequence[FoundState] = ()
        more = False
        if folder is not None and self._lives(folder):
            rows, more = found_page(
                self.session,
                _ARRIVED,
                *(space, folder, space, position.arrival_after, self.room + 1),
                room=self.room,
                before=LIVE_BELOW,
                among=f"below JOIN {_LISTED}",
            )
        self.arrived += rows
        if more:
            if rows:
                self.position = replace(position, arrival_after=rows[-1].id)
            return True
        self.room -= len(rows)
        self.position = replace(position, arrival_stamp=0, arrival_after=_NO_NODE)
        return False

    # ---- what a view that is a part of its space answers in another way -----------------------------------

    def next_arrival(self, after: int) -> int | None:
        """The stamp of the next folder that came back as a whole."""
        sql = "SELECT min(stamp) FROM arrivals WHERE space = ? AND stamp > ?"
        found: int | None = rows_of_sql(self.session, sql, self.view.space, after)[0][0]
        return found

    def arrived_at(self, stamp: int) -> bytes | None:
        found: bytes | None = self.session.scalar(
            select(ArrivalRow.node).where(ArrivalRow.space == self.view.space, ArrivalRow.stamp == stamp)
        )
        return found

    def changed_up_to(self, end: int) -> tuple[list[FoundState], bool]:
        """The nodes stamped from here to `end`, in order, as many as there is room for; and whether there are more."""
        position = self.position
        values = (self.view.space, position.stamp, end, position.listing, self.room + 1)
        return found_page(self.session, _CHANGED, *values, room=self.room)

    def gone(self) -> list[UUID]:
        """What left the view in the stretches of this page."""
        return []

    # ---- folders above -----------------------------------------------------------------------------------

    def _lives(self, node: bytes) -> bool:
        space = self.view.space
        sql = f"{with_ancestors(1)} SELECT nodes.deleted_at_ms FROM up JOIN {_ABOVE}"  # noqa: S608 - constants
        return all(at_ms is None for (at_ms,) in rows_of_sql(self.session, sql, space, node, space))

    def states(self) -> list[NodeState]:
        """All that the page tells, folders above it first."""
        told = {row.id: row for row in (*self.changed, *self.arrived)}
        above = self._above(told.values())
        hidden = self._hidden(told.values(), above)
        rows = [row for row in told.values() if row.id not in hidden or row.stamp > self.position.listing]
        extra = self._not_told_yet([row for row in rows if row.id not in hidden], told, above)
        return node_states(
            self.session,
            [*extra, *rows],
            hidden,
            with_contents=self.position.with_contents,
            with_people=self.with_people,
        )

    def _above(self, rows: Iterable[FoundState]) -> dict[bytes, FoundState]:
        """All folders above these, by id."""
        found: dict[bytes, FoundState] = {}
        space = self.view.space
        for group in in_groups({row.parent for row in rows}, BULK):
            above = found_states(
                self.session,
                "",
                *(space, *group, space),
                before=with_ancestors(len(group)),
                among=f"up JOIN {_ABOVE}",
            )
            found.update((row.id, row) for row in above)
        return found

    def _hidden(self, rows: Iterable[FoundState], above: Mapping[bytes, FoundState]) -> set[bytes]:
        """Those of `rows` with a tombstone above them."""
        verdicts: dict[bytes, bool] = {self.view.root.bytes: False}  # whether what lies in a folder is hidden

        def hides(folder: bytes) -> bool:
            way: list[bytes] = []
            while folder not in verdicts:
                row = above.get(folder)
                if row is None or row.deleted_at_ms is not None:
                    verdicts[folder] = True
                else:
                    way.append(folder)
                    folder = row.parent
            verdicts.update(dict.fromkeys(way, verdicts[folder]))
            return verdicts[folder]

        return {row.id for row in rows if hides(row.parent)}

    def _not_told_yet(
        self, rows: Iterable[FoundState], told: Mapping[bytes, FoundState], above: Mapping[bytes, FoundState]
    ) -> list[FoundState]:
        """The folders above live rows that only a later page would tell, from the root down."""
        extra: dict[bytes, FoundState] = {}
        seen: set[bytes] = {self.view.root.bytes}
        for row in rows:
            way: list[FoundState] = []
            parent = row.parent
            while parent not in seen and parent in above:
                seen.add(parent)
                way.append(above[parent])
                parent = above[parent].parent
            for folder in reversed(way):
                late = bool(self.arrived) or folder.stamp > self.position.stamp
                if late and folder.id not in told:
                    extra[folder.id] = folder
        return list(extra.values())
