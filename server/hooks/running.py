"""The runners of a server: they follow the spaces, take jobs, have them worked on, and keep their leases meanwhile.

Owns: the loops, how many files go into one run, the folder where runs lie.
May import: the standard library, protocol, blocks, server.access, server.chunks, server.database, server.hooks.

Whatever goes wrong with a job ends that job, never the server.  A batch never waits to be filled: it is what is there
when a runner is free, and of that each runner takes its share.  However long their runs are, one runner more is kept
for what came alone into an intake (`server.hooks.turns`): it takes nothing else, so such a file waits for none of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from blocks.contract.manifest import Unit
from blocks.runners.policy import Policy
from blocks.runners.trying import find_block
from protocol.errors import MedicalBlocksError
from protocol.ids import SpaceId
from protocol.limits import MAX_BATCH_FILES
from server.access.cursors import Cursors
from server.chunks.store import ChunkStore
from server.database.session import Database
from server.hooks import jobs
from server.hooks.jobs import LEASE_MS, Leased
from server.hooks.rules import Rule
from server.hooks.working import Bench, Worked
from server.hooks.workshop import Workshop

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25  # how often we look whether somebody changed something
IDLE_SECONDS = 1.0


class Hooks:
    """`run` for as long as the server lives.

    subkey: as `Bench` has it.  notify: called with a space that moved.
    """

    def __init__(
        self,
        database: Database,
        store: ChunkStore,
        cursors: Cursors,
        scratch: Path,
        *,
        subkey: Callable[[bytes], bytes],
        notify: Callable[[SpaceId], None],
        clock: Callable[[], int],
        default_quota: int | None = None,
        at_once: int | None = None,
        policy: Policy = Policy(),  # noqa: B008  # frozen: one for all is one for each
    ) -> None:
        self._database, self._scratch, self._notify, self._clock = database, scratch, notify, clock
        self._at_once = at_once or os.cpu_count() or 1
        self._workshop = Workshop(at_once=self._at_once + 1, policy=policy)
        self._bench = Bench(
            database,
            store,
            cursors,
            self._workshop,
            subkey=subkey,
            clock=clock,
            default_quota=default_quota,
        )
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled.  The one server of this data folder: what others had leased is free again."""
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)
        self._scratch.mkdir(mode=0o700, exist_ok=True)
        try:
            await self._safely(lambda: self._database.write(jobs.give_back_all))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="follow")
                for _ in range(self._at_once):
                    group.create_task(self._work(), name="work")
                group.create_task(self._work(quick=True), name="work on what came alone")
        finally:
            await self._workshop.close()

    async def close(self) -> None:
        """Of hooks that do not run: the workers of what was worked through by hand."""
        await self._workshop.close()

    # ---- the loops ---------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        seen = -1
        while True:
            if (version := self._database.data_version()) != seen and await self._safely(self._make_jobs):
                seen = version
                self._news.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _make_jobs(self) -> None:
        for rule in await self._database.read(jobs.behind):
            while await self._database.write(
                lambda session, rule=rule: jobs.follow(session, rule, now_ms=self._clock())  # type: ignore[misc] # mypy sees no default in a lambda
            ):
                pass

    async def _work(self, *, quick: bool = False) -> None:
        while True:
            if not await self._safely(partial(self._take_some, quick=quick)):
                await asyncio.sleep(IDLE_SECONDS)

    async def _take_some(self, *, quick: bool) -> None:
        self._news.clear()
        now_ms = self._clock()
        batch: list[Leased] = []
        if await self._database.read(partial(jobs.is_due, now_ms=now_ms, quick=quick)):
            batch = await self._database.write(
                partial(
                    jobs.claim,
                    now_ms=now_ms,
                    most=_most_at_once,
                    runners=1 if quick else self._at_once,
                    quick=quick,
                )
            )
        if batch:
            await self._carry_out(batch)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                await self._news.wait()

    async def _safely(self, work: Callable[[], Awaitable[object]]) -> bool:
        try:
            await work()
        except (MedicalBlocksError, OSError) as error:  # the disk, or the database: looked at again
            log.warning("the hooks wait: %s", type(error).__name__)
            return False
        return True

    # ---- one run -----------------------------------------------------------------------------------------

    async def _carry_out(self, batch: list[Leased]) -> None:
        folder = self._scratch / secrets.token_hex(8)
        working = asyncio.create_task(self._bench.carry_out(batch, folder))
        renewing = asyncio.create_task(self._renew(batch, working))
        try:
            if await working:
                rule = batch[0].rule
                for space in {rule.source.space, rule.target.space}:
                    self._notify(space)
        except asyncio.CancelledError:
            if not working.cancelled() or asyncio.current_task().cancelling():  # type: ignore[union-attr] # we are in one
                working.cancel()
                await self._safely(
                    lambda: self._database.write(partial(jobs.give_back, batch=batch, now_ms=self._clock()))
                )
                raise
            log.info("job=%d was taken from this runner", batch[0].id)
        finally:
            renewing.cancel()
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _renew(self, batch: list[Leased], working: asyncio.Task[bool]) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3_000)
            if not await self._database.write(partial(jobs.renew, batch=batch, now_ms=self._clock())):
                working.cancel()
                return

    async def work_through(self, job: Leased, folder: Path) -> Worked | None:
        """One job by hand, in `folder`; nothing of it is published."""
        return await self._bench.work_through([job], folder)


def _most_at_once(rule: Rule) -> int:
    """How many files one run may bring; a block that cannot be found says so when it is to run."""
    try:
        manifest, _ = find_block(rule.block)
    except MedicalBlocksError:
        return 1
    if manifest.unit is Unit.FOLDER:  # a run is about one
        return 1
    return min(MAX_BATCH_FILES, manifest.resources.batch_files, rule.batch or MAX_BATCH_FILES)
