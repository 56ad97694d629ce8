"""The messages about rules and what blocks make, one struct each.

Owns: their fields.  Conventions and codecs are those of protocol.messages.
May import: msgspec, protocol.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from protocol.limits import MAX_BATCH_FILES, MAX_NAME_PATTERN, MAX_NAME_PATTERNS, MAX_RUNS
from protocol.messages import Answer, Parameters, Priority, Request

BatchFiles = Annotated[int, Meta(ge=0, le=MAX_BATCH_FILES)]
AtOnce = Annotated[int, Meta(ge=0, le=MAX_RUNS)]
BlockName = Annotated[str, Meta(min_length=1, max_length=100)]
Names = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=MAX_NAME_PATTERN)], ...],
    Meta(max_length=MAX_NAME_PATTERNS),
]


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


class Progress(Answer):
    """How far a rule is.

    done: with whatever result but failed.  total: without files that went away.  a_minute, seconds_left: None while
    nothing is to be done, or nothing has ended yet.
    """

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


def _span(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = round(seconds / length)
            return f"about {count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


class Block(Answer):
    """A block that a rule may name.

    produces: of "version", "derived", "labels", "verdict".  kinds: of files that it takes; empty: all.  parameters: the
    JSON schema of what it may be told.  batch_files: how many files it takes in one run.
    """

    block: str
    version: str
    summary: str
    produces: list[str]
    kinds: list[str]
    parameters: dict[str, Any]
    batch_files: int


class Blocks(Answer):
    blocks: list[Block]


class Rule(Answer):
    """A block that works on every file of a folder.

    short: what people type.  block: its name.  source, target: paths; target is "" if it lies in no folder of this
    view.  parameters: as the block's manifest completes them.  names: patterns of the files that it takes (`*.nii.gz`);
    of none: all that the block takes.  jobs: how many are in each state.  batch: how many files a run may bring.
    at_once: how many runs there may be beside each other.  None: as many as the block and the server allow.
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
    batch: int | None = None
    at_once: int | None = None
    progress: Progress | None = None
    names: tuple[str, ...] = ()


class Rules(Answer):
    rules: list[Rule]
    next: str = ""


class NewRule(Request):
    """source, target: folders of this view.  parameters: a JSON object for the block, see its manifest.  new_only:
    leave alone what is there already.  priority: the highest goes first; new files always go before those that were
    there.  batch, at_once: of `Rule`; 0: as many as the block and the server allow.  names: of `Rule`."""

    block: BlockName
    source: UUID
    target: UUID
    parameters: Parameters = "{}"
    new_only: bool = False
    priority: Priority = 5
    batch: BatchFiles = 0
    at_once: AtOnce = 0
    names: Names = ()


class ChangeRule(Request):
    """What is null stays.  block: in place of the one there is, told the same unless parameters are given.  parameters:
    in place of all that the block was told.  batch, at_once, names: as in `NewRule`."""

    block: BlockName | None = None
    parameters: Parameters | None = None
    priority: Priority | None = None
    enabled: bool | None = None
    batch: BatchFiles | None = None
    at_once: AtOnce | None = None
    names: Names | None = None


class RuleRun(Answer):
    """files: how many are done again."""

    files: int


class Withdrawn(Answer):
    """sources: files that went into the trash.  derived: what blocks had made of them, wherever it lay.  jobs: that
    were ended."""

    sources: int
    derived: int
    jobs: int
