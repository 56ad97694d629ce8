"""The runners of a server: they follow the spaces, take jobs, run blocks, and publish or hold back.

Owns: the order of one job, the loops, the folder where jobs lie.
May import: the standard library, sqlalchemy, protocol, blocks, server.access, server.chunks, server.database,
server.hooks, server.spaces.

Whatever goes wrong with a job ends that job, never the server; when in doubt, nothing is published.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from blocks.contract.manifest import CommandProgram, ContainerProgram, Manifest, PythonProgram
from blocks.contract.output import Finished, check_finished
from blocks.contract.result import Reason, Verdict
from blocks.runners import container, sandbox
from blocks.runners.policy import Machine, Policy, choose
from blocks.runners.ran import Ended, Ran
from blocks.runners.trying import find_block
from blocks.runners.warm import WarmWorkers
from protocol.errors import MedicalBlocksError, Refused
from protocol.ids import SpaceId
from server.access.cursors import Cursors
from server.chunks.store import ChunkStore
from server.database.session import Database
from server.database.tables import ProjectRow
from server.hooks import job_folder, jobs
from server.hooks.job_folder import Chunked
from server.hooks.jobs import LEASE_MS, Leased, State
from server.hooks.publishing import HOOKS, Made, publish

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25  # how often we look whether somebody changed something
IDLE_SECONDS = 1.0
MOST_REPORT_BYTES = 1 << 20
PSEUDONYMS = b"mb-pseudonyms-1 "


class Workshop:
    """Runs blocks, each in the isolation that the policy asks for.  `close` it."""

    def __init__(self, *, at_once: int, policy: Policy | None = None) -> None:
        self._at_once = at_once
        self._policy = policy or Policy()
        self._machine: Machine | None = None
        self._warm: dict[str, WarmWorkers] = {}

    async def run(self, manifest: Manifest, block: Path, folder: Path) -> Ran:
        if self._machine is None:
            self._machine = Machine(
                no_sandbox=await sandbox.missing(),
                no_container=None if await container.engine() else "no container engine answers here",
            )
        choose(manifest, self._policy, self._machine)
        match manifest.program:
            case PythonProgram(entry=entry):
                workers = self._warm.setdefault(entry, WarmWorkers(entry, count=self._at_once))
                return await workers.run(folder, manifest.resources)
            case CommandProgram() as program:
                return await sandbox.run_in_sandbox(program, block, folder, manifest.resources)
            case ContainerProgram() as program:
                return await container.run_in_container(program, folder, manifest.resources)

    async def close(self) -> None:
        for workers in self._warm.values():
            await workers.close()


@dataclass(frozen=True, slots=True)
class Worked:
    """A block that ran to its end, and its folder, which is still there."""

    block: Manifest
    finished: Finished


class Hooks:
    """`run` for as long as the server lives.

    subkey: 32 bytes for a purpose, from the store's key.  notify: called with a space that moved.
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
    ) -> None:
        self._database, self._store, self._cursors = database, store, cursors
        self._scratch, self._subkey, self._notify, self._clock = scratch, subkey, notify, clock
        self._default_quota = default_quota
        self._at_once = at_once or os.cpu_count() or 1
        self._workshop = Workshop(at_once=self._at_once)
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

    async def _work(self) -> None:
        while True:
            if not await self._safely(self._take_one):
                await asyncio.sleep(IDLE_SECONDS)

    async def _take_one(self) -> None:
        self._news.clear()
        now_ms = self._clock()
        job = None
        if await self._database.read(partial(jobs.is_due, now_ms=now_ms)):
            job = await self._database.write(partial(jobs.claim, now_ms=now_ms))
        if job is not None:
            await self._one(job)
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

    # ---- one job -----------------------------------------------------------------------------------------

    async def _one(self, job: Leased) -> None:
        folder = self._scratch / secrets.token_hex(8)
        working = asyncio.create_task(self._worked_on(job, folder))
        renewing = asyncio.create_task(self._renew(job, working))
        try:
            await working
        except asyncio.CancelledError:
            if not working.cancelled() or asyncio.current_task().cancelling():  # type: ignore[union-attr] # we are in one
                working.cancel()
                await self._safely(
                    lambda: self._database.write(partial(jobs.give_back, job=job, now_ms=self._clock()))
                )
                raise
            log.info("job=%d was taken from this runner", job.id)
        finally:
            renewing.cancel()
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _renew(self, job: Leased, working: asyncio.Task[None]) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3_000)
            if not await self._database.write(partial(jobs.renew, job=job, now_ms=self._clock())):
                working.cancel()
                return

    async def _worked_on(self, job: Leased, folder: Path) -> None:
        try:
            await self._carry_out(job, folder)
        except Refused as error:  # doing it again will not help
            await self._end(job, State.FAILED, reasons=[Reason(code="refused", text=error.what)])
        except (MedicalBlocksError, OSError) as error:
            text = error.what if isinstance(error, MedicalBlocksError) else error.strerror or ""
            await self._later(job, Reason(code="not-now", text=text))

    async def _carry_out(self, job: Leased, folder: Path) -> None:
        worked = await self.work_through(job, folder)
        if worked is None:
            return
        [result] = worked.finished.result.files
        outputs = job_folder.to_publish(worked.finished)
        report = await asyncio.to_thread(
            job_folder.report_of, worked.finished, folder, most=MOST_REPORT_BYTES
        )
        match result.verdict:
            case Verdict.RELEASED | Verdict.UNCHANGED:
                pass
            case Verdict.QUARANTINED:
                digest = await asyncio.to_thread(job_folder.digest_of, folder, outputs) if outputs else None
                if digest is None or digest != job.released:
                    await self._end(
                        job, State.QUARANTINED, reasons=result.reasons, digest=digest, report=report
                    )
                    return
            case Verdict.FAILED:
                await self._end(job, State.FAILED, reasons=result.reasons, report=report)
                return
        chunked = [Chunked(folder, output) for output in outputs]
        for one in chunked:
            await self._store.take(HOOKS, one.frames())
        ends = State.UNCHANGED if result.verdict is Verdict.UNCHANGED else State.PUBLISHED
        made = Made(worked.block, chunked, result.reasons, report, result.labels, ends)
        state = await self._database.write(
            lambda session: publish(
                session,
                self._store,
                self._cursors,
                job,
                made,
                now_ms=self._clock(),
                default_quota=self._default_quota,
            )
        )
        log.info("job=%d block=%s ended=%s files=%d", job.id, worked.block.name, state, len(chunked))
        if state is State.PUBLISHED:
            self._notify(job.rule.target.space)

    async def work_through(self, job: Leased, folder: Path) -> Worked | None:
        """Run the job's block on its file, in `folder`; None: it never came to an output, and the job has ended."""
        manifest, block = find_block(job.rule.block)
        found = await self._database.read(
            lambda session: (
                job_folder.find_input(session, self._store, job) if jobs.is_current(session, job) else None
            )
        )
        if found is None:
            await self._end(job, State.GONE)
            return None
        await asyncio.to_thread(job_folder.make_folder, folder)
        kind = await self._database.read(
            lambda session: job_folder.write_input(session, self._store, found, folder)
        )
        if not manifest.accepts_file(kind, found.path[-1]):
            held = job.rule.source.is_intake
            reason = Reason(
                code="no-cleaner", text=f"{manifest.name} does not take files of this kind ({kind})."
            )
            await self._end(job, State.QUARANTINED if held else State.UNCHANGED, reasons=[reason])
            return None
        key = None
        if isinstance(manifest.program, PythonProgram):
            key = self._subkey(PSEUDONYMS + await self._database.read(partial(_project_of, job=job)))
        task = job_folder.write_task(folder, job, manifest, found, kind, key)
        ran = await self._workshop.run(manifest, block, folder)
        match ran.ended:
            case Ended.DONE:
                finished = await asyncio.to_thread(check_finished, folder, task, manifest)
                return Worked(manifest, finished)
            case Ended.FAILED:
                await self._end(job, State.FAILED, reasons=[Reason(code="block-failed", text=ran.why)])
            case Ended.AGAIN | Ended.OVERRAN | Ended.CRASHED:
                await self._later(job, Reason(code=f"block-{ran.ended.value}", text=ran.why))
        return None

    async def _end(self, job: Leased, state: State, **how: object) -> None:
        await self._database.write(
            lambda session: jobs.end(session, job, state, now_ms=self._clock(), **how)  # type: ignore[arg-type] # its own keywords
        )
        log.info("job=%d ended=%s", job.id, state)

    async def _later(self, job: Leased, reason: Reason) -> None:
        await self._database.write(lambda session: jobs.try_later(session, job, reason, now_ms=self._clock()))
        log.warning("job=%d is tried again code=%s", job.id, reason.code)


def _project_of(session: Session, *, job: Leased) -> bytes:
    """What its pseudonyms are bound to: the project, or the home that its files lie in."""
    space = job.rule.source.space
    project = session.scalar(
        select(ProjectRow.id).where(or_(ProjectRow.space == space, ProjectRow.intake == space))
    )
    return project or b"space %d" % space
