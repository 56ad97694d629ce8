"""Attacks: somebody with a part of a project, with *metadata* or with a sync code asks for what they may not know."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.errors import AccessDenied, MedicalBlocksError, NotFound
from server.catalog import searching
from server.catalog.query import parse
from server.catalog.searching import Order, statement
from tests.server.hooks.test_intake import put
from tests.server.http.test_codes import holder_of, make_code
from tests.server.http.test_labels import say, told
from tests.server.http.test_search import a_series, by, count, find, names, numbers
from tests.server.http.test_sharing import Person
from tests.support.service import ServiceUnderTest, a_service

QUERIES = (
    "",
    "PatientID=P2",
    "EchoTime=1..99",
    "zweistein",
    "region=hip",
    "not region=knee",
    "StudyDate=2020",
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada", "ben", "cleo")) as running:
        yield running


async def a_shared_folder(server: ServiceUnderTest, role: str) -> tuple[Person, Person, UUID]:
    """ada, who has all, and ben, who has the folder of one series; the node of its first file."""
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("Study")
    [node, _] = await a_series(server, ada, "P1", 1, parent=study, SeriesDescription="left knee")
    await say(ada, node, "region", "knee")
    await ada.share(study, "user:ben", role)
    return ada, await Person(await server.sign_in("ben")).look_at("/Shared/Study"), node


async def pages(person: Person, q: str, **more: object) -> list[int]:
    """How many items each page holds."""
    sizes, after = [], ""
    while True:
        page = await find(person, q, after=after, **more)
        sizes.append(len(page.items))
        if not (after := page.next):
            return sizes


async def test_the_pages_of_a_part_do_not_depend_on_what_lies_outside(
    server: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_ENTRIES", 3)
    ada, ben, _ = await a_shared_folder(server, "reader")
    before = {
        (q, level): await pages(ben, q, level=level) for q in QUERIES for level in ("series", "patient")
    }
    for number in range(1, 9):
        [outside, _] = await a_series(server, ada, "P2", number, EchoTime=20, SeriesDescription="Zweistein")
        await say(ada, outside, "region", "hip")
    assert {key: await pages(ben, key[0], level=key[1]) for key in before} == before
    assert len(await pages(ada, "zweistein")) > 1  # it is bounded where it may be seen


async def test_a_search_in_a_part_reads_nothing_of_what_lies_outside(server: ServiceUnderTest) -> None:
    """By the plan: entries are reached by their numbers only, and terms by a number and a value."""
    for q in QUERIES:
        sql, values = statement(1, parse(q), Order.PATIENT, None, 60, among=[4])
        with server.service.database.reading() as session:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(values)).all()
        touched = [row[-1] for row in plan if "catalog" in row[-1]]
        assert touched
        for step in touched:
            assert "rowid=?" in step or "entry=?" in step, step


async def test_words_of_attributes_lead_nobody_who_may_see_labels_alone(
    server: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_ENTRIES", 3)
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("Study")
    for number in range(1, 6):
        await a_series(server, ada, "P1", number, files=1, parent=study, SeriesDescription="Zweistein")
    await ada.share(study, "user:ben", "metadata")
    ben = await Person(await server.sign_in("ben")).look_at("/Shared/Study")
    assert await pages(ben, "zweistein") == await pages(ben, "quacksalver")
    assert numbers(await count(ben, "zweistein")) == numbers(await count(ben, "quacksalver")) == (0, 0, 0, 0)


async def test_who_may_see_labels_alone_learns_no_order_of_dates(server: ServiceUnderTest) -> None:
    _, ben, _ = await a_shared_folder(server, "metadata")
    for order in ("date", "-date"):
        with pytest.raises(AccessDenied, match="no dates"):
            await find(ben, order=order)
    assert len((await find(ben)).items) == 1


async def test_one_answer_for_what_is_absent_and_what_is_another_s(server: ServiceUnderTest) -> None:
    ada, ben, _ = await a_shared_folder(server, "editor")
    [hidden, _] = await a_series(server, ada, "P2", 1)
    await say(ada, hidden, "region", "hip")
    answers = set()
    for node in (hidden, uuid4()):
        for asks in (lambda node=node: told(ben, node), lambda node=node: say(ben, node, "region", "hip")):
            with pytest.raises(NotFound) as refused:
                await asks()
            answers.add((type(refused.value), str(refused.value)))
    assert len(answers) == 1
    assert "hip" not in by(await count(ben), "region")


async def test_a_code_tells_nobody_s_name(server: ServiceUnderTest) -> None:
    ada, _, node = await a_shared_folder(server, "metadata")
    [study] = [one for one, state in (await followed(ada)).items() if state == "Study"]
    holder = await holder_of(server, (await make_code(ada, study)).secret)
    assert await names(holder, "region=knee", level="file") == ["/P1-1/0.dcm"]
    status, body, _ = await holder.caller.raw("GET", f"{holder.caller.at}/search.csv?q=region=knee")
    assert status == 200
    [line] = csv.DictReader(io.StringIO(body.decode()))
    assert (line["label region"], line["label region by"]) == ("knee", "a person")
    assert "ada" not in body.decode()
    assert await told(holder, node) == {"region": (["knee"], True, "")}


async def followed(person: Person) -> dict[UUID, str]:
    await person.follow()
    return {node: state.name for node, state in person.known.items() if not state.deleted}


async def test_what_older_bytes_said_is_told_no_more(server: ServiceUnderTest) -> None:
    """A patient's number that somebody replaced is a superseded content, which needs the right to versions."""
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("Study")
    [node] = await a_series(server, ada, "Zweistein", 1, files=1, parent=study, StudyDate="20240229")
    await say(ada, node, "region", "knee")
    await ada.share(study, "user:ben", "reader")
    ben = await Person(await server.sign_in("ben")).look_at("/Shared/Study")
    assert (await find(ben)).items[0].patient == "Zweistein"
    await put(ada, node, b"with a pseudonym")
    for level in ("file", "series", "study", "patient"):
        for item in (await find(ben, "region=knee", level=level)).items:
            assert (item.patient, item.study, item.series_uid, item.date) == ("", "", "", "")
    assert numbers(await count(ben)) == (0, 0, 1, 1)
    _, body, _ = await ben.caller.raw("GET", f"{ben.caller.at}/search.csv?q=region=knee")
    [line] = csv.DictReader(io.StringIO(body.decode()))
    assert (line["patient"], line["study"], line["study_date"], line["series"]) == ("", "", "", "")
    assert line["path"].endswith("0.dcm")


async def test_a_cursor_of_one_view_opens_no_other(server: ServiceUnderTest) -> None:
    ada, ben, _ = await a_shared_folder(server, "reader")
    await a_series(server, ada, "P2", 1)
    page = await find(ada, limit=1)
    assert page.next
    with pytest.raises(MedicalBlocksError):
        await find(ben, after=page.next)
