"""Which files a cohort's folder is to hold, and what it lacks of them.

Owns: what fits, the folders and names under which it is linked, whether a link is still ours.
May import: the standard library, sqlalchemy, protocol, server.access, server.catalog, server.database, server.spaces.

Nothing is changed here: a pass asks for the difference, and asks once more in the transaction that does a part of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.limits import MAX_COHORT_FILES
from protocol.messages import Revision
from protocol.names import refusal
from server.access.rights import ReadableView
from server.catalog.cohorts import Definition
from server.catalog.query import Query, parse, satisfies
from server.catalog.searching import matching
from server.catalog.visible import SeenFile, seen_files
from server.database.session import AnyRow
from server.database.tables import CohortLinkRow
from server.spaces.rows import load_with_ancestors
from server.spaces.staging import StagedNode

_UNFIT = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that fits, and the folders and name under which it is linked."""

    source: bytes
    entry: int
    revision: Revision
    place: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a folder lacks, has in an older version, and has too much of (the links' rows)."""

    lacks: Sequence[Wanted]
    older: Sequence[Wanted]
    too_much: Sequence[bytes]
    is_full: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.lacks or self.older or self.too_much)


def difference(session: Session, *, cohort: Definition, view: ReadableView) -> Difference:
    """Between what fits now and what is linked."""
    own = _path_of(session, cohort)
    wanted: dict[bytes, Wanted] = {}
    is_full = False
    for entry, files in matching(session, view, parse(cohort.query), may_read=True):
        for file in files:
            if file.path[: len(own)] == own:
                continue  # what people put into the folder itself
            if len(wanted) == MAX_COHORT_FILES:
                is_full = True
                break
            wanted[file.node] = Wanted(file.node, entry.id, file.revision, _place(entry, file))
        if is_full:
            break
    links = {
        row.source: Revision(row.source_epoch, row.source_number)
        for row in session.scalars(select(CohortLinkRow).where(CohortLinkRow.cohort == cohort.id.bytes))
    }
    return Difference(
        lacks=[one for source, one in wanted.items() if source not in links],
        older=[one for source, one in wanted.items() if source in links and links[source] != one.revision],
        too_much=[source for source in links if source not in wanted],
        is_full=is_full,
    )


def fitting_now(
    session: Session, view: ReadableView, cohort: Definition, entries: set[int]
) -> dict[bytes, Revision]:
    """The files of these entries that fit in this very transaction."""
    query: Query = parse(cohort.query)
    own = _path_of(session, cohort)
    seen = seen_files(session, view, entries, with_contents=True)
    return {
        file.node: file.revision
        for files in seen.values()
        for file in files
        if file.path[: len(own)] != own and satisfies(file.facts, query)
    }


def is_ours(
    node: StagedNode, link: CohortLinkRow, nodes: Mapping[bytes, StagedNode], cohort: Definition
) -> bool:
    """It is live, lies in the cohort's folder, and holds what was put into it."""
    if (node.content.epoch, node.content.number) != (link.epoch, link.number):
        return False
    at: StagedNode | None = node
    is_inside = False
    while at is not None:
        if at.is_deleted:
            return False
        is_inside = is_inside or at.id == cohort.folder.bytes
        at = nodes.get(at.parent)
    return is_inside


def _place(entry: AnyRow, file: SeenFile) -> tuple[str, ...]:
    """patient/study/series/file, where the file says them."""
    if not file.is_current:
        return ("others", file.path[-1])
    if not entry.series:
        return (_fit(entry.patient) or "others", file.path[-1])
    number = file.attributes.get("SeriesNumber", (0,))[0]
    modality = _fit(str(file.attributes.get("Modality", ("",))[0]))
    study = "-".join(filter(None, ("study", _fit(entry.date), _word(entry.study))))
    series = "-".join(filter(None, ("series", f"{int(number):03}", modality, _word(entry.series))))
    return (_fit(entry.patient) or "others", study, series, file.path[-1])


def _word(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:8]


def _fit(text: str) -> str:
    """As a name of a folder on every system; what cannot be one is replaced."""
    name = _UNFIT.sub("_", text).strip("._ ")[:60]
    return name if name and refusal(name) is None else ""


def _path_of(session: Session, cohort: Definition) -> tuple[str, ...]:
    """Of its folder, from the root of its scope."""
    nodes = load_with_ancestors(session, cohort.space, [cohort.folder.bytes])
    names: list[str] = []
    at = nodes.get(cohort.folder.bytes)
    while at is not None and at.id != cohort.scope.bytes:
        names.insert(0, at.name)
        at = nodes.get(at.parent)
    return tuple(names)
