"""Search over HTTP: what is found, in which order, and that nothing else is ever told."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest

from protocol.attributes import Values
from protocol.catalog import Found
from protocol.errors import AccessDenied, BadRequest
from protocol.ids import NodeId, SpaceId
from protocol.messages import Delete, Restore, Revision
from server.catalog.entries import describe, relabel
from server.catalog.labels import Label
from server.catalog.query import parse
from server.catalog.searching import Order, statement
from server.database.tables import AuditRow
from tests.server.hooks.test_intake import put
from tests.server.http.test_labels import a_block_says, say
from tests.server.http.test_sharing import Person
from tests.support.service import ServiceUnderTest, a_service

FIRST = Revision(1, 1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada", "ben", "cleo")) as running:
        yield running


def space_of(server: ServiceUnderTest, node: UUID) -> SpaceId:
    with server.service.database.reading() as session:
        row = (
            session.connection().exec_driver_sql("SELECT space FROM nodes WHERE id = ?", (node.bytes,)).one()
        )
        return SpaceId(row.space)


def a_block_read(
    server: ServiceUnderTest, node: UUID, *, revision: Revision = FIRST, **attributes: str | float
) -> None:
    table: dict[str, Values] = {name: (value,) for name, value in attributes.items()}
    with server.service.database.writing() as session:
        describe(session, space_of(server, node), {NodeId(node): (revision, table)})


async def a_series(
    server: ServiceUnderTest,
    person: Person,
    patient: str,
    number: int,
    *,
    files: int = 2,
    parent: UUID | None = None,
    **more: str | float,
) -> list[UUID]:
    folder = await person.folder(f"{patient}-{number}", parent)
    nodes = []
    for at in range(files):
        name = f"{at}.dcm"
        node = await person.file(name, f"{patient} {number} {at}".encode(), folder)
        given: dict[str, str | float] = {
            "PatientID": patient,
            "StudyInstanceUID": f"1.{patient.strip('P')}",
            "StudyDate": f"20200{patient.strip('P')}01",
            "SeriesInstanceUID": f"1.{patient.strip('P')}.{number}",
            "SeriesNumber": number,
            "InstanceNumber": files - at,
            "Modality": "MR",
        }
        a_block_read(server, node, **(given | more))
        nodes.append(node)
    return nodes


async def find(person: Person, q: str = "", **more: object) -> Found:
    path = f"{person.caller.at}/search?{urlencode({'q': q, **more})}"
    answer: Found = await person.caller.ask("GET", path, answer=Found)
    return answer


async def names(person: Person, q: str = "", **more: object) -> list[str]:
    """Of all pages."""
    told: list[str] = []
    after = ""
    while True:
        page = await find(person, q, **({"limit": 2} | more), after=after)
        told += [item.path or item.patient for item in page.items]
        if not (after := page.next):
            return told


async def test_levels_orders_and_pages(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    for patient in ("P3", "P1", "P2"):
        for number in (2, 1, 10):
            await a_series(server, ada, patient, number, EchoTime=10.0 * number)
    by_patient = [f"/P{patient}-{number}" for patient in (1, 2, 3) for number in (1, 2, 10)]
    assert await names(ada) == by_patient
    assert await names(ada, order="-date") == by_patient[::-1]
    assert await names(ada, "EchoTime=15..100", limit=3) == [
        one for one in by_patient if not one.endswith("-1")
    ]
    assert await names(ada, "PatientID=P2 EchoTime=20", level="file") == ["/P2-2/1.dcm", "/P2-2/0.dcm"]
    assert await names(ada, level="file", limit=1) == [
        f"{series}/{at}.dcm" for series in by_patient for at in (1, 0)
    ]
    studies = await find(ada, level="study", order="date")
    assert [(one.patient, one.series, one.files, one.studies) for one in studies.items] == [
        (f"P{patient}", 3, 6, 1) for patient in (1, 2, 3)
    ]
    assert [one.patient for one in (await find(ada, "EchoTime=20", level="patient")).items] == [
        "P1",
        "P2",
        "P3",
    ]
    first = (await find(ada, limit=1)).items[0]
    assert (first.patient, first.date, first.series_uid, first.files) == ("P1", "20200101", "1.1.1", 2)
    assert (first.attributes["EchoTime"], "InstanceNumber" in first.attributes) == ([10.0], False)
    for wrong in ({"level": "x"}, {"order": "x"}, {"limit": 501}, {"level": "patient", "order": "date"}):
        with pytest.raises(BadRequest):
            await find(ada, **wrong)


async def test_labels_that_count_are_found_and_others_are_not(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    [node, _] = await a_series(server, ada, "P1", 1)
    a_block_says(server, node, Label("region", "knee", "r", 0.9))
    a_block_says(server, node, Label("region", "hip", "r", 0.5), rule=8)
    with server.service.database.writing() as session:
        relabel(session, space_of(server, node), [node.bytes])
    assert await names(ada, "region=knee") == ["/P1-1"]
    assert await names(ada, "region=hip") == []
    await say(ada, node, "region", "wrist")
    assert await names(ada, "region=knee") == []
    found = (await find(ada, "region=wrist Modality=MR", level="file")).items
    assert [(one.path, one.labels) for one in found] == [("/P1-1/0.dcm", {"region": ["wrist"]})]
    await put(ada, node, b"another version")  # what was read of the first counts no more, what she said does
    assert await names(ada, "region=wrist") == ["/P1-1"]
    assert await names(ada, "region=wrist Modality=MR") == []

    notes = await ada.file("notes.txt", b"no image at all")
    assert await names(ada, "about=*") == []
    await say(ada, notes, "about", "protocol of the study")
    assert await names(ada, "about=*", level="file") == ["/notes.txt"]
    assert await names(ada, "proto study", level="file") == ["/notes.txt"]


async def test_what_is_in_the_trash_or_was_moved_out_is_not_found(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("Study")
    nodes = await a_series(server, ada, "P1", 1, parent=study)
    other = await a_series(server, ada, "P2", 1)
    await ada.share(study, "user:ben", "reader")
    ben = await Person(await server.sign_in("ben")).look_at("/Shared/Study")
    assert await names(ben) == ["/P1-1"]
    assert await names(ben, "PatientID=P2") == []
    assert (await find(ben, level="patient")).items[0].files == 2

    await ada.follow()
    await ada.move(other[0], study, "moved in.dcm")
    assert await names(ben, level="file") == ["/P1-1/1.dcm", "/P1-1/0.dcm", "/moved in.dcm"]
    await ada.move(nodes[0], ada.caller.view.root, "moved out.dcm")  # type: ignore[union-attr] # she looks at one
    assert await names(ben, level="file") == ["/P1-1/1.dcm", "/moved in.dcm"]

    await ada.follow()
    [folder] = [node for node, state in ada.known.items() if state.name == "P1-1"]
    state = ada.known[folder]
    await ada.do(
        Delete(node=nodes[1], place_revision=ada.known[nodes[1]].place_revision, content_revision=FIRST)
    )
    assert await names(ben, level="file") == ["/moved in.dcm"]
    await ada.follow()
    await ada.do(
        Restore(node=nodes[1], place_revision=ada.known[nodes[1]].place_revision, parent=folder, name="1.dcm")
    )
    assert state.node == folder
    assert await names(ben, level="file") == ["/P1-1/1.dcm", "/moved in.dcm"]


async def test_who_sees_no_contents_gets_labels_and_counts_alone(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("Study")
    [node, _] = await a_series(server, ada, "P1", 1, parent=study, SeriesDescription="left knee")
    await say(ada, node, "region", "knee")
    await ada.share(study, "user:ben", "metadata")
    ben = await Person(await server.sign_in("ben")).look_at("/Shared/Study")
    for level in ("file", "series", "study", "patient"):
        [item] = (await find(ben, "region=knee", level=level)).items
        assert (item.files, item.labels) == (1, {"region": ["knee"]})
        assert (item.patient, item.study, item.series_uid, item.date, item.path) == ("", "", "", "", "")
        assert (item.node, item.attributes, item.modalities) == (None, {}, [])
    for asks in ("EchoTime=*", "region=knee PatientID=P1", "not Modality=MR"):
        with pytest.raises(AccessDenied):
            await find(ben, asks)
    assert (await find(ben, "left")).items == []
    assert len((await find(ben, "knee")).items) == 1


async def test_nothing_of_an_intake_is_in_the_catalog(tmp_path: Path) -> None:
    from tests.support.intake import an_imaging_project  # noqa: PLC0415 - heavy, and for this test alone

    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        node = await imaging.clinician.file("a.dcm", b"identified")
        a_block_read(imaging.server, node, PatientID="Zweistein")
        await say(imaging.clinician, node, "region", "knee")
        assert (await find(imaging.clinician)).items == []
        with imaging.server.service.database.reading() as session:
            for table in ("catalog_entries", "catalog_files", "catalog_terms"):
                count = session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
                assert count == 0, table


async def test_the_log_says_who_searched_and_by_what_and_no_value(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    await find(ada, "PatientID=Zweistein region=knee")
    with server.service.database.reading() as session:
        [row] = session.query(AuditRow).filter(AuditRow.did == "find")
        assert row.detail == "by PatientID, region, series 0"
        assert row.actor is not None


async def test_every_query_is_answered_by_an_index(server: ServiceUnderTest) -> None:
    queries = (
        *("", "region=knee", "EchoTime=20..80 Modality=MR", "StudyDate=2020..2021", "not region=knee", "kne"),
        "(region=knee or region=hip) sequence!=T1",
    )
    for q, order in itertools.product(queries, Order):
        sql, values = statement(1, parse(q), order, "here", 60)
        with server.service.database.reading() as session:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(values)).all()
        steps = [row[-1] for row in plan]
        assert not [step for step in steps if step.startswith("SCAN") and "USING" not in step], steps
        assert all("USING" in step for step in steps if step.startswith("SEARCH")), steps
