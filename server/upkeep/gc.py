"""Room for what is new: chunks that nothing holds are dropped, small packs merged, copies kept once.

Owns: the order mark, rewrite, name and unname in one transaction, retire; what a run tells.
May import: sqlalchemy, protocol, server.

Safe at every instant, beside a working server:

* What is held is told by the one walk over everything (`walk`), in one snapshot.  A chunk that was held by
  nothing then can come into use again only by a new upload, which lies in a new pack that this run does not
  know.  The transaction that drops it looks once more at every space that moved since the snapshot.
* A new pack is durable before a row names it; its rows come and the old ones go in one transaction; the old
  pack's bytes stay under another name for the grace period, for whoever is reading them.
* A commit looks up each chunk it names in its own transaction.  So a client that slept through its lease is
  told `missing-chunks`, and no manifest ever has a hole.
* Of copies one stays that was read whole just before.  A pack with a record that cannot be read is left alone.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from protocol.ids import ChunkId
from server.chunks.keys import StoreKeys
from server.chunks.pack_format import INDEX_ENTRY_BYTES, PACK_BYTES, KeptPack, PackWriter
from server.chunks.packs import PackStore
from server.chunks.possession import forget_old_leases
from server.chunks.store import ChunkStore, Located, name_pack
from server.chunks.upload import cannot_write
from server.database.session import Database, rows_in, rows_of_sql
from server.database.tables import ChunkRow, PackRow, SpaceRow
from server.upkeep.marks import Marks
from server.upkeep.sweeping import Group, Weight, groups_of
from server.upkeep.walk import held_chunks

log = logging.getLogger(__name__)

GRACE_SECONDS = 24 * 3_600
_PAGE_ROWS = 20_000
_RECORDS_AT_ONCE = 200_000  # of the groups whose rows are looked up together
_READ_RECORDS = 256
Record = tuple[bytes, int, int]  # chunk, offset, stored length


@dataclass(slots=True)
class Collected:
    """What a run did.  freed_bytes: of records that are gone; their packs' files go when the grace period is over.

    deleted_bytes: of files retired by earlier runs.  damaged: packs left alone, since a record in them is broken.
    """

    packs_dropped: int = 0
    packs_written: int = 0
    freed_bytes: int = 0
    deleted_bytes: int = 0
    damaged: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Marked:
    """What one snapshot showed.  stamps: of each space."""

    marks: Marks
    stamps: dict[int, int]
    weights: list[Weight]


class Collector:
    """One run.  clock: milliseconds since 1970.  pause: called between pieces of work, to go gently."""

    def __init__(
        self,
        database: Database,
        packs: PackStore,
        keys: StoreKeys,
        *,
        clock: Callable[[], int],
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._packs = packs
        self._keys = keys
        self._store = ChunkStore(database, packs, keys, clock=clock)
        self._clock = clock
        self._pause = pause

    def plan(self) -> list[Group]:
        """What a run would do now."""
        with self._database.reading() as session:
            return groups_of(self._mark(session).weights, full=PACK_BYTES)

    def run(self, *, grace_seconds: float = GRACE_SECONDS) -> Collected:
        """Blocks; for a thread or a command.  The caller holds the folder's upkeep lock.

        Raises ContentDamaged: a manifest cannot be followed; nothing was dropped.  Raises Unavailable: the disk is
        full, or the database busy; what was done so far stays done.
        """
        done = self.sweep(self.mark(grace_seconds=grace_seconds))
        done.deleted_bytes = self._packs.drop_retired(older_than=self._clock() / 1_000 - grace_seconds)
        log.info(
            "gc dropped packs=%d wrote packs=%d freed bytes=%d deleted bytes=%d damaged packs=%d",
            done.packs_dropped,
            done.packs_written,
            done.freed_bytes,
            done.deleted_bytes,
            len(done.damaged),
        )
        return done

    def mark(self, *, grace_seconds: float) -> Marked:
        """What is held now.  grace_seconds: how long after its end a lease holds."""
        ended_before_ms = self._clock() - int(grace_seconds * 1_000)
        forget = partial(forget_old_leases, ended_before_ms=ended_before_ms)
        while self._written(forget):
            self._pause()
        with self._database.reading() as session:
            return self._mark(session)

    def sweep(self, marked: Marked) -> Collected:
        """Drop what was not marked, then or since."""
        done = Collected()
        groups = groups_of(marked.weights, full=PACK_BYTES)
        for some in _portions(groups):
            rows = self._rows_of(some)
            for group in some:
                self._sweep(group, rows, marked, done)
                self._pause()
        return done

    def _written(self, work: Callable[[Session], bool]) -> bool:
        with self._database.writing() as session:
            return work(session)

    # ---- mark --------------------------------------------------------------------------------------------

    def _mark(self, session: Session) -> Marked:
        count = session.scalar(select(func.count()).select_from(ChunkRow)) or 0
        stamps = {row.id: row.stamp for row in session.execute(select(SpaceRow.id, SpaceRow.stamp))}
        marks = Marks(count)
        for chunks in held_chunks(session, self._store):
            marks.add(chunks)
            self._pause()
        packs = session.execute(select(PackRow.id, PackRow.name, PackRow.size))
        weights = {number: Weight(number, name, size) for number, name, size in packs}
        for found in self._copies(session):
            chunk = found[0][0]
            copies = [copy for copy in found if copy[1] in weights]
            for _, pack, _ in copies:
                weights[pack].records += 1
            if copies and chunk in marks:  # counted in the largest pack, so that the small ones go
                _, pack, length = max(copies, key=lambda copy: (weights[copy[1]].size, -copy[1]))
                weights[pack].live += length + INDEX_ENTRY_BYTES
        return Marked(marks, stamps, list(weights.values()))

    def _copies(self, session: Session) -> Iterator[list[tuple[bytes, int, int]]]:
        """(chunk, pack, stored length) of each copy, chunk by chunk."""
        page = (
            'SELECT id, pack, stored_length, "offset" FROM chunks'
            ' WHERE (id, pack, "offset") > (?, ?, ?) ORDER BY id, pack, "offset" LIMIT ?'
        )
        after: tuple[bytes, int, int] = (b"", 0, 0)
        copies: list[tuple[bytes, int, int]] = []
        while rows := rows_of_sql(session, page, *after, _PAGE_ROWS):
            for chunk, pack, length, _ in rows:
                if copies and copies[0][0] != chunk:
                    yield copies
                    copies = []
                copies.append((chunk, pack, length))
            after = (rows[-1][0], rows[-1][1], rows[-1][3])
            self._pause()
        if copies:
            yield copies

    # ---- sweep -------------------------------------------------------------------------------------------

    def _rows_of(self, groups: Sequence[Group]) -> dict[int, list[Record]]:
        """The records of these packs, in one walk over all: there is no index by pack."""
        found: defaultdict[int, list[Record]] = defaultdict(list)
        sql = 'SELECT pack, id, "offset", stored_length FROM chunks WHERE pack IN'
        with self._database.reading() as session:
            for pack, chunk, offset, length in rows_in(
                session, sql, among=[weight.pack for group in groups for weight in group]
            ):
                found[pack].append((chunk, offset, length))
        return found

    def _sweep(self, group: Group, rows: dict[int, list[Record]], marked: Marked, done: Collected) -> None:
        places = [
            Located(ChunkId(chunk), weight.name, offset, length)
            for weight in group
            for chunk, offset, length in sorted(rows.get(weight.pack, ()), key=lambda record: record[1])
        ]
        names = {weight.name for weight in group}
        elsewhere = self._whole_elsewhere(places, marked, names)
        carried, broken = self._carry(places, marked, elsewhere)
        if broken:
            self._abandon(carried)
            done.damaged += sorted(broken)
            log.error("gc left packs=%d alone: a record in them cannot be read", len(broken))
            return
        stays = {place.chunk for pack in carried for place in pack.places} | elsewhere
        dead = {bytes(place.chunk) for place in places} - stays
        if not self._written(
            partial(
                _swap, group=group, rows=rows, carried=carried, dead=dead, marked=marked, now_ms=self._clock()
            )
        ):
            self._abandon(carried)
            return
        for name in names:
            self._packs.retire(name)
        done.packs_dropped += len(group)
        done.packs_written += len(carried)
        done.freed_bytes += sum(weight.size for weight in group) - sum(pack.size for pack in carried)

    def _whole_elsewhere(self, places: Sequence[Located], marked: Marked, names: set[str]) -> set[bytes]:
        """The held chunks of which a copy outside of these packs was read whole just now."""
        held = {place.chunk for place in places if place.chunk in marked.marks}
        with self._database.reading() as session:
            others = [place for place in self._store.places(session, held) if place.pack not in names]
        others.sort(key=lambda place: (place.pack, place.offset))
        whole: set[bytes] = set()
        for some in _some(others):
            frames = self._store.try_read(some)
            whole.update(frame.id for frame in frames if frame is not None)
            self._pause()
        return whole

    def _carry(
        self, places: Sequence[Located], marked: Marked, elsewhere: set[bytes]
    ) -> tuple[list[KeptPack], set[str]]:
        """New packs with what must stay, durable and not named yet; and the packs with records that are broken."""
        kept: list[KeptPack] = []
        writer: PackWriter | None = None
        taken: set[bytes] = set()
        broken: dict[bytes, str] = {}
        try:
            for some in _some([p for p in places if p.chunk in marked.marks and p.chunk not in elsewhere]):
                for place, frame in zip(some, self._store.try_read(some), strict=True):
                    if place.chunk in taken:
                        continue
                    if frame is None:
                        broken[place.chunk] = place.pack
                        continue
                    writer = writer or PackWriter(self._packs.begin(), self._keys)
                    writer.add(frame)
                    taken.add(place.chunk)
                    if writer.full:
                        kept.append(writer.keep())
                        writer = None
                self._pause()
            if writer is not None:
                kept.append(writer.keep())
                writer = None
        except OSError as error:
            self._abandon(kept)
            raise cannot_write(error) from error
        finally:
            if writer is not None:
                writer.drop()
        return kept, {pack for chunk, pack in broken.items() if chunk not in taken}

    def _abandon(self, kept: Sequence[KeptPack]) -> None:
        """A new pack that no row names, and never will."""
        for pack in kept:
            self._packs.retire(pack.name)


def _swap(
    session: Session,
    *,
    group: Group,
    rows: dict[int, list[Record]],
    carried: Sequence[KeptPack],
    dead: set[bytes],
    marked: Marked,
    now_ms: int,
) -> bool:
    """Name the new packs and forget the old ones; False if anything is not as it was marked: nothing is done."""
    names = {weight.pack: weight.name for weight in group}
    found = rows_in(session, "SELECT id, name FROM packs WHERE id IN", among=names)
    there = {row[0]: row[1] for row in found}
    if there != names or _is_used_again(session, dead, marked):
        return False
    for pack in carried:
        name_pack(session, pack, now_ms=now_ms)
    connection = session.connection()
    for weight in group:
        gone = [(chunk, weight.pack, offset) for chunk, offset, _ in rows.get(weight.pack, ())]
        if gone:
            connection.exec_driver_sql('DELETE FROM chunks WHERE id = ? AND pack = ? AND "offset" = ?', gone)
        connection.exec_driver_sql("DELETE FROM packs WHERE id = ?", (weight.pack,))
    return True


def _is_used_again(session: Session, dead: set[bytes], marked: Marked) -> bool:
    """Whether a space that moved since the snapshot holds one of these chunks."""
    for space, stamp in session.execute(select(SpaceRow.id, SpaceRow.stamp)):
        if marked.stamps.get(space) == stamp:
            continue
        sql = "SELECT chunk FROM chunk_uses WHERE space = ? AND chunk IN"
        if any(True for _ in rows_in(session, sql, space, among=dead)):
            return True
    return False


def _portions(groups: Sequence[Group]) -> Iterator[list[Group]]:
    portion: list[Group] = []
    records = 0
    for group in groups:
        portion.append(group)
        records += sum(weight.records for weight in group)
        if records >= _RECORDS_AT_ONCE:
            yield portion
            portion, records = [], 0
    if portion:
        yield portion


def _some(places: Sequence[Located]) -> Iterator[Sequence[Located]]:
    """Runs of some MiB at most."""
    start, size = 0, 0
    for index, place in enumerate(places):
        size += place.stored_length
        if size >= 4 * 1024 * 1024 or index - start >= _READ_RECORDS:
            yield places[start : index + 1]
            start, size = index + 1, 0
    if start < len(places):
        yield places[start:]
