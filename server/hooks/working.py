"""One run of a block, over the files of one or several jobs: what it is given, and what becomes of what it answers.

Owns: the order of a run, from the inputs to the transaction that publishes; how each job of it ends.
May import: the standard library, sqlalchemy, protocol, blocks, server.access, server.chunks, server.database,
server.hooks.

Whatever goes wrong with a run of several files says nothing of any one of them: each is done again by itself.
When in doubt, nothing is published.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from blocks.contract.job import IN, InputFile
from blocks.contract.manifest import Manifest, PythonProgram, Unit
from blocks.contract.output import check_finished
from blocks.contract.result import FileResult, Reason, Verdict
from blocks.runners.ran import Ended, Ran
from blocks.runners.trying import find_block
from protocol.errors import MedicalBlocksError, Refused
from server.access.cursors import Cursors
from server.access.devices import HOOKS
from server.chunks.store import ChunkStore
from server.database.session import Database
from server.database.tables import ProjectRow
from server.hooks import job_folder, jobs, shadowing, units
from server.hooks.job_folder import Chunked, Input
from server.hooks.jobs import Leased, State
from server.hooks.publishing import Made, publish
from server.hooks.units import Part
from server.hooks.workshop import Workshop

log = logging.getLogger(__name__)

MOST_REPORT_BYTES = 1 << 20
MOST_FOLDER_BYTES = 8 << 30
PSEUDONYMS = b"mb-pseudonyms-1 "


@dataclass(frozen=True, slots=True)
class Worked:
    """A block that ran to its end, with its answer for each job that it had; its folder is still there.

    parts: all files of the folder that the one job is about, also those that the block did not take.
    """

    block: Manifest
    answers: Sequence[tuple[Leased, FileResult]]
    parts: Sequence[Part] = ()


class Bench:
    """Carries out runs.  subkey: 32 bytes for a purpose, from the store's key."""

    def __init__(
        self,
        database: Database,
        store: ChunkStore,
        cursors: Cursors,
        workshop: Workshop,
        *,
        subkey: Callable[[bytes], bytes],
        clock: Callable[[], int],
        default_quota: int | None = None,
    ) -> None:
        self._database, self._store, self._cursors, self._workshop = database, store, cursors, workshop
        self._subkey, self._clock, self._default_quota = subkey, clock, default_quota

    async def carry_out(self, batch: Sequence[Leased], folder: Path) -> bool:
        """Jobs of one rule, to their end; whether something was published."""
        try:
            worked = await self.work_through(batch, folder)
            return worked is not None and await self._bring_out(worked, folder)
        except (MedicalBlocksError, OSError) as error:
            await self._went_wrong(batch, error)
        return False

    # ---- running -----------------------------------------------------------------------------------------

    async def work_through(self, batch: Sequence[Leased], folder: Path) -> Worked | None:
        """Run the block on the jobs' files, in `folder`; None: it never came to an answer, and the jobs have ended."""
        manifest, block = find_block(batch[0].rule.block)
        if batch[0].rule.settle_ms is not None:
            return await self._work_through_folder(manifest, block, batch[0], folder)
        found = await self._database.read(lambda session: job_folder.find_inputs(session, self._store, batch))
        await asyncio.to_thread(job_folder.make_folder, folder)
        if passed_over := [
            job for job in batch if job.id in found and not job.rule.takes(found[job.id].path[-1])
        ]:
            await self._database.write(lambda session: self._pass_over(session, passed_over))
            batch = [job for job in batch if job not in passed_over]
            found = {job.id: found[job.id] for job in batch if job.id in found}
        names = {job.id: str(place) for place, job in enumerate(batch)}
        kinds = await self._database.read(
            lambda session: {
                job: job_folder.write_input(session, self._store, one, folder, names[job])
                for job, one in found.items()
            }
        )
        mine = [job for job in batch if job.id in found and _takes(manifest, found[job.id], kinds[job.id])]
        if others := [job for job in batch if job not in mine]:
            await self._database.write(lambda session: self._end_without(session, manifest, others, kinds))
            for job in others:
                await asyncio.to_thread((folder / IN / names[job.id]).unlink, missing_ok=True)
        if not mine:
            return None
        files = [_input(names[job.id], found[job.id], kinds[job.id]) for job in mine]
        answers = await self._run(manifest, block, mine, files, folder)
        if answers is None:
            return None
        if batch[0].rule.shadow:
            paths = [found[job.id].path for job in mine]
            answers = await asyncio.to_thread(shadowing.with_labels, manifest, answers, paths, folder)
        return Worked(manifest, [(mine[file.source], file) for file in answers])

    async def _work_through_folder(
        self, manifest: Manifest, block: Path, job: Leased, folder: Path
    ) -> Worked | None:
        """As `work_through`, on all files of the job's folder that the block takes, with one answer for all of them."""
        if manifest.unit is not Unit.FOLDER:
            raise Refused(
                f"{manifest.name} works on single files now", hint="Remove the rule and add it anew."
            )
        parts = await self._database.read(lambda session: units.parts_of(session, job))
        each = units.as_jobs(job, parts)
        found = {}
        if each:
            found = await self._database.read(
                lambda session: job_folder.find_inputs(session, self._store, each)
            )
        if len(parts) > units.MOST_FILES or sum(one.size for one in found.values()) > MOST_FOLDER_BYTES:
            raise Refused("The folder holds more than a block may be given", hint="Divide it.")
        await asyncio.to_thread(job_folder.make_folder, folder)
        files = []
        for place in found:
            kind = await self._database.read(
                lambda session, place=place: job_folder.write_input(  # type: ignore[misc] # mypy sees no default
                    session, self._store, found[place], folder, str(place)
                )
            )
            if job.rule.takes(found[place].path[-1]) and _takes(manifest, found[place], kind):
                files.append(_input(str(place), found[place], kind))
            else:
                await asyncio.to_thread((folder / IN / str(place)).unlink)
        if not files:
            await self._end(job, State.UNCHANGED)
            return None
        answers = await self._run(manifest, block, [job], files, folder)
        return None if answers is None else Worked(manifest, [(job, answers[0])], parts)

    async def _run(
        self,
        manifest: Manifest,
        block: Path,
        mine: Sequence[Leased],
        files: Sequence[InputFile],
        folder: Path,
    ) -> Sequence[FileResult] | None:
        """The block's answers, checked; None: it never came to one, and the jobs have ended."""
        key = None
        if isinstance(manifest.program, PythonProgram):
            key = self._subkey(PSEUDONYMS + await self._database.read(partial(_project_of, job=mine[0])))
        task = job_folder.write_task(folder, mine, manifest, files, key)
        ran = await self._workshop.run(manifest, block, folder)
        if ran.ended is not Ended.DONE:
            await self._did_not_finish(mine, ran)
            return None
        return (await asyncio.to_thread(check_finished, folder, task, manifest)).result.files

    def _pass_over(self, session: Session, others: Sequence[Leased]) -> None:
        """Files of other names than the rule takes."""
        for job in others:
            reasons = [Reason(code="not-chosen", text=f"The rule takes {', '.join(job.rule.names)}.")]
            jobs.end(session, job, State.UNCHANGED, reasons=reasons, now_ms=self._clock())

    def _end_without(
        self, session: Session, manifest: Manifest, others: Sequence[Leased], kinds: dict[int, str]
    ) -> None:
        """Jobs that no block sees: their file went, or is of another kind; out of an intake nothing goes like that, and
        somebody must know of it.  That a rule within the intake has nothing to say of a file waits for nobody."""
        for job in others:
            if job.id not in kinds:
                jobs.end(session, job, State.GONE, now_ms=self._clock())
                continue
            text = f"{manifest.name} does not take files of this kind ({kinds[job.id]})."
            state = State.QUARANTINED if job.rule.leads_out_of_an_intake else State.UNCHANGED
            reasons = [Reason(code="no-cleaner", text=text)]
            jobs.end(session, job, state, reasons=reasons, now_ms=self._clock())

    async def _did_not_finish(self, batch: Sequence[Leased], ran: Ran) -> None:
        match ran.ended:
            case Ended.FAILED if len(batch) == 1:
                await self._end(batch[0], State.FAILED, reasons=[Reason(code="block-failed", text=ran.why)])
            case _:
                await self._later(batch, Reason(code=f"block-{ran.ended.value}", text=ran.why))

    # ---- bringing out ------------------------------------------------------------------------------------

    async def _bring_out(self, worked: Worked, folder: Path) -> bool:
        every = []
        for job, result in worked.answers:
            made = await self._judge(worked.block, job, result, folder)
            if made is not None:
                every.append(replace(made, parts=worked.parts))
        if not every:
            return False
        await self._store.take(
            HOOKS, job_folder.frames_of([output for made in every for output in made.outputs])
        )
        try:
            return await self._publish(every)
        except MedicalBlocksError as error:
            if len(every) == 1:
                raise
            log.info("jobs=%d are published one by one: %s", len(every), type(error).__name__)
        some = False
        for made in every:
            try:
                some = await self._publish([made]) or some
            except MedicalBlocksError as error:
                await self._went_wrong([made.job], error)
        return some

    async def _judge(self, block: Manifest, job: Leased, result: FileResult, folder: Path) -> Made | None:
        """What may be published of it; None: nothing, and the job has ended."""
        outputs = job_folder.to_publish(result)
        report = await asyncio.to_thread(job_folder.report_of, result, folder, most=MOST_REPORT_BYTES)
        match result.verdict:
            case Verdict.RELEASED | Verdict.UNCHANGED:
                pass
            case Verdict.QUARANTINED:
                digest = await asyncio.to_thread(job_folder.digest_of, folder, outputs) if outputs else None
                if digest is None or digest != job.released:
                    await self._end(
                        job, State.QUARANTINED, reasons=result.reasons, digest=digest, report=report
                    )
                    return None
            case Verdict.FAILED:
                await self._end(job, State.FAILED, reasons=result.reasons, report=report)
                return None
        state = State.UNCHANGED if result.verdict is Verdict.UNCHANGED else State.PUBLISHED
        chunked = [Chunked(folder, output) for output in outputs]
        return Made(job, block, chunked, result.reasons, report, result.labels, result.attributes, state)

    async def _publish(self, every: Sequence[Made]) -> bool:
        ended = await self._database.write(
            lambda session: publish(
                session,
                self._store,
                self._cursors,
                every,
                now_ms=self._clock(),
                default_quota=self._default_quota,
            )
        )
        for made in every:
            log.info(
                "job=%d block=%s ended=%s files=%d",
                made.job.id,
                made.block.name,
                ended.get(made.job.id),
                len(made.outputs),
            )
        return State.PUBLISHED in ended.values()

    # ---- ending ------------------------------------------------------------------------------------------

    async def _went_wrong(self, batch: Sequence[Leased], error: MedicalBlocksError | OSError) -> None:
        text = error.what if isinstance(error, MedicalBlocksError) else error.strerror or ""
        if isinstance(error, Refused) and len(batch) == 1:  # doing it again will not help
            await self._end(batch[0], State.FAILED, reasons=[Reason(code="refused", text=text)])
        else:
            await self._later(batch, Reason(code="not-now", text=text))

    async def _end(self, job: Leased, state: State, **how: object) -> None:
        await self._database.write(
            lambda session: jobs.end(session, job, state, now_ms=self._clock(), **how)  # type: ignore[arg-type] # its own keywords
        )
        log.info("job=%d ended=%s", job.id, state)

    async def _later(self, batch: Sequence[Leased], reason: Reason) -> None:
        """After a pause; of several jobs each is done by itself, at once."""
        now_ms = self._clock()
        if len(batch) == 1:
            await self._database.write(partial(jobs.try_later, job=batch[0], reason=reason, now_ms=now_ms))
        else:
            await self._database.write(partial(jobs.try_alone, batch=batch, reason=reason, now_ms=now_ms))
        log.warning("job=%d and %d more are tried again code=%s", batch[0].id, len(batch) - 1, reason.code)


def _input(name: str, found: Input, kind: str) -> InputFile:
    return InputFile(file=name, path=found.path, kind=kind, size_bytes=found.size)


def _takes(manifest: Manifest, found: Input, kind: str) -> bool:
    return manifest.accepts_file(kind, found.path[-1])


def _project_of(session: Session, *, job: Leased) -> bytes:
    """What its pseudonyms are bound to: the project, or the home that its files lie in."""
    space = job.rule.source.space
    project = session.scalar(
        select(ProjectRow.id).where(or_(ProjectRow.space == space, ProjectRow.intake == space))
    )
    return project or b"space %d" % space
