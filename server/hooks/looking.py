"""Looking at what a block held back: nobody can judge text in a picture without seeing the picture.

Owns: making a held output again for one reviewer, and the proof that it is the one that waits.
May import: the standard library, protocol, blocks, server.access, server.chunks, server.database, server.hooks.

Nothing comes of a look: it has no lease, so it can neither publish nor end a job, and its folder is removed when the
reviewer has the bytes.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from blocks.contract.output import open_output
from blocks.contract.result import Output
from protocol.errors import BadRequest, Refused
from server.access.cursors import Cursors
from server.chunks.store import ChunkStore
from server.database.session import Database
from server.hooks import job_folder
from server.hooks.jobs import Leased
from server.hooks.running import Hooks


@dataclass(frozen=True, slots=True)
class HeldFile:
    """An output that waits.  name: the one that it would appear under."""

    name: str
    size_bytes: int
    file: BinaryIO


class Looking:
    """One look at a time: each runs a block.  `close` it."""

    def __init__(
        self,
        database: Database,
        store: ChunkStore,
        cursors: Cursors,
        scratch: Path,
        *,
        subkey: Callable[[bytes], bytes],
        clock: Callable[[], int],
    ) -> None:
        self._scratch = scratch
        self._one = asyncio.Lock()
        self._hooks = Hooks(
            database,
            store,
            cursors,
            scratch,
            subkey=subkey,
            notify=lambda _: None,
            clock=clock,
            at_once=1,
        )

    async def close(self) -> None:
        await self._hooks.close()

    @asynccontextmanager
    async def at(self, job: Leased, output: str = "") -> AsyncIterator[HeldFile]:
        """The output of this word, or the only one, open for reading.  job: from `reviewing.held_back`.

        Raises Refused: the block does not make the same any more.  Raises BadRequest: there are several.
        """
        folder = self._scratch / f"look-{secrets.token_hex(8)}"
        try:
            async with self._one:
                await asyncio.to_thread(self._scratch.mkdir, mode=0o700, parents=True, exist_ok=True)
                worked = await self._hooks.work_through(job, folder)
                outputs = [] if worked is None else job_folder.to_publish(worked.answers[0][1])
                digest = await asyncio.to_thread(job_folder.digest_of, folder, outputs) if outputs else None
            if digest is None or digest != job.released:
                raise Refused(
                    f"Of job {job.id} something else is made now than what was held back",
                    hint="Have it done again, and look at what is held back then.",
                )
            wanted = _one_of(outputs, output)
            name = wanted.path[-1] if wanted.path else wanted.output
            with os.fdopen(open_output(folder, wanted.file), "rb") as file:
                yield HeldFile(name, os.fstat(file.fileno()).st_size, file)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _one_of(outputs: list[Output], word: str) -> Output:
    fits = [one for one in outputs if not word or one.output == word]
    if len(fits) != 1:
        known = ", ".join(sorted(one.output for one in outputs))
        raise BadRequest(
            f"{len(fits)} outputs of this job are meant by {word[:60]!r}", hint=f"Name one of: {known[:400]}."
        )
    return fits[0]
