"""How far a rule is with its files, how fast it goes, when it will be through.

Owns: the figures and their words.
May import: sqlalchemy, server.database, server.hooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.database.tables import JobRow
from server.hooks.jobs import State

WINDOW_MS = 300_000  # what ended longer ago says nothing of the pace
_OPEN = (State.WAITING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Pace:
    """Of a rule: how many jobs ended within the window, and when the first of them did."""

    ended: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """done: with whatever result but failed.  total: without files that went away.  a_minute, seconds_left: None while
    nothing is to be done, or nothing has ended yet."""

    done: int
    total: int
    running: int
    failed: int
    a_minute: float | None
    seconds_left: int | None

    @property
    def words(self) -> str:
        if not self.total:
            return "no file yet"
        parts = [f"{self.done} of {self.total} done"]
        parts += [f"{self.running} at work"] * bool(self.running) + [f"{self.failed} failed"] * bool(
            self.failed
        )
        if self.a_minute is not None and self.seconds_left is not None:
            files = "file" if self.a_minute < 1.5 else "files"
            parts.append(f"{max(1, round(self.a_minute))} {files} a minute, {_span(self.seconds_left)} left")
        return ", ".join(parts)


def paces(session: Session, *, now_ms: int) -> dict[bytes, Pace]:
    """By the rule's id; one is missing where nothing ended lately."""
    lately = (JobRow.ended_at_ms > now_ms - WINDOW_MS) & JobRow.state.not_in(_OPEN)
    query = (
        select(JobRow.rule, func.count(), func.min(JobRow.ended_at_ms)).where(lately).group_by(JobRow.rule)
    )
    return {rule: Pace(ended, since_ms or 0) for rule, ended, since_ms in session.execute(query)}


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


def _span(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = round(seconds / length)
            return f"about {count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"
