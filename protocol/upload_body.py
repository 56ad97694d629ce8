"""The body of a request that sends chunks.

Owns: frames made into a stream of bytes while it is sent, and the clock that tells a stalled server from a
caller who takes time to make the next frames.
May import: protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing

from protocol.frames import HEAD, Frame, encode_runs, end_of_stream
from protocol.pace import Pace

Batches = Iterable[list[Frame]] | AsyncIterable[list[Frame]]


class UploadBody:
    """The body of one upload, and what became of it.

    clock: the time-out around the request.  It runs only while the server is to take bytes, not while the
    caller makes frames.
    problem: what the caller's frames raised; aiohttp would take it for a lost connection.
    """

    def __init__(
        self, frames: Batches, stall_seconds: float, count: Callable[[int], None], pace: Pace
    ) -> None:
        self.clock: asyncio.Timeout | None = None
        self.problem: Exception | None = None
        self._frames = frames
        self._stall_seconds = stall_seconds
        self._count = count
        self._pace = pace
        self.frames_sent = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        yield self._counted(HEAD)
        self._limit(None)
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                for run in encode_runs(batch):
                    at = 0
                    while at < len(run):
                        self._limit(None)
                        allowed = await self._pace.allow(len(run) - at)
                        yield self._counted(run if allowed == len(run) else run[at : at + allowed])
                        at += allowed
                self.frames_sent += len(batch)
                self._limit(None)
        yield self._counted(end_of_stream(self.frames_sent))

    async def _batches(self) -> AsyncGenerator[list[Frame], None]:
        try:
            if isinstance(self._frames, AsyncIterable):
                async for batch in self._frames:
                    yield batch
            else:
                for batch in self._frames:
                    yield batch
        except Exception as error:
            self.problem = error
            raise
        finally:
            if isinstance(self._frames, AsyncGenerator):
                await self._frames.aclose()

    def _counted(self, piece: bytes) -> bytes:
        self._count(len(piece))
        self._limit(asyncio.get_running_loop().time() + self._stall_seconds)
        return piece

    def _limit(self, when: float | None) -> None:
        if self.clock is not None and not self.clock.expired():
            self.clock.reschedule(when)
