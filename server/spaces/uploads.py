"""Chunks that are sent for a space, counted before they are taken.

Owns: whether there is room for them, what is on its way at this moment.
May import: sqlalchemy, protocol, server.chunks, server.database, server.spaces.

An upload counts against the quota of the space that it is sent for until a commit names it or its lease ends: whoever
sends and never commits fills no disk.  What is on its way lies in no database yet; it is kept here, in the one process
that serves.  What a new version replaces may be sent where no room is left, up to what the space holds already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from protocol.errors import OverQuota
from protocol.frames import Frame
from protocol.ids import ChunkId, DeviceId, SpaceId
from server.chunks import possession
from server.chunks.possession import Unfinished
from server.database.session import Database, rows_of_sql

_SENT = "SELECT 1 FROM possessions WHERE space = ? AND leased_until_ms > ? AND device = ? LIMIT 1"
_SPACE = "SELECT used_bytes, quota_bytes FROM spaces WHERE id = ?"


@dataclass(slots=True)
class _OnWay:
    """Of one space, what was taken in and lies in no database yet.  settled: how often some of it was written or
    dropped."""

    growing_bytes: int = 0
    replacing_bytes: int = 0
    settled: int = 0


@dataclass(frozen=True, slots=True)
class _Room:
    """left_bytes: for what makes the space larger.  spare_bytes: for what replaces.  known: what counts already, sent
    by the same device, and by how much the space is to grow for it."""

    left_bytes: int
    spare_bytes: int
    known: Mapping[ChunkId, int]


class Uploads:
    """All that are under way.  default_quota: bytes of a space without a quota of its own; None: no limit."""

    def __init__(self, database: Database, *, clock: Callable[[], int], default_quota: int | None) -> None:
        self._database, self._clock, self._default_quota = database, clock, default_quota
        self._on_way: defaultdict[SpaceId, _OnWay] = defaultdict(_OnWay)

    @contextmanager
    def into(self, space: SpaceId, device: DeviceId, *, replaces_bytes: int) -> Iterator[Upload]:
        """One upload, which counts in this space.  replaces_bytes: of it takes the place of what is there."""
        upload = Upload(self, space, device, replaces_bytes)
        try:
            yield upload
        finally:
            upload.drop()

    def on_way(self, space: SpaceId) -> _OnWay:
        return self._on_way[space]

    async def room(self, space: SpaceId, device: DeviceId, chunks: Collection[ChunkId]) -> _Room | None:
        """By what is in the database; None: no limit."""
        return await self._database.read(partial(self._room, space=space, device=device, chunks=chunks))

    def _room(
        self, session: Session, space: SpaceId, device: DeviceId, chunks: Collection[ChunkId]
    ) -> _Room | None:
        now_ms = self._clock()
        [(used, quota)] = rows_of_sql(session, _SPACE, space)
        left = room_of(used, quota, self._default_quota)
        if left is None:
            return None
        counted = possession.unfinished(session, space, now_ms)
        known = possession.unfinished_of(session, device, space, chunks, now_ms)
        return _Room(left - counted.growing_bytes, used - counted.replacing_bytes, known)

    async def sent_some(self, space: SpaceId, device: DeviceId) -> bool:
        """Whether something that this device sent counts there."""
        now_ms = self._clock()
        return await self._database.read(
            lambda session: bool(rows_of_sql(session, _SENT, space, now_ms, device.bytes))
        )


class Upload:
    """One stream of chunks; `server.chunks.possession.Counted` for the store that takes it."""

    def __init__(self, uploads: Uploads, space: SpaceId, device: DeviceId, replaces_bytes: int) -> None:
        self._uploads, self._space, self._device = uploads, space, device
        self._way = uploads.on_way(space)
        self._replaces_bytes = replaces_bytes
        self._is_limited = True
        self._counts: dict[ChunkId, Unfinished] = {}  # of what is on its way
        self._known: dict[ChunkId, Unfinished] = {}  # of what counts in the database already

    async def admitted(self, groups: AsyncGenerator[list[Frame]]) -> AsyncIterator[list[Frame]]:
        """The same groups, as long as there is room.

        Raises OverQuota: before anything is read if there is none at all.
        """
        await self._look_first()
        async with aclosing(groups):
            async for group in groups:
                if self._is_limited:
                    await self._admit(group)
                yield group

    async def _look_first(self) -> None:
        room = await self._uploads.room(self._space, self._device, ())
        if room is None:
            self._is_limited = False
        elif (
            room.left_bytes <= 0
            and not self._replaces_bytes
            # what it sent before may come once more, because the answer was lost
            and not await self._uploads.sent_some(self._space, self._device)
        ):
            raise _full(room.left_bytes)

    async def _admit(self, group: Sequence[Frame]) -> None:
        fresh = {frame.id: frame.length for frame in group if frame.id not in self._counts}
        while True:
            settled = self._way.settled
            room = await self._uploads.room(self._space, self._device, fresh)
            if room is None:
                return
            if (
                settled != self._way.settled
            ):  # what we would count as on its way, or no more, may be in `room` or not yet
                continue
            new = {chunk: length for chunk, length in fresh.items() if chunk not in room.known}
            spare = min(self._replaces_bytes, room.spare_bytes - self._way.replacing_bytes)
            counts = _counts(new, spare)
            growing = sum(count.growing_bytes for count in counts.values())
            left = room.left_bytes - self._way.growing_bytes
            if growing and growing > left:
                raise _full(left)
            break
        replacing = sum(count.replacing_bytes for count in counts.values())
        self._counts |= counts
        for chunk, grows in room.known.items():
            self._known[chunk] = Unfinished(grows, 0 if grows else fresh[chunk])
        self._replaces_bytes -= replacing
        self._way.growing_bytes += growing
        self._way.replacing_bytes += replacing

    # ---- for the store -----------------------------------------------------------------------------------

    def lease(self, session: Session, chunks: Collection[ChunkId], now_ms: int) -> None:
        space = self._space if self._is_limited else None
        counts = {
            chunk: self._counts.get(chunk) or self._known.get(chunk) or Unfinished() for chunk in chunks
        }
        possession.lease(session, self._device, counts, now_ms, space=space)

    def written(self, chunks: Collection[ChunkId]) -> None:
        self._settle(chunks)

    def drop(self) -> None:
        """Whatever was not written: damaged frames, or all of a stream that broke."""
        self._settle(list(self._counts))

    def _settle(self, chunks: Collection[ChunkId]) -> None:
        for chunk in chunks:
            if (count := self._counts.pop(chunk, None)) is not None:
                self._way.growing_bytes -= count.growing_bytes
                self._way.replacing_bytes -= count.replacing_bytes
        self._way.settled += 1


def room_of(used_bytes: int, quota_bytes: int | None, default_quota: int | None) -> int | None:
    """How many bytes still fit; None: no limit.  Below zero where a quota was made smaller than what is there."""
    quota = default_quota if quota_bytes is None else quota_bytes
    return None if quota is None else quota - used_bytes


def _counts(lengths: Mapping[ChunkId, int], spare_bytes: int) -> dict[ChunkId, Unfinished]:
    found = {}
    for chunk, length in lengths.items():
        if replaces := length <= spare_bytes:
            spare_bytes -= length
        found[chunk] = Unfinished(replacing_bytes=length) if replaces else Unfinished(growing_bytes=length)
    return found


def _full(left_bytes: int) -> OverQuota:
    return OverQuota(
        f"This space on the server is full: {max(0, left_bytes)} bytes are left",
        hint="Ask its operator for a larger quota; what was sent and not finished counts for a day.",
    )
