"""What is withdrawn goes with all that was made of it, wherever that is, and nothing of it comes later."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from protocol.errors import AccessDenied, NotFound
from protocol.hooks import Withdrawn
from protocol.messages import Copy, Delete, Part, Restore, Status, WantedContent
from server.access.projects import give_role
from server.access.rights import Role
from server.app import worked
from server.data_folder import DataFolder
from server.database.tables import AuditRow
from server.hooks import jobs as job_table
from server.hooks.jobs import State
from tests.server.hooks.test_intake import a_slice, put
from tests.server.hooks.test_reviewing import a_reviewer
from tests.server.http.test_sharing import Person
from tests.support.intake import Imaging, an_imaging_project
from tests.support.server import mb_server


async def withdraw(person: Person, node: UUID) -> Withdrawn:
    path = f"{person.caller.at}/nodes/{node}/withdraw"
    answer: Withdrawn = await person.caller.ask("POST", path, answer=Withdrawn)
    return answer


def node_of(imaging: Imaging, path: str) -> UUID:
    [node] = [node for node in imaging.researcher.known if imaging.path_of(node) == path]
    return node


async def test_a_folder_goes_with_what_was_made_of_it_moved_or_beside_an_edit(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        clinician, ada = imaging.clinician, imaging.researcher
        folder = await clinician.folder("Zweistein")
        moved = await clinician.file("a.dcm", a_slice(1), folder)
        edited = await clinician.file("b.dcm", a_slice(2), folder)
        await imaging.ended(2)
        first, second = await imaging.out()
        kept = await clinician.file("other.dcm", a_slice(3, PatientName="Other^One", PatientID="2"))
        await imaging.ended(3)
        assert ada.caller.view is not None
        await ada.move(node_of(imaging, first), ada.caller.view.root, "mine.dcm")
        await put(ada, node_of(imaging, second), b"edited by ada")
        for number, node in ((1, moved), (2, edited), (3, kept)):
            await put(clinician, node, a_slice(number, PixelData=bytes([number]) * 512))
        await imaging.ended(6)
        assert len(await imaging.out()) == 4
        copy = next(data for path, data in (await imaging.out()).items() if path == "mine.dcm")
        await ada.file("copy by hand.dcm", copy)
        with pytest.raises((AccessDenied, NotFound)):
            await withdraw(ada, node_of(imaging, "mine.dcm"))

        done = await withdraw(clinician, folder)
        again = await withdraw(clinician, folder)
        left = await imaging.out()
        with imaging.server.service.database.reading() as session:
            told = session.scalars(select(AuditRow.detail).where(AuditRow.did == "withdraw")).all()
        assert (done.sources, again.sources, again.derived, len(told)) == (2, 0, 0, 2)
        [other] = left.keys() - {"copy by hand.dcm"}
        assert (done.derived, other.startswith("Data/")) == (
            3,
            True,
        )  # moved, edited, and the copy beside the edit
        await clinician.follow()
        live = {state.name for state in clinician.known.values() if not state.deleted}
        assert live >= {"other.dcm"}
        assert not live & {"a.dcm", "b.dcm"}
        operator = await asyncio.to_thread(
            mb_server, "withdraw", "/Projects/Nerves/Intake/Zweistein", "--json", "--data", tmp_path / "data"
        )
        assert json.loads(operator.stdout)["copies"] == ["/Projects/Nerves/copy by hand.dcm"]

        gone = clinician.known[moved]
        assert await clinician.try_to(back(clinician, moved)) is Status.DENIED
        reviewer = await a_reviewer(imaging)
        await reviewer.do(Restore(node=moved, place_revision=gone.place_revision))
        await imaging.until(lambda jobs: [job.state for job in jobs].count(State.PUBLISHED) >= 3)
        assert len(await imaging.out()) == len(left) + 1  # done again
        checked = await asyncio.to_thread(mb_server, "check", "--data", tmp_path / "data")
        assert checked.returncode == 0, checked.stdout


def back(person: Person, node: UUID, *, name: str | None = None) -> Restore:
    return Restore(node=node, place_revision=person.known[node].place_revision, name=name)


async def readable(person: Person, node: UUID) -> bool:
    wanted = WantedContent(parts=[Part(node=node, revision=person.known[node].content_revision)])
    try:
        await person.caller.fetch(wanted)
    except (AccessDenied, NotFound):
        return False
    return True


async def test_what_was_made_comes_back_by_no_role_while_its_source_is_withdrawn(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        clinician, ada = imaging.clinician, imaging.researcher
        source = await clinician.file("a.dcm", a_slice(1))
        other = await clinician.file("b.dcm", a_slice(2))
        await imaging.ended(2)
        first, second = sorted(await imaging.out())
        nodes = [node_of(imaging, first), node_of(imaging, second)]
        state = ada.known[nodes[0]]  # deleted by a person before it is withdrawn
        await ada.do(
            Delete(
                node=nodes[0],
                place_revision=state.place_revision,
                content_revision=state.content_revision,
            )
        )
        await ada.follow()
        await clinician.follow()
        assert await readable(ada, nodes[0])
        for node in (source, other):
            await withdraw(clinician, node)
        await imaging.server.add_user("own")
        with imaging.server.service.database.writing() as session:
            give_role(session, "Nerves", "user:own", Role.OWNER, now_ms=1)
        owner = await Person(await imaging.server.sign_in("own")).look_at("/Projects/Nerves")
        await ada.follow()
        owner.known = ada.known
        for person in (ada, owner):
            view = person.caller.view
            assert view is not None
            for node in nodes:
                assert await person.try_to(back(person, node)) is Status.DENIED
                copied = Copy(
                    node=uuid4(),
                    parent=view.root,
                    name=f"{node}.dcm",
                    from_view=view.view,
                    from_node=node,
                    from_revision=person.known[node].content_revision,
                )
                assert await person.try_to(copied) is not Status.DONE
                assert not await readable(person, node)
        assert await imaging.out() == {}

        reviewer = await a_reviewer(imaging)
        await clinician.follow()
        reviewer.known = clinician.known
        for node in (source, other):
            assert await clinician.try_to(back(clinician, node)) is Status.DENIED
            assert not await readable(clinician, node)
            assert await readable(reviewer, node)
            await reviewer.do(back(reviewer, node))
        await imaging.until(lambda jobs: [job.state for job in jobs].count(State.PUBLISHED) >= 2)
        assert len(await imaging.out()) == 2  # done again
        for node in nodes:
            assert await ada.try_to(back(ada, node)) is Status.DENIED
            await owner.do(back(owner, node, name=f"{node}.dcm"))  # beside what was made anew
        assert len(await imaging.out()) == 4


async def test_what_is_at_work_when_it_is_withdrawn_is_never_published(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        node = await imaging.clinician.file("a.dcm", a_slice(1))
        database = imaging.server.service.database
        with database.writing() as session:
            [rule] = job_table.behind(session)
            job_table.follow(session, rule, now_ms=1)
            [leased] = job_table.claim(session, now_ms=1)
        done = await withdraw(imaging.clinician, node)
        assert (done.sources, done.derived, done.jobs) == (1, 0, 1)
        with database.writing() as session:
            assert not job_table.end(session, leased, State.PUBLISHED, now_ms=2)  # its lease is broken
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            [job] = await imaging.ended(1)
        assert job.state is State.GONE
        assert await imaging.out() == {}
