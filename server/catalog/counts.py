"""How much there is in a view, by what it shows: the numbers of a dashboard.

Owns: counting patients, studies, series and files, by modality and by each label that counts.
May import: sqlalchemy, protocol, server.access, server.catalog, server.database, server.spaces.

Only what can be seen in the view now is counted, so two people may be told two numbers.  Numbers and labels are what
the role *metadata* is for: no name, place or attribute of a single file is told.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.catalog import Counted, CountedValue, Counts
from protocol.errors import AccessDenied
from protocol.limits import MAX_COUNTED_VALUES
from server.access.rights import Action, Principal, ReadableView, authorise, rights_of
from server.catalog.entries import changes_in
from server.catalog.labels import counting
from server.catalog.query import EVERYTHING, Query, of_labels_alone
from server.catalog.searching import matching
from server.database.session import rows_in
from server.database.tables import SpaceRow
from server.spaces.rows import LIVE_BELOW

_MODALITY = "Modality"
_AT_ONCE = 2_000
_REMEMBERED = 100
_IS_CURRENT = "nodes.content_epoch = catalog_files.epoch AND nodes.content_number = catalog_files.number"
_BLOCKS = (
    "SELECT json_group_array(json_array(hex(rule), name, value, confidence)) FROM labels"
    " WHERE labels.space = below.space AND labels.node = below.id"
    " AND labels.epoch = nodes.content_epoch AND labels.number = nodes.content_number"
)
_PEOPLE = (
    "SELECT json_group_array(json_array(name, value)) FROM person_labels"
    " WHERE person_labels.space = below.space AND person_labels.node = below.id"
)
_SEEN = (  # what was read counts where it was of the bytes of now
    f"{LIVE_BELOW} SELECT catalog_files.entry AS entry, {_IS_CURRENT} AS is_current, modality,"  # noqa: S608 - constants
    f" ({_BLOCKS}) AS blocks, ({_PEOPLE}) AS people FROM below"
    " JOIN catalog_files ON catalog_files.space = below.space AND catalog_files.node = below.id"
    " JOIN nodes ON nodes.space = below.space AND nodes.id = below.id"
)
_ENTRIES = "SELECT id, patient, study FROM catalog_entries WHERE id IN"


class Remembered:
    """Counts of before, for as long as nothing changed in their space."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[object, ...], Counts] = OrderedDict()

    def find(self, key: tuple[object, ...]) -> Counts | None:
        return self._known.get(key)

    def keep(self, key: tuple[object, ...], made: Counts) -> None:
        """From any thread; of what two put at once, one stays."""
        self._known[key] = made
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


@dataclass(slots=True)
class _Tally:
    """What has one thing in common."""

    files: int = 0
    series: set[int] = field(default_factory=set)
    studies: set[tuple[str, str]] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)

    def add(self, one: _Seen) -> None:
        self.files += one.files
        self.series.add(one.entry)
        if one.study:
            self.studies.add((one.patient, one.study))
        if one.patient:
            self.patients.add(one.patient)

    def counted(self, value: str) -> CountedValue:
        return CountedValue(
            value=value,
            patients=len(self.patients),
            studies=len(self.studies),
            series=len(self.series),
            files=self.files,
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Files of one entry that say the same."""

    entry: int
    patient: str
    study: str
    modality: str
    labels: Mapping[str, Sequence[str]]
    files: int = 1


def counts(
    session: Session,
    principal: Principal,
    view: ReadableView,
    query: Query = EVERYTHING,
    remembered: Remembered | None = None,
) -> Counts:
    """Of the files that fit; files that belong to no study or patient count as series and files alone.

    Raises AccessDenied: it asks for attributes, and who asks may see labels alone.  Raises NotFound.
    """
    authorise(principal, Action.METADATA, view)
    may_read = Action.READ in rights_of(principal, view)
    allowed = query if may_read else of_labels_alone(query)
    if allowed is None:
        raise AccessDenied(
            "You may count by labels here, and not by attributes (read)", hint="Ask for the right."
        )
    if remembered is None:
        return _count(session, view, allowed, may_read=may_read)
    stamp = session.scalar(select(SpaceRow.stamp).where(SpaceRow.id == view.space))
    key = (view.space, view.root, allowed, may_read, stamp, changes_in(session, view.space))
    made = remembered.find(key)
    if made is None:
        made = _count(session, view, allowed, may_read=may_read)
        remembered.keep(key, made)
    return made


def _count(session: Session, view: ReadableView, query: Query, *, may_read: bool) -> Counts:
    whole = _Tally()
    by: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)
    if not view.is_restricted:
        is_all = query == EVERYTHING
        for one in _all(session, view) if is_all else _fitting(session, view, query, may_read=may_read):
            whole.add(one)
            if one.modality:
                by[_MODALITY, one.modality].add(one)
            for name, values in one.labels.items():
                for value in values:
                    by[name, value].add(one)
    total = whole.counted("")
    return Counts(
        patients=total.patients,
        studies=total.studies,
        series=total.series,
        files=total.files,
        by=[
            _counted(name, list(values)) for name, values in groupby(sorted(by.items(), key=_name), key=_name)
        ],
    )


def _name(one: tuple[tuple[str, str], _Tally]) -> str:
    return one[0][0]


def _counted(name: str, values: Sequence[tuple[tuple[str, str], _Tally]]) -> Counted:
    """The most frequent first."""
    made = [tally.counted(value) for (_, value), tally in values]
    made.sort(key=lambda one: (-one.series, -one.files, one.value))
    return Counted(name=name, values=made[:MAX_COUNTED_VALUES], more=max(0, len(made) - MAX_COUNTED_VALUES))


def _all(session: Session, view: ReadableView) -> Iterator[_Seen]:
    """The files of a series say the same, mostly: so each saying is taken apart once, whoever says it."""
    alike: Counter[tuple[int, bool, str, str, str]] = Counter()
    rows = session.connection().exec_driver_sql(_SEEN, (view.space, view.root.bytes))
    for group in rows.partitions(_AT_ONCE):
        alike.update(map(tuple, group))
    entries = {row.id: row for row in rows_in(session, _ENTRIES, among={entry for entry, *_ in alike})}
    labels: dict[tuple[str, str], Mapping[str, Sequence[str]]] = {}
    for (entry, is_current, modality, blocks, people), files in alike.items():
        if (said := labels.get((blocks, people))) is None:
            said = labels[blocks, people] = _labels_in(blocks, people)
        row = entries[entry]
        if is_current:
            yield _Seen(entry, row.patient, row.study, modality, said, files)
        else:
            yield _Seen(entry, "", "", "", said, files)


def _labels_in(blocks: str, people: str) -> Mapping[str, Sequence[str]]:
    """What counts of that; both as `_SEEN` writes them."""
    theirs: dict[str, list[str]] = {}
    for name, value in json.loads(people):
        theirs.setdefault(name, []).append(value)
    said: dict[str, list[tuple[bytes, str, float]]] = {}
    for rule, name, value, confidence in json.loads(blocks):
        said.setdefault(name, []).append((bytes.fromhex(rule), value, confidence))
    return {name: counting(theirs.get(name), said.get(name, ())) for name in {*theirs, *said}}


def _fitting(session: Session, view: ReadableView, query: Query, *, may_read: bool) -> Iterator[_Seen]:
    for entry, files in matching(session, view, query, may_read=may_read):
        for file in files:
            [modality] = file.attributes.get(_MODALITY, ("",))[:1]
            patient, study = (entry.patient, entry.study) if file.is_current else ("", "")
            yield _Seen(entry.id, patient, study, str(modality), file.labels)
