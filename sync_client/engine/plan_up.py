"""What this disk has and the server is to follow: making, moving, deleting.

Owns: the rules of the wire side, operations that need each other, who gives way when a remote name is held.
May import: protocol, engine.trees, engine.steps, engine.judgement, engine.guards, engine.planning,
engine.plan_down.

Each function plans one node and answers as `Planning.look` does.
"""

from __future__ import annotations

from protocol.ids import NodeId
from protocol.messages import MAX_BATCH_OPS, Kind
from protocol.names import name_key
from sync_client.engine.guards import Mass
from sync_client.engine.judgement import (
    is_deleted_here,
    is_folder,
    is_new_here,
    is_parked,
    same_place,
    untouched_there,
    wants_move_there,
)
from sync_client.engine.plan_down import adopt, bring, relocate
from sync_client.engine.planning import FREE, Edge, Planning
from sync_client.engine.steps import (
    DeleteRemote,
    DeleteTreeRemote,
    MakeRemote,
    MoveRemote,
    PutRemote,
    WireStep,
)
from sync_client.engine.trees import Local, Place, Remote, Row, Side


def make(plan: Planning, row: Row, local: Local) -> int:
    """New here: make it on the server."""
    if is_parked(local):
        return plan.unpark(row, local)
    place = local.place
    low = _wait_for_folder(plan, row.node, place.parent)
    if low is not None:
        return low
    if local.content is None:
        return FREE  # to be read first
    low = _make_room_there(plan, row, local)
    if low is not None:
        return low
    if _may_send(plan, row.node):
        plan.wire.append(MakeRemote(row.node, place, local.content, local.conflict_of, local.fingerprint))
        plan.made_there.add(row.node)
        plan.taken_there.add((place.parent, name_key(place.name)))
        plan.stepped.add(row.node)
    return FREE


def put(plan: Planning, row: Row, local: Local, remote: Remote) -> None:
    """Edited here alone."""
    assert local.content is not None
    if not plan.holds(Mass.REWRITTEN_HERE, row.node) and _may_send(plan, row.node):
        plan.wire.append(PutRemote(row.node, local.content, remote.content_revision, local.fingerprint))
        plan.stepped.add(row.node)


def move(plan: Planning, row: Row, local: Local, remote: Remote) -> int:
    """Moved here alone.  If that would close a circle with what others moved, the server's place wins."""
    place = local.place
    low = _wait_until_outside(plan, row, place.parent) if is_folder(row) else None
    if low is None:
        low = _wait_for_folder(plan, row.node, place.parent)
    if low is None:
        low = _make_room_there(plan, row, local)
    if low is not None:
        return low
    if _may_send(plan, row.node):
        plan.wire.append(MoveRemote(row.node, place, remote.place_revision))
        plan.taken_there.add((place.parent, name_key(place.name)))
        plan.leaving_there.add(row.node)
        plan.stepped.add(row.node)
    return FREE


def pass_on_delete(plan: Planning, row: Row, remote: Remote) -> int:
    """Deleted here, untouched on the server.  A folder goes with all below it, or leaf by leaf, or comes back
    because something in it stays."""
    if plan.holds(Mass.DELETED_HERE, row.node):
        return FREE
    above = _returning_above(plan, remote.place.parent)
    if above is not None:
        return plan.wait_for(above, Edge.PARENT)
    parent = plan.row(remote.place.parent)
    if parent is None or parent.remote is None:
        return FREE  # it went with its folder, unless the feed tells that it was moved out before
    if is_deleted_here(parent) and survey(plan, parent)[0]:
        return plan.wait_for(parent.node, Edge.PARENT)  # it goes with that folder
    if remote.content.kind is not Kind.FOLDER:
        return _delete(plan, row.node, remote)
    clean, returns = survey(plan, row)
    if returns:
        return bring(plan, row)
    if clean:
        return _delete_tree(plan, row.node, remote)
    lowest = FREE
    for child in plan.trees.children(Side.REMOTE, row.node):
        low = plan.wait_for(child, Edge.CHILD)
        if child in plan.stepped or row.node in plan.stepped or low == FREE:
            return FREE
        lowest = min(lowest, low)
    if plan.is_circle_without_names(lowest):
        return bring(plan, row)
    return lowest


