"""Whether the log is the one that was written.

Owns: finding what was changed, dropped, put in, reordered, cut off or chained anew; a sentence for each.
May import: sqlalchemy, protocol, server.audit, server.database.

Reads in one snapshot, row by row, beside a working server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.audit.chain import START, Head, linked, row_facts, seal_facts
from server.audit.sealing import heads_told
from server.database.facts import server_id_of
from server.database.session import AnyRow
from server.database.tables import AuditLinkRow, AuditRow, AuditSealRow

_PAGE_ROWS = 500
MAX_TOLD = 200


@dataclass(slots=True)
class Verdict:
    """broken: what does not hold, a sentence each; empty where all does.  explained: what lacks and why.
    waiting: rows that are not sealed yet."""

    rows: int = 0
    seals: int = 0
    waiting: int = 0
    broken: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        if len(self.broken) < MAX_TOLD:
            self.broken.append(sentence)


def verify(session: Session, heads: Sequence[Head], *, own_key: bytes | None = None) -> Verdict:
    """heads: kept elsewhere, in the order they were made.  own_key: all must be signed with it."""
    verdict = Verdict()
    seals = {row.number: row for row in session.scalars(select(AuditSealRow).order_by(AuditSealRow.number))}
    verdict.seals = len(seals)
    _verify_seals(seals, verdict)
    _verify_rows(session, [seals[number] for number in sorted(seals)], verdict)
    if heads:
        _verify_heads(seals, heads, server_id_of(session).hex, own_key, verdict)
    return verdict


def _verify_seals(seals: dict[int, AuditSealRow], verdict: Verdict) -> None:
    before, expected, last = START, 1, 0
    for number, row in sorted(seals.items()):
        if number != expected:
            verdict.say(f"{_span('Seal', expected, number - 1)} missing from the log")
        else:
            try:
                facts = seal_facts(number, row.at_ms, row.last, heads_told(row.heads))
                is_right = linked(before, facts) == row.hash and row.last > last
            except (ValueError, AttributeError, TypeError):
                is_right = False
            if not is_right:
                verdict.say(f"Seal {number} is not the one that was made")
        before, expected, last = row.hash, number + 1, row.last


def _verify_rows(session: Session, seals: Sequence[AuditSealRow], verdict: Verdict) -> None:
    heads: dict[int, bytes] = {}
    grown: set[int] = set()
    expected = 1
    waiting_seals = iter(seals)
    covering = next(waiting_seals, None)
    for row, link in _rows(session):
        while covering is not None and row.sequence > covering.last:
            _verify_seal(covering, heads, grown, verdict)
            grown = set()
            covering = next(waiting_seals, None)
        if row.sequence != expected:
            verdict.say(f"{_span('Row', expected, row.sequence - 1)} missing from the log")
        expected = row.sequence + 1
        verdict.rows += 1
        if covering is None:
            verdict.waiting += 1
            if link is not None:
                verdict.say(f"Row {row.sequence} has a link, and no seal covers it")
            continue
        if link is None:
            verdict.say(f"Row {row.sequence} has lost its link, or was put in later")
            continue
        if linked(heads.get(row.space, START), row_facts(row)) != link:
            verdict.say(f"Row {row.sequence} is not what was written, or does not follow the row before it")
        heads[row.space] = link
        grown.add(row.space)
    if seals and seals[-1].last >= expected:
        verdict.say(f"{_span('Row', expected, seals[-1].last)} missing at the end of the log")
    while covering is not None:
        _verify_seal(covering, heads, grown, verdict)
        grown, covering = set(), next(waiting_seals, None)


def _verify_seal(seal: AuditSealRow, heads: dict[int, bytes], grown: set[int], verdict: Verdict) -> None:
    try:
        told = heads_told(seal.heads)
    except (ValueError, AttributeError, TypeError):
        return  # told of already
    if {space: heads[space] for space in grown} != told:
        verdict.say(f"Seal {seal.number} does not fit the rows up to {seal.last}: they were chained anew")
    heads.update(told)


def _verify_heads(
    seals: dict[int, AuditSealRow],
    heads: Sequence[Head],
    server: str,
    own_key: bytes | None,
    verdict: Verdict,
) -> None:
    genuine: list[Head] = []
    for head in heads:
        if not head.is_genuine() or (own_key is not None and head.key != own_key):
            verdict.say(f"The head kept at {_time(head)} does not have this server's signature")
        elif head.server != server:
            verdict.say(f"The head kept at {_time(head)} is another server's")
        else:
            genuine.append(head)
    for at, head in enumerate(genuine):
        found = seals.get(head.number)
        if head.number == 0 or (found is not None and found.hash == head.hash and found.last == head.last):
            continue
        restored = next(
            (
                later
                for later in genuine[at + 1 :]
                if later.kind == "restored" and later.number < head.number and later.epoch > head.epoch
            ),
            None,
        )
        if restored is not None:
            verdict.explained.append(
                f"The backup restored at {_time(restored)} ended at row {restored.last}:"
                f" the rows up to {head.last}, sealed by {_time(head)}, were not in it"
            )
        elif found is None:
            verdict.say(
                f"The log was cut off: the head kept at {_time(head)} knows {head.last} rows and seal"
                f" {head.number}, which is not there"
            )
        else:
            verdict.say(
                f"The log was written anew: seal {head.number} is not the one kept at {_time(head)},"
                f" so a row up to {head.last} is another"
            )


def _rows(session: Session) -> Iterator[tuple[AnyRow, bytes | None]]:
    """All rows with their links."""
    query = (
        select(*AuditRow.__table__.c, AuditLinkRow.hash)
        .outerjoin(AuditLinkRow, AuditLinkRow.sequence == AuditRow.sequence)
        .order_by(AuditRow.sequence)
        .execution_options(yield_per=_PAGE_ROWS)
    )
    for row in session.execute(query):
        yield row, row.hash


def _span(what: str, first: int, last: int) -> str:
    return f"{what} {first} is" if first == last else f"{what}s {first} to {last} are"


def _time(head: Head) -> str:
    return datetime.fromtimestamp(head.at_ms / 1_000, tz=UTC).isoformat(timespec="seconds")
