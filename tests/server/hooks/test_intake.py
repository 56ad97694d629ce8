"""What lands in an intake comes out de-identified or not at all, and people are told why."""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from protocol.errors import Refused
from protocol.messages import Content, Delete, Kind, Make, Put, Restore, Status
from server.app import worked
from server.data_folder import DataFolder
from server.database.tables import JobRow
from server.hooks import jobs as job_table
from server.hooks import reviewing
from server.hooks.jobs import State
from tests.server.http.test_sharing import Person
from tests.support.dicom_studies import an_image, file_bytes, found_in, in_any_encoding
from tests.support.intake import an_imaging_project
from tests.support.recordings import Recording
from tests.support.service import manifest_of

NAMES = ("Zweistein", "19800401", "ACC7731", "20240229")
US = "1.2.840.10008.5.1.4.1.1.6.1"


def a_slice(number: int = 1, **attributes: object) -> bytes:
    return file_bytes(
        an_image(SOPInstanceUID=f"1.2.826.0.1.99.1.1.{number}", InstanceNumber=number, **attributes)
    )


def an_ultrasound() -> bytes:
    return file_bytes(an_image(SOPClassUID=US, Modality="US", SOPInstanceUID="1.2.826.0.1.99.5"))


async def put(person: Person, node: UUID, data: bytes) -> None:
    await person.caller.upload(data)
    await person.follow()
    content = Content(kind=Kind.FILE, manifest=manifest_of(data))
    await person.do(Put(node=node, content_revision=person.known[node].content_revision, content=content))


async def test_images_appear_without_their_patient_and_all_else_is_held_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with an_imaging_project(tmp_path / "data") as imaging:
        folder = await imaging.clinician.folder("Zweistein Jane 19800401")
        originals = [a_slice(1), a_slice(2)]
        for number, data in enumerate(originals):
            await imaging.clinician.file(f"Zweistein {number}.dcm", data, folder)
        await imaging.clinician.file("letter.txt", b"Jane Zweistein, born 19800401", folder)
        await imaging.clinician.caller.put_file("empty", parent=folder)
        jobs = await imaging.ended(4)
        assert sorted(job.state for job in jobs) == ["published", "published", "quarantined", "quarantined"]
        assert {job.reasons[0][0] for job in jobs if job.state is State.QUARANTINED} == {"no-cleaner"}
        assert not any(job.can_release for job in jobs)

        out = await imaging.out()
        assert len(out) == 2
        assert all(path.startswith("Data/P") and path.count("/") == 4 for path in out)
        assert len({path.rsplit("/", 1)[0] for path in out}) == 1  # one patient, one study, one series
        seen = b"".join(out.values()) + repr(imaging.researcher.known).encode()
        told = caplog.text + repr(jobs) + "".join(str(job.report) for job in imaging.jobs(names=True))
        for name in NAMES:
            assert not in_any_encoding(name, seen)
        assert found_in(NAMES, told.encode()) == []
        assert not set(out.values()) & set(originals)
        scratch = tmp_path / "data" / "scratch"  # emptied just after a job has ended
        await imaging.until(lambda _: not list(scratch.iterdir()))


async def test_a_recording_appears_beside_the_images_of_its_patient_and_a_damaged_one_does_not(
    tmp_path: Path,
) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        folder = await imaging.clinician.folder("Zweistein Jane")
        await imaging.clinician.file("Zweistein.edf", Recording().as_bytes(), folder)
        await imaging.clinician.file("Zweistein.dcm", a_slice(1), folder)
        await imaging.clinician.file("Zweistein cut.edf", Recording().as_bytes()[:-5], folder)
        jobs = await imaging.ended(3)
        assert sorted(job.state for job in jobs) == ["published", "published", "quarantined"]
        assert [job.reasons[0][0] for job in jobs if job.reasons] == ["wrong-size"]

        out = await imaging.out()
        assert sorted(path.rsplit(".", 1)[1] for path in out) == ["dcm", "edf"]
        assert len({path.split("/")[1] for path in out}) == 1  # one patient, one pseudonym
        seen = b"".join(out.values()) + repr(imaging.researcher.known).encode()
        for name in (*NAMES, "Jane", "PID-4711", "Quacksalver", "APR-1980"):
            assert not in_any_encoding(name, seen)


