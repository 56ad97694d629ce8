"""A search as a table for other programs: CSV, with where each line came from.

Owns: the columns, that no cell is a formula, provenance of the files and of their labels.
May import: sqlalchemy, protocol, server.access, server.catalog, server.database.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from protocol.attributes import KINDS
from protocol.errors import Refused
from protocol.limits import MAX_EXPORTED
from server.access.rights import Action, Principal, ReadableView, authorise, rights_of
from server.catalog.query import Query
from server.catalog.searching import matching
from server.catalog.visible import SeenFile
from server.database.session import rows_in

_FIRST = ("patient", "study", "study_date", "series", "path", "node", "version")
_NOWHERE = ("", "", "", "")  # of what is newer than what was read
_PROVENANCE = ("made_by", "made_by_version", "made_at")
_MADE = (
    "SELECT provenance.node, provenance.block, provenance.block_version, provenance.published_at_ms FROM nodes"
    " JOIN provenance ON provenance.space = nodes.space AND provenance.node = nodes.id"
    " AND provenance.epoch = nodes.content_epoch AND provenance.number = nodes.content_number"
    " WHERE nodes.space = ? AND nodes.id IN"
)
_BLOCKS = (
    "SELECT DISTINCT labels.node, labels.name, labels.block, labels.block_version, labels.said_by FROM nodes"
    " JOIN labels ON labels.space = nodes.space AND labels.node = nodes.id AND labels.epoch = nodes.content_epoch"
    " AND labels.number = nodes.content_number WHERE nodes.space = ? AND nodes.id IN"
)
_PEOPLE = (
    "SELECT DISTINCT person_labels.node, person_labels.name, users.name AS who FROM person_labels"
    " LEFT JOIN users ON users.id = person_labels.user WHERE person_labels.space = ? AND person_labels.node IN"
)
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # how a spreadsheet knows one
_CELLS = re.compile(r"([;\t\r\n]+)")  # where one of another language begins a new cell


def table(session: Session, principal: Principal, view: ReadableView, query: Query) -> tuple[bytes, int]:
    """Each file that fits, and how many lines.  Raises AccessDenied, NotFound.  Raises Refused: there are too many."""
    authorise(principal, Action.READ, view)
    found: list[tuple[tuple[str, str, str, str], SeenFile]] = []
    if not view.is_restricted:
        for entry, files in matching(session, view, query, may_read=True):
            place = (entry.patient, entry.study, entry.date, entry.series)
            found += [(place if file.is_current else _NOWHERE, file) for file in files]
            if len(found) > MAX_EXPORTED:
                raise Refused(f"More than {MAX_EXPORTED:,} files fit", hint="Ask for fewer at once.")
    nodes = [file.node for _, file in found]
    made = {row.node: row for row in rows_in(session, _MADE, view.space, among=nodes)}
    with_people = Action.PEOPLE in rights_of(principal, view)
    said = _said(session, view, nodes, with_people=with_people)
    keywords = [word for word in KINDS if any(word in file.attributes for _, file in found)]
    names = sorted({name for _, file in found for name in file.labels})
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\r\n")
    head = [*_FIRST, *keywords, *(cell for name in names for cell in (f"label {name}", f"label {name} by"))]
    writer.writerow([*head, *_PROVENANCE])
    for place, file in found:
        row: list[str] = [*place, "/" + "/".join(file.path), str(UUID(bytes=file.node)), _version(file)]
        row += [_joined(file.attributes.get(word, ())) for word in keywords]
        for name in names:
            row += [_joined(file.labels.get(name, ())), said.get((file.node, name), "")]
        by = made.get(file.node)
        row += ["", "", ""] if by is None else [by.block, by.block_version, _time(by.published_at_ms)]
        writer.writerow([harmless(cell) for cell in row])
    return lines.getvalue().encode(), len(found)


def harmless(cell: str) -> str:
    """A spreadsheet takes it for text, and each part where it may cut it.  A number stays one, a negative one too."""
    parts = [_as_text(part) for part in _CELLS.split(cell)]
    return "".join(parts) if parts[0] or len(parts) == 1 else "'" + "".join(parts)


def _as_text(part: str) -> str:
    plain = part.strip()
    return "'" + part if plain.startswith(_FORMULA) and _NUMBER.fullmatch(plain) is None else part


def _said(
    session: Session, view: ReadableView, nodes: Sequence[bytes], *, with_people: bool
) -> dict[tuple[bytes, str], str]:
    """Who said the label that counts: a person, else blocks with their rules.  with_people: else nobody is named."""
    found: dict[tuple[bytes, str], str] = {}
    for row in rows_in(session, _BLOCKS, view.space, among=nodes):
        words = f"{row.block} {row.block_version} {row.said_by}"
        before = found.get((row.node, row.name))
        found[row.node, row.name] = words if before is None else f"{before}; {words}"
    for row in rows_in(session, _PEOPLE, view.space, among=nodes):
        found[row.node, row.name] = f"user:{row.who}" if row.who and with_people else "a person"
    return found


def _version(file: SeenFile) -> str:
    return f"{file.revision.epoch}.{file.revision.number}"


def _joined(values: Iterable[object]) -> str:
    return "; ".join(str(value) for value in values)


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
