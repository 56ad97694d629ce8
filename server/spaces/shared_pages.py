"""A page of the feed of a shared folder: the same, of a part of a space.

Owns: leaving out what lies outside, what left and what came in.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.

A first listing walks down from the shared folder; after it, a page costs what changed in the space since, of which
only ids are looked at where they lie outside.  It never ends early because of them: nobody outside the view can tell
from it that anything happened elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from server.database.session import BULK, rows_of_sql
from server.spaces.inside import inside
from server.spaces.pages import Page
from server.spaces.states import FoundState, found_page

_IDS = (
    "SELECT id, stamp FROM nodes WHERE space = ? AND stamp > ? AND stamp <= ?"
    " AND (deleted_at_ms IS NULL OR stamp > ?) ORDER BY stamp LIMIT ?"
)
_NEXT_ARRIVAL = (
    "SELECT min(stamp) FROM (SELECT stamp FROM arrivals WHERE space = ? AND stamp > ?"
    " UNION ALL SELECT stamp FROM border_crossings WHERE view = ? AND arrives AND stamp > ?) AS coming"
)
_ARRIVED = (
    "SELECT node FROM border_crossings WHERE view = ? AND stamp = ? AND arrives"
    " UNION SELECT node FROM arrivals WHERE space = ? AND stamp = ?"
)
_GONE = "SELECT node FROM border_crossings WHERE view = ? AND stamp > ? AND stamp <= ? AND NOT arrives ORDER BY stamp"


@dataclass(slots=True)
class SharedPage(Page):
    began_at: int = field(init=False)

    def __post_init__(self) -> None:
        self.began_at = self.position.stamp

    def next_arrival(self, after: int) -> int | None:
        view = self.view
        [(found,)] = rows_of_sql(self.session, _NEXT_ARRIVAL, view.space, after, view.id.bytes, after)
        return None if found is None else int(found)

    def arrived_at(self, stamp: int) -> bytes | None:
        view = self.view
        if stamp == self.position.listing:  # the first listing: all that lives below the root
            return view.root.bytes
        rows = rows_of_sql(self.session, _ARRIVED, view.id.bytes, stamp, view.space, stamp)
        arrived = inside(self.session, view, [node for (node,) in rows])
        return next(iter(arrived), None)

    def changed_up_to(self, end: int) -> tuple[list[FoundState], bool]:
        position, space = self.position, self.view.space
        found: list[bytes] = []
        at = position.stamp
        while len(found) <= self.room:
            rows = rows_of_sql(self.session, _IDS, space, at, end, position.listing, BULK)
            mine = inside(self.session, self.view, [node for node, _ in rows])
            found += [node for node, _ in rows if node in mine and node != self.view.root.bytes]
            if len(rows) < BULK:
                break
            at = rows[-1][1]
        wanted = found[: self.room + 1]
        if not wanted:
            return [], False
        marks = ", ".join("?" * len(wanted))
        condition = f"WHERE nodes.space = ? AND nodes.id IN ({marks}) ORDER BY nodes.stamp"
        return found_page(self.session, condition, space, *wanted, room=self.room)

    def gone(self) -> list[UUID]:
        rows = rows_of_sql(self.session, _GONE, self.view.id.bytes, self.began_at, self.position.stamp)
        return [UUID(bytes=node) for (node,) in rows]
