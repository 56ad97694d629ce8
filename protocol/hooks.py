"""The messages about rules and what blocks make, one struct each.

Owns: their fields.  Conventions and codecs are those of protocol.messages.
May import: msgspec, protocol.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from protocol.messages import Answer, Parameters, Priority, Request


class JobReason(Answer):
    """Why, in a word for programs and a sentence for people; never a value taken from the file."""

    code: str
    text: str


class Job(Answer):
    """One version of one file that a rule works on, for people who may review it.

    state: "waiting", "running", "published", "unchanged", "quarantined", "failed", "rejected" or "gone".  file: its
    path below the rule's folder.  held: names the cleaned output that waits, "" if there is none.  report: of the
    block, as it wrote it; "" in lists.
    """

    job: int
    state: str
    block: str
    rule: str
    folder: str
    node: UUID
    file: str
    reasons: list[JobReason]
    held: str
    tries: int
    made_at_ms: int
    ended_at_ms: int | None
    report: str = ""


class Jobs(Answer):
    jobs: list[Job]
    next: str = ""


class Release(Request):
    """held: of the job, as the reviewer saw it; another one is not released."""

    held: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Rule(Answer):
    """A block that works on every file of a folder.

    short: what people type.  block: its name.  source, target: paths; target is "" if it lies in no folder of this
    view.  parameters: as the block's manifest completes them.  jobs: how many are in each state.
    """

    rule: UUID
    short: str
    block: str
    source: str
    target: str
    parameters: dict[str, Any]
    enabled: bool
    priority: int
    jobs: dict[str, int]


class Rules(Answer):
    rules: list[Rule]
    next: str = ""


class NewRule(Request):
    """source, target: folders of this view.  parameters: a JSON object for the block, see its manifest.  new_only:
    leave alone what is there already.  priority: the highest goes first; new files always go before those that were
    there."""

    block: Annotated[str, Meta(min_length=1, max_length=100)]
    source: UUID
    target: UUID
    parameters: Parameters = "{}"
    new_only: bool = False
    priority: Priority = 5


class ChangeRule(Request):
    """What is null stays.  parameters: in place of all that the block was told."""

    parameters: Parameters | None = None
    priority: Priority | None = None
    enabled: bool | None = None


class RuleRun(Answer):
    """files: how many are done again."""

    files: int


class Withdrawn(Answer):
    """sources: files that went into the trash.  derived: what blocks had made of them, wherever it lay.  jobs: that
    were ended."""

    sources: int
    derived: int
    jobs: int
