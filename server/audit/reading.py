"""The log for people: rows with the names of who did it.

Owns: the lines of an export, which rows name a node, a stretch of a space's latest rows.
May import: sqlalchemy, protocol, server.audit, server.database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.audit.chain import canonical, row_facts
from server.audit.rows import Did, unpack_nodes
from server.database.session import in_groups
from server.database.tables import AuditLinkRow, AuditRow, DeviceRow, UserRow

_PAGE_ROWS = 500
_READING = (Did.READ.value, Did.DOWNLOAD.value)


@dataclass(frozen=True, slots=True)
class Reading:
    """One time that a file's bytes were given out.  version: "1.3"."""

    at_ms: int
    who: str
    device: str
    did: str
    node: bytes
    version: str
    address: str
    request: str


@dataclass(frozen=True, slots=True)
class Between:
    """since, until: milliseconds since 1970; None: no bound."""

    since: int | None = None
    until: int | None = None


def export_lines(session: Session, between: Between) -> Iterator[bytes]:
    """Each row as it was hashed, and the hash: {"hash": …, "row": {…}} in canonical JSON, in order."""
    query = (
        select(*AuditRow.__table__.c, AuditLinkRow.hash)
        .outerjoin(AuditLinkRow, AuditLinkRow.sequence == AuditRow.sequence)
        .order_by(AuditRow.sequence)
        .execution_options(yield_per=_PAGE_ROWS)
    )
    for row in session.execute(_within(query, between)):
        yield canonical({"hash": "" if row.hash is None else row.hash.hex(), "row": row_facts(row)})


def readings(session: Session, space: int, nodes: Collection[bytes], between: Between) -> Iterator[Reading]:
    """Who was given bytes of these nodes, the first first.

    A look at all rows of the space in that time: 28 bytes for each file that was read.
    """
    query = (
        select(AuditRow)
        .where(AuditRow.space == space, AuditRow.did.in_(_READING))
        .order_by(AuditRow.sequence)
        .execution_options(yield_per=_PAGE_ROWS)
    )
    wanted = frozenset(nodes)
    people = dict(session.execute(select(UserRow.id, UserRow.name)).tuples().all())
    devices = dict(session.execute(select(DeviceRow.id, DeviceRow.name)).tuples().all())
    for row in session.scalars(_within(query, between)):
        for node, epoch, number in unpack_nodes(row.nodes):
            if node in wanted:
                yield Reading(
                    at_ms=row.at_ms,
                    who=people.get(row.actor or b"") or (row.actor.hex() if row.actor else ""),
                    device=devices.get(row.device or b"") or (row.device.hex() if row.device else ""),
                    did=row.did,
                    node=node,
                    version=f"{epoch}.{number}",
                    address=row.address,
                    request=row.request,
                )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of a space, the latest first.  next: look before it for more; 0: there are none."""

    rows: list[AuditRow]
    next: int


def latest_rows(
    session: Session, space: int, dids: Collection[Did], *, before: int, look_at: int, nodes: int
) -> Stretch:
    """Those of these words among the latest `look_at` rows of the space, until they name `nodes` nodes; at least one.
    before: a row's number; 0: from the end of the log."""
    query = select(AuditRow.sequence, AuditRow.did, AuditRow.count.label("named")).where(
        AuditRow.space == space
    )
    if before:
        query = query.where(AuditRow.sequence < before)
    heads = session.execute(query.order_by(AuditRow.sequence.desc()).limit(look_at)).all()
    words = {did.value for did in dids}
    wanted: list[int] = []
    looked_at, room = 0, nodes
    for head in heads:
        if head.did in words:
            room -= 0 if head.did == Did.ASK else head.named
            if room < 0 and wanted:
                break
            wanted.append(head.sequence)
        looked_at += 1
    found: list[AuditRow] = []
    for group in in_groups(wanted):
        found += session.scalars(select(AuditRow).where(AuditRow.sequence.in_(group)))
    found.sort(key=lambda row: -row.sequence)
    is_all = looked_at == len(heads) < look_at
    return Stretch(found, 0 if is_all else heads[looked_at - 1].sequence)


def _within(query: Any, between: Between) -> Any:
    if between.since is not None:
        query = query.where(AuditRow.at_ms >= between.since)
    if between.until is not None:
        query = query.where(AuditRow.at_ms < between.until)
    return query
