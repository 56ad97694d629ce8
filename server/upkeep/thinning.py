"""Old versions and old trash go when their time is over.

Owns: finding them, dropping their rows; the stamp below which cursors are of no use any more.
May import: sqlalchemy, protocol, server.

Only rows go here; the bytes follow by gc.  A deleted tree goes in one transaction, with all below it.  A client that
did not hear of a tombstone before it went is answered `reset: purged`: so `purged_stamp` rises to the highest stamp
that goes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import ChunkId
from server.catalog.entries import forget
from server.chunks.store import ChunkStore
from server.database.session import Database, rows_in, rows_of_sql
from server.database.tables import SpaceRow
from server.retention import Replaced, Step, to_drop
from server.upkeep.walk import VersionKey, versions_held

log = logging.getLogger(__name__)
_T = TypeVar("_T")

_PAGE_ROWS = 20_000
_VERSIONS_AT_ONCE = 500  # in one transaction
_PAGE = (
    "SELECT v.space, v.node, v.epoch, v.number, v.committed_at_ms,"
    " v.epoch = n.content_epoch AND v.number = n.content_number"
    " FROM versions v JOIN nodes n ON n.space = v.space AND n.id = v.node"
    " WHERE (v.space, v.node, v.epoch, v.number) > (?, ?, ?, ?)"
    " ORDER BY v.space, v.node, v.epoch, v.number LIMIT ?"
)
_OLD_TRASH = (
    "SELECT id FROM nodes WHERE space = ? AND deleted_at_ms IS NOT NULL AND deleted_at_ms < ?"
    " ORDER BY deleted_at_ms LIMIT 10000"
)
_TREE = (
    "WITH RECURSIVE tree(space, id) AS (SELECT space, id FROM nodes WHERE space = ? AND id = ? AND deleted_at_ms < ?"
    " UNION SELECT nodes.space, nodes.id FROM tree JOIN nodes ON nodes.space = tree.space AND nodes.parent = tree.id)"
    " SELECT nodes.id, nodes.stamp FROM tree JOIN nodes ON nodes.space = tree.space AND nodes.id = tree.id"
)
_SIZES = (
    "SELECT versions.size FROM nodes JOIN versions ON versions.space = nodes.space AND versions.node = nodes.id"
    " AND versions.epoch = nodes.content_epoch AND versions.number = nodes.content_number"
    " WHERE nodes.space = ? AND nodes.id IN"
)


@dataclass(slots=True)
class Thinned:
    """versions: older ones that went.  nodes: files and folders that went from the trash, with all their versions."""

    versions: int = 0
    nodes: int = 0


class Thinning:
    """One run.  steps, trash_seconds: see `retention`.  pause: called between pieces of work, to go gently."""

    def __init__(
        self,
        database: Database,
        store: ChunkStore,
        *,
        steps: Sequence[Step],
        trash_seconds: int | None,
        clock: Callable[[], int],
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._store = store
        self._steps = steps
        self._trash_seconds = trash_seconds
        self._clock = clock
        self._pause = pause

    def run(self, *, dry: bool = False) -> Thinned:
        """Blocks; for a thread or a command.  dry: only count."""
        done = Thinned()
        if self._trash_seconds is not None:
            before_ms = self._clock() - self._trash_seconds * 1_000
            with self._database.reading() as session:
                spaces = list(session.scalars(select(SpaceRow.id)))
            for space in spaces:
                done.nodes += self._empty(space, before_ms, dry=dry)
        for keys in _some(self._old_versions()):
            if dry:
                done.versions += len(keys)
            else:
                done.versions += self._written(partial(_drop_versions, store=self._store, keys=keys))
            self._pause()
        if not dry:
            log.info("thinned versions=%d nodes=%d", done.versions, done.nodes)
        return done

    # ---- versions ----------------------------------------------------------------------------------------

    def _old_versions(self) -> Iterator[VersionKey]:
        now_ms = self._clock()
        for space, node, replaced in self._replaced():
            for version in to_drop(replaced, self._steps, now_ms=now_ms):
                yield space, node, version.epoch, version.number

    def _replaced(self) -> Iterator[tuple[int, bytes, list[Replaced]]]:
        """Of each file with older versions: those, each with the time of the next one."""
        after: VersionKey = (0, b"", 0, 0)
        last: tuple[int, bytes, int, int, int, int] | None = None
        replaced: list[Replaced] = []
        while rows := self._page(after):
            for row in rows:
                if last is not None and last[:2] != row[:2]:
                    if replaced:
                        yield last[0], last[1], replaced
                    replaced = []
                elif last is not None and not last[5]:
                    replaced.append(Replaced(last[2], last[3], max(row[4], last[4])))
                last = row
            after = last[:4] if last else after
            self._pause()
        if last is not None and replaced:
            yield last[0], last[1], replaced

    def _page(self, after: VersionKey) -> list[tuple[int, bytes, int, int, int, int]]:
        with self._database.reading() as session:
            return [
                (space, node, epoch, number, at_ms, current)
                for space, node, epoch, number, at_ms, current in rows_of_sql(
                    session, _PAGE, *after, _PAGE_ROWS
                )
            ]

    # ---- trash -------------------------------------------------------------------------------------------

    def _empty(self, space: int, before_ms: int, *, dry: bool) -> int:
        count = 0
        while True:
            with self._database.reading() as session:
                old = [row[0] for row in rows_of_sql(session, _OLD_TRASH, space, before_ms)]
                if dry:
                    return len({row[0] for top in old for row in _tree(session, space, top, before_ms)})
            for top in old:
                count += self._written(
                    partial(_purge, store=self._store, space=space, top=top, before_ms=before_ms)
                )
                self._pause()
            if len(old) < 10_000:
                return count

    def _written(self, work: Callable[[Session], _T]) -> _T:
        with self._database.writing() as session:
            return work(session)


def _drop_versions(session: Session, *, store: ChunkStore, keys: Sequence[VersionKey]) -> int:
    """How many went: not what became current, nor what holds a manifest that cannot be followed."""
    gone = 0
    connection = session.connection()
    for held in versions_held(session, store, keys):
        if held.fault or held.is_current:
            continue
        _drop_uses(session, held.key, held.chunks)
        connection.exec_driver_sql(
            "DELETE FROM versions WHERE space = ? AND node = ? AND epoch = ? AND number = ?", held.key
        )
        connection.exec_driver_sql(
            "DELETE FROM labels WHERE space = ? AND node = ? AND epoch = ? AND number = ?", held.key
        )
        gone += 1
    return gone


def _purge(session: Session, *, store: ChunkStore, space: int, top: bytes, before_ms: int) -> int:
    """A tombstone and all below it; 0 if it is none any more, or something in it cannot be followed."""
    rows = _tree(session, space, top, before_ms)
    if not rows:
        return 0  # restored meanwhile, or gone with the folder above it
    nodes = [row[0] for row in rows]
    keys = [
        (space, node, epoch, number)
        for node, epoch, number in rows_in(
            session,
            "SELECT node, epoch, number FROM versions WHERE space = ? AND node IN",
            space,
            among=nodes,
        )
    ]
    held = list(versions_held(session, store, keys))
    if any(one.fault for one in held):
        log.error(
            "left something in the trash: a manifest below it cannot be followed; run `mb-server check`"
        )
        return 0
    size = sum(row[0] for row in rows_in(session, _SIZES, space, among=nodes))
    for one in held:
        _drop_uses(session, one.key, one.chunks)
    connection = session.connection()
    named = [(space, node) for node in nodes]
    for sql in (
        "DELETE FROM versions WHERE space = ? AND node = ?",
        "DELETE FROM labels WHERE space = ? AND node = ?",
        "DELETE FROM person_labels WHERE space = ? AND node = ?",
        "DELETE FROM grants WHERE space = ? AND node = ?",
        "DELETE FROM views WHERE space = ? AND root = ?",
        "DELETE FROM nodes WHERE space = ? AND id = ?",
    ):
        connection.exec_driver_sql(sql, named)
    forget(session, space, nodes)
    purged = set(nodes)
    arrivals = rows_of_sql(session, "SELECT stamp, node FROM arrivals WHERE space = ?", space)
    gone = [(space, stamp, node) for stamp, node in arrivals if node in purged]
    if gone:
        connection.exec_driver_sql("DELETE FROM arrivals WHERE space = ? AND stamp = ? AND node = ?", gone)
    connection.exec_driver_sql(
        "UPDATE spaces SET used_bytes = used_bytes - ?, purged_stamp = max(purged_stamp, ?) WHERE id = ?",
        (size, max(row[1] for row in rows), space),
    )
    return len(nodes)


def _tree(session: Session, space: int, top: bytes, before_ms: int) -> list[tuple[bytes, int]]:
    rows = rows_of_sql(session, _TREE, space, top, before_ms)
    return [(node, stamp) for node, stamp in rows]


def _drop_uses(session: Session, key: VersionKey, chunks: Sequence[ChunkId]) -> None:
    space, node, epoch, number = key
    if chunks:
        session.connection().exec_driver_sql(
            "DELETE FROM chunk_uses WHERE space = ? AND chunk = ? AND node = ? AND epoch = ? AND number = ?",
            [(space, chunk, node, epoch, number) for chunk in set(chunks)],
        )


def _some(keys: Iterator[VersionKey]) -> Iterator[list[VersionKey]]:
    some: list[VersionKey] = []
    for key in keys:
        some.append(key)
        if len(some) >= _VERSIONS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some
