"""Labels of a file go with what rules make of it: a researcher sees a cleaned image, never the intake it came from.

Owns: which labels are carried, and that the rows of a derived version follow those of its source.
May import: sqlalchemy, protocol, server.catalog, server.database.

A derived version has the labels as rows of its own, so whoever may read it may read them, and a look at them leads
nowhere else.  It does not matter which rule works first: publishing brings along what was said already, and what is
said later spreads to what was published.

A version that a rule looked at itself keeps what the rule said of it.  Only blocks that we ship and whose values are
words of closed vocabularies are carried: whatever else runs on an intake might say a name.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from protocol.ids import SpaceId
from server.catalog.entries import relabel
from server.catalog.labels import Version
from server.database.session import rows_of_sql

CARRIED = (
    "classify",
    "deidentify",
    "dicom-deidentify",
)  # as rules name them; a block of a folder has its path
_MARKS = ", ".join("?" * len(CARRIED))
_RULES = f"SELECT id FROM rules WHERE block IN ({_MARKS})"  # noqa: S608 - constants
_SAID = (
    "FROM labels WHERE space = ? AND node = ? AND epoch = ? AND number = ?"
    f" AND rule IN ({_RULES}) AND (? IS NULL OR rule = ?)"
)
_SPEAKERS = f"SELECT DISTINCT rule {_SAID}"
_FORGET = "DELETE FROM labels WHERE space = ? AND node = ? AND epoch = ? AND number = ? AND rule = ?"
_COPY = (
    "INSERT INTO labels (space, node, epoch, number, rule, name, said_by, value, confidence, block, block_version,"
    " parameters, made_at_ms, source) SELECT ?, ?, ?, ?, rule, name, said_by, value, confidence, block,"
    f" block_version, parameters, made_at_ms, source {_SAID}"
)
_SOURCE = (
    "SELECT source_space, source_node, source_epoch, source_number FROM provenance"
    " WHERE space = ? AND node = ? AND epoch = ? AND number = ?"
)
_MADE_OF = (
    "SELECT space, node, epoch, number FROM provenance"
    " WHERE source_space = ? AND source_node = ? AND source_epoch = ? AND source_number = ?"
)
_LOOKED = (
    "SELECT 1 FROM jobs WHERE rule = ? AND node = ? AND epoch = ? AND number = ?"
    " AND state IN ('published', 'unchanged')"
)

Key = tuple[int, bytes, int, int]  # space, node, epoch and number of a version


def bring_along(session: Session, derived: Iterable[Key]) -> None:
    """These were just published, with their provenance: they get what was said of their sources so far."""
    for key in derived:
        for source in rows_of_sql(session, _SOURCE, *key):
            for (rule,) in rows_of_sql(session, _SPEAKERS, *source, *CARRIED, None, None):
                _copy(session, tuple(source), key, rule)
        for (rule,) in rows_of_sql(session, _SPEAKERS, *key, *CARRIED, None, None):
            _spread(session, key, rule)


def spread(session: Session, version: Version, rule: UUID) -> None:
    """What this rule now says of the version, or nothing any more, holds for all that was made of it."""
    revision = version.revision
    if rows_of_sql(session, f"{_RULES} AND id = ?", *CARRIED, rule.bytes):
        key = (version.space, version.node.bytes, revision.epoch, revision.number)
        _spread(session, key, rule.bytes)


def _spread(session: Session, key: Key, rule: bytes) -> None:
    for derived in _made_of(session, key):
        _copy(session, key, derived, rule)


def _made_of(session: Session, key: Key) -> list[Key]:
    found: dict[Key, None] = {key: None}
    new = [key]
    while new:
        rows = [tuple(row) for one in new for row in rows_of_sql(session, _MADE_OF, *one)]
        new = [row for row in dict.fromkeys(rows) if row not in found]
        found.update(dict.fromkeys(new))
    return list(found)[1:]


def _copy(session: Session, source: Key, derived: Key, rule: bytes) -> None:
    if rows_of_sql(session, _LOOKED, rule, *derived[1:]):
        return
    connection = session.connection()
    connection.exec_driver_sql(_FORGET, (*derived, rule))
    connection.exec_driver_sql(_COPY, (*derived, *source, *CARRIED, rule, rule))
    relabel(session, SpaceId(derived[0]), [derived[1]])
