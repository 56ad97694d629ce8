"""Which job goes first.

Owns: the rank of a job, the turns that rules take, how many runs a rule may have beside each other.
May import: sqlalchemy, server.database.

What is new goes before what was there when its rule was made, whatever their rules; then the priority of the rule
decides; among equals the rules take turns: ten thousand files in one folder do not hold up the one file in another.
"""

from __future__ import annotations

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from server.database.tables import JobRow, RuleRow

_RANKS = 10  # one for each priority, first for what is new, then for what was there


def rank_of(priority: int, *, was_there: bool) -> int:
    """priority: 0 to 9, of the rule.  The lowest rank goes first."""
    return (_RANKS if was_there else 0) + _RANKS - 1 - priority


def next_job(session: Session, *, now_ms: int) -> JobRow | None:
    """The job whose turn it is: one that waits and is due, or one whose runner died; None: there is none."""
    first: JobRow | None = None
    rules = select(RuleRow.id, RuleRow.at_once).where(RuleRow.enabled).order_by(RuleRow.turn, RuleRow.id)
    for rule, at_once in session.execute(rules):
        if at_once is not None and _runs(session, rule, now_ms) >= at_once:
            continue
        job = session.scalar(_died(rule, now_ms)) or session.scalar(_waiting(rule, now_ms))
        if job is not None and (first is None or job.rank < first.rank):
            first = job
    return first


def _runs(session: Session, rule: bytes, now_ms: int) -> int:
    """How many runs the rule has now: jobs that are done together have one lease."""
    mine = (JobRow.rule == rule) & (JobRow.state == "running") & (JobRow.leased_until_ms > now_ms)
    return session.scalar(select(func.count(JobRow.lease.distinct())).where(mine)) or 0


def note_turn(session: Session, rule: bytes) -> None:
    """This rule comes after all others of its rank now."""
    last = select(func.max(RuleRow.turn)).scalar_subquery()
    session.execute(update(RuleRow).where(RuleRow.id == rule).values(turn=last + 1))


def _died(rule: bytes, now_ms: int) -> Select[JobRow]:
    mine = (JobRow.rule == rule) & (JobRow.state == "running")
    return select(JobRow).where(mine, JobRow.leased_until_ms <= now_ms).order_by(JobRow.rank).limit(1)


def _waiting(rule: bytes, now_ms: int) -> Select[JobRow]:
    mine = (JobRow.rule == rule) & (JobRow.state == "waiting")
    order = (JobRow.rank, JobRow.due_at_ms, JobRow.id)
    return select(JobRow).where(mine, JobRow.due_at_ms <= now_ms).order_by(*order).limit(1)
