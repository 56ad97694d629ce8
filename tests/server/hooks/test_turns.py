"""One file that is dropped by itself waits neither behind thousands nor for runs that are long."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from protocol.messages import Content, Kind, Make
from server.access.projects import give_role
from server.access.rights import Role
from server.app import worked
from server.data_folder import DataFolder
from server.database.tables import JobRow, NodeRow
from server.hooks import reviewing
from server.hooks.jobs import State
from server.hooks.rules import add_rule, folder_at
from tests.server.hooks.test_batches import claimed
from tests.server.hooks.test_intake import a_slice, an_ultrasound
from tests.server.http.test_sharing import Person
from tests.support.intake import Imaging, an_imaging_project
from tests.support.service import manifest_of

SECONDS = 10.0  # of a busy machine; docs/performance.md has what it takes on a quiet one
ENDLESS = """
contract = 1
name = "endless"
version = "1"
summary = "Works for as long as it may."
produces = ["derived"]
program = { type = "command", command = ["/bin/sleep", "600"] }
accepts = [{}]
"""


async def another_clinician(imaging: Imaging) -> Person:
    with imaging.server.service.database.writing() as session:
        give_role(session, "Nerves", "user:ada", Role.CLINICIAN, now_ms=imaging.server.service.clock())
    return await Person(await imaging.server.sign_in("ada")).look_at("/Projects/Nerves/Intake")


async def many(person: Person, slices: int, *, first: int = 0) -> None:
    """In one batch, as MB-Sync sends a folder."""
    assert person.caller.view is not None
    files = {f"{number}.dcm": a_slice(number) for number in range(first, first + slices)}
    await person.caller.upload(*files.values())
    await person.caller.commit(
        *[
            Make(
                node=uuid4(),
                parent=person.caller.view.root,
                name=name,
                content=Content(kind=Kind.FILE, manifest=manifest_of(data)),
            )
            for name, data in files.items()
        ]
    )


async def test_who_drops_one_file_waits_not_behind_those_of_others(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        other = await another_clinician(imaging)
        await many(imaging.clinician, 20)
        one = await other.file("one.dcm", a_slice(99))
        first, *rest = claimed(imaging)
        assert one in {job.node for job in first}
        assert len(first) == 5  # with those that came first of the many
        assert sum(map(len, rest)) == 16


async def test_nor_behind_their_own_that_came_before(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        await many(imaging.clinician, 20)
        with imaging.server.service.database.writing() as session:
            session.execute(update(NodeRow).values(changed_at_ms=NodeRow.changed_at_ms - 20_000))
        one = await imaging.clinician.file("one.dcm", a_slice(99))
        assert one in {job.node for job in claimed(imaging)[0]}


async def test_what_a_person_had_done_again_or_released_goes_first_too(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        await many(imaging.clinician, 20)
        held = await imaging.clinician.file("ultrasound.dcm", an_ultrasound())
        assert held not in {job.node for job in claimed(imaging)[0]}  # the last of many
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            [job] = [job for job in await imaging.ended(21) if job.state is State.QUARANTINED]
        await many(imaging.clinician, 20, first=100)
        with imaging.server.service.database.writing() as session:
            reviewing.retry(session, job.id, now_ms=0)
        assert held in {one.node for one in claimed(imaging)[0]}


async def states(imaging: Imaging) -> dict[UUID, str]:
    """Of all jobs, by their file: what a list of them would cost, the server under test lacks."""

    def look(session: Session) -> dict[UUID, str]:
        return {UUID(bytes=node): state for node, state in session.execute(select(JobRow.node, JobRow.state))}

    return await imaging.server.service.database.read(look)


async def until(
    imaging: Imaging, fits: Callable[[dict[UUID, str]], bool], seconds: float = 60.0
) -> dict[UUID, str]:
    async with asyncio.timeout(seconds):
        while not fits(now := await states(imaging)):  # noqa: ASYNC110 - it is the server's event
            await asyncio.sleep(0.05)
    return now


def published(now: dict[UUID, str]) -> int:
    return list(now.values()).count(State.PUBLISHED)


async def test_one_file_is_out_of_the_intake_while_thousands_go_on(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        other = await another_clinician(imaging)
        await many(imaging.clinician, 500)
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            await until(imaging, lambda now: published(now) > 20)
            one, began = await other.file("one.dcm", a_slice(999)), time.monotonic()
            now = await until(imaging, lambda now: now.get(one) == State.PUBLISHED, SECONDS)
            took = time.monotonic() - began
            left = sum(state in (State.WAITING, State.RUNNING) for state in now.values())
            assert left > 100, f"it took {took:.1f} s, and {left} of the others were left"
            before = published(now)
            await until(imaging, lambda now: published(now) > before + 20)
    print(f"out of the intake after {took:.2f} s, beside {left} others")


async def test_one_file_is_out_of_the_intake_while_every_runner_is_in_a_long_run(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")
    block = tmp_path / "endless"
    block.mkdir()
    (block / "block.toml").write_text(ENDLESS)
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        await imaging.researcher.folder("Results")
        with imaging.server.service.database.writing() as session:
            places = [folder_at(session, f"/Projects/Nerves/{name}") for name in ("Data", "Results")]
            add_rule(session, str(block), *places, {}, now_ms=imaging.server.service.clock(), priority=9)
        for name in ("1", "2", "3"):
            await imaging.researcher.file(name, name.encode(), places[0].node)
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service, at_once=2):
            await imaging.until(lambda jobs: sum(job.state is State.RUNNING for job in jobs) == 2)
            for number in range(3):
                one = await imaging.clinician.file(f"{number}.dcm", a_slice(number))
                jobs = await imaging.until(
                    lambda jobs, one=one: any(
                        job.node == one and job.state is State.PUBLISHED for job in jobs
                    ),
                    seconds=SECONDS,
                )
                assert sum(job.state is State.RUNNING for job in jobs) == 2