async def test_a_new_version_becomes_a_version_of_the_same_file_wherever_it_was_moved(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        source = await imaging.clinician.file("a.dcm", a_slice(1))
        await imaging.ended(1)
        [path] = await imaging.out()
        [node] = [node for node in imaging.researcher.known if imaging.path_of(node) == path]
        assert imaging.researcher.caller.view is not None
        await imaging.researcher.move(node, imaging.researcher.caller.view.root, "mine.dcm")

        await put(imaging.clinician, source, a_slice(1, PixelData=bytes(512)))
        await imaging.ended(2)
        out = await imaging.out()
        assert list(out) == ["mine.dcm"]
        assert imaging.researcher.known[node].content_revision.number == 2

        await put(imaging.researcher, node, b"edited by ada")
        await put(imaging.clinician, source, a_slice(1, PixelData=bytes([1]) * 512))
        await imaging.ended(3)
        out = await imaging.out()
        assert out.pop("mine.dcm") == b"edited by ada"
        [(name, data)] = out.items()
        assert name.startswith("mine (conflict block")
        assert data[128:132] == b"DICM"

        await imaging.researcher.follow()
        state = imaging.researcher.known[node]
        await imaging.researcher.do(
            Delete(node=node, place_revision=state.place_revision, content_revision=state.content_revision)
        )
        await put(imaging.clinician, source, a_slice(1, PixelData=bytes([2]) * 512))
        await imaging.ended(4)
        assert any(path.startswith("Data/P") for path in await imaging.out())


async def test_what_was_held_back_passes_only_when_a_person_released_these_bytes(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        database = imaging.server.service.database
        await imaging.clinician.file("us.dcm", an_ultrasound())
        [job] = await imaging.ended(1)
        assert (job.state, job.can_release) == (State.QUARANTINED, True)
        assert await imaging.out() == {}

        with database.writing() as session:
            reviewing.reject(session, job.id, now_ms=1)
        with database.writing() as session, pytest.raises(Refused, match="does not wait"):
            reviewing.release(session, job.id, now_ms=1)
        with database.writing() as session:
            reviewing.retry(session, job.id, now_ms=1)
        [job] = await imaging.ended(1)
        assert job.state is State.QUARANTINED
        assert await imaging.out() == {}

        with database.writing() as session:
            reviewing.release(session, job.id, now_ms=1)
        [job] = await imaging.ended(1)
        assert job.state is State.PUBLISHED
        [data] = (await imaging.out()).values()
        assert not any(in_any_encoding(name, data) for name in NAMES)


async def test_where_no_block_made_an_output_there_is_nothing_to_release(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        await imaging.clinician.file("notes.txt", b"of a patient")
        [job] = await imaging.ended(1)
        with (
            imaging.server.service.database.writing() as session,
            pytest.raises(Refused, match="no cleaned output"),
        ):
            reviewing.release(session, job.id, now_ms=1)
        assert await imaging.out() == {}


async def test_a_file_that_goes_before_its_turn_is_never_published(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        node = await imaging.clinician.file("a.dcm", a_slice(1))
        database = imaging.server.service.database
        with database.writing() as session:
            [rule] = job_table.behind(session)
            job_table.follow(session, rule, now_ms=1)
        await imaging.clinician.follow()
        state = imaging.clinician.known[node]
        await imaging.clinician.do(
            Delete(node=node, place_revision=state.place_revision, content_revision=state.content_revision)
        )
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            [job] = await imaging.ended(1)
        assert job.state is State.GONE
        assert await imaging.out() == {}


async def test_a_file_that_ends_the_server_each_time_is_not_tried_for_ever(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        await imaging.clinician.file("deadly.dcm", a_slice(1))
        await imaging.clinician.file("good.dcm", a_slice(2))
        database = imaging.server.service.database
        with database.writing() as session:
            [rule] = job_table.behind(session)
            job_table.follow(session, rule, now_ms=1)
        for _ in range(job_table.MOST_TRIES):
            with database.writing() as session:
                taken = job_table.claim(session, now_ms=1)
                assert taken
                session.execute(update(JobRow).values(leased_until_ms=0))  # its server died
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            good, deadly = sorted(await imaging.ended(2), key=lambda job: job.state == State.FAILED)
        assert (deadly.state, good.state) == (State.FAILED, State.PUBLISHED)
        assert "ended 5 times" in deadly.reasons[0][1]


async def test_a_server_that_is_stopped_gives_its_jobs_back_and_that_is_no_try(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        for number in range(1, 10):
            await imaging.clinician.file(f"{number}.dcm", a_slice(number))
            async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
                await imaging.until(
                    lambda jobs, number=number: len(jobs) == number and jobs[0].state is not State.WAITING  # type: ignore[misc] # mypy sees no default in a lambda
                )
            job = imaging.jobs()[0]
            if job.state is not State.PUBLISHED:  # else it was quicker than we
                break
        assert (job.state, job.tries) == (State.WAITING, 0)
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            jobs = await imaging.ended(number)
        assert {job.state for job in jobs} == {State.PUBLISHED}


async def test_the_research_folder_in_the_trash_makes_results_wait_and_loses_none(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        await imaging.researcher.follow()
        [data] = [state for state in imaging.researcher.known.values() if state.name == "Data"]
        await imaging.researcher.do(
            Delete(node=data.node, place_revision=data.place_revision, content_revision=data.content_revision)
        )
        await imaging.clinician.file("a.dcm", a_slice(1))
        [job] = await imaging.until(
            lambda jobs: bool(jobs and jobs[0].tries) and jobs[0].state is State.WAITING
        )
        assert "trash" in job.reasons[0][1]

        await imaging.researcher.follow()
        gone = imaging.researcher.known[data.node]
        await imaging.researcher.do(Restore(node=data.node, place_revision=gone.place_revision))
        with imaging.server.service.database.writing() as session:
            session.execute(update(JobRow).values(due_at_ms=0))  # not after its pause
        [job] = await imaging.ended(1)
        assert job.state is State.PUBLISHED
        assert len(await imaging.out()) == 1


async def test_the_original_goes_nowhere_by_hand_and_what_was_published_may(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        original = a_slice(1)
        await imaging.clinician.file("a.dcm", original)
        await imaging.ended(1)
        [clean] = (await imaging.out()).values()
        await imaging.clinician.file("back again.dcm", clean)
        await imaging.ended(2)
        home = Person(imaging.clinician.caller)
        home = await home.look_at("/Home")
        home.caller.batches = 50_000
        for data, wanted in ((original, Status.IDENTIFIED), (clean, Status.DONE)):
            await home.caller.upload(data)
            assert home.caller.view is not None
            content = Content(kind=Kind.FILE, manifest=manifest_of(data))
            make = Make(node=uuid4(), parent=home.caller.view.root, name=wanted.value, content=content)
            assert await home.try_to(make) is wanted
