"""The change feed: the nodes of a view as they are now, in the order they last changed.

Owns: what a page holds, where it ends, and when a cursor is of no use any more.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.

What a page says, and why that is enough to follow a tree:

* every node stamped after the cursor; a deleted one only if it was deleted after the client began its listing;
* a node that lies below a tombstone is deleted too, and is told as deleted if it was stamped after the cursor:
  the client may know it at another place, from before it was moved there;
* every folder above what it tells, unless it was told before;
* for a folder that came back from the trash, after it, all that lives below it.

Tombstones count only at the head: until then a client must not drop what lies below one, since it may have been
moved out and be told on a later page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import Cursor
from protocol.messages import MAX_PAGE_NODES, Changes, Feed, NodeState, Reset, ResetCause
from server.access.cursors import START, Cursors, Position
from server.access.rights import Action, Principal, ReadableView, authorise, rights_of
from server.database.facts import EPOCH, epoch_value
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
_BEGINNING = f"SELECT stamp, purged_stamp, ({EPOCH}) FROM spaces WHERE id = ?"  # noqa: S608 - constants


def changes(
    session: Session,
    principal: Principal,
    view: ReadableView,
    cursor: Cursor,
    *,
    limit: int = MAX_PAGE_NODES,
    cursors: Cursors,
) -> Feed:
    """The page after `cursor`, from the caller's snapshot.

    limit: of nodes that are told in their turn; folders above them come on top.

    Raises BadRequest: the cursor is not of this view.  Raises NotFound, AccessDenied: not theirs to see.
    """
    authorise(principal, Action.METADATA, view)
    with_contents = Action.READ in rights_of(principal, view)
    [(head, purged, epoch_text)] = rows_of_sql(session, _BEGINNING, view.space)
    epoch = epoch_value(epoch_text)
    position = cursors.open(view.id, cursor) or START.of_epoch(epoch)
    cause = _reset_cause(position, epoch=epoch, head=head, purged=purged)
    if cause is not None:
        return Reset(cause=cause, cursor=cursors.seal(view.id, START.of_epoch(epoch)))
    if position.is_start:
        position = replace(position, listing=head, with_contents=with_contents)
    elif position.with_contents != with_contents:
        return Reset(cause=ResetCause.RIGHTS, cursor=cursors.seal(view.id, START.of_epoch(epoch)))
    if position.stamp == head and not position.arrival_stamp:  # nothing new, which is what most ask to hear
        return Changes(nodes=[], more=False, cursor=cursors.seal(view.id, position))
    page = _Page(session, view, position, head=head, room=limit)
    more = page.fill()
    return Changes(nodes=page.states(), more=more, cursor=cursors.seal(view.id, page.position))


def _reset_cause(position: Position, *, epoch: int, head: int, purged: int) -> ResetCause | None:
    if position.epoch != epoch or position.stamp > head:
        return ResetCause.RESTORED
    if not position.is_start and max(position.stamp, position.listing) < purged:
        return ResetCause.PURGED
    return None


@dataclass(slots=True)
class _Page:
    """A page being filled: stretches of changes, and after each the subtrees that arrived at its end."""

    session: Session
    view: ReadableView
    position: Position
    head: int
    room: int
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
        space = self.view.space
        arrival = self.session.scalar(
            select(ArrivalRow.stamp)
            .where(ArrivalRow.space == space, ArrivalRow.stamp > max(position.stamp, position.listing))
            .order_by(ArrivalRow.stamp)
            .limit(1)
        )
        end = self.head if arrival is None else arrival
        rows, more = found_page(
            self.session,
            _CHANGED,
            *(space, position.stamp, end, position.listing, self.room + 1),
            room=self.room,
        )
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
        folder = self.session.scalar(
            select(ArrivalRow.node).where(
                ArrivalRow.space == space, ArrivalRow.stamp == position.arrival_stamp
            )
        )
        rows: Sequence[FoundState] = ()
        more = False
        if folder is not None and self._lives(folder):
            rows, more = found_page(
                self.session,
                _ARRIVED,
                *(space, folder, space, space, position.arrival_after, self.room + 1),
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

    def _lives(self, node: bytes) -> bool:
        space = self.view.space
        sql = f"{with_ancestors(1)} SELECT nodes.deleted_at_ms FROM up JOIN {_ABOVE}"  # noqa: S608 - constants
        return all(at_ms is None for (at_ms,) in rows_of_sql(self.session, sql, space, node, space, space))

    def states(self) -> list[NodeState]:
        """All that the page tells, folders above it first."""
        told = {row.id: row for row in (*self.changed, *self.arrived)}
        above = self._above(told.values())
        hidden = self._hidden(told.values(), above)
        rows = [row for row in told.values() if row.id not in hidden or row.stamp > self.position.listing]
        extra = self._not_told_yet([row for row in rows if row.id not in hidden], told, above)
        return node_states(self.session, [*extra, *rows], hidden, with_contents=self.position.with_contents)

    def _above(self, rows: Iterable[FoundState]) -> dict[bytes, FoundState]:
        """All folders above these, by id."""
        found: dict[bytes, FoundState] = {}
        space = self.view.space
        for group in in_groups({row.parent for row in rows}, BULK):
            above = found_states(
                self.session,
                "",
                *(space, *group, space, space),
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
