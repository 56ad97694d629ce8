"""Labels: what a block found out about one version of a file, and which block said so.

Owns: storing and reading them, which one counts where blocks and people say different things.
May import: sqlalchemy, protocol, server.database.

A label belongs to the version that the block looked at; who may read that file may read its labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from protocol.ids import NodeId, SpaceId
from protocol.messages import Revision
from server.database.session import insert_rows
from server.database.tables import LabelRow


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one file."""

    space: SpaceId
    node: NodeId
    revision: Revision


@dataclass(frozen=True, slots=True)
class Source:
    """Who said it.  parameters: the SHA-256 of their JSON."""

    rule: UUID
    block: str
    block_version: str
    parameters: bytes


@dataclass(frozen=True, slots=True)
class Label:
    """said_by: which of the block's own rules.  source: the attributes of the file that it was read from."""

    name: str
    value: str
    said_by: str
    confidence: float
    source: str = ""


def set_labels(
    session: Session, version: Version, source: Source, labels: Iterable[Label], *, now_ms: int
) -> None:
    """All that this rule says of this version from now on; what it said before is forgotten."""
    session.execute(delete(LabelRow).where(_of(version), LabelRow.rule == source.rule.bytes))
    of = (version.space, version.node.bytes, version.revision.epoch, version.revision.number)
    by = (source.block, source.block_version, source.parameters, now_ms)
    rows = [
        (*of, source.rule.bytes, one.name, one.said_by, one.value, one.confidence, *by, one.source)
        for one in labels
    ]
    insert_rows(session, LabelRow, rows, renew=True)


def labels_of(session: Session, version: Version) -> list[tuple[Label, Source]]:
    """By name."""
    order = (LabelRow.name, LabelRow.value, LabelRow.rule)
    return [
        (
            Label(row.name, row.value, row.said_by, row.confidence, row.source),
            Source(UUID(bytes=row.rule), row.block, row.block_version, row.parameters),
        )
        for row in session.scalars(select(LabelRow).where(_of(version)).order_by(*order))
    ]


def counting(people: Collection[str] | None, blocks: Iterable[tuple[bytes, str, float]]) -> list[str]:
    """The values that count under one name: a person's, else all of the rule that is surest of one.

    people: None: they said nothing; "" among them: no value is right.  blocks: which rule, its value, how sure it is.
    """
    if people is not None:
        return sorted(value for value in people if value)
    values: dict[bytes, set[str]] = {}
    sure: dict[bytes, float] = {}
    for rule, value, confidence in blocks:
        values.setdefault(rule, set()).add(value)
        sure[rule] = max(sure.get(rule, 0.0), confidence)
    return sorted(values[max(sure, key=lambda rule: (sure[rule], rule))]) if sure else []


def _of(version: Version) -> ColumnElement[bool]:
    return and_(
        LabelRow.space == version.space,
        LabelRow.node == version.node.bytes,
        LabelRow.epoch == version.revision.epoch,
        LabelRow.number == version.revision.number,
    )
