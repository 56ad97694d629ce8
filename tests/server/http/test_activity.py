"""Who did what, told to those who may see it: nothing outside a view is told of, not even counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from protocol.errors import AccessDenied, BadRequest
from protocol.messages import (
    Changes,
    Content,
    Delete,
    Kind,
    Make,
    Move,
    NodeState,
    Part,
    Revision,
    WantedContent,
)
from protocol.resources import Activity, Deed
from protocol.sharing import CodeMade, NewCode, Redeem
from server.audit.rows import Did, Entry, pack_nodes, record
from server.database.tables import ViewRow
from server.spaces.activity import LOOK_AT_ROWS
from tests.server.http.test_sharing import Person
from tests.support.service import ServiceUnderTest, a_service

FIRST = Revision(1, 1)
FOLDER = Content(kind=Kind.FOLDER)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada", "ben", "cleo", "dan")) as running:
        yield running


async def page(person: Person, **asked: object) -> Activity:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    found: Activity = await person.caller.ask("GET", f"{person.caller.at}/activity?{query}", answer=Activity)
    return found


async def told(person: Person, **asked: object) -> list[Deed]:
    return (await page(person, **asked)).items


def short(deeds: list[Deed]) -> list[tuple[str, str, str, int]]:
    return [(deed.who, deed.did, deed.path, deed.count) for deed in deeds]


@pytest.fixture
async def ada(server: ServiceUnderTest) -> Person:
    return Person(await server.sign_in("ada"))


async def a_member(server: ServiceUnderTest, name: str) -> Person:
    return await Person(await server.sign_in(name)).look_at("/Shared/Study")


async def feed(person: Person) -> list[NodeState]:
    found: Changes = await person.caller.ask("GET", f"{person.caller.at}/changes", answer=Changes)
    return found.nodes


async def test_much_of_one_kind_is_told_as_one_by_the_folder_it_lies_in(ada: Person) -> None:
    study = await ada.folder("Study")
    cohort = await ada.folder("Cohort A", study)
    for number in range(5):
        await ada.file(f"scan {number}", b"bytes", cohort)
    [deed] = await told(ada, kind="changes", node=cohort)
    assert (deed.who, deed.did, deed.device, deed.path, deed.count) == (
        "ada",
        "import",
        "laptop",
        "/Study/Cohort A",
        6,
    )
    assert deed.since_ms <= deed.at_ms
    assert short(await told(ada)) == [("ada", "import", "/Study", 7)]


async def test_a_member_is_told_of_changes_in_the_folder_and_an_owner_of_the_rest_too(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    scan = await ada.file("scan", b"bytes", study)
    await ada.file("diary of ada", b"mine", await ada.folder("private"))
    await ada.share(study, "user:ben", "editor")
    await ada.share(study, "user:cleo", "reader")
    await ada.share(study, "user:dan", "metadata")
    ben, cleo, dan = [await a_member(server, name) for name in ("ben", "cleo", "dan")]
    await ben.file("report", b"of ben", study)
    await cleo.caller.fetch(WantedContent(parts=[Part(node=scan, revision=FIRST)]))

    changes = [("ben", "import", "/report", 1), ("ada", "import", "/", 2)]
    assert short(await told(ben)) == short(await told(cleo)) == changes
    with pytest.raises(AccessDenied):
        await told(dan)
    assert {one.changed_by for one in await feed(cleo)} == {"ada on laptop", "ben on laptop"}
    assert {one.changed_by for one in await feed(dan)} == {""}, "the feed tells no more than the list"
    for kind in ("reads", "rights", "denials"):
        with pytest.raises(AccessDenied):
            await told(cleo, kind=kind)

    assert short(await told(ada, kind="reads")) == [("cleo", "read", "/Study/scan", 1)]
    rights = await told(ada, kind="rights")
    assert [(deed.path, deed.detail) for deed in rights] == [
        ("/Study", "metadata to user:dan"),
        ("/Study", "reader to user:cleo"),
        ("/Study", "editor to user:ben"),
    ]
    await ada.unshare(study, "user:cleo")
    assert (await told(ada, kind="rights"))[0].detail == "from user:cleo"


async def test_what_lies_outside_or_has_left_is_told_of_to_nobody_else(
    server: ServiceUnderTest, ada: Person
) -> None:
    study, private = await ada.folder("Study"), await ada.folder("private")
    secret = await ada.file("secret", b"1", study)
    stays = await ada.file("stays", b"2", study)
    await ada.share(study, "user:cleo", "reader")
    cleo = await a_member(server, "cleo")
    assert short(await told(cleo)) == [("ada", "import", "/", 3)]
    await ada.do(Move(node=secret, place_revision=FIRST, parent=private, name="secret"))
    assert short(await told(cleo)) == [("ada", "import", "/", 2)]
    assert await told(cleo, node=secret) == []
    assert await told(cleo, node=private) == []
    assert short(await told(ada, node=private, kind="changes")) == [
        ("ada", "move", "/private/secret", 1),
        ("ada", "import", "/private", 2),
    ]
    await ada.do(Delete(node=stays, content_revision=FIRST, place_revision=FIRST))
    assert short(await told(cleo)) == [("ada", "import", "/", 1)]  # the trash is not theirs to see
    assert ("ada", "delete", "/Study/stays", 1) in short(await told(ada))


async def test_an_owner_is_told_who_used_a_code_from_where_and_whoever_holds_it_nothing(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    made = await ada.caller.ask(
        "POST", f"{ada.caller.at}/nodes/{study}/codes", answer=CodeMade, body=NewCode(label="Basel")
    )
    holder = server.nobody()
    redeem = Redeem(code=made.secret, device=UUID(int=9), device_name="Jo's laptop")
    status, body, headers = await holder.raw("POST", "/redeem", body=redeem)
    assert status == 200
    redeemed = holder.decode(body, headers, dict)
    holder.token = redeemed["token"]
    [used, first] = await told(ada, kind="rights")
    assert (used.who, used.device, used.path) == (f"code:{made.code}", "Jo's laptop", "/Study")
    assert (first.who, first.detail) == ("ada", f"made {made.code}")
    assert (await ada.caller.raw("DELETE", f"/codes/{made.code}"))[0] == 204
    assert (await told(ada, kind="rights"))[0].detail == f"revoked {made.code}"


async def test_an_owner_is_told_what_was_refused(server: ServiceUnderTest, ada: Person) -> None:
    study = await ada.folder("Study")
    await ada.share(study, "user:cleo", "reader")
    cleo = await a_member(server, "cleo")
    with pytest.raises(AccessDenied):
        await cleo.caller.ask("GET", f"{cleo.caller.at}/trash", answer=Activity)
    for _ in range(600):  # they are written down each second
        if denials := await told(ada, kind="denials"):
            break
        await asyncio.sleep(0.05)
    [deed] = denials
    assert (deed.who, deed.result, deed.detail) == ("cleo", "denied", "GET /api/v1/views/{view}/trash")


async def test_pages_together_tell_everything_once(ada: Person) -> None:
    study = await ada.folder("Study")
    for number in range(4):
        node = await ada.file(f"{number}", b"bytes", study)
        await ada.do(Move(node=node, place_revision=FIRST, parent=study, name=f"{number} moved"))
    found: list[Deed] = []
    before = ""
    for _ in range(50):
        one = await page(ada, limit=1, before=before)
        found += one.items
        before = one.next
        if not before:
            break
    assert sum(deed.count for deed in found) == 9
    assert {deed.did for deed in found} == {"import", "move"}


async def test_a_place_in_the_log_is_sealed_and_for_its_view_alone(
    server: ServiceUnderTest, ada: Person
) -> None:
    await ada.folder("Study")
    ben = Person(await server.sign_in("ben"))
    await ben.do(Make(node=UUID(int=77), parent=ben.caller.view.root, name="x", content=FOLDER))  # type: ignore[union-attr]
    await ada.folder("Other")
    node = await ada.file("f", b"f")
    await ada.do(Move(node=node, place_revision=FIRST, parent=ada.caller.view.root, name="g"))  # type: ignore[union-attr]
    following = (await page(ada, limit=1)).next
    assert following
    with pytest.raises(BadRequest):
        await told(ben, before=following)
    for wrong in ("1", "x" * 50, following[:-2] + "AA"):
        with pytest.raises(BadRequest):
            await told(ada, before=wrong)
    with pytest.raises(BadRequest):
        await told(ada, kind="gossip")


async def test_a_page_looks_at_a_bounded_stretch_of_the_log_and_says_that_there_is_more(
    server: ServiceUnderTest, ada: Person
) -> None:
    await ada.folder("Study")
    with server.service.database.writing() as session:
        assert ada.caller.view is not None
        home = select(ViewRow.space).where(ViewRow.id == ada.caller.view.view.bytes)
        space = session.scalars(home).one()
        noise = Entry(1, Did.READ, space=space, nodes=pack_nodes([(bytes(16), 1, 1)]))
        record(session, [noise] * (LOOK_AT_ROWS + 1))
    first = await page(ada)
    assert first.items == []
    second = await page(ada, before=first.next)
    assert short(second.items) == [("ada", "import", "/Study", 1)]
    assert second.next == ""
