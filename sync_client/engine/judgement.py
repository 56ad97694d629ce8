"""What one row tells by itself: who moved, who edited, whether anything is left to do.

Owns: these questions, one name for each.  May import: protocol, engine.trees.

Contents are compared, not revisions; `mtime_ns` never counts.  A node that waits under its hidden name
(PARKED) was put there by us, so it counts as unmoved.
"""

from __future__ import annotations

from protocol.messages import Kind
from sync_client.engine.trees import PARKED, Agreed, Local, Place, Remote, Row


def is_settled(row: Row) -> bool:
    """All three trees say the same, or nothing."""
    remote, local, agreed = row.remote, row.local, row.agreed
    if remote is None or local is None or agreed is None:
        return remote is None and local is None and agreed is None
    return (
        local.content is not None
        and local.content == remote.content == agreed.content
        and same_place(local.place, remote.place)
        and same_place(remote.place, agreed.place)
    )


def same_place(one: Place, other: Place) -> bool:
    return one is other or (one.name == other.name and one.parent == other.parent)


def is_parked(local: Local) -> bool:
    return local.place.parent == PARKED


def is_folder(row: Row) -> bool:
    content = row.remote.content if row.remote else row.local.content if row.local else None
    return content is not None and content.kind is Kind.FOLDER


def moved_here(local: Local, agreed: Agreed) -> bool:
    return not same_place(local.place, agreed.place) and not is_parked(local)


def edited_here(local: Local, agreed: Agreed) -> bool:
    """Also true of a file that was not read yet: it may be edited."""
    return local.content != agreed.content


def untouched_here(local: Local, agreed: Agreed) -> bool:
    """Neither edited nor moved on this side: a delete on the other side may be followed."""
    return not moved_here(local, agreed) and not edited_here(local, agreed)


def untouched_there(remote: Remote, agreed: Agreed) -> bool:
    """Neither edited nor moved on the server: a delete on this side may be passed on."""
    return same_place(remote.place, agreed.place) and remote.content == agreed.content


def is_deleted_here(row: Row) -> bool:
    """Both had it, the server has it still, this side has it no more."""
    return row.local is None and row.agreed is not None and row.remote is not None


def wants_move_there(row: Row) -> bool:
    """Moved on this side alone, so the server is to follow."""
    return (
        row.remote is not None
        and row.local is not None
        and row.agreed is not None
        and same_place(row.remote.place, row.agreed.place)
        and moved_here(row.local, row.agreed)
    )


def is_new_here(row: Row) -> bool:
    return row.remote is None and row.agreed is None and row.local is not None


def stays_here(row: Row) -> bool:
    """Is this node, found in a folder that the server deleted, a reason to keep the folder?"""
    local, agreed = row.local, row.agreed
    if local is None:
        return False
    if row.remote is not None:
        return wants_move_there(row)
    if agreed is None:
        return True
    return local.content is not None and not untouched_here(local, agreed)
