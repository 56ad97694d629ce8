"""Looking at what blocks held back, and deciding on it.

Owns: the list of jobs as people see it, release, reject, doing it again, the output that was held back.
May import: sqlalchemy, protocol, server.chunks, server.database, server.hooks.

Nothing that a block held back is kept: it is made again when somebody wants to look at it or releases it, and only the
very bytes that were looked at are published (the job keeps their digest).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from protocol.errors import NotFound, Refused
from server.database.tables import JobRow, RuleRow
from server.hooks.jobs import OPEN_ENDS, State
from server.hooks.rules import path_of, rule_with
from server.spaces.rows import load_with_ancestors

MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Job:
    """One job for people.  file: empty unless it was asked for, since names of files hold names of patients.
    can_release: the block made a cleaned output that a person may let pass."""

    id: int
    state: State
    block: str
    rule: str
    source: str
    reasons: tuple[tuple[str, str], ...]
    can_release: bool
    tries: int
    made_at_ms: int
    ended_at_ms: int | None
    file: str = ""
    report: bytes | None = None


def list_jobs(session: Session, *, states: tuple[State, ...] = (), names: bool = False) -> list[Job]:
    """The newest first, at most a thousand.  states: only these.  names: with the path of each file."""
    query = select(JobRow).order_by(JobRow.id.desc()).limit(MOST_LISTED)
    if states:
        query = query.where(JobRow.state.in_(states))
    return [_value(session, row, names=names) for row in session.scalars(query)]


def find_job(session: Session, job: int) -> Job:
    """With the path of its file and its report.  Raises NotFound."""
    return _value(session, _row(session, job), names=True)


def release(session: Session, job: int, *, now_ms: int) -> None:
    """Let the held output pass: it is made again and, if it is the same to the byte, published.

    Raises NotFound.  Raises Refused: it waits for nobody, or no block made an output that could pass.
    """
    row = _held(session, job)
    if row.digest is None:
        raise Refused(
            f"Of job {job} there is no cleaned output that could be released",
            hint="Do it again after the block was mended (`mb-server job retry`), or reject it.",
        )
    row.state, row.is_released, row.tries, row.due_at_ms = State.WAITING, True, 0, now_ms
    session.flush()


def reject(session: Session, job: int, *, now_ms: int) -> None:
    """Nothing of this version ever appears.  Raises NotFound, Refused."""
    row = _held(session, job)
    row.state, row.digest, row.ended_at_ms = State.REJECTED, None, now_ms
    session.flush()


def retry(session: Session, job: int, *, now_ms: int) -> None:
    """Do it again from the beginning.  Raises NotFound.  Raises Refused: it is at work or waits already."""
    row = _row(session, job)
    if row.state in (State.WAITING, State.RUNNING):
        raise Refused(f"Job {job} is {row.state} already", hint="Wait for it.")
    row.state, row.is_released, row.digest, row.tries, row.due_at_ms = State.WAITING, False, None, 0, now_ms
    session.flush()


def retry_failed(session: Session, *, now_ms: int) -> int:
    """All that failed; how many."""
    again = update(JobRow).where(JobRow.state == State.FAILED)
    values = {"state": State.WAITING, "tries": 0, "due_at_ms": now_ms}
    return len(session.execute(again.values(**values).returning(JobRow.id)).all())


def _held(session: Session, job: int) -> JobRow:
    row = _row(session, job)
    if row.state not in OPEN_ENDS:
        raise Refused(
            f"Job {job} does not wait for anybody: it is {row.state}",
            hint="`mb-server quarantine list` shows what does.",
        )
    return row


def _row(session: Session, job: int) -> JobRow:
    row = session.get(JobRow, job)
    if row is None:
        raise NotFound(f"There is no job {job}", hint="`mb-server job list` shows all.")
    return row


def _value(session: Session, row: JobRow, *, names: bool) -> Job:
    rule = session.get(RuleRow, row.rule)
    assert rule is not None, "a rule takes its jobs along"
    known = rule_with(session, rule.id)
    return Job(
        id=row.id,
        state=State(row.state),
        block=rule.block,
        rule=UUID(bytes=rule.id).hex[-8:],
        source=path_of(session, known.source),
        reasons=tuple((one["code"], one["text"]) for one in json.loads(row.reasons)),
        can_release=row.state == State.QUARANTINED and row.digest is not None,
        tries=row.tries,
        made_at_ms=row.made_at_ms,
        ended_at_ms=row.ended_at_ms,
        file=_file(session, rule.space, row.node, rule.node) if names else "",
        report=row.report if names else None,
    )


def _file(session: Session, space: int, node: bytes, folder: bytes) -> str:
    nodes = load_with_ancestors(session, space, [node])  # type: ignore[arg-type] # the row's number is a SpaceId
    parts: list[str] = []
    at = nodes.get(node)
    while at is not None and at.id != folder and any(at.id):
        parts.insert(0, at.name)
        at = nodes.get(at.parent)
    return "/".join(parts)
