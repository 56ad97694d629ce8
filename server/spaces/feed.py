"""The change feed: the nodes of a view as they are now, in the order they last changed.

Owns: which kind of page answers a cursor, and when a cursor is of no use any more.
May import: sqlalchemy, protocol, server.access, server.database, server.spaces.

What a page says, and why that is enough to follow a tree:

* every node stamped after the cursor; a deleted one only if it was deleted after the client began its listing;
* a node that lies below a tombstone is deleted too, and is told as deleted if it was stamped after the cursor:
  the client may know it at another place, from before it was moved there;
* every folder above what it tells, unless it was told before;
* for a folder that came back from the trash, after it, all that lives below it.

The view of a shared folder is a part of its space.  Of what lies outside nothing is said; what left it is `gone`,
and what came into it is told with all that lives below it.

Tombstones count only at the head: until then a client must not drop what lies below one, since it may have been
moved out and be told on a later page.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from protocol.ids import Cursor
from protocol.messages import MAX_PAGE_NODES, Changes, Feed, Reset, ResetCause
from server.access.cursors import START, Cursors, Position
from server.access.rights import Action, Principal, ReadableView, authorise, rights_of
from server.database.facts import EPOCH, epoch_value
from server.database.session import rows_of_sql
from server.spaces.pages import Page
from server.spaces.shared_pages import SharedPage

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
    rights = rights_of(principal, view)
    with_contents = Action.READ in rights
    [(head, purged, epoch_text)] = rows_of_sql(session, _BEGINNING, view.space)
    epoch = epoch_value(epoch_text)
    position = cursors.open(view.id, cursor) or START.of_epoch(epoch)
    cause = _reset_cause(position, epoch=epoch, head=head, purged=purged)
    if cause is not None:
        return Reset(cause=cause, cursor=cursors.seal(view.id, START.of_epoch(epoch)))
    if position.is_start:
        position = replace(position, listing=head, with_contents=with_contents, begun=True)
        if not view.is_whole:
            position = replace(position, stamp=head, arrival_stamp=head)
    elif position.with_contents != with_contents:
        return Reset(cause=ResetCause.RIGHTS, cursor=cursors.seal(view.id, START.of_epoch(epoch)))
    if position.stamp == head and not position.arrival_stamp:  # nothing new, which is what most ask to hear
        return Changes(nodes=[], more=False, cursor=cursors.seal(view.id, position))
    page = (Page if view.is_whole else SharedPage)(
        session, view, position, head=head, room=limit, with_people=Action.PEOPLE in rights
    )
    more = page.fill()
    return Changes(
        nodes=page.states(), gone=page.gone(), more=more, cursor=cursors.seal(view.id, page.position)
    )


def _reset_cause(position: Position, *, epoch: int, head: int, purged: int) -> ResetCause | None:
    if position.epoch != epoch or position.stamp > head:
        return ResetCause.RESTORED
    if not position.is_start and max(position.stamp, position.listing) < purged:
        return ResetCause.PURGED
    return None
