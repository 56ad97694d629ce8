"""Labels of a file go with what rules make of it: a researcher sees a cleaned image, never the intake it came from.

Owns: which labels are carried, and that the rows of a derived version follow those of its sources.
May import: sqlalchemy, protocol, server.catalog, server.database.

A derived version has the labels as rows of its own, so whoever may read it may read them, and a look at them leads
nowhere else.  It does not matter which rule works first: publishing brings along what was said already, and what is
said later spreads to what was published.  What was made of many files has each value that is said of any of them, but
for what belongs to a single file.

A version that a rule looked at itself keeps what the rule said of it.  Only blocks that we ship and whose values are
words of closed vocabularies are carried: whatever else runs on an intake might say a name, and what is said in the
shadow stays there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from sqlalchemy.orm import Session

from protocol.ids import SpaceId
from server.catalog.entries import relabel
from server.catalog.labels import Version
from server.database.session import rows_of_sql

CARRIED = (  # as rules name them; a block of a folder has its path
    "classify",
    "deidentify",
    "dicom-deidentify",
)
_RULES = f"SELECT id FROM rules WHERE NOT shadow AND block IN ({', '.join('?' * len(CARRIED))})"  # noqa: S608 - constants
_OF_SOURCES = (
    "FROM provenance p JOIN labels l ON l.space = p.source_space AND l.node = p.source_node"
    " AND l.epoch = p.source_epoch AND l.number = p.source_number"
    " WHERE p.space = ? AND p.node = ? AND p.epoch = ? AND p.number = ?"
)
_SPEAKERS = f"SELECT DISTINCT l.rule {_OF_SOURCES} AND l.rule IN ({_RULES})"
_SOURCES = "SELECT count(*) FROM provenance WHERE space = ? AND node = ? AND epoch = ? AND number = ?"
_OF_ONE_FILE = " AND l.name NOT IN ('frames', 'slices', 'temporal-position')"  # and of no other
_FORGET = "DELETE FROM labels WHERE space = ? AND node = ? AND epoch = ? AND number = ? AND rule = ?"
_COPY = (
    "INSERT INTO labels (space, node, epoch, number, rule, name, said_by, value, confidence, block, block_version,"
    " parameters, made_at_ms, source) SELECT ?, ?, ?, ?, l.rule, l.name, l.said_by, l.value, max(l.confidence),"
    f" max(l.block), max(l.block_version), max(l.parameters), max(l.made_at_ms), max(l.source) {_OF_SOURCES}"
    " AND l.rule = ?"
)
_GROUPED = " GROUP BY l.rule, l.name, l.said_by, l.value"
_MADE_OF = (
    "SELECT DISTINCT space, node, epoch, number FROM provenance"
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
        for (rule,) in rows_of_sql(session, _SPEAKERS, *key, *CARRIED):
            for one in (key, *_made_of(session, key)):
                _renew(session, one, rule)


def spread(session: Session, version: Version, rule: UUID) -> None:
    """What this rule now says of the version, or nothing any more, holds for all that was made of it."""
    revision = version.revision
    if rows_of_sql(session, f"{_RULES} AND id = ?", *CARRIED, rule.bytes):
        key = (int(version.space), version.node.bytes, revision.epoch, revision.number)
        for derived in _made_of(session, key):
            _renew(session, derived, rule.bytes)


def _made_of(session: Session, key: Key) -> Iterator[Key]:
    """At any distance, the nearest first, each once."""
    known, new = {key}, [key]
    while new:
        found = [
            (one[0], one[1], one[2], one[3]) for at in new for one in rows_of_sql(session, _MADE_OF, *at)
        ]
        new = [one for one in dict.fromkeys(found) if one not in known]
        known.update(new)
        yield from new


def _renew(session: Session, derived: Key, rule: bytes) -> None:
    """All that this rule says of the derived version's sources, in place of what it said before."""
    if rows_of_sql(session, _LOOKED, rule, *derived[1:]):
        return
    [(sources,)] = rows_of_sql(session, _SOURCES, *derived)
    connection = session.connection()
    connection.exec_driver_sql(_FORGET, (*derived, rule))
    sql = _COPY + (_OF_ONE_FILE if sources > 1 else "") + _GROUPED
    connection.exec_driver_sql(sql, (*derived, *derived, rule))
    relabel(session, SpaceId(derived[0]), [derived[1]])
