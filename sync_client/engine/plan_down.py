"""What the server has and this disk is to follow: making, moving, replacing, removing.

Owns: the rules of the disk side, and who gives way when a local name is held.
May import: protocol, engine.trees, engine.steps, engine.judgement, engine.guards, engine.planning.

Each function plans one node and answers as `Planning.look` does.
"""

from __future__ import annotations

from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.names import name_key
from sync_client.engine.guards import Mass
from sync_client.engine.judgement import (
    edited_here,
    is_folder,
    is_new_here,
    is_parked,
    moved_here,
    same_place,
    stays_here,
    wants_move_there,
)
from sync_client.engine.planning import FREE, Edge, Planning
from sync_client.engine.steps import Adopt, Fetch, KeepBoth, MakeFolder, Relocate, Remove, Replace
from sync_client.engine.trees import Agreed, Local, Place, Remote, Row, Side


def bring(plan: Planning, row: Row) -> int:
    """On the server, not here: make the folder, fetch the file."""
    remote = row.remote
    assert remote is not None
    node, place = row.node, remote.place
    low = _wait_for_folder(plan, node, place.parent)
    if low is None:
        low = make_room_here(plan, row, place)
    if low is not None:
        return low
    plan.taken_here.add((place.parent, name_key(place.name)))
    plan.stepped.add(node)
    if remote.content.kind is Kind.FOLDER:
        plan.disk.append(MakeFolder(node, place))
        plan.made_here.add(node)
    else:
        plan.disk.append(Fetch(node, place, remote.content, remote.content_revision))
    return FREE


def relocate(plan: Planning, row: Row) -> int:
    """Here in another place than on the server, and the server's place wins."""
    remote, local = row.remote, row.local
    assert remote is not None
    assert local is not None
    node, place = row.node, remote.place
    low = _wait_for_folder(plan, node, place.parent)
    if low is None and is_folder(row):
        low = _wait_until_outside(plan, row, place.parent)
    if low is None:
        low = make_room_here(plan, row, place)
    if low is not None:
        return low
    plan.disk.append(Relocate(node, local.place, place, local.fingerprint))
    plan.taken_here.add((place.parent, name_key(place.name)))
    plan.leaving_here.add(node)
    plan.stepped.add(node)
    return FREE


def replace(plan: Planning, row: Row, local: Local, remote: Remote) -> None:
    if plan.holds(Mass.REWRITTEN_THERE, row.node):
        return
    plan.disk.append(
        Replace(row.node, local.place, remote.content, remote.content_revision, local.fingerprint)
    )
    plan.stepped.add(row.node)


def keep_both(plan: Planning, row: Row, local: Local) -> None:
    """Both edited: the server's keeps the name and the node; ours goes on beside it as a conflict of it."""
    name = plan.free_name(local.place.parent, local.place.name)
    plan.disk.append(KeepBoth(row.node, plan.around.fresh(), local.place, name, local.fingerprint))
    plan.leaving_here.add(row.node)
    plan.stepped.add(row.node)


def follow_delete(plan: Planning, row: Row, local: Local, agreed: Agreed) -> int:
    """Agreed, here, and deleted on the server.  An edit or a move here beats the delete."""
    if moved_here(local, agreed):
        return plan.renew(row.node)
    if local.content is None:
        return FREE  # to be read first
    if edited_here(local, agreed):
        return plan.unpark(row, local) if is_parked(local) else plan.renew(row.node)
    if not is_parked(local) and plan.holds(Mass.DELETED_THERE, row.node):
        return FREE
    above = _moved_above(plan, local.place.parent)
    if above is not None:
        return plan.wait_for(above, Edge.PARENT)
    if local.content.kind is Kind.FOLDER:
        lowest, stays = FREE, False
        for child in plan.trees.children(Side.LOCAL, row.node):
            inside = plan.row(child)
            if plan.ignores is not None and inside is not None and plan.ignores(inside):
                return plan.problem(
                    row.node,
                    "holds-ignored",
                    "It was deleted on the server, and stays here because it holds ignored files. Move them away.",
                )
            if inside is None or stays_here(inside):
                stays = True
                continue
            low = plan.wait_for(child, Edge.CHILD)
            if child in plan.stepped or low == FREE:
                return FREE
            lowest = min(lowest, low)
        if lowest != FREE:
            return lowest
        if stays:
            return plan.unpark(row, local) if is_parked(local) else plan.renew(row.node)
    plan.disk.append(Remove(row.node, local.place, local.fingerprint))
    plan.leaving_here.add(row.node)
    plan.stepped.add(row.node)
    return FREE