def survey(plan: Planning, row: Row) -> tuple[bool, bool]:
    """Of a folder that was deleted here: (all below it is deleted here and untouched on the server;
    something below it stays, so that the folder has to come back)."""
    known = plan.survey.get(row.node)
    if known is not None:
        return known
    clean, returns = row.remote is not None and row.agreed is not None, False
    if row.remote and row.agreed and not untouched_there(row.remote, row.agreed):
        clean, returns = False, True
    for child in plan.trees.children(Side.REMOTE, row.node):
        inside = plan.row(child)
        if inside is None or inside.remote is None:
            continue
        if inside.agreed is None or not untouched_there(inside.remote, inside.agreed):
            clean, returns = False, True
        elif inside.local is not None:
            clean = False
        elif inside.remote.content.kind is Kind.FOLDER:
            clean_below, returns_below = survey(plan, inside)
            clean, returns = clean and clean_below, returns or returns_below
    plan.survey[row.node] = (clean, returns)
    return clean, returns


def _delete(plan: Planning, node: NodeId, remote: Remote) -> int:
    if _may_send(plan, node):
        plan.wire.append(DeleteRemote(node, remote.place_revision, remote.content_revision))
        plan.leaving_there.add(node)
        plan.stepped.add(node)
    return FREE


def _delete_tree(plan: Planning, node: NodeId, remote: Remote) -> int:
    below = [node]
    for folder in below:  # grows while it is walked
        below.extend(plan.trees.children(Side.REMOTE, folder))
    if len(below) == 1:
        return _delete(plan, node, remote)
    if _may_send(plan, node):
        plan.wire.append(DeleteTreeRemote(node, remote.place_revision, tuple(below)))
        plan.leaving_there.update(below)
        plan.stepped.update(below)
    return FREE


def _may_send(plan: Planning, node: NodeId) -> bool:
    if plan.read_only:
        plan.problem(node, "read-only", "This folder is read only: the change stays on this computer.")
        return False
    return True


# ---- what stands in the way ------------------------------------------------------------------------------


def _wait_for_folder(plan: Planning, node: NodeId, folder: NodeId) -> int | None:
    """None if the server has the folder, or is told of it earlier in this plan."""
    parent = plan.row(folder)
    if parent is None:
        return plan.problem(node, "folder-missing", "The folder that holds this is not known any more.")
    if parent.remote is not None or folder in plan.made_there:
        return None
    low = plan.wait_for(folder, Edge.PARENT)
    return None if folder in plan.made_there and node not in plan.stepped else low


def _wait_until_outside(plan: Planning, row: Row, target: NodeId) -> int | None:
    """None unless the server has the folder `target` below this node."""
    between = _between_there(plan, row.node, target)
    if between is None:
        return None
    movers = [above for above in between if wants_move_there(above)]
    if not movers:
        return relocate(plan, row)
    low = plan.wait_for(movers[0].node, Edge.ORDER)
    if row.node in plan.stepped or movers[0].node in plan.stepped or not plan.is_circle(low):
        return FREE
    return FREE if _send_together(plan, row) else relocate(plan, row)


def _between_there(plan: Planning, node: NodeId, target: NodeId) -> list[Row] | None:
    """What lies between the two in the remote tree, as it is once new folders are made there; None if `target` is
    not below the node."""
    between: list[Row] = []
    for folder, above in plan.folders_up(Side.REMOTE, target):
        if folder == node:
            return between
        between.append(above)
    return None


def _make_room_there(plan: Planning, row: Row, local: Local) -> int | None:
    """None if the name is free on the server, or is given away earlier in this batch."""
    place = local.place
    key = name_key(place.name)
    if (place.parent, key) in plan.taken_there:
        return FREE
    for holder in plan.trees.named(Side.REMOTE, place.parent, key):
        if holder == row.node or holder in plan.leaving_there:
            continue
        low = _ask_to_leave_there(plan, row, local, holder)
        if holder in plan.leaving_there and row.node not in plan.stepped:
            continue
        return low
    return None


def _ask_to_leave_there(plan: Planning, row: Row, local: Local, holder: NodeId) -> int:
    other = plan.row(holder)
    if other is None or other.remote is None or holder in plan.stepped:
        return FREE
    conflict_of = holder if row.remote is None else None
    leaves = (
        wants_move_there(other) and other.local is not None and not _twins(other.local.place, local.place)
    )
    if other.local is None:
        if is_new_here(row) and local.content == other.remote.content:
            return adopt(plan, holder, row.node)
        leaves = other.agreed is not None and untouched_there(other.remote, other.agreed)
    if not leaves:
        return plan.step_aside(row.node, local, conflict_of)
    low = plan.wait_for(holder, Edge.NAME)
    if holder in plan.stepped or row.node in plan.stepped or not plan.is_circle(low):
        return FREE
    return FREE if _send_together(plan, row) else plan.step_aside(row.node, local, conflict_of)


