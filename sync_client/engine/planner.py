"""What is to be done next, from the three trees alone.  No clock, disk or network: same input, same plan.

Owns: `plan`, and which rule is asked for which mix of agreed, local and remote.
May import: protocol, engine.trees, engine.steps, engine.judgement, engine.guards, engine.planning, engine.plan_up,
engine.plan_down.

Place and content merge each by itself.  An edit or a move beats a delete; two edits are both kept; of two moves
the server's wins; equal bytes are never a conflict.  Whatever cannot be done yet waits, and is planned again when
the steps that could be done are folded into the trees.

In a folder that is read only nothing goes up: what is new here stays, what was edited here goes on beside the
server's as one's own copy, what was moved or deleted here comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from protocol.ids import NodeId
from sync_client.engine import plan_down, plan_up
from sync_client.engine.guards import Mass
from sync_client.engine.judgement import (
    edited_here,
    is_parked,
    is_settled,
    same_place,
    untouched_there,
    wants_move_there,
)
from sync_client.engine.planning import FREE, Plan, Planning, Surroundings
from sync_client.engine.steps import Agree, Forget
from sync_client.engine.trees import Local, Remote, Row, Trees

__all__ = ["Plan", "Surroundings", "plan"]


def plan(
    trees: Trees,
    nodes: Iterable[NodeId],
    around: Surroundings,
    *,
    read_only: bool = False,
    held: Collection[Mass] = (),
    ignores: Callable[[Row], bool] | None = None,
) -> Plan:
    """The steps that can be done now for these nodes and for what stands in their way.

    nodes: some of the dirty ones, in the order marked.  Steps come in the order in which to do them: rows, disk,
    wire; those of the wire go as one batch.  A caller may carry out some of them only.
    held: what waits for a person's decision; nothing of it is planned.
    ignores: tells of a node that is not to be synced, whatever became of it; None: there is no such node.
    """
    planning = Planning(trees, around, _judge, read_only=read_only, held=held, ignores=ignores)
    result = Plan()
    asked = list(nodes)
    for node in asked:
        if node != trees.root:
            planning.look(node)
    for node in asked:
        if node in planning.stepped:
            continue
        if node in planning.settled or node == trees.root:
            result.settled.append(node)
        elif node in planning.held_back:
            result.held.append(node)
        else:
            result.waiting.append(node)
    result.steps += planning.tree
    result.steps += planning.disk
    result.steps += planning.wire
    result.steps += planning.problems.values()
    return result


def _judge(planning: Planning, row: Row) -> int:
    remote, local, agreed = row.remote, row.local, row.agreed
    if is_settled(row) or (planning.ignores is not None and planning.ignores(row)):
        planning.settled.add(row.node)
        return FREE
    if remote is None:
        if local is None:
            planning.tree.append(Forget(row.node))
            planning.stepped.add(row.node)
            return FREE
        if agreed is None:
            return _stay(planning, row, local) if planning.read_only else plan_up.make(planning, row, local)
        return plan_down.follow_delete(planning, row, local, agreed)
    if local is None:
        if agreed is not None and untouched_there(remote, agreed) and not planning.read_only:
            return plan_up.pass_on_delete(planning, row, remote)
        return plan_down.bring(planning, row)
    low = _judge_place(planning, row, local, remote)
    if row.node not in planning.leaving_here:
        _judge_content(planning, row, local, remote)
    return low


def _stay(planning: Planning, row: Row, local: Local) -> int:
    """New here, in a folder that is read only: it stays on this disk, and on no other."""
    if is_parked(local):
        return planning.unpark(row, local)
    if local.content is not None:  # else it is read first: it may be what the server has
        planning.settled.add(row.node)
    return FREE


def _judge_place(planning: Planning, row: Row, local: Local, remote: Remote) -> int:
    if same_place(local.place, remote.place):
        return FREE
    if wants_move_there(row) and not planning.read_only:
        return plan_up.move(planning, row, local, remote)
    return plan_down.relocate(planning, row)


def _judge_content(planning: Planning, row: Row, local: Local, remote: Remote) -> None:
    agreed = row.agreed
    if local.content is None or is_parked(local):
        return
    settled_place = same_place(local.place, remote.place)
    if local.content == remote.content:
        if settled_place:
            planning.tree.append(Agree(row.node))
            planning.stepped.add(row.node)
    elif agreed is not None and agreed.content == remote.content and not planning.read_only:
        plan_up.put(planning, row, local, remote)
    elif agreed is not None and not edited_here(local, agreed):
        plan_down.replace(planning, row, local, remote)
    elif settled_place:
        plan_down.keep_both(planning, row, local)
