"""How far a rule is with its files, how fast it goes, when it will be through.

Owns: the figures.
May import: sqlalchemy, protocol, server.database, server.hooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from protocol.hooks import Progress
from server.database.tables import JobRow
from server.hooks.jobs import State

WINDOW_MS = 300_000  # what ended longer ago says nothing of the pace
_OPEN = (State.WAITING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Pace:
    """Of a rule: how many jobs ended within the window, and when the first of them did."""

    ended: int
    since_ms: int


def paces(session: Session, *, now_ms: int, rule: bytes | None = None) -> dict[bytes, Pace]:
    """By the rule's id; one is missing where nothing ended lately.  rule: only this one."""
    lately = (JobRow.ended_at_ms > now_ms - WINDOW_MS) & JobRow.state.not_in(_OPEN)
    query = (
        select(JobRow.rule, func.count(), func.min(JobRow.ended_at_ms)).where(lately).group_by(JobRow.rule)
    )
    if rule is not None:
        query = query.where(JobRow.rule == rule)
    return {one: Pace(ended, since_ms or 0) for one, ended, since_ms in session.execute(query)}


def pace_of(session: Session, rule: bytes, *, now_ms: int) -> Pace | None:
    """Of one rule."""
    return paces(session, now_ms=now_ms, rule=rule).get(rule)


def progress_of(jobs: Mapping[str, int], pace: Pace | None, *, now_ms: int) -> Progress:
    """jobs: how many there are in each state."""
    counts = {State(state): count for state, count in jobs.items()}
    left = sum(counts.get(state, 0) for state in _OPEN)
    total = sum(counts.values()) - counts.get(State.GONE, 0)
    failed = counts.get(State.FAILED, 0)
    a_minute = None
    if left and pace is not None and now_ms > pace.since_ms:
        a_minute = pace.ended * 60_000 / (now_ms - pace.since_ms)
    return Progress(
        done=total - left - failed,
        total=total,
        running=counts.get(State.RUNNING, 0),
        failed=failed,
        a_minute=a_minute,
        seconds_left=None if a_minute is None else round(left / a_minute * 60),
    )
