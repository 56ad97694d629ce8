"""Where a published file came from, through any number of rules, back to the first source.

Owns: following provenance, refusing what would go round for ever.
May import: sqlalchemy, protocol, server.database, server.hooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from protocol.errors import Refused
from protocol.ids import NodeId, SpaceId
from protocol.messages import Revision
from server.database.tables import ProvenanceRow
from server.hooks.jobs import Leased

_MOST_STEPS = 100  # each rule works once in a chain


@dataclass(frozen=True, slots=True)
class Step:
    """One rule's work: the version that it was made from, by which version of which block."""

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
        row = session.get(ProvenanceRow, (space, node.bytes, revision.epoch, revision.number))
        if row is None:
            break
        space, node = SpaceId(row.source_space), NodeId(UUID(bytes=row.source_node))
        revision = Revision(epoch=row.source_epoch, number=row.source_number)
        steps.append(Step(UUID(bytes=row.rule), space, node, revision, row.block, row.block_version))
    return steps


def refuse_loop(session: Session, job: Leased) -> None:
    """Raises Refused: the job's file came out of its own rule (folders can be moved after a rule was made)."""
    steps = trace(session, job.rule.source.space, job.node, job.revision)
    if any(step.rule == job.rule.id for step in steps):
        raise Refused(
            "This rule made the file itself, so its results would be worked on for ever",
            hint="Move the rule's target out of its folder.",
        )
