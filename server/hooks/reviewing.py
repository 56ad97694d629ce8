"""Looking at what blocks held back, and deciding on it.

Owns: the list of jobs as people see it, whose jobs they are, release, reject, doing it again.
May import: sqlalchemy, protocol, server.access, server.database, server.hooks, server.spaces.

An operator decides about all jobs; everyone else about those whose rule works on a folder of their view (`within`), and
of any other they learn nothing, not even that its number was given.

Nothing that a block held back is kept: it is made again when somebody looks at it or releases it, and only the very
bytes that were looked at are published (the job keeps their digest).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.orm import Session

from protocol.errors import NotFound, Refused
from protocol.ids import NodeId
from protocol.messages import Revision
from server.access.ancestry import folders_above
from server.access.rights import ReadableView
from server.database.tables import JobRow, RuleRow
from server.hooks import turns
from server.hooks.jobs import OPEN_ENDS, Leased, State
from server.hooks.rules import path_of, rule_with
from server.spaces.rows import load_with_ancestors

MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Job:
    """One job for people.  file: empty unless it was asked for, since names of files hold names of patients.
    held: the digest of a cleaned output that a person may let pass; None if the block made none."""

    id: int
    node: UUID
    revision: Revision
    state: State
    block: str
    rule: str
    source: str
    reasons: tuple[tuple[str, str], ...]
    held: bytes | None
    tries: int
    made_at_ms: int
    ended_at_ms: int | None
    file: str = ""
    report: bytes | None = None

    @property
    def can_release(self) -> bool:
        return self.held is not None


Rules = Collection[bytes]


def rules_within(session: Session, view: ReadableView) -> set[bytes]:
    """The rules that work on a folder of this view; of those in shadow mode the ones whose results appear in it:
    whoever sees the files learns nothing of them."""
    in_the_open = select(RuleRow.id, RuleRow.node).where(RuleRow.space == view.space, ~RuleRow.shadow)
    in_shadow = select(RuleRow.id, RuleRow.target).where(RuleRow.target_space == view.space, RuleRow.shadow)
    rows = [*session.execute(in_the_open).all(), *session.execute(in_shadow).all()]
    return {rule for rule, folder in rows if view.is_whole or _lies_below(session, view, folder)}


def _lies_below(session: Session, view: ReadableView, node: bytes) -> bool:
    above = folders_above(session, view.space, NodeId(UUID(bytes=node)))
    return any(folder.id == view.root.bytes for folder in above)


@dataclass(frozen=True, slots=True)
class OpenEnds:
    """How many files in one state wait for a person."""

    state: State
    count: int
    latest_at_ms: int


def open_ends(session: Session, view: ReadableView) -> list[OpenEnds]:
    """Of the rules of this view, all together."""
    rules = rules_within(session, view)
    if not rules:
        return []
    counted = (
        select(JobRow.state, func.count(), func.max(JobRow.ended_at_ms))
        .where(JobRow.rule.in_(rules), JobRow.state.in_(OPEN_ENDS))
        .group_by(JobRow.state)
        .order_by(JobRow.state.desc())
    )
    return [OpenEnds(State(state), count, at_ms or 0) for state, count, at_ms in session.execute(counted)]


def list_jobs(
    session: Session,
    *,
    states: Collection[State] = (),
    names: bool = False,
    within: Rules | None = None,
    before: tuple[int, int] | None = None,
    limit: int = MOST_LISTED,
) -> list[Job]:
    """The newest first.  states: only these.  names: with the path of each file.  before: made_at_ms and id of a job;
    only what comes after it in the list."""
    query = select(JobRow).order_by(JobRow.made_at_ms.desc(), JobRow.id.desc()).limit(limit)
    if states:
        query = query.where(JobRow.state.in_(states))
    if within is not None:
        query = query.where(JobRow.rule.in_(within))
    if before is not None:
        query = query.where(tuple_(JobRow.made_at_ms, JobRow.id) < before)
    return [_value(session, row, names=names) for row in session.scalars(query)]


def find_job(session: Session, job: int, *, within: Rules | None = None) -> Job:
    """With the path of its file and its report.  Raises NotFound."""
    return _value(session, _row(session, job, within), names=True)


def held_back(session: Session, job: int, *, within: Rules | None = None) -> Leased:
    """The job as a runner would get it, but without a lease: whatever is made of it counts for nothing.

    released: the digest of what was held back.  Raises NotFound.  Raises Refused: nothing is held back.
    """
    row = _with_output(session, job, within)
    return Leased(
        id=row.id,
        rule=rule_with(session, row.rule),
        node=NodeId(UUID(bytes=row.node)),
        revision=Revision(epoch=row.epoch, number=row.number),
        tries=row.tries,
        lease=b"",
        released=row.digest,
    )


def release(
    session: Session, job: int, *, now_ms: int, within: Rules | None = None, seen: bytes | None = None
) -> None:
    """Let the held output pass: it is made again and, if it is the same to the byte, published.

    seen: the digest of what the reviewer judged.  Raises NotFound.  Raises Refused: it waits for nobody, no block made
    an output that could pass, or another one waits by now.
    """
    row = _with_output(session, job, within)
    if seen is not None and seen != row.digest:
        raise Refused(f"Another output of job {job} waits by now", hint="Look at it, and release it then.")
    row.is_released = True
    _begin_again(session, row, now_ms)


def reject(session: Session, job: int, *, now_ms: int, within: Rules | None = None) -> None:
    """Nothing of this version ever appears.  Raises NotFound, Refused."""
    row = _held(session, job, within)
    row.state, row.digest, row.ended_at_ms = State.REJECTED, None, now_ms
    session.flush()


def retry(session: Session, job: int, *, now_ms: int, within: Rules | None = None) -> None:
    """Do it again from the beginning.  Raises NotFound.  Raises Refused: it is at work or waits already."""
    row = _row(session, job, within)
    if row.state in (State.WAITING, State.RUNNING):
        raise Refused(f"Job {job} is {row.state} already", hint="Wait for it.")
    row.is_released, row.digest = False, None
    _begin_again(session, row, now_ms)


def _begin_again(session: Session, row: JobRow, now_ms: int) -> None:
    """Before what came by thousands: a person waits for this one."""
    rule = session.get(RuleRow, row.rule)
    assert rule is not None, "a rule takes its jobs along"
    row.state, row.tries, row.due_at_ms = State.WAITING, 0, now_ms
    row.rank = turns.rank_of(rule.priority, turns.Tier.ALONE)
    session.flush()


def retry_failed(session: Session, *, now_ms: int) -> int:
    """All that failed; how many."""
    again = update(JobRow).where(JobRow.state == State.FAILED)
    values = {"state": State.WAITING, "tries": 0, "due_at_ms": now_ms}
    return len(session.execute(again.values(**values).returning(JobRow.id)).all())


def _with_output(session: Session, job: int, within: Rules | None) -> JobRow:
    row = _held(session, job, within)
    if row.digest is None:
        raise Refused(
            f"Of job {job} there is no cleaned output that could be released",
            hint="Have it done again after the block was mended, or reject it.",
        )
    return row


def _held(session: Session, job: int, within: Rules | None) -> JobRow:
    row = _row(session, job, within)
    if row.state not in OPEN_ENDS:
        raise Refused(
            f"Job {job} does not wait for anybody: it is {row.state}",
            hint="The list of the quarantine shows what does.",
        )
    return row


def _row(session: Session, job: int, within: Rules | None) -> JobRow:
    row = session.get(JobRow, job)
    if row is None or (within is not None and row.rule not in within):
        raise NotFound(f"There is no job {job}", hint="The list of jobs shows those that there are.")
    return row


def _value(session: Session, row: JobRow, *, names: bool) -> Job:
    rule = session.get(RuleRow, row.rule)
    assert rule is not None, "a rule takes its jobs along"
    known = rule_with(session, rule.id)
    return Job(
        id=row.id,
        node=UUID(bytes=row.node),
        revision=Revision(epoch=row.epoch, number=row.number),
        state=State(row.state),
        block=rule.block,
        rule=UUID(bytes=rule.id).hex[-8:],
        source=path_of(session, known.source),
        reasons=tuple((one["code"], one["text"]) for one in json.loads(row.reasons)),
        held=row.digest if row.state == State.QUARANTINED else None,
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
