"""Bugs put in on purpose: a simulator that does not find them proves nothing.

Owns: each bug, as the replacement of a function or two.
May import: protocol, server, sync_client.engine, tests.simulation.world.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from protocol.messages import Put, Reset, ResetCause
from server.spaces import deciding
from sync_client.engine import binding, carrying, incoming, placement, plan_down
from sync_client.engine import round as engine_round
from sync_client.engine.disk import TMP, FollowedRoot
from sync_client.engine.looking import Looker
from sync_client.engine.planning import FREE, Planning
from tests.simulation.world import Faults


@dataclass(frozen=True)
class Bug:
    """Where what is replaced by what; the sort of trouble in which it shows."""

    faults: Faults
    places: Sequence[tuple[Any, str, Any]]


@contextmanager
def planted(name: str) -> Iterator[Faults]:
    """While this is open, the program has this bug."""
    with ExitStack() as stack:
        for owner, attribute, wrong in PLANTED[name].places:
            stack.enter_context(patch.object(owner, attribute, wrong))
        yield PLANTED[name].faults


def _put_over_whatever_is_there(batch: Any, index: int, op: Put) -> Any:
    row = batch._live(op.node.bytes)
    return _put(batch, index, op if row is None else replace(op, content_revision=row.content))


def _believe_absences(looker: Looker, reset: Reset) -> None:
    """What the new listing lacks counts as deleted, as after any other reset."""
    _list_again(looker, replace(reset, cause=ResetCause.PURGED))


def _clean_everything(root: FollowedRoot) -> int:
    """Also what an exchange left."""
    root.look_afresh()
    if root.has(TMP):
        for name in incoming.os.listdir(root.tmp()):
            if name.endswith(incoming.SWAP):
                incoming.os.unlink(name, dir_fd=root.tmp())
    return _discard_leftovers(root)


_discard_leftovers = incoming.discard_leftovers
_put = deciding._Batch._put
_list_again = Looker.list_again

PLANTED: dict[str, Bug] = {
    # each rule of the planner and of the round that histories proved to be needed
    "no look before a local write": Bug(
        Faults(actions=40, edits_between_calls=0.15),
        [(placement, "untouched", lambda *_: True), (placement, "same_bytes", lambda *_: True)],
    ),
    "an edit gives way to a delete": Bug(
        Faults(actions=60),
        [
            (plan_down, "edited_here", lambda *_: False),
            (plan_down, "moved_here", lambda *_: False),
            (plan_down, "stays_here", lambda *_: False),
        ],
    ),
    "effects are not folded in": Bug(Faults(), [(carrying, "fold_disk_step", lambda *_: None)]),
    "nobody is parked": Bug(Faults(actions=60), [(Planning, "park", lambda *_: FREE)]),
    "a replaced file is another node": Bug(
        Faults(actions=25, writers=1, case_blind=0.0, alone=True),
        [(binding._Binding, "_replaced", lambda *_: False)],
    ),
    # the server
    "a put over what its author never saw": Bug(
        Faults(actions=60), [(deciding._Batch, "_put", _put_over_whatever_is_there)]
    ),
    "absences believed after a restore": Bug(
        Faults(actions=60, restores=True),
        [(Looker, "list_again", _believe_absences)],
    ),
    # the disk
    "rows before the sync": Bug(
        Faults(actions=40, crashes_between_calls=0.03, power=1.0),
        [
            (placement, "_sync_temporaries", lambda *_: None),
            (placement, "_sync_names", lambda *_: None),
            (FollowedRoot, "sync", lambda _: None),
        ],
    ),
    "a .swap is cleaned away": Bug(
        Faults(actions=40, raced_swaps=0.3),
        [(engine_round, "discard_leftovers", _clean_everything)],
    ),
}