# ---- what stands in the way ------------------------------------------------------------------------------


def _wait_for_folder(plan: Planning, node: NodeId, folder: NodeId) -> int | None:
    """None if the folder is here, or is made earlier in this plan."""
    parent = plan.row(folder)
    if parent is None or parent.remote is None:
        return plan.problem(node, "folder-missing", "The server did not say which folder this lies in.")
    if parent.local is not None or folder in plan.made_here:
        return None
    low = plan.wait_for(folder, Edge.PARENT)
    return None if folder in plan.made_here and node not in plan.stepped else low


def _wait_until_outside(plan: Planning, row: Row, target: NodeId) -> int | None:
    """None unless the folder `target` lies below this node; what carries it there has to move out first."""
    between: list[Row] = []
    for folder, above in plan.folders_up(Side.LOCAL, target):
        if folder == row.node:
            break
        between.append(above)
    else:
        return None
    for above in between:
        if above.local is None or above.remote is None or same_place(above.local.place, above.remote.place):
            continue
        low = plan.wait_for(above.node, Edge.ORDER)
        if plan.is_circle(low) and above.node not in plan.stepped and row.node not in plan.stepped:
            plan.park(above.node, above.local)
        return FREE
    return plan.problem(row.node, "inside-itself", "The server moved this folder into itself.")


def make_room_here(plan: Planning, row: Row, place: Place) -> int | None:
    """None if the name is free here, or is given away earlier in this plan."""
    key = name_key(place.name)
    for holder in plan.trees.named(Side.LOCAL, place.parent, key):
        if holder == row.node or holder in plan.leaving_here:
            continue
        low = _ask_to_leave_here(plan, row, holder)
        if holder in plan.leaving_here and row.node not in plan.stepped:
            continue
        return low
    return FREE if (place.parent, key) in plan.taken_here else None


def _ask_to_leave_here(plan: Planning, row: Row, holder: NodeId) -> int:
    other = plan.row(holder)
    if other is None or other.local is None or holder in plan.stepped:
        return FREE
    if is_new_here(other):
        if row.local is None and row.remote is not None:
            if other.local.content is None:
                return FREE  # to be read first: it may be the same
            if other.local.content == row.remote.content:
                return adopt(plan, row.node, other.node)
        return plan.step_aside(holder, other.local, row.node)
    if wants_move_there(other):
        return plan.step_aside(holder, other.local, None)
    low = plan.wait_for(holder, Edge.NAME)
    if holder in plan.stepped or row.node in plan.stepped:
        return FREE
    if plan.is_circle(low):
        return plan.park(holder, other.local)
    if holder in plan.settled:
        return plan.problem(row.node, "name-held", "Another file holds this name on both sides.")
    return FREE


def adopt(plan: Planning, node: NodeId, local: NodeId) -> int:
    """The same bytes, or both folders, met at one name: they are one node, the server's."""
    plan.tree.append(Adopt(node, local))
    plan.stepped.update((node, local))
    return FREE


def _moved_above(plan: Planning, folder: NodeId) -> NodeId | None:
    """The folder above that was deleted on the server and moved here, and so stays with all that is in it."""
    for above, row in plan.folders_up(Side.LOCAL, folder):
        if row.remote is not None or row.local is None or row.agreed is None:
            return None
        if moved_here(row.local, row.agreed):
            return above
    return None