def _twins(one: Place, other: Place) -> bool:
    return one.parent == other.parent and name_key(one.name) == name_key(other.name)


def _returning_above(plan: Planning, folder: NodeId) -> NodeId | None:
    """The folder above that was deleted here and moved on the server, and so comes back with all in it."""
    for above, row in plan.folders_up(Side.REMOTE, folder):
        if row.remote is None or not is_deleted_here(row) or row.agreed is None:
            return None
        if not same_place(row.remote.place, row.agreed.place):
            return above
    return None


# ---- operations that need each other ---------------------------------------------------------------------


def _send_together(plan: Planning, row: Row) -> bool:
    """A swap or a rotation: all that wait for each other's names go as one group, names checked at its end."""
    if plan.read_only:
        return False
    group = plan.groups + 1
    members = _Group(plan, group)
    if not members.gather(row.node) or len(members.steps) > MAX_BATCH_OPS:
        return False
    plan.groups = group
    for node, step in members.steps.items():
        plan.wire.append(step)
        plan.stepped.add(node)
        if isinstance(step, MakeRemote):
            plan.made_there.add(node)
        else:
            plan.leaving_there.add(node)
        if isinstance(step, MakeRemote | MoveRemote):
            plan.taken_there.add((step.place.parent, name_key(step.place.name)))
    return True


class _Group:
    """Finds the operations that a given one cannot do without, in an order in which only names clash."""

    def __init__(self, plan: Planning, number: int) -> None:
        self.steps: dict[NodeId, WireStep] = {}
        self._plan = plan
        self._number = number
        self._under_way: set[NodeId] = set()

    def gather(self, first: NodeId) -> bool:
        """False if some operation that is needed cannot be sent now."""
        wanted = [first]
        expanded = 0
        while wanted:
            node = wanted.pop()
            if node not in self.steps and not self._add(node):
                return False
            for other, step in list(self.steps.items())[expanded:]:
                if isinstance(step, MakeRemote | MoveRemote):
                    wanted += self._holders(other, step.place)
            expanded = len(self.steps)
        return True

    def _holders(self, node: NodeId, place: Place) -> list[NodeId]:
        named = self._plan.trees.named(Side.REMOTE, place.parent, name_key(place.name))
        return [holder for holder in named if holder != node and holder not in self._plan.leaving_there]

    def _add(self, node: NodeId) -> bool:
        """This operation, after those that must come before it."""
        plan = self._plan
        row = plan.row(node)
        if row is None or node in self._under_way or node in plan.stepped:
            return False
        step = self._step(row)
        if step is None:
            return False
        self._under_way.add(node)
        before: list[NodeId] = []
        if isinstance(step, DeleteRemote):
            before = list(plan.trees.children(Side.REMOTE, node))
        elif isinstance(step, MakeRemote | MoveRemote):
            parent = plan.row(step.place.parent)
            if parent is None:
                return False
            if parent.remote is None and parent.node not in plan.made_there:
                before.append(parent.node)
            if between := _between_there(plan, node, parent.node):
                movers = [above.node for above in between if wants_move_there(above)]
                if not movers:
                    return False  # it would lie in itself
                before.append(movers[0])
        for other in before:
            if other not in self.steps and not self._add(other):
                return False
        self.steps[node] = step
        return True

    def _step(self, row: Row) -> WireStep | None:
        remote, local, number = row.remote, row.local, self._number
        if local is not None and remote is None and is_new_here(row):
            if local.content is None or is_parked(local):
                return None
            return MakeRemote(
                row.node, local.place, local.content, local.conflict_of, local.fingerprint, number
            )
        if local is not None and remote is not None and wants_move_there(row):
            return MoveRemote(row.node, local.place, remote.place_revision, number)
        agreed = row.agreed
        if remote is None or agreed is None or local is not None or not untouched_there(remote, agreed):
            return None
        if self._plan.holds(Mass.DELETED_HERE, row.node):
            return None
        return DeleteRemote(row.node, remote.place_revision, remote.content_revision, number)
