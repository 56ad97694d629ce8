"""An imaging project for tests: a clinician who drops files into its intake, a researcher who sees what comes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from protocol.messages import Kind, Part, WantedContent
from server.access.projects import Template, create_project, give_role
from server.access.rights import Role
from server.app import worked
from server.data_folder import DataFolder
from server.hooks.jobs import State
from server.hooks.reviewing import Job, list_jobs
from server.hooks.rules import Rule, deidentify_intake, list_rules
from tests.server.http.test_sharing import Person
from tests.support.service import ServiceUnderTest, a_service

ENDS = {State.PUBLISHED, State.UNCHANGED, State.QUARANTINED, State.FAILED, State.REJECTED, State.GONE}
SECONDS = 120


@dataclass
class Imaging:
    server: ServiceUnderTest
    clinician: Person  # at the intake
    researcher: Person  # at the project

    def jobs(self, *, names: bool = False) -> list[Job]:
        with self.server.service.database.reading() as session:
            return list_jobs(session, names=names)

    def rules(self) -> list[Rule]:
        with self.server.service.database.reading() as session:
            return list_rules(session)

    async def ended(self, count: int) -> list[Job]:
        """All jobs, once there are `count` and each has ended; the newest first."""
        jobs = await self.until(lambda jobs: len(jobs) >= count and all(job.state in ENDS for job in jobs))
        assert len(jobs) == count
        return jobs

    async def until(self, fits: Callable[[list[Job]], bool], *, seconds: float = SECONDS) -> list[Job]:
        async with asyncio.timeout(seconds):
            while not fits(jobs := await asyncio.to_thread(self.jobs)):  # noqa: ASYNC110 - it is the server's event
                await asyncio.sleep(0.05)
        return jobs

    async def out(self) -> dict[str, bytes]:
        """Every file that the researcher can see, by its path."""
        paths = await self.researcher.follow()
        found = {}
        for node, state in self.researcher.known.items():
            if state.content is not None and state.content.kind is Kind.FILE and not state.deleted:
                wanted = WantedContent(parts=[Part(node=node, revision=state.content_revision)])
                found[self.path_of(node)] = b"".join(await self.researcher.caller.fetch(wanted))
        assert found.keys() <= set(paths)
        return found

    def path_of(self, node: UUID) -> str:
        assert self.researcher.caller.view is not None
        names: list[str] = []
        while node != self.researcher.caller.view.root:
            state = self.researcher.known[node]
            names.insert(0, state.name)
            node = state.parent
        return "/".join(names)


@asynccontextmanager
async def an_imaging_project(data: Path, *, working: bool = True) -> AsyncIterator[Imaging]:
    """working: the hooks run; else the test starts them itself."""
    async with a_service(data, users=("ada", "cli")) as server:
        now_ms = server.service.clock()
        with server.service.database.writing() as session:
            create_project(session, "Nerves", Template.IMAGING, now_ms=now_ms)
            deidentify_intake(session, "Nerves", now_ms=now_ms)
            give_role(session, "Nerves", "user:ada", Role.EDITOR, now_ms=now_ms)
            give_role(session, "Nerves", "user:cli", Role.CLINICIAN, now_ms=now_ms)
        imaging = Imaging(
            server,
            await Person(await server.sign_in("cli")).look_at("/Projects/Nerves/Intake"),
            await Person(await server.sign_in("ada")).look_at("/Projects/Nerves"),
        )
        if not working:
            yield imaging
            return
        async with worked(DataFolder(data), server.service):
            yield imaging
