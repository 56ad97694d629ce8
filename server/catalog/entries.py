"""What the catalog knows: files with their attributes, gathered into series.

Owns: writing it, in the transaction of what it follows from; where a search begins (the terms of an entry).
May import: msgspec, sqlalchemy, protocol, server.access, server.catalog, server.database.

Nothing of an intake is ever here.  Terms say what a file of the entry said at some time: they only ever grow, so a
search by them finds too much and never too little, and what it finds is looked at again, file by file, as it is now.
Attributes are of one version; who writes another makes them count no more, until a block has read it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.attributes import Values
from protocol.ids import NodeId, SpaceId
from protocol.messages import Revision
from server.access.rights import INTAKE
from server.catalog.labels import counting
from server.catalog.query import TEXT, Facts, folded, number_of, words_in
from server.database.session import insert_rows, rows_in, rows_of_sql
from server.database.tables import CatalogChangeRow, CatalogEntryRow, CatalogFileRow, CatalogTermRow, SpaceRow

_MOST_TERM = 200  # characters of a value that the index holds
_OF_ONE_FILE = frozenset({"InstanceNumber"})  # says nothing of a series
_BETWEEN = "\x01"  # the parts of a place: sorts before all that may stand in one
_CURRENT = "SELECT id, content_epoch, content_number FROM nodes WHERE kind = 'file' AND space = ? AND id IN"
_OF_PEOPLE = "SELECT node, name, value FROM person_labels WHERE space = ? AND node IN"
_OF_BLOCKS = (
    "SELECT labels.node, labels.name, labels.rule, labels.value, labels.confidence FROM nodes JOIN labels"
    " ON labels.space = nodes.space AND labels.node = nodes.id AND labels.epoch = nodes.content_epoch"
    " AND labels.number = nodes.content_number WHERE nodes.space = ? AND nodes.id IN"
)


def describe(
    session: Session,
    space: SpaceId,
    described: Mapping[NodeId, tuple[Revision, Mapping[str, Values]]],
) -> None:
    """The attributes of these versions, whatever was known of their files before.  Nothing is taken of an intake."""
    linked = _links(session, space, described)
    described = {node: told for node, told in described.items() if node not in linked}
    if not described or _is_intake(session, space):
        return
    _count_change(session, space)
    shown = labels_shown(session, space, [node.bytes for node in described])
    for node, (revision, attributes) in described.items():
        _put(session, space, node.bytes, revision, attributes, shown.get(node.bytes, {}))


def relabel(session: Session, space: SpaceId, nodes: Collection[bytes]) -> None:
    """Blocks or people said something of these files: they can be found by it from now on."""
    linked = _links(session, space, [NodeId(UUID(bytes=node)) for node in nodes])
    nodes = [node for node in nodes if NodeId(UUID(bytes=node)) not in linked]
    if not nodes or _is_intake(session, space):
        return
    _count_change(session, space)
    shown = labels_shown(session, space, nodes)
    known = {
        row.node: row.entry
        for row in rows_in(
            session, "SELECT node, entry FROM catalog_files WHERE space = ? AND node IN", space, among=nodes
        )
    }
    new = [node for node in nodes if node not in known and shown.get(node)]
    for row in rows_in(session, _CURRENT, space, among=new):
        revision = Revision(row.content_epoch, row.content_number)
        _put(session, space, row.id, revision, {}, shown[row.id])
    add_terms(
        session, space, ((known[node], facts) for node, facts in shown.items() if node in known and facts)
    )


def labels_shown(
    session: Session, space: SpaceId, nodes: Collection[bytes]
) -> dict[bytes, dict[str, tuple[str, ...]]]:
    """What counts of each of these files as it is now; see `labels.counting`."""
    by_people: dict[bytes, dict[str, list[str]]] = {}
    for row in rows_in(session, _OF_PEOPLE, space, among=nodes):
        by_people.setdefault(row.node, {}).setdefault(row.name, []).append(row.value)
    by_blocks: dict[bytes, dict[str, list[tuple[bytes, str, float]]]] = {}
    for row in rows_in(session, _OF_BLOCKS, space, among=nodes):
        by_blocks.setdefault(row.node, {}).setdefault(row.name, []).append(
            (row.rule, row.value, row.confidence)
        )
    found: dict[bytes, dict[str, tuple[str, ...]]] = {}
    for node in {*by_people, *by_blocks}:
        theirs, blocks = by_people.get(node, {}), by_blocks.get(node, {})
        found[node] = {
            name: values
            for name in sorted({*theirs, *blocks})
            if (values := tuple(counting(theirs.get(name), blocks.get(name, ()))))
        }
    return found


def attributes_in(text: str) -> dict[str, Values]:
    """As a row keeps them."""
    return {keyword: tuple(values) for keyword, values in json.loads(text).items()}


# ---- writing -----------------------------------------------------------------------------------------------


def _put(
    session: Session,
    space: SpaceId,
    node: bytes,
    revision: Revision,
    attributes: Mapping[str, Values],
    shown: Mapping[str, Sequence[str]],
) -> None:
    before = rows_of_sql(
        session, "SELECT entry, attributes FROM catalog_files WHERE space = ? AND node = ?", space, node
    )
    entry = _entry(session, space, node, attributes)
    text = json.dumps(attributes, ensure_ascii=False, sort_keys=True)
    modality = _first(attributes, "Modality")
    row = (space, node, entry, revision.epoch, revision.number, modality, text)
    insert_rows(session, CatalogFileRow, [row], renew=True)
    if before and before[0].entry != entry:
        _drop_if_empty(session, space, before[0].entry, attributes_in(before[0].attributes))
    facts: dict[str, Values] = {name: tuple(values) for name, values in shown.items()}
    add_terms(session, space, [(entry, facts | dict(attributes))])


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a file belongs: the series that it names, or one of its own.  The fields are columns of the table."""

    key: str
    patient: str
    study: str
    series: str
    date: str
    place: str
    dated: str


