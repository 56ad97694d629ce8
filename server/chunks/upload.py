"""One stream of chunks on its way into packs.

Owns: verifying, sealing and writing beside the stream that goes on coming; what a full disk means.
May import: protocol, server.chunks.

While one thread works on a group of chunks the next one is gathered: about 16 MiB a stream at most.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from protocol.errors import ContentDamaged, Unavailable
from protocol.frames import Frame, open_frame
from server.chunks.keys import StoreKeys
from server.chunks.pack_format import KeptPack, PackWriter
from server.chunks.packs import PackStore

GROUP_BYTES = 4 * 1024 * 1024  # what one thread hop works on
_GROUP_CHUNKS = 10_000
_GROUP_PLAIN_BYTES = 64 * 1024 * 1024  # what unpacks to much keeps no thread for long either
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Upload:
    """`gather` until it says that there is work; `settle` the work before, then `start` it; at last `finish`.

    kept: packs that are durable and not in the database yet.  damaged: indexes into the stream.
    """

    def __init__(self, packs: PackStore, keys: StoreKeys) -> None:
        self._packs = packs
        self._keys = keys
        self._writer: PackWriter | None = None
        self._gathered: list[Frame] = []
        self._gathered_bytes = 0
        self._gathered_plain_bytes = 0
        self._seen = 0
        self._working: asyncio.Future[None] | None = None
        self.kept: list[KeptPack] = []
        self.stored = 0
        self.damaged: list[int] = []

    def gather(self, frames: Sequence[Frame]) -> bool:
        """Whether it is now worth a thread hop."""
        self._gathered += frames
        self._gathered_bytes += sum([len(frame.payload) for frame in frames])
        self._gathered_plain_bytes += sum([frame.length for frame in frames])
        return (
            self._gathered_bytes >= GROUP_BYTES
            or self._gathered_plain_bytes >= _GROUP_PLAIN_BYTES
            or len(self._gathered) >= _GROUP_CHUNKS
        )

    def start(self) -> None:
        """Begin to verify and seal what was gathered."""
        frames, first = self._gathered, self._seen
        self._gathered, self._gathered_bytes, self._gathered_plain_bytes = [], 0, 0
        self._seen += len(frames)
        self._begin(lambda: self._seal(frames, first))

    async def settle(self) -> None:
        """Wait for what was started.  A caller that is cancelled waits too: the thread owns the pack.

        Raises Unavailable: the pack could not be written; it is gone.
        """
        working, self._working = self._working, None
        if working is None:
            return
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working])
            working.exception()  # looked at, so that nobody calls it forgotten
            raise

    async def finish(self) -> None:
        """Seal what is left and close the last pack.  After an error there is none to close."""
        await self.settle()
        self.start()
        await self.settle()
        self._begin(self._close)
        await self.settle()

    def _begin(self, work: Callable[[], None]) -> None:
        self._working = asyncio.get_running_loop().run_in_executor(None, work)
        self._working.add_done_callback(_looked_at)

    def _seal(self, frames: Sequence[Frame], first: int) -> None:
        with self._dropping_what_fails():
            for index, frame in enumerate(frames, first):
                try:
                    open_frame(frame)
                except ContentDamaged:
                    self.damaged.append(index)
                    continue
                if self._writer is None:
                    self._writer = PackWriter(self._packs.begin(), self._keys)
                self._writer.add(frame)
                self.stored += 1
                if self._writer.full:
                    self._close()

    def _close(self) -> None:
        with self._dropping_what_fails():
            if self._writer is not None:
                self.kept.append(self._writer.keep())
                self._writer = None

    @contextmanager
    def _dropping_what_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if self._writer is not None:
                self._writer.drop()
                self._writer = None
            if isinstance(error, OSError):
                raise cannot_write(error) from error
            raise


def _looked_at(working: asyncio.Future[None]) -> None:
    """Of an upload whose sender is gone nobody waits for the last write, and what it raised is no bug of ours."""
    if not working.cancelled():
        working.exception()


def cannot_write(error: OSError) -> Unavailable:
    """What clients are told when a pack could not be written."""
    if error.errno in _DISK_FULL:
        return Unavailable(
            "The server's disk is full", hint="Its operator must make room; the client tries again by itself."
        )
    return Unavailable(
        f"The server could not write a pack ({errno.errorcode.get(error.errno or 0, 'unknown error')})",
        hint="Its operator must look at the disk; the client tries again by itself.",
    )
