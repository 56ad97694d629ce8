"""Which notices a person wants, and until when none.

Owns: `notices.json` in the client home; which notice passes.  May import: the standard library, home.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from protocol.errors import BadRequest
from sync_client.home import ClientHome, write_private

NAME = "notices.json"
LONGEST_SNOOZE_SECONDS = 30 * 86_400


class Level(StrEnum):
    ALL = "all"
    IMPORTANT = "important"  # what needs the person: conflicts, failures, questions
    NONE = "none"


@dataclass(frozen=True, slots=True)
class NoticeChoice:
    """snooze_until: seconds since 1970; none comes before."""

    level: Level = Level.ALL
    snooze_until: float = 0.0

    def wants(self, *, urgent: bool, now: float) -> bool:
        if now < self.snooze_until or self.level is Level.NONE:
            return False
        return urgent or self.level is Level.ALL


def read_choice(home: ClientHome) -> NoticeChoice:
    """What cannot be read is no choice: then all are wanted."""
    try:
        said = json.loads((home.path / NAME).read_text("ascii"))
        return NoticeChoice(Level(said["level"]), float(said["snooze_until"]))
    except (OSError, ValueError, KeyError, TypeError):
        return NoticeChoice()


def save_choice(home: ClientHome, choice: NoticeChoice, *, now: float) -> None:
    """Raises BadRequest, LocalProblem."""
    if choice.snooze_until > now + LONGEST_SNOOZE_SECONDS:
        raise BadRequest("That is too long", hint="Turn the notices off, or choose a month at most.")
    said = {"level": choice.level.value, "snooze_until": choice.snooze_until}
    write_private(home.path / NAME, json.dumps(said) + "\n")
