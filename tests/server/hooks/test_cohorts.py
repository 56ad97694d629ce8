"""Folders that fill themselves: what fits is there, what does not is not, and what people did there stays."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from protocol.catalog import Cohort, Cohorts, NewCohort
from protocol.errors import AccessDenied, BadRequest, Refused
from protocol.messages import Delete, Kind, Part, Revision, WantedContent
from protocol.names import refusal
from server.access.users import set_quota
from server.hooks import fitting
from server.hooks.filling import Filling
from server.hooks.withdrawing import withdraw
from tests.server.hooks.test_intake import a_slice, put
from tests.server.http.test_labels import say, take_back
from tests.server.http.test_search import a_block_read, a_series, names, space_of
from tests.server.http.test_sharing import Person
from tests.support.intake import an_imaging_project
from tests.support.server import mb_server
from tests.support.service import ServiceUnderTest, a_service

KNEES = "/Cohorts/Knees"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada", "ben", "cleo")) as running:
        yield running
        done = await asyncio.to_thread(mb_server, "check", "--deep", "--data", running.data)
        assert done.returncode == 0, done.stdout


async def make(person: Person, *path: str, query: str = "region=knee") -> Cohort:
    asked = NewCohort(path=list(path), query=query)
    answer: Cohort = await person.caller.ask("POST", f"{person.caller.at}/cohorts", answer=Cohort, body=asked)
    return answer


async def listed(person: Person) -> list[Cohort]:
    found = await person.caller.ask("GET", f"{person.caller.at}/cohorts", answer=Cohorts)
    return list(found.cohorts)


async def fill(server: ServiceUnderTest) -> None:
    service = server.service
    filling = Filling(
        service.database, service.store, service.cursors, notify=lambda _: None, clock=service.clock
    )
    while await filling.fill_all():
        pass


async def inside(person: Person, folder: str = KNEES) -> dict[str, bytes]:
    """The files in it, by their path from there."""
    await person.follow()
    found = {}
    for node, state in person.known.items():
        if state.content is None or state.content.kind is not Kind.FILE or state.deleted:
            continue
        path = path_of(person, node)
        if path.startswith(f"{folder}/"):
            wanted = WantedContent(parts=[Part(node=node, revision=state.content_revision)])
            found[path.removeprefix(f"{folder}/")] = b"".join(await person.caller.fetch(wanted))
    return found


def path_of(person: Person, node: UUID) -> str:
    assert person.caller.view is not None
    names = []
    while node != person.caller.view.root:
        names.insert(0, person.known[node].name)
        node = person.known[node].parent
    return "/" + "/".join(names)


def node_at(person: Person, path: str) -> UUID:
    [found] = [
        node for node, state in person.known.items() if not state.deleted and path_of(person, node) == path
    ]
    return found


async def delete(person: Person, node: UUID) -> None:
    await person.follow()
    state = person.known[node]
    await person.do(
        Delete(node=node, place_revision=state.place_revision, content_revision=state.content_revision)
    )


async def test_what_fits_is_there_and_follows_its_source(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    knees = await a_series(server, ada, "P1", 1)
    await a_series(server, ada, "P2", 1)
    notes = await ada.file("notes.txt", b"no image")
    for node in (*knees, notes):
        await say(ada, node, "region", "knee")
    made = await make(ada, "Cohorts", "Knees")
    assert (made.path, made.files, made.who, made.state) == (KNEES, 0, "ada", "open")
    await fill(server)
    found = await inside(ada)
    definition = json.loads(found.pop("cohort.json"))
    assert definition["query"] == "region=knee"
    assert "ada" not in json.dumps(definition)  # it goes along with a sync code
    series = min(found).rpartition("/")[0]
    assert re.fullmatch(r"P1/study-20200101-[0-9a-f]{8}/series-001-MR-[0-9a-f]{8}", series)
    assert found == {
        f"{series}/0.dcm": b"P1 1 0",
        f"{series}/1.dcm": b"P1 1 1",
        "others/notes.txt": b"no image",
    }
    assert [(one.files, one.state) for one in await listed(ada)] == [(3, "open")]
    assert await names(ada, "region=knee", level="file") == ["/notes.txt", "/P1-1/1.dcm", "/P1-1/0.dcm"]

    await put(ada, knees[0], b"a newer version")
    await take_back(ada, notes, "region")
    await delete(ada, knees[1])
    await fill(server)
    assert (await inside(ada)).keys() == {"cohort.json", f"{series}/0.dcm"}
    assert (await inside(ada))[f"{series}/0.dcm"] == b"a newer version"
    await fill(server)  # nothing more to do, and nothing is done twice
    versions = ada.known[node_at(ada, f"{KNEES}/{series}/0.dcm")].content_revision
    assert versions == Revision(1, 2)
    with pytest.raises(Refused, match="already"):
        await make(ada, "Cohorts", "Knees")


async def test_what_people_do_in_it_is_left_alone(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    nodes = await a_series(server, ada, "P1", 1, files=4)
    for node in nodes:
        await say(ada, node, "region", "knee")
    cohort = await make(ada, "Cohorts", "Knees")
    await fill(server)
    found = await inside(ada)
    at = {path.rpartition("/")[2]: f"{KNEES}/{path}" for path in found}
    edited, deleted, moved = (node_at(ada, at[f"{number}.dcm"]) for number in (0, 1, 2))
    await put(ada, edited, b"edited by ada")
    await delete(ada, deleted)
    await ada.follow()
    await ada.move(moved, ada.caller.view.root, "mine now.dcm")  # type: ignore[union-attr] # she looks at one
    own = await ada.file("report.txt", b"her own", cohort.node)
    await say(ada, own, "region", "knee")  # fits, and is in the folder already
    for node in nodes:
        await put(ada, node, b"newer " + node.bytes)
    await fill(server)
    now = {path.rpartition("/")[2]: data for path, data in (await inside(ada)).items()}
    assert now.keys() == {"cohort.json", "report.txt", "0.dcm", "3.dcm"}
    assert (now["0.dcm"], now["report.txt"]) == (b"edited by ada", b"her own")
    assert now["3.dcm"] == b"newer " + nodes[3].bytes
    for node in nodes:
        await say(ada, node, "region", "hip")
    await fill(server)
    now = {path.rpartition("/")[2]: data for path, data in (await inside(ada)).items()}
    assert now.keys() == {"cohort.json", "report.txt", "0.dcm"}
    assert "mine now.dcm" in {state.name for state in ada.known.values() if not state.deleted}

    assert (await ada.caller.raw("DELETE", f"{ada.caller.at}/cohorts/{cohort.cohort}"))[0] == 204
    for node in nodes:
        await say(ada, node, "region", "knee")
    await fill(server)
    assert len(await inside(ada)) == 3
    assert await listed(ada) == []


async def test_it_fills_while_its_maker_may_and_only_from_what_they_saw(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("Study")
    inside_it = await a_series(server, ada, "P1", 1, parent=study)
    outside = await a_series(server, ada, "P2", 1)
    for node in (inside_it[0], outside[0]):
        await say(ada, node, "region", "knee")
    await ada.share(study, "user:ben", "editor")
    await ada.share(study, "user:cleo", "metadata")
    ben = await Person(await server.sign_in("ben")).look_at("/Shared/Study")
    cleo = await Person(await server.sign_in("cleo")).look_at("/Shared/Study")
    await make(ben, "Cohorts", "Knees")
    await fill(server)
    assert {path.partition("/")[0] for path in await inside(ben)} == {"cohort.json", "P1"}
    assert [(one.query, one.who, one.files) for one in await listed(cleo)] == [("", "", 1)]
    for person, asked in ((cleo, "region=knee"), (ada, "region=")):
        with pytest.raises((AccessDenied, BadRequest)):
            await make(person, "More", query=asked)

    await ada.unshare(study, "user:ben")
    await fill(server)
    await say(ada, inside_it[1], "region", "knee")
    await fill(server)
    [one] = await listed(ada)
    assert (one.state, one.files) == ("stopped", 1)
    await ada.share(study, "user:ben", "editor")
    await fill(server)
    [one] = await listed(ada)
    assert (one.state, one.files) == ("open", 2)


async def test_who_withdraws_a_file_takes_its_links_too(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        folder = await imaging.clinician.folder("Zweistein Jane")
        source = await imaging.clinician.file("1.dcm", a_slice(1), folder)
        await imaging.ended(1)
        ada = imaging.researcher
        await make(ada, "Cohorts", "Knees", query="Modality=MR")
        async with asyncio.timeout(60):
            while len(await inside(ada)) < 2:  # noqa: ASYNC110 - it is the server's event
                await asyncio.sleep(0.1)
        service = imaging.server.service
        space = space_of(imaging.server, source)
        with service.database.writing() as session:
            gone = withdraw(
                session, service.store, service.cursors, (space, source.bytes), now_ms=service.clock()
            )
        assert (gone.sources, gone.derived, gone.copies) == (1, 2, ())
        assert (await inside(ada)).keys() == {"cohort.json"}
        with pytest.raises(AccessDenied):
            await make(imaging.clinician, "Cohort")


async def test_many_files_come_in_steps_and_each_once(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    folder = await ada.folder("many")
    nodes = [await ada.file(f"{number}.dcm", b"%d" % number, folder) for number in range(130)]
    for number, node in enumerate(nodes):
        a_block_read(server, node, PatientID="P1", Modality="MR", SeriesInstanceUID=f"1.{number % 3}")
    await make(ada, "Cohorts", "Knees", query="Modality=MR")
    await fill(server)
    found = await inside(ada)
    assert sorted(data for path, data in found.items() if path != "cohort.json") == sorted(
        b"%d" % number for number in range(130)
    )


async def test_without_room_what_fits_no_more_still_goes(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    [first] = await a_series(server, ada, "P1", 1, files=1)
    await say(ada, first, "region", "knee")
    await make(ada, "Cohorts", "Knees")
    await fill(server)
    [second] = await a_series(server, ada, "P2", 1, files=1)
    await say(ada, second, "region", "knee")
    quota_of(server, 1)
    await fill(server)
    [one] = await listed(ada)
    assert (one.files, one.state) == (1, "full")
    await say(ada, first, "region", "hip")
    await fill(server)
    assert (await inside(ada)).keys() == {"cohort.json"}
    quota_of(server, None)
    await fill(server)
    assert {path.partition("/")[0] for path in await inside(ada)} == {"cohort.json", "P2"}
    assert [(one.files, one.state) for one in await listed(ada)] == [(1, "open")]


def quota_of(server: ServiceUnderTest, size: int | None) -> None:
    with server.service.database.writing() as session:
        set_quota(session, "ada", size)


async def test_a_cohort_holds_so_many_files_and_says_so(
    server: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "MAX_COHORT_FILES", 3)
    ada = Person(await server.sign_in("ada"))
    nodes = await a_series(server, ada, "P1", 1, files=4)
    for node in nodes:
        await say(ada, node, "region", "knee")
    await make(ada, "Cohorts", "Knees")
    await fill(server)
    assert [(one.files, one.state) for one in await listed(ada)] == [(3, "full")]
    await delete(ada, nodes[0])
    await fill(server)
    assert [(one.files, one.state) for one in await listed(ada)] == [(3, "open")]


async def test_names_of_patients_lead_nowhere_else(server: ServiceUnderTest) -> None:
    """Where nothing was de-identified they are any text."""
    ada = Person(await server.sign_in("ada"))
    patients = [
        "../../etc",
        "/a/b",
        "CON",
        "..",
        "x" * 64,
        "\u202eevil",
        "P\u00e4r\u0000",
        "Cohorts",
        ". .",
        "a" * 3,
    ]
    for number, patient in enumerate(patients):
        node = await ada.file(f"{number}.dcm", b"%d" % number)
        a_block_read(server, node, PatientID=patient, SeriesInstanceUID=f"1.{number}")
        await say(ada, node, "region", "knee")
    made = await make(ada, "Cohorts", "Knees", query="region=knee")
    await make(ada, "Cohorts", "Knees", "Again", query="region=knee or region=*")  # one in another
    await fill(server)
    found = await inside(ada)
    mine = {path: data for path, data in found.items() if not path.startswith("Again/")}
    assert sorted(data for path, data in mine.items() if path != "cohort.json") == sorted(
        b"%d" % number for number in range(len(patients))
    )
    assert len([path for path in found if path.startswith("Again/") and path.endswith(".dcm")]) == len(
        patients
    )
    for path in mine:
        assert all(refusal(part) is None for part in path.split("/")), path
        assert len(path.split("/")) <= 4
    assert [one.files for one in await listed(ada)] == [len(patients)] * 2
    assert made.state == "open"


async def test_what_is_no_folder_is_refused_and_changes_nothing(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    for path in ([""], ["..", "x"], ["a/b"], ["CON\n"], ["x" * 256], ["x"] * 121, [".mb-sync"], []):
        with pytest.raises(BadRequest):
            await make(ada, *path)
    assert await listed(ada) == []
    await ada.follow()
    assert [state.name for state in ada.known.values() if state.parent == ada.caller.view.root] == []  # type: ignore[union-attr] # she looks at one