def entry_of(node: bytes, attributes: Facts) -> Entry:
    patient, study = _first(attributes, "PatientID"), _first(attributes, "StudyInstanceUID")
    series, date = _first(attributes, "SeriesInstanceUID"), _first(attributes, "StudyDate")
    rest = (study, f"{int(_first(attributes, 'SeriesNumber') or 0):08}", series or node.hex())
    return Entry(
        key=f"{patient}/{study}/{series}" if series else f"file {node.hex()}",
        patient=patient,
        study=study,
        series=series,
        date=date,
        place=_BETWEEN.join((patient, date, *rest)),
        dated=_BETWEEN.join((date, patient, *rest)),
    )


def _entry(session: Session, space: SpaceId, node: bytes, attributes: Facts) -> int:
    """Its number, made if there is none yet."""
    entry = entry_of(node, attributes)
    sql = "SELECT id FROM catalog_entries WHERE space = ? AND key = ?"
    if known := rows_of_sql(session, sql, space, entry.key):
        return int(known[0].id)
    row = CatalogEntryRow(space=space, **asdict(entry))
    session.add(row)
    session.flush()
    return int(row.id)


def add_terms(session: Session, space: int, said: Iterable[tuple[int, Facts]]) -> None:
    """said: of a file of this entry."""
    rows = {(name, value, entry): number for entry, facts in said for name, value, number in _terms_of(facts)}
    insert_rows(
        session,
        CatalogTermRow,
        [(space, *term, number) for term, number in rows.items()],
        renew=True,
    )


def _terms_of(facts: Facts) -> Iterator[tuple[str, str, float | None]]:
    for name, values in facts.items():
        if name not in _OF_ONE_FILE:
            for value in values:
                yield name, folded(value)[:_MOST_TERM], number_of(name, value)
    for word in words_in(facts):
        yield TEXT, word[:_MOST_TERM], None


def forget(session: Session, space: int, nodes: Collection[bytes]) -> None:
    """These nodes are purged."""
    sql = "SELECT node, entry, attributes FROM catalog_files WHERE space = ? AND node IN"
    rows = list(rows_in(session, sql, space, among=nodes))
    connection = session.connection()
    if rows:
        named = [(space, row.node) for row in rows]
        connection.exec_driver_sql("DELETE FROM catalog_files WHERE space = ? AND node = ?", named)
    for row in rows:
        _drop_if_empty(session, space, row.entry, attributes_in(row.attributes))


def _drop_if_empty(session: Session, space: int, entry: int, attributes: Facts) -> None:
    """Terms of labels may stay behind: they lead to an entry that is not there, or to one that is looked at in vain."""
    if rows_of_sql(session, "SELECT 1 FROM catalog_files WHERE entry = ? LIMIT 1", entry):
        return
    connection = session.connection()
    terms = [(space, name, value, entry) for name, value, _ in _terms_of(attributes)]
    if terms:
        connection.exec_driver_sql(
            "DELETE FROM catalog_terms WHERE space = ? AND name = ? AND value = ? AND entry = ?", terms
        )
    connection.exec_driver_sql("DELETE FROM catalog_entries WHERE id = ?", (entry,))


def changes_in(session: Session, space: int) -> int:
    """A number that is another one when anything else is said of a file of this space."""
    found: int | None = session.scalar(select(CatalogChangeRow.number).where(CatalogChangeRow.space == space))
    return found or 0


def _count_change(session: Session, space: SpaceId) -> None:
    insert_rows(session, CatalogChangeRow, [(space, changes_in(session, space) + 1)], renew=True)


def _links(session: Session, space: SpaceId, nodes: Iterable[NodeId]) -> set[NodeId]:
    """Those of these that a cohort put where they are: they are found by the file that they are of."""
    sql = "SELECT node FROM cohort_links WHERE space = ? AND node IN"
    rows = rows_in(session, sql, space, among=[node.bytes for node in nodes])
    return {NodeId(UUID(bytes=row.node)) for row in rows}


def _first(attributes: Mapping[str, Values], keyword: str) -> str:
    return str(attributes[keyword][0]) if attributes.get(keyword) else ""


def _is_intake(session: Session, space: SpaceId) -> bool:
    return session.scalar(select(SpaceRow.kind).where(SpaceRow.id == space)) == INTAKE
