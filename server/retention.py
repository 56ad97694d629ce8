"""How long old versions and the trash are kept: the operator's words, and which versions they spare.

Owns: the rule.  Pure: no clock, disk or database.  May import: protocol, server.quantities.

    all 1d, daily 30d, weekly 365d      every version for a day, then the last of each day until it is 30 days
                                        old, then the last of each week until it is a year old
    all                                 every version, for ever

A version's age counts from when it was replaced, not from when it was made: a file that stood for two years and
is overwritten today can be had back tomorrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from protocol.errors import BadRequest
from protocol.messages import Retention
from server.quantities import parse_span

FOREVER = "forever"
_EVERY = {"all": 0, "hourly": 3_600, "daily": 86_400, "weekly": 7 * 86_400, "monthly": 30 * 86_400}


class Step(NamedTuple):
    """Until an age, one version each so often.  every_seconds: 0 for all.  until_seconds: None for ever."""

    every_seconds: int
    until_seconds: int | None


class Replaced(NamedTuple):
    """A version that is not current.  at_ms: when the next one took its place."""

    epoch: int
    number: int
    at_ms: int


def parse_versions(text: str) -> list[Step]:
    """Raises BadRequest."""
    steps: list[Step] = []
    for part in text.split(","):
        words = part.split()
        if len(words) not in (1, 2) or words[0] not in _EVERY or (steps and steps[-1].until_seconds is None):
            raise _unclear(text)
        until = parse_span(words[1]) if len(words) == 2 else None
        if until is not None and steps and until <= (steps[-1].until_seconds or 0):
            raise _unclear(text)
        steps.append(Step(_EVERY[words[0]], until))
    return steps


def parse_trash(text: str) -> int | None:
    """In seconds; None for ever.  Raises BadRequest."""
    return None if text.strip() == FOREVER else parse_span(text)


def told(versions: str, trash: str) -> Retention:
    """As clients are told.  Raises BadRequest."""
    parse_versions(versions)
    seconds = parse_trash(trash)
    return Retention(trash_days=None if seconds is None else seconds // 86_400, versions=versions)


def to_drop(replaced: Sequence[Replaced], steps: Sequence[Step], *, now_ms: int) -> list[Replaced]:
    """Those of one file that need not be kept.  replaced: in any order."""
    kept: set[tuple[int, int]] = set()
    dropped: list[Replaced] = []
    for version in sorted(replaced, reverse=True):  # the newest of each stretch is the one that stays
        age_seconds = (now_ms - version.at_ms) / 1_000
        step = next((s for s in steps if s.until_seconds is None or age_seconds < s.until_seconds), None)
        if step is None:
            dropped.append(version)
        elif step.every_seconds:
            stretch = (step.every_seconds, version.at_ms // 1_000 // step.every_seconds)
            if stretch in kept:
                dropped.append(version)
            kept.add(stretch)
    return dropped


def _unclear(text: str) -> BadRequest:
    return BadRequest(
        f"{text[:60]!r} does not say which versions to keep",
        hint="Write steps of rising age: all 1d, daily 30d, weekly 365d; the last one without an age is for ever.",
    )
