"""Search over HTTP: what is found, in which order, and that nothing else is ever told."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest

from protocol.attributes import Values
from protocol.catalog import CountedValue, Counts, Found
from protocol.errors import AccessDenied, BadRequest
from protocol.ids import NodeId, SpaceId
from protocol.messages import Delete, Restore, Revision
from server.catalog import export
from server.catalog.entries import describe, relabel
from server.catalog.export import harmless
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


# ---- counts and tables -------------------------------------------------------------------------------------


async def count(person: Person, q: str = "") -> Counts:
    answer: Counts = await person.caller.ask(
        "GET", f"{person.caller.at}/counts?{urlencode({'q': q})}", answer=Counts
    )
    return answer


def numbers(one: Counts | CountedValue) -> tuple[int, int, int, int]:
    return one.patients, one.studies, one.series, one.files


def by(told: Counts, name: str) -> dict[str, tuple[int, int, int, int]]:
    return {value.value: numbers(value) for one in told.by if one.name == name for value in one.values}


async def test_each_is_told_the_numbers_of_what_they_may_see(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("Study")
    first = await a_series(server, ada, "P1", 1, parent=study)
    second = await a_series(server, ada, "P1", 2, Modality="CT", parent=study)
    outside = await a_series(server, ada, "P2", 1)
    notes = await ada.file("notes.txt", b"notes", study)
    for node, region in ((first[0], "knee"), (second[0], "knee"), (outside[0], "hip"), (notes, "knee")):
        await say(ada, node, "region", region)
    told = await count(ada)
    assert numbers(told) == (2, 2, 4, 7)
    assert by(told, "Modality") == {"MR": (2, 2, 2, 4), "CT": (1, 1, 1, 2)}
    assert by(told, "region") == {"knee": (1, 1, 3, 3), "hip": (1, 1, 1, 1)}
    assert numbers(await count(ada, "Modality=CT")) == (1, 1, 1, 2)
    assert by(await count(ada, "region=knee"), "Modality") == {"MR": (1, 1, 1, 1), "CT": (1, 1, 1, 1)}

    for user, role in (("ben", "reader"), ("cleo", "metadata")):
        await ada.share(study, f"user:{user}", role)
        person = await Person(await server.sign_in(user)).look_at("/Shared/Study")
        seen = await count(person)
        assert numbers(seen) == (1, 1, 3, 5)
        assert by(seen, "region") == {"knee": (1, 1, 3, 3)}
    with pytest.raises(AccessDenied):
        await count(person, "Modality=CT")
    await ada.follow()
    place = ada.known[first[0]].place_revision
    await ada.do(Delete(node=first[0], place_revision=place, content_revision=FIRST))
    assert by(await count(ada), "region") == {"knee": (1, 1, 2, 2), "hip": (1, 1, 1, 1)}


async def test_the_labels_that_count_are_counted_whoever_said_them(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    nodes = await a_series(server, ada, "P1", 1, files=5)
    for node in nodes:
        a_block_says(server, node, Label("region", "knee", "r", 0.9), Label("side", "left", "r", 0.9))
        a_block_says(server, node, Label("region", "hip", "r", 0.5), Label("side", "right", "r", 0.9), rule=8)
    await say(ada, nodes[0], "region", "wrist", "hand")
    await say(ada, nodes[1], "region")  # none of them is right
    await put(ada, nodes[2], b"of which no block has said anything")
    told = await count(ada)
    assert by(told, "region") == {"knee": (1, 1, 1, 2), "wrist": (1, 1, 1, 1), "hand": (1, 1, 1, 1)}
    assert by(told, "side") == {"left": (1, 1, 1, 4)}
    assert numbers(told) == (1, 1, 1, 5)
    narrowed = await count(ada, "PatientID=P1 or region=*")  # counted the other way, file by file
    assert by(narrowed, "region") == by(told, "region")
    assert by(narrowed, "side") == by(told, "side")


async def test_a_table_says_where_it_came_from_and_holds_no_formula(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("=Study")
    [node, _] = await a_series(
        server, ada, "P1", 1, parent=study, EchoTime=-3.5, SeriesDescription="=cmd|' /C calc'!A0"
    )
    await say(ada, node, "remark", "+49 30", "@home")
    a_block_says(server, node, Label("region", "knee", "body-part", 0.9))
    status, body, headers = await ada.caller.raw("GET", f"{ada.caller.at}/search.csv?q=remark=*")
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    [line] = csv.DictReader(io.StringIO(body.decode()))
    assert (line["patient"], line["study_date"], line["node"]) == ("P1", "20200101", str(node))
    assert line["path"] == "/=Study/P1-1/0.dcm"
    assert line["SeriesDescription"] == "'=cmd|' /C calc'!A0"
    assert line["EchoTime"] == "-3.5"
    assert (line["label remark"], line["label remark by"]) == ("'+49 30;' @home", "user:ada")
    assert (line["label region"], line["label region by"]) == ("knee", "classify 2 body-part")
    assert line["made_by"] == ""
    assert line["version"] == "1.1"
    await ada.share(study, "user:ben", "metadata")
    ben = await Person(await server.sign_in("ben")).look_at("/Shared/=Study")
    assert (await ben.caller.raw("GET", f"{ben.caller.at}/search.csv"))[0] == 403


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@a",
        "\tx",
        "\rx",
        "-",
        "=",
        "+a",
        "-nan",
        "+inf",
        "-1_0",
        " =1",
        "\n=1",
        ";=1",
        "\uff1d1",
    ],
)
def test_what_a_spreadsheet_would_run_is_text(cell: str) -> None:
    assert harmless(cell) in ("'" + cell, "'" + cell[0] + "'" + cell[1:])


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("knee; =cmd|' /C calc'!A0", "knee;' =cmd|' /C calc'!A0"),
        ("one\n@two\r\n+three", "one\n'@two\r\n'+three"),
        ("-3.5; -4; +1e3", "-3.5; -4; +1e3"),
        ("t1, +C", "t1, +C"),
    ],
)
def test_also_where_a_spreadsheet_of_another_language_cuts_a_cell(cell: str, text: str) -> None:
    assert harmless(cell) == text


async def test_bytes_that_are_no_text_are_no_trouble(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    for q in ("%ED%A0%80", "region=%00", "%FF%FE", "region=%F4%8F%BF%BF*", "a=%E2%80%AE", "%25"):
        for what in ("search", "counts", "search.csv"):
            assert (await ada.caller.raw("GET", f"{ada.caller.at}/{what}?q={q}"))[0] in (200, 400)


async def test_a_table_holds_any_text_and_has_an_end(
    server: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = Person(await server.sign_in("ada"))
    odd = 'a "b", \u202e\u00e4\U0001f9b4\u3000;\n=1'
    nodes = await a_series(server, ada, "P1", 1, SeriesDescription=odd, StudyDescription="x" * 5_000)
    await say(ada, nodes[0], "remark", "\U0001f9b4 M\u00fcller; =1+1")
    _, body, _ = await ada.caller.raw("GET", f"{ada.caller.at}/search.csv")
    first, second = csv.DictReader(io.StringIO(body.decode(), newline=""))
    assert first["SeriesDescription"] == odd.replace("=1", "'=1")
    assert {first["label remark"], second["label remark"]} == {"\U0001f9b4 M\u00fcller;' =1+1", ""}
    assert len(first["StudyDescription"]) == 5_000
    monkeypatch.setattr(export, "MAX_EXPORTED", 2)
    assert (await ada.caller.raw("GET", f"{ada.caller.at}/search.csv"))[0] == 200
    monkeypatch.setattr(export, "MAX_EXPORTED", 1)
    status, body, _ = await ada.caller.raw("GET", f"{ada.caller.at}/search.csv")
    assert (status, b"More than 1 files fit" in body) == (409, True)


@pytest.mark.parametrize("cell", ["", "a=b", "-1", "+2.5", "-1e3", "1-2"])
def test_and_all_else_is_as_it_was(cell: str) -> None:
    assert harmless(cell) == cell
