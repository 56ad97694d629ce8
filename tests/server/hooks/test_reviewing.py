"""The people of an intake judge what a block held back; nobody else learns that there is anything to judge."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import select, update

from protocol.errors import AccessDenied, BadRequest, NotFound, Refused
from protocol.hooks import Job, Jobs, Release
from protocol.notices import Notices
from server.access.projects import give_role
from server.access.rights import Role
from server.database.tables import AuditRow, JobRow
from server.hooks.jobs import State
from tests.server.hooks.test_intake import NAMES, a_slice, an_ultrasound
from tests.server.http.test_sharing import Person
from tests.support.dicom_studies import in_any_encoding
from tests.support.intake import Imaging, an_imaging_project


async def a_reviewer(imaging: Imaging) -> Person:
    await imaging.server.add_user("rev")
    with imaging.server.service.database.writing() as session:
        give_role(session, "Nerves", "user:rev", Role.REVIEWER, now_ms=1)
    return await Person(await imaging.server.sign_in("rev")).look_at("/Projects/Nerves/Intake")


async def jobs_of(person: Person, states: str = "", after: str = "") -> Jobs:
    path = f"{person.caller.at}/jobs?states={states}&after={after}"
    answer: Jobs = await person.caller.ask("GET", path, answer=Jobs)
    return answer


async def decide(person: Person, job: int, what: str, held: str = "") -> Job:
    body = Release(held=held) if what == "release" else None
    path = f"{person.caller.at}/jobs/{job}/{what}"
    answer: Job = await person.caller.ask("POST", path, answer=Job, body=body)
    return answer


async def seen_by(person: Person, job: int) -> bytes:
    status, body, headers = await person.caller.raw("GET", f"{person.caller.at}/jobs/{job}/held")
    assert status == 200, body
    assert headers["Content-Disposition"].startswith("attachment")
    return body


async def test_a_reviewer_sees_the_very_bytes_that_a_release_lets_pass(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        original = an_ultrasound()
        folder = await imaging.clinician.folder("Zweistein Jane")
        await imaging.clinician.file("us.dcm", original, folder)
        await imaging.ended(1)
        reviewer = await a_reviewer(imaging)

        [job] = (await jobs_of(reviewer, "held")).jobs
        assert (job.state, job.file, job.folder) == (
            "quarantined",
            "Zweistein Jane/us.dcm",
            "/Projects/Nerves/Intake",
        )
        assert job.reasons
        whole = await reviewer.caller.ask("GET", f"{reviewer.caller.at}/jobs/{job.job}", answer=Job)
        assert json.loads(whole.report)
        picture = await seen_by(reviewer, job.job)
        assert picture[128:132] == b"DICM"
        assert not any(in_any_encoding(name, picture) for name in NAMES)
        assert await imaging.out() == {}  # a look brings nothing out
        assert [one.state for one in imaging.jobs()] == [State.QUARANTINED]

        with pytest.raises(Refused, match="Another output"):
            await decide(reviewer, job.job, "release", "0" * 64)
        await decide(reviewer, job.job, "release", job.held)
        await imaging.ended(1)
        assert list((await imaging.out()).values()) == [picture]
        scratch = tmp_path / "data" / "scratch"
        await imaging.until(lambda _: not list(scratch.iterdir()))

        assert told_of(imaging) == ["look", "release"]


def told_of(imaging: Imaging) -> list[str]:
    """What people did about jobs, as the log has it."""
    words = ("look", "release", "reject", "retry")
    query = select(AuditRow.did).where(AuditRow.did.in_(words), AuditRow.actor.is_not(None))
    with imaging.server.service.database.reading() as session:
        return list(session.scalars(query.order_by(AuditRow.sequence)))


async def test_a_clinician_may_look_reject_and_retry_but_not_release(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        await imaging.clinician.file("us.dcm", an_ultrasound())
        await imaging.clinician.file("notes.txt", b"of a patient")
        await imaging.ended(2)
        text, picture = sorted((await jobs_of(imaging.clinician, "held")).jobs, key=lambda job: job.held)
        with pytest.raises(AccessDenied):
            await decide(imaging.clinician, picture.job, "release", picture.held)
        with pytest.raises(Refused, match="no cleaned output"):
            await seen_by_error(imaging.clinician, text.job)
        assert await seen_by(imaging.clinician, picture.job)

        await decide(imaging.clinician, picture.job, "reject")
        assert [job.job for job in (await jobs_of(imaging.clinician, "held")).jobs] == [text.job]
        await decide(imaging.clinician, picture.job, "retry")
        await imaging.ended(2)
        assert {job.job for job in (await jobs_of(imaging.clinician, "held")).jobs} == {text.job, picture.job}
        assert await imaging.out() == {}
        assert told_of(imaging) == ["look", "reject", "retry"]


async def notices_of(person: Person) -> list[tuple[str, str, int]]:
    told = (await person.caller.ask("GET", "/notices", answer=Notices)).notices
    return [(one.kind, one.folder, one.count) for one in told]


async def test_who_may_review_is_told_what_waits_and_what_failed_and_nobody_else(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        assert await notices_of(imaging.clinician) == []
        for name in ("a.txt", "b.txt"):
            await imaging.clinician.file(name, b"of a patient")
        first, _ = await imaging.ended(2)
        reviewer = await a_reviewer(imaging)
        waits = [("review", "/Projects/Nerves/Intake", 2)]
        assert await notices_of(imaging.clinician) == await notices_of(reviewer) == waits
        assert await notices_of(imaging.researcher) == []
        with imaging.server.service.database.writing() as session:
            session.get_one(JobRow, first.id).state = State.FAILED
        waits = [("review", "/Projects/Nerves/Intake", 1), ("failed", "/Projects/Nerves/Intake", 1)]
        assert await notices_of(reviewer) == waits


async def seen_by_error(person: Person, job: int) -> None:
    await person.caller.ask("GET", f"{person.caller.at}/jobs/{job}/held", answer=Job)


async def test_who_may_not_see_the_intake_learns_nothing_of_its_jobs(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        await imaging.clinician.file("us.dcm", an_ultrasound())
        [held] = await imaging.ended(1)
        with imaging.server.service.database.writing() as session:
            give_role(session, "Nerves", "user:ada", Role.OWNER, now_ms=1)
        owner = imaging.researcher  # of the project, who may review and release there
        assert (await jobs_of(owner)).jobs == []
        told = []
        for number in (held.id, 999_999):
            for what in ("retry", "reject", "release"):
                with pytest.raises(NotFound) as refused:
                    await decide(owner, number, what, held.held.hex() if held.held else "")
                told.append(str(refused.value).replace(str(number), "N"))
            with pytest.raises(NotFound) as refused:
                await seen_by_error(owner, number)
            told.append(str(refused.value).replace(str(number), "N"))
        assert told[:4] == told[4:]
        assert [job.state for job in imaging.jobs()] == [State.QUARANTINED]


async def test_jobs_come_in_pages_the_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.http.jobs.PAGE", 2)
    async with an_imaging_project(tmp_path / "data") as imaging:
        await asyncio.gather(*(imaging.clinician.file(f"{n}.txt", b"of %d" % n) for n in range(5)))
        await imaging.clinician.file("a.dcm", a_slice())
        await imaging.ended(6)
        found, after = [], ""
        while True:
            page = await jobs_of(imaging.clinician, after=after)
            found += [(job.made_at_ms, job.job) for job in page.jobs]
            if not (after := page.next):
                break
        assert found == sorted(found, reverse=True)
        assert len(found) == 6
        assert [job.file for job in (await jobs_of(imaging.clinician, "published")).jobs] == ["a.dcm"]
        with pytest.raises(BadRequest, match="no number of a job"):
            await jobs_of(imaging.clinician, after="17")


async def test_a_number_says_nothing_of_other_jobs_and_an_old_one_goes_on(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        for number in range(8):
            await imaging.clinician.file(f"{number}.txt", b"of %d" % number)
        numbers = [job.id for job in await imaging.ended(8)]
        assert all(len(str(number)) == 9 for number in numbers)
        with imaging.server.service.database.writing() as session:
            session.execute(update(JobRow).where(JobRow.id == numbers[0]).values(id=17))
        at = f"{imaging.clinician.caller.at}/jobs/"
        assert (await imaging.clinician.caller.ask("GET", f"{at}17", answer=Job)).state == "quarantined"
        with pytest.raises(NotFound):
            await imaging.clinician.caller.ask("GET", f"{at}{numbers[0]}", answer=Job)
