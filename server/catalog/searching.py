"""Search: which files, series, studies or patients of a view fit a query.

Owns: candidates by the index, pages and their order, what is told of a match, and to whom.
May import: sqlalchemy, protocol, server.access, server.catalog, server.database.

The index brings entries that may fit, in order; `query.satisfies` decides, file by file, on what can be seen in the
view now.  A request looks at a bounded number of entries, so a page may be short and have a next one.

How many are looked at in vain shows, by short pages and by time.  So in a part of a space only entries with a file in
that part are ever looked at, and who may see labels alone is never led by words of attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from protocol.attributes import Values
from protocol.catalog import Found, FoundItem
from protocol.errors import AccessDenied, BadRequest
from server.access.cursors import Cursors
from server.access.rights import Action, Principal, ReadableView, authorise, rights_of
from server.catalog.query import (
    LAST,
    TEXT,
    All,
    Any,
    Begins,
    Between,
    Has,
    Is,
    Not,
    Query,
    of_labels_alone,
    satisfies,
)
from server.catalog.visible import SeenFile, seen_files
from server.database.session import AnyRow, rows_of_sql
from server.spaces.rows import LIVE_BELOW

MOST_ENTRIES = 2_000  # looked at for one page
AT_ONCE = 60  # entries; more while few fit
_SKIP_BITS = 24  # of a page's end: the entry, and how many of its files were told

_COLUMNS = "SELECT id, patient, study, series, date, {order} AS at FROM"
_OF_ENTRIES = f"{_COLUMNS} catalog_entries WHERE space = ?"
_OF_THESE = (  # they lead: nothing else of the space is touched
    f"{_COLUMNS} (SELECT value AS mine FROM json_each(?))"  # noqa: S608 - constants
    " CROSS JOIN catalog_entries ON id = mine WHERE space = ?"
)
_HAS = "id IN (SELECT entry FROM catalog_terms WHERE space = ? AND name = ? AND {test})"
_IT_HAS = "EXISTS (SELECT 1 FROM catalog_terms WHERE space = ? AND name = ? AND {test} AND entry = catalog_entries.id)"
_SEEN_ENTRIES = (
    f"{LIVE_BELOW} SELECT DISTINCT catalog_files.entry FROM below"  # noqa: S608 - constants
    " JOIN catalog_files ON catalog_files.space = below.space AND catalog_files.node = below.id"
)


class Level(StrEnum):
    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    FILE = "file"


class Order(StrEnum):
    PATIENT = "patient"
    DATE = "date"
    LATEST = "-date"


@dataclass(frozen=True, slots=True)
class Asked:
    """after: `next` of the page before."""

    query: Query
    level: Level = Level.SERIES
    order: Order = Order.PATIENT
    after: int = 0
    limit: int = 50


@dataclass(slots=True)
class _Group:
    """Entries with their files that fit, told as one item."""

    key: object
    files: int = 0
    matches: list[tuple[AnyRow, list[SeenFile]]] = field(default_factory=list)


def search(
    session: Session, principal: Principal, view: ReadableView, asked: Asked, cursors: Cursors
) -> Found:
    """Raises AccessDenied: it asks for attributes, and who asks may see labels alone.  Raises BadRequest, NotFound."""
    authorise(principal, Action.METADATA, view)
    may_read = Action.READ in rights_of(principal, view)
    query = asked.query if may_read else of_labels_alone(asked.query)
    if query is None:
        raise AccessDenied(
            "You may search by labels here, and not by attributes (read)", hint="Ask for the right."
        )
    if not may_read and asked.order is not Order.PATIENT:
        raise AccessDenied("You may see labels here, and no dates (read)", hint="Leave out the order.")
    if asked.level is Level.PATIENT and asked.order is not Order.PATIENT:
        raise BadRequest(
            "Patients have no date to be sorted by", hint="Leave out the order, or ask for studies."
        )
    items: list[FoundItem] = []
    last = 0
    if not view.is_restricted:
        for group, end in _groups(session, view, query, asked, may_read=may_read):
            if group is None or len(items) == asked.limit:
                last = end if group is None else last
                break
            items.append(_item(group, asked.level) if may_read else _labels_of(group))
            last = end
        else:
            last = 0
    return Found(
        level=asked.level.value, items=items, next=cursors.seal_number(view.id, last) if last else ""
    )


def matching(
    session: Session, view: ReadableView, query: Query, *, may_read: bool
) -> Iterator[tuple[AnyRow, list[SeenFile]]]:
    """Every entry with its files that fit, in the order of patients.  may_read: else attributes are not looked at."""
    for entry, files in _entries(session, view, query, Asked(query), may_read=may_read):
        if files:
            yield entry, files


# ---- from entries to items ---------------------------------------------------------------------------------


def _groups(
    session: Session, view: ReadableView, query: Query, asked: Asked, *, may_read: bool
) -> Iterator[tuple[_Group | None, int]]:
    """Each item with the place after it; None at last, with the place to go on, if more was not looked at."""
    last, skip = asked.after >> _SKIP_BITS, asked.after & ((1 << _SKIP_BITS) - 1)
    begun = last
    gathered: _Group | None = None
    entries = _entries(session, view, query, asked, may_read=may_read)
    for looked, (entry, files) in enumerate(entries):
        key = _key(entry, asked.level)
        is_enough = looked >= MOST_ENTRIES * (1 if gathered is None or gathered.key != key else 4)
        if gathered is not None and (gathered.key != key or is_enough):
            yield gathered, last << _SKIP_BITS
            gathered = None
        if is_enough:
            yield None, last << _SKIP_BITS
            return
        if asked.level is Level.FILE:
            begin = skip if entry.id == begun else 0
            for at, file in enumerate(files[begin:], start=begin + 1):
                yield _Group(file.node, 1, [(entry, [file])]), entry.id << _SKIP_BITS | at
        elif files and key is not None:
            gathered = gathered or _Group(key)
            gathered.files += len(files)
            gathered.matches.append((entry, files))
        last = entry.id
    if gathered is not None:
        yield gathered, last << _SKIP_BITS


def _key(entry: AnyRow, level: Level) -> object:
    """What makes two entries one item; None: it is no item of this level."""
    match level:
        case Level.PATIENT:
            return entry.patient or None
        case Level.STUDY:
            return (entry.patient, entry.study) if entry.study else None
        case Level.SERIES | Level.FILE:
            return entry.id


def _entries(
    session: Session, view: ReadableView, query: Query, asked: Asked, *, may_read: bool
) -> Iterator[tuple[AnyRow, list[SeenFile]]]:
    """In order, each with its files that fit, perhaps none."""
    after, is_half_told = asked.after >> _SKIP_BITS, bool(asked.after & ((1 << _SKIP_BITS) - 1))
    at = _place_of(session, view, after, asked) if after else None
    size = min(AT_ONCE, max(asked.limit + 10, 20))
    among = None if view.is_whole else _entries_below(session, view)
    while True:
        sql, values = statement(
            *(view.space, query, asked.order, at, size),
            inclusive=is_half_told,
            by_words=may_read,
            among=among,
        )
        rows = rows_of_sql(session, sql, *values)
        seen = seen_files(session, view, [row.id for row in rows], with_contents=may_read)
        for row in rows:
            yield row, [file for file in seen.get(row.id, ()) if satisfies(file.facts, query)]
        if len(rows) < size:
            return
        at, is_half_told = rows[-1].at, False
        size = min(size * 2, 500)


def _place_of(session: Session, view: ReadableView, entry: int, asked: Asked) -> str:
    sql = f"SELECT {_column(asked.order)} AS at FROM catalog_entries WHERE space = ? AND id = ?"  # noqa: S608 - constants
    rows = rows_of_sql(session, sql, view.space, entry)
    if not rows:
        raise BadRequest("The page that this one follows is not there any more", hint="Search anew.")
    return str(rows[0].at)


# ---- candidates --------------------------------------------------------------------------------------------


def _entries_below(session: Session, view: ReadableView) -> Sequence[int]:
    """Of which a file lies in the view now."""
    return [row.entry for row in rows_of_sql(session, _SEEN_ENTRIES, view.space, view.root.bytes)]


def statement(
    space: int,
    query: Query,
    order: Order,
    after: str | None,
    limit: int,
    *,
    inclusive: bool = False,
    by_words: bool = True,
    among: Sequence[int] | None = None,
) -> tuple[str, list[object]]:
    """Entries of which a file may fit, in order.  Written out; what it reads it finds by an index.

    after: the place of the last one.  by_words: else words narrow nothing, as some are of attributes.  among: none but
    these, and what it reads depends on no others.
    """
    column = _column(order)
    sql = (_OF_ENTRIES if among is None else _OF_THESE).format(order=column)
    values: list[object] = [space] if among is None else [json.dumps(list(among)), space]
    down = order is Order.LATEST
    if after is not None:
        sql += f" AND {column} {'<' if down else '>'}{'=' if inclusive else ''} ?"
        values.append(after)
    narrowed = _Narrowing(space, by_words=by_words, is_one_by_one=among is not None).to(query)
    if narrowed is not None:
        sql += f" AND {narrowed[0]}"
        values += narrowed[1]
    return f"{sql} ORDER BY {column}{' DESC' if down else ''} LIMIT ?", [*values, limit]


def _column(order: Order) -> str:
    return "place" if order is Order.PATIENT else "dated"


_Condition = tuple[str, list[object]]


@dataclass(frozen=True, slots=True)
class _Narrowing:
    """is_one_by_one: each entry is asked for its terms, which only equal values can be."""

    space: int
    by_words: bool
    is_one_by_one: bool

    def to(self, query: Query) -> _Condition | None:
        """True of every entry with a file that fits, and of some more; None: of all."""
        match query:
            case Not():
                return None
            case Has(names, tests):
                return _either([self._tested(name, test) for name in names for test in tests])
            case All(parts):
                return _joined(" AND ", [one for part in parts if (one := self.to(part)) is not None])
            case Any(parts):
                return _either([self.to(part) for part in parts])

    def _tested(self, name: str, test: Is | Begins | Between) -> _Condition | None:
        if name == "InstanceNumber" or (
            name == TEXT and not self.by_words
        ):  # the first: of single files, no term
            return None
        has = _IT_HAS if self.is_one_by_one else _HAS
        match test:
            case Is(text, None):
                return has.format(test="value = ?"), [self.space, name, text[:200]]
            case Is(text, number):
                either = f"({has.format(test='value = ?')} OR {has.format(test='number = ?')})"
                return either, [self.space, name, text[:200], self.space, name, number]
            case _ if self.is_one_by_one:
                return None
            case Begins(text):
                begin = text[:200]
                return has.format(test="value >= ? AND value < ?"), [self.space, name, begin, begin + LAST]
            case Between(least, most):
                least, most = max(least, -1e308), min(most, 1e308)
                return has.format(test="number BETWEEN ? AND ?"), [self.space, name, least, most]


def _either(found: Sequence[_Condition | None]) -> _Condition | None:
    known = [one for one in found if one is not None]
    return _joined(" OR ", known) if len(known) == len(found) else None


def _joined(word: str, parts: Sequence[_Condition]) -> _Condition | None:
    if not parts:
        return None
    return f"({word.join(sql for sql, _ in parts)})", [value for _, values in parts for value in values]


# ---- what is told ------------------------------------------------------------------------------------------


def _item(group: _Group, level: Level) -> FoundItem:
    entry, [first, *_] = group.matches[0]
    files = [file for _, some in group.matches for file in some]
    path = first.path if level is Level.FILE else first.path[:-1]
    single = level in (Level.SERIES, Level.FILE)
    says = any(file.is_current for file in files)  # else the entry says what older bytes did
    return FoundItem(
        files=group.files,
        series=len(group.matches),
        studies=len({row.study for row, _ in group.matches if row.study}),
        patient=entry.patient if says else "",
        study=entry.study if says and level is not Level.PATIENT else "",
        series_uid=entry.series if says and single else "",
        date=entry.date if says and level is not Level.PATIENT else "",
        modalities=sorted({str(one) for file in files for one in file.attributes.get("Modality", ())}),
        node=UUID(bytes=first.node),
        path="/" + "/".join(path),
        attributes=_agreed(file.attributes for file in files),
        labels=_together(files),
    )


def _labels_of(group: _Group) -> FoundItem:
    """For who may see that it is there, and not what it is."""
    return FoundItem(
        files=group.files,
        series=len(group.matches),
        studies=len({row.study for row, _ in group.matches if row.study}),
        labels=_together(file for _, files in group.matches for file in files),
    )


def _agreed(tables: Iterable[Mapping[str, Values]]) -> dict[str, list[str | int | float]]:
    first, *others = tables
    return {
        keyword: list(values)
        for keyword, values in sorted(first.items())
        if all(table.get(keyword) == values for table in others)
    }


def _together(files: Iterable[SeenFile]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for file in files:
        for name, values in file.labels.items():
            found.setdefault(name, set()).update(values)
    return {name: sorted(values) for name, values in sorted(found.items())}
