"""Taking chunks in and giving them out: verified on arrival, sealed at rest, proven when read.

Owns: the order "pack durable, then rows, then the answer"; reading many chunks with few reads.
May import: sqlalchemy, protocol, server.chunks, server.database.

Hashing, sealing and files are worked on in threads, some MiB to a hop; a stream holds 16 MiB at most.
An upload is always written as if it were new, so that neither answers nor times tell what others store.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import ContentDamaged, MedicalBlocksError
from protocol.frames import Frame, open_frame
from protocol.ids import ChunkId, DeviceId
from protocol.messages import Stored
from server.chunks.keys import StoreKeys
from server.chunks.pack_format import KeptPack, digest_of, read_places
from server.chunks.packs import PackStore, Span
from server.chunks.possession import NOTHING, Counted, lease
from server.chunks.seal import open_record
from server.chunks.upload import GROUP_BYTES, Upload
from server.database.session import Database, insert_rows, rows_in
from server.database.tables import ChunkRow, PackRow

log = logging.getLogger(__name__)

_GROUP_CHUNKS = 4_096
_GAP_BYTES = 64 * 1024  # reading over a gap is cheaper than a second read


_PLACES = (
    "SELECT chunks.pack, chunks.id, packs.name, chunks.offset, chunks.stored_length"
    " FROM chunks JOIN packs ON packs.id = chunks.pack WHERE chunks.id IN"
)


class Located(NamedTuple):
    """One of the places where a chunk lies."""

    chunk: ChunkId
    pack: str
    offset: int
    stored_length: int


class ChunkStore:
    """clock: milliseconds since 1970."""

    def __init__(
        self, database: Database, packs: PackStore, keys: StoreKeys, *, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._packs = packs
        self._keys = keys
        self._clock = clock

    # ---- in ----------------------------------------------------------------------------------------------

    async def take(
        self, device: DeviceId, frames: AsyncIterator[list[Frame]], counted: Counted | None = None
    ) -> Stored:
        """Keep the chunks of a stream; when this returns they are durable and leased to `device`.

        counted: where they count until a commit names them; None: nowhere.
        A frame whose bytes do not match its id is not kept, and told by its index.  Where the stream breaks
        off, the whole frames before the break are kept all the same: sending goes on from there.
        Raises Unavailable: a pack could not be written (the disk is full), and whatever `frames` raises.
        """
        upload = Upload(self._packs, self._keys)
        try:
            async for group in frames:
                if upload.gather(group):
                    await upload.settle()
                    upload.start()
                    await self._name(device, upload, counted)
        except BaseException:
            try:
                await upload.finish()
                await self._name(device, upload, counted)
            except MedicalBlocksError as error:  # what broke the stream is the news
                log.warning("the rest of a broken upload was not kept: %s", error)
            raise
        await upload.finish()
        await self._name(device, upload, counted)
        log.info("took chunks=%d damaged=%d", upload.stored, len(upload.damaged))
        return Stored(stored=upload.stored, damaged=upload.damaged)

    async def _name(self, device: DeviceId, upload: Upload, counted: Counted | None) -> None:
        """Write the rows of packs that are on the disk: from here on they count."""
        while upload.kept:
            pack = upload.kept.pop()
            chunks = {place.chunk for place in pack.places}

            def give(session: Session, chunks: set[ChunkId] = chunks) -> None:
                if counted is None:
                    lease(session, device, dict.fromkeys(chunks, NOTHING), self._clock())
                else:
                    counted.lease(session, chunks, self._clock())

            await self._database.write(partial(self._insert, pack=pack, give=give))
            if counted is not None:
                counted.written(chunks)

    def _insert(
        self, session: Session, pack: KeptPack, give: Callable[[Session], None] = lambda _: None
    ) -> None:
        """give: lets somebody name these chunks from now on."""
        name_pack(session, pack, now_ms=self._clock())
        give(session)

    async def adopt(self) -> int:
        """Name the packs that a server wrote but was killed before it named; returns how many.

        For the start of the one server that owns the packs.  Nobody was told that these chunks are stored,
        so nobody holds a lease on them: gc drops what no version uses.
        """
        named = await self._database.read(lambda session: set(session.scalars(select(PackRow.name))))
        strays = [
            name for name in await asyncio.to_thread(lambda: list(self._packs.names())) if name not in named
        ]
        adopted = 0
        for name in strays:
            try:
                pack = await asyncio.to_thread(self._describe, name)
            except (ContentDamaged, OSError) as error:
                log.warning("left a pack alone that is not in the database: %s", error)
                continue
            await self._database.write(partial(self._insert, pack=pack))
            adopted += 1
        return adopted

    def _describe(self, name: str) -> KeptPack:
        places = read_places(self._packs, name)
        return KeptPack(name, self._packs.size(name) or 0, digest_of(self._packs, name), places)

    # ---- out ---------------------------------------------------------------------------------------------

    def locate(self, session: Session, chunks: Sequence[ChunkId]) -> list[Located]:
        """A place for each asked chunk, in order; `stream` then needs no session.

        Raises ContentDamaged: a chunk that someone may read is not in the store.
        """
        places = sorted(rows_in(session, _PLACES, among=dict.fromkeys(chunks)), key=itemgetter(0))
        # of several copies the newest: it lies among those asked with it
        found: dict[bytes, Located] = {
            chunk: Located(chunk, pack, offset, stored) for _, chunk, pack, offset, stored in places
        }
        try:
            return [found[chunk] for chunk in chunks]
        except KeyError as error:
            missing: bytes = error.args[0]
            raise ContentDamaged(
                f"Chunk {missing.hex()[:12]} is not in the store", hint="Run `mb-server check`."
            ) from error

    async def stream(self, located: Sequence[Located]) -> AsyncIterator[list[Frame]]:
        """The chunks in the asked order, in groups of some MiB, payloads as they were stored.

        Raises ContentDamaged: no copy of a chunk is whole.
        """
        windows = _windows(located)
        loop = asyncio.get_running_loop()
        coming = loop.run_in_executor(None, self.try_read, windows[0]) if windows else None
        try:
            for number, window in enumerate(windows, 1):
                assert coming is not None
                frames = await coming
                coming = None
                if number < len(windows):  # is read while the caller sends this one
                    coming = loop.run_in_executor(None, self.try_read, windows[number])
                whole = [frame for frame in frames if frame is not None]
                if len(whole) < len(window):
                    whole = await asyncio.to_thread(self._mended, frames, window)
                yield whole
        finally:
            if coming is not None:
                await asyncio.wait([coming])

    def read(self, session: Session, chunks: Sequence[ChunkId]) -> Iterator[list[Frame]]:
        """`locate` and `stream` in one, for who is in a thread and keeps the session open anyway."""
        for window in _windows(self.locate(session, chunks)):
            yield self._mended(self.try_read(window), window)

    def read_bytes(self, session: Session, chunks: Sequence[ChunkId]) -> bytes:
        """The plain bytes of these chunks put together, each proven by its SHA-256.  For small things."""
        parts: list[bytes] = []
        for frames in self.read(session, chunks):
            parts += [open_frame(frame) for frame in frames]
        return b"".join(parts)

    def lengths(self, session: Session, chunks: Sequence[ChunkId]) -> dict[ChunkId, int]:
        """The plain length of each chunk that is stored."""
        found: dict[ChunkId, int] = {}
        sql = "SELECT id, length FROM chunks WHERE id IN"
        for chunk, length in rows_in(session, sql, among=dict.fromkeys(chunks)):
            found[chunk] = max(length, found.get(chunk, 0))
        return found

    def places(self, session: Session, chunks: Collection[ChunkId]) -> list[Located]:
        """Every place where one of these lies."""
        return [Located(*row[1:]) for row in rows_in(session, _PLACES, among=chunks)]

    def try_read(self, group: Sequence[Located]) -> list[Frame | None]:
        """In a thread.  None stands for a record that could not be read or proven."""
        frames: list[Frame | None] = [None] * len(group)
        by_pack: defaultdict[str, list[int]] = defaultdict(list)
        for index, place in enumerate(group):
            by_pack[place.pack].append(index)
        for pack, indexes in by_pack.items():
            indexes.sort(key=lambda index: group[index].offset)
            spans = _spans([group[index] for index in indexes])
            try:
                runs = self._packs.read(pack, spans)
            except OSError as error:
                log.error("a pack could not be read: errno=%s", error.errno)  # noqa: TRY400 - the trace says no more
                continue
            self._open_runs(group, indexes, zip(spans, runs, strict=True), frames)
        return frames

    def _open_runs(
        self,
        group: Sequence[Located],
        indexes: Sequence[int],
        runs: zip[tuple[Span, bytes]],
        frames: list[Frame | None],
    ) -> None:
        start, end, view = 0, 0, memoryview(b"")
        for index in indexes:
            chunk, _, offset, stored_length = group[index]
            if offset >= end:
                (start, length), data = next(runs)
                end, view = start + length, memoryview(data)
            try:
                record = view[offset - start : offset - start + stored_length]
                frames[index] = open_record(record, chunk, self._keys)
            except ContentDamaged as error:
                log.error("%s", error)  # noqa: TRY400 - a damaged store, not a bug: the trace says no more

    def _mended(self, frames: Sequence[Frame | None], window: Sequence[Located]) -> list[Frame]:
        """In a thread.  What could not be read is read from elsewhere."""
        pairs = zip(frames, window, strict=True)
        return [self._other_copy(place) if frame is None else frame for frame, place in pairs]

    def _other_copy(self, damaged: Located) -> Frame:
        """A chunk may lie in several packs: any whole copy will do."""
        with self._database.reading() as session:
            places = self.places(session, [damaged.chunk])
        for place in places:
            [frame] = self.try_read([place])
            if frame is not None:
                return frame
        raise ContentDamaged(
            f"Chunk {damaged.chunk.hex()[:12]} is damaged in the store",
            hint="Run `mb-server check --deep`; a computer that still has the file can send it again.",
        )


def name_pack(session: Session, pack: KeptPack, *, now_ms: int) -> None:
    """The rows of a pack that is on the disk."""
    row = PackRow(name=pack.name, size=pack.size, file_digest=pack.digest, created_at_ms=now_ms)
    session.add(row)
    session.flush()
    places = sorted(pack.places)  # rows that come in the order of their key go in faster
    insert_rows(
        session,
        ChunkRow,
        [(chunk, row.id, offset, stored, length, codec) for chunk, offset, stored, length, codec in places],
    )


def _windows(located: Sequence[Located]) -> list[Sequence[Located]]:
    """Runs of places of about GROUP_BYTES each."""
    windows: list[Sequence[Located]] = []
    start, size = 0, 0
    for index, place in enumerate(located):
        if index > start and (size + place.stored_length > GROUP_BYTES or index - start >= _GROUP_CHUNKS):
            windows.append(located[start:index])
            start, size = index, 0
        size += place.stored_length
    if start < len(located):
        windows.append(located[start:])
    return windows


def _spans(places: Sequence[Located]) -> list[Span]:
    """Few reads for places that are sorted by offset."""
    spans: list[Span] = []
    start, end = places[0].offset, places[0].offset
    for _, _, offset, stored_length in places:
        if offset > end + _GAP_BYTES:
            spans.append((start, end - start))
            start = offset
        end = max(end, offset + stored_length)
    spans.append((start, end - start))
    return spans
