"""Where a published file came from, through any number of rules, back to the first source.

Owns: following provenance, refusing what would go round for ever.
May import: sqlalchemy, protocol, server.database, server.hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from protocol.errors import Refused
from protocol.ids import NodeId, SpaceId
from protocol.messages import Revision
from server.database.session import rows_in
from server.database.tables import ProvenanceRow

if TYPE_CHECKING:
    from server.hooks.jobs import Leased

_MOST_STEPS = 100  # each rule works once in a chain
_IN_PLACE = (
    "SELECT node, epoch, number FROM provenance WHERE space = ? AND source_space = space AND source_node = node"
    " AND node IN"
)


_MADE = (
    select(ProvenanceRow)
    .where(
        ProvenanceRow.space == bindparam("space"),
        ProvenanceRow.node == bindparam("node"),
        ProvenanceRow.epoch == bindparam("epoch"),
        ProvenanceRow.number == bindparam("number"),
    )
    .order_by(ProvenanceRow.source_node)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Step:
    """One rule's work: the version that it was made from (the first, if it was a folder's), by which version of which
    block."""

    rule: UUID
    space: SpaceId
    source: NodeId
    revision: Revision
    block: str
    block_version: str


def trace(session: Session, space: SpaceId, node: NodeId, revision: Revision) -> list[Step]:
    """How this version was made, the last step first; empty: by a person."""
    steps: list[Step] = []
    while len(steps) < _MOST_STEPS:
        row = session.scalar(
            _MADE.params(space=space, node=node.bytes, epoch=revision.epoch, number=revision.number)
        )
        if row is None:
            break
        space, node = SpaceId(row.source_space), NodeId(UUID(bytes=row.source_node))
        revision = Revision(epoch=row.source_epoch, number=row.source_number)
        steps.append(Step(UUID(bytes=row.rule), space, node, revision, row.block, row.block_version))
    return steps


def made_in_place(
    session: Session, rule: bytes, space: SpaceId, files: Mapping[bytes, tuple[int, int]]
) -> set[bytes]:
    """Those of these files whose version this rule made itself, of the same file, also with others after it: it has
    nothing more to do with them until a person writes a newer one.  files: epoch and number of their versions."""
    mine = set()
    for node, epoch, number in rows_in(session, _IN_PLACE, space, among=files):
        if files[node] != (epoch, number):
            continue
        for step in trace(session, space, NodeId(UUID(bytes=node)), Revision(epoch=epoch, number=number)):
            if (step.space, step.source.bytes) != (space, node):
                break
            if step.rule.bytes == rule:
                mine.add(node)
    return mine


def refuse_loop(session: Session, job: Leased, files: Sequence[tuple[NodeId, Revision]]) -> None:
    """files: that the job worked on.

    Raises Refused: one of them came out of the job's own rule (folders can be moved after a rule was made).
    """
    space = job.rule.source.space
    if any(step.rule == job.rule.id for file in files for step in trace(session, space, *file)):
        raise Refused(
            "This rule made the file itself, so its results would be worked on for ever",
            hint="Move the rule's target out of its folder.",
        )
