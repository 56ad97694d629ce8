"""What people say of files, over HTTP: who may, what counts, what stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.catalog import LabelKinds, Labels, LabelsChanged, SetLabel, SetLabelKind
from protocol.errors import AccessDenied, BadRequest, NotFound, Refused
from protocol.ids import NodeId
from protocol.limits import MAX_LABEL_KINDS, MAX_LABEL_NAME, MAX_LABEL_VALUE, MAX_LABEL_VALUES
from protocol.messages import Revision
from protocol.resources import Activity
from server.catalog import people
from server.catalog.labels import Label, Source, Version, set_labels
from server.database.session import insert_rows
from server.database.tables import AuditRow, LabelKindRow
from tests.server.hooks.test_intake import put
from tests.server.http.test_sharing import Person
from tests.support.service import ServiceUnderTest, a_service

FIRST = Revision(1, 1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada", "ben", "cleo")) as running:
        yield running


def a_block_says(
    server: ServiceUnderTest, node: UUID, *labels: Label, revision: Revision = FIRST, rule: int = 9
) -> None:
    with server.service.database.writing() as session:
        row = (
            session.connection().exec_driver_sql("SELECT space FROM nodes WHERE id = ?", (node.bytes,)).one()
        )
        source = Source(UUID(int=rule), "classify", "2", bytes(32))
        set_labels(session, Version(row.space, NodeId(node), revision), source, labels, now_ms=1)


async def say(person: Person, node: UUID, name: str, *values: str) -> LabelsChanged:
    path = f"{person.caller.at}/nodes/{node}/labels/{name}"
    answer: LabelsChanged = await person.caller.ask(
        "PUT", path, answer=LabelsChanged, body=SetLabel(values=list(values))
    )
    return answer


async def take_back(person: Person, node: UUID, name: str) -> LabelsChanged:
    path = f"{person.caller.at}/nodes/{node}/labels/{name}"
    answer: LabelsChanged = await person.caller.ask("DELETE", path, answer=LabelsChanged)
    return answer


async def told(person: Person, node: UUID) -> dict[str, tuple[list[str], bool, str]]:
    found = await person.caller.ask("GET", f"{person.caller.at}/nodes/{node}/labels", answer=Labels)
    return {one.name: (one.values, one.by_people, one.who) for one in found.labels}


async def test_a_person_is_right_and_blocks_stay_to_be_seen(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    node = await ada.file("a.dcm", b"one")
    a_block_says(
        server,
        node,
        Label("region", "knee", "body-part", 0.9),
        Label("pathology", "tear", "words", 0.6),
        Label("pathology", "oedema", "words", 0.4),  # two that it found
        Label("side", "left", "laterality", 1.0),
    )
    a_block_says(server, node, Label("region", "hip", "model", 0.4), rule=8)  # another one, less sure
    assert (await told(ada, node)).pop("pathology") == (["oedema", "tear"], False, "")
    await say(ada, node, "pathology")
    await take_back(ada, node, "pathology")
    a_block_says(
        server, node, Label("region", "knee", "body-part", 0.9), Label("side", "left", "laterality", 1.0)
    )
    assert await told(ada, node) == {"region": (["knee"], False, ""), "side": (["left"], False, "")}

    assert await say(ada, node, "region", "wrist") == LabelsChanged(files=1, before=None)
    assert (await told(ada, node))["region"] == (["wrist"], True, "ada")
    a_block_says(server, node, Label("region", "ankle", "body-part", 1.0))  # it ran again
    assert (await told(ada, node))["region"] == (["wrist"], True, "ada")

    await put(ada, node, b"another version")
    assert await told(ada, node) == {"region": (["wrist"], True, "ada")}  # what blocks said was of the first
    a_block_says(server, node, Label("region", "foot", "body-part", 1.0), revision=Revision(1, 2))
    found = await ada.caller.ask("GET", f"{ada.caller.at}/nodes/{node}/labels", answer=Labels)
    [one] = found.labels
    assert ([said.value for said in one.said], one.values) == (["foot"], ["wrist"])

    assert await take_back(ada, node, "region") == LabelsChanged(files=1, before=["wrist"])
    assert await told(ada, node) == {"region": (["foot"], False, "")}
    with pytest.raises(NotFound, match="No person said anything"):
        await take_back(ada, node, "region")
    await say(ada, node, "region")  # nothing of it is right
    assert await told(ada, node) == {"region": ([], True, "ada")}


async def test_a_folder_is_all_files_in_it_now(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    series = await ada.folder("series")
    inside = await ada.folder("more", series)
    nodes = [await ada.file("1.dcm", b"1", series), await ada.file("2.dcm", b"2", inside)]
    beside = await ada.file("3.dcm", b"3")
    assert await say(ada, series, "sequence", "T1", "T2", "T1") == LabelsChanged(files=2, before=None)
    for node in nodes:
        assert (await told(ada, node))["sequence"][0] == ["T1", "T2"]
    assert await told(ada, beside) == {}
    await say(ada, nodes[0], "sequence", "FLAIR")
    assert (await take_back(ada, series, "sequence")).files == 2
    assert await told(ada, nodes[0]) == {}
    empty = await ada.folder("empty")
    with pytest.raises(BadRequest, match="No file lies"):
        await say(ada, empty, "sequence", "T1")


async def test_only_who_may_write_there_says_anything(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    study = await ada.folder("Study")
    node = await ada.file("a.dcm", b"one", study)
    outside = await ada.file("b.dcm", b"two")
    await ada.share(study, "user:ben", "metadata")
    await ada.share(study, "user:cleo", "editor")
    ben = await Person(await server.sign_in("ben")).look_at("/Shared/Study")
    cleo = await Person(await server.sign_in("cleo")).look_at("/Shared/Study")
    await say(cleo, node, "pathology", "tear")
    assert await told(ada, node) == {"pathology": (["tear"], True, "cleo")}
    assert await told(ben, node) == {"pathology": (["tear"], True, "")}  # who said so is for who may read
    with pytest.raises(AccessDenied):
        await say(ben, node, "pathology", "none")
    for reach in (say(cleo, outside, "pathology", "tear"), told(ben, outside), told(cleo, uuid4())):
        with pytest.raises(NotFound):
            await reach
    kinds = f"{cleo.caller.at}/label-kinds/pathology"
    with pytest.raises(AccessDenied, match="whole project or home"):
        await cleo.caller.ask("PUT", kinds, answer=LabelKinds, body=SetLabelKind())


async def test_kinds_say_what_may_be_said(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    node = await ada.file("a.dcm", b"one")
    kinds = f"{ada.caller.at}/label-kinds"
    await ada.caller.ask(
        "PUT", f"{kinds}/grade", answer=LabelKinds, body=SetLabelKind(values=["low", "high"])
    )
    made = await ada.caller.ask("PUT", f"{kinds}/remark", answer=LabelKinds, body=SetLabelKind(max_length=10))
    assert [(one.name, one.values, one.max_length, one.who) for one in made.kinds] == [
        ("grade", ["low", "high"], 200, "ada"),
        ("remark", None, 10, "ada"),
    ]
    await say(ada, node, "grade", "HIGH")
    assert (await told(ada, node))["grade"][0] == ["high"]
    with pytest.raises(BadRequest, match=r"no grade here\. Choose one of low, high"):
        await say(ada, node, "grade", "middling")
    await say(ada, node, "remark", "x" * 10)
    with pytest.raises(BadRequest, match="at most 10"):
        await say(ada, node, "remark", "x" * 11)
    assert (await ada.caller.raw("DELETE", f"{kinds}/grade"))[0] == 204
    await say(ada, node, "grade", "middling")
    with pytest.raises(NotFound):
        await ada.caller.ask("DELETE", f"{kinds}/grade", answer=LabelKinds)


@pytest.mark.parametrize("value", ["", " ", "two\nlines", "\x1b[31m", "x" * 201])
async def test_what_no_label_can_be_is_refused(server: ServiceUnderTest, value: str) -> None:
    ada = Person(await server.sign_in("ada"))
    node = await ada.file("a.dcm", b"one")
    with pytest.raises(BadRequest):
        await say(ada, node, "remark", value)
    for name in ("Region", "a b", "-", "x" * 61):
        with pytest.raises(BadRequest, match="name of a label"):
            await say(ada, node, name.replace(" ", "%20"), "knee")
    assert await told(ada, node) == {}


async def test_labels_up_to_their_bounds(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    node = await ada.file("a.dcm", b"one")
    values = [f"{number:03}" + "ä" * (MAX_LABEL_VALUE - 3) for number in range(MAX_LABEL_VALUES)]
    name = "x" * MAX_LABEL_NAME
    await say(ada, node, name, *values)
    assert (await told(ada, node))[name][0] == values
    with pytest.raises(BadRequest):
        await say(ada, node, name, *values, "one more")
    kinds = f"{ada.caller.at}/label-kinds"
    with server.service.database.writing() as session:
        row = (
            session.connection().exec_driver_sql("SELECT space FROM nodes WHERE id = ?", (node.bytes,)).one()
        )
        insert_rows(
            session,
            LabelKindRow,
            [(row.space, f"kind-{number}", None, 9, bytes(16), 1) for number in range(MAX_LABEL_KINDS - 1)],
        )
    await ada.caller.ask("PUT", f"{kinds}/last", answer=LabelKinds, body=SetLabelKind())
    await ada.caller.ask("PUT", f"{kinds}/last", answer=LabelKinds, body=SetLabelKind(max_length=5))
    with pytest.raises(Refused):
        await ada.caller.ask("PUT", f"{kinds}/one-more", answer=LabelKinds, body=SetLabelKind())


async def test_a_file_has_so_many_labels_and_a_request_so_many(
    server: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "MAX_LABELS_OF_A_FILE", 3)
    monkeypatch.setattr(people, "MAX_LABELS_AT_ONCE", 4)
    ada = Person(await server.sign_in("ada"))
    folder = await ada.folder("Study")
    node, other = await ada.file("a.dcm", b"one", folder), await ada.file("b.dcm", b"two", folder)
    for name in ("one", "two", "three"):
        await say(ada, node, name, "x", "y", "z", "w")
    await say(ada, node, "three", "again")
    for at in (node, folder):
        with pytest.raises(Refused, match="3 names already"):
            await say(ada, at, "four", "x")
    await say(ada, other, "four", "x")
    await take_back(ada, node, "one")
    await say(ada, folder, "four", "x", "y")
    with pytest.raises(BadRequest, match="3 values for 2 files"):
        await say(ada, folder, "four", "x", "y", "z")
    assert set(await told(ada, node)) == {"two", "three", "four"}


async def test_the_log_names_the_label_and_never_its_value(server: ServiceUnderTest) -> None:
    ada = Person(await server.sign_in("ada"))
    node = await ada.file("a.dcm", b"one")
    await say(ada, node, "remark", "a-name-maybe")
    await take_back(ada, node, "remark")
    with server.service.database.reading() as session:
        rows = session.query(AuditRow).filter(AuditRow.did == "label").all()
        assert [row.detail for row in rows] == ["set remark", "remove remark"]
        assert all(row.actor is not None and node.bytes in row.nodes for row in rows)
    deeds = (await ada.caller.ask("GET", f"{ada.caller.at}/activity", answer=Activity)).items
    assert ("label", "/a.dcm", "ada") in [(deed.did, deed.path, deed.who) for deed in deeds]
