"""The messages of the catalog, one struct each: labels, and the kinds of label that a project has of its own.

Owns: their fields.  Conventions and codecs are those of protocol.messages.
May import: msgspec, protocol.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, field

from protocol import limits
from protocol.messages import Answer, Name, Request

LABEL_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
LabelName = Annotated[str, Meta(pattern=LABEL_NAME, max_length=limits.MAX_LABEL_NAME)]
LabelValue = Annotated[str, Meta(min_length=1, max_length=limits.MAX_LABEL_VALUE)]


# ---- labels ------------------------------------------------------------------------------------------------


class Said(Answer):
    """What one block said of the present version.  said_by: which of the block's own rules.  source: the attributes of
    the file that it was read from, by their keywords."""

    value: str
    block: str
    block_version: str
    said_by: str
    confidence: float
    source: str = ""


class LabelShown(Answer):
    """One name with the values that count.

    by_people: a person said so, which counts whatever blocks say; then `who` (a user's name) and `at_ms`.  No value:
    a person said that none of what blocks say is right.  said: what blocks say of it, the surest first.
    """

    name: str
    values: list[str]
    by_people: bool
    who: str = ""
    at_ms: int = 0
    said: list[Said] = field(default_factory=list)


class Labels(Answer):
    node: UUID
    labels: list[LabelShown]


class SetLabel(Request):
    """In place of what people said under this name before; none: that no value is right."""

    values: Annotated[list[LabelValue], Meta(max_length=limits.MAX_LABEL_VALUES)]


class LabelsChanged(Answer):
    """files: whose label it is now.  before: what people had said of the one file; None: nothing, or there are more."""

    files: int
    before: list[str] | None = None


class LabelKind(Answer):
    """values: one of these; None: free text of at most `max_length` characters."""

    name: str
    values: list[str] | None
    max_length: int
    who: str
    at_ms: int


class LabelKinds(Answer):
    kinds: list[LabelKind]


class SetLabelKind(Request):
    """What a label of this name may hold from now on; what was said before stays."""

    values: Annotated[list[LabelValue], Meta(min_length=1, max_length=limits.MAX_KIND_VALUES)] | None = None
    max_length: Annotated[int, Meta(ge=1, le=limits.MAX_LABEL_VALUE)] = limits.MAX_LABEL_VALUE


# ---- search ------------------------------------------------------------------------------------------------


class FoundItem(Answer):
    """A file, series, study or patient of which at least one file fits; all counts are of files that fit.

    patient: the pseudonym.  date: of the study, YYYYMMDD.  node, path: of the file, or of the first of them; path from
    the view's root.  attributes: those in which the files agree.  labels: every value that counts for one of them.
    Who may not read gets labels and counts alone.
    """

    files: int
    series: int = 1
    studies: int = 0
    patient: str = ""
    study: str = ""
    series_uid: str = ""
    date: str = ""
    modalities: list[str] = field(default_factory=list)
    node: UUID | None = None
    path: str = ""
    attributes: dict[str, list[str | int | float]] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)


class Found(Answer):
    """next: `after` of the page that follows; empty: there is none.  A short page, even an empty one, may have one."""

    level: str
    items: list[FoundItem]
    next: str = ""


# ---- counts ------------------------------------------------------------------------------------------------


class CountedValue(Answer):
    """How much shows this."""

    value: str
    patients: int
    studies: int
    series: int
    files: int


class Counted(Answer):
    """name: of a label, or "Modality".  values: the most frequent first.  more: how many are left out."""

    name: str
    values: list[CountedValue]
    more: int = 0


class Counts(Answer):
    """Of what can be seen.  A file that names no patient or study counts as series and file alone."""

    patients: int
    studies: int
    series: int
    files: int
    by: list[Counted]


# ---- cohorts -----------------------------------------------------------------------------------------------


class NewCohort(Request):
    """path: folders from the view's root, the last one is made for it; the others where they are missing."""

    path: Annotated[list[Name], Meta(min_length=1, max_length=limits.MAX_DEPTH - 8)]
    query: Annotated[str, Meta(min_length=1, max_length=limits.MAX_QUERY)]


class Cohort(Answer):
    """A folder that fills itself.

    node, path: of the folder.  query: for who may read.  files: that it put there and keeps.  state: "open",
    "stopped" (its maker may not write there any more), "gone" (the folder is in the trash) or "full".
    """

    cohort: UUID
    name: str
    query: str
    node: UUID
    path: str
    files: int
    state: str
    who: str
    made_at_ms: int


class Cohorts(Answer):
    cohorts: list[Cohort]
