"""Sync codes against a real server: what a whole one opens, what ends it, and that nobody else learns a thing."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
from sqlalchemy import select

from protocol.codes import CodeSecret, code_text, parse_code
from protocol.errors import (
    AccessDenied,
    BadRequest,
    CodeExpired,
    CodeRevoked,
    CodeUsedUp,
    CodeWaiting,
    MedicalBlocksError,
    NotFound,
    NotSignedIn,
    PinNeeded,
    Refused,
    TooManyTries,
    WrongCode,
)
from protocol.ids import UserId
from protocol.limits import MAX_CODE_SECONDS
from protocol.messages import (
    Changes,
    Content,
    DeleteTree,
    Kind,
    Make,
    Moved,
    Part,
    Revision,
    Views,
    Wait,
    WantedContent,
    Watched,
)
from protocol.notices import Notices
from protocol.sharing import CodeMade, Codes, NewCode, Redeem, Redeemed, SyncCode, WhoSees
from server.access.code_news import TOLD_MS, news_of_codes
from server.access.codes import hash_secret
from server.access.redeeming import begin
from server.database.tables import UserRow
from tests.server.http.test_sharing import Person
from tests.support.server import mb_server
from tests.support.service import ServiceUnderTest, a_service, manifest_of
from tests.support.times_apart import tell_apart

LAPTOP = UUID(int=1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada", "ben")) as running:
        yield running
        done = await asyncio.to_thread(mb_server, "check", "--data", running.data)
        assert done.returncode == 0, done.stdout


@pytest.fixture
async def ada(server: ServiceUnderTest) -> Person:
    return Person(await server.sign_in("ada"))


async def make_code(person: Person, node: UUID, **asked: Any) -> CodeMade:
    path = f"{person.caller.at}/nodes/{node}/codes"
    made: CodeMade = await person.caller.ask("POST", path, answer=CodeMade, body=NewCode(**asked))
    return made


async def redeem(
    server: ServiceUnderTest, code: str, *, device: UUID = LAPTOP, pin: str | None = None
) -> Redeemed:
    asked = Redeem(code=code, device=device, device_name="collaborator", pin=pin)
    redeemed: Redeemed = await server.nobody().ask("POST", "/redeem", answer=Redeemed, body=asked)
    return redeemed


async def test_a_browser_gets_a_token_only_where_whoever_made_the_code_allows_it(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")

    async def as_browser(code: str) -> Redeemed:
        asked = Redeem(code=code, device=LAPTOP, device_name="Browser", browser=True)
        redeemed: Redeemed = await server.nobody().ask("POST", "/redeem", answer=Redeemed, body=asked)
        return redeemed

    made = await make_code(ada, study)
    with pytest.raises(Refused, match="is not for browsers"):
        await as_browser(made.secret)
    assert [(one.browse, one.devices) for one in await codes_of(ada)] == [
        (False, [])
    ]  # and it used up no device
    allowed = await make_code(ada, study, browse=True)
    assert (await as_browser(allowed.secret)).name == "Study"
    assert (await redeem(server, allowed.secret)).name == "Study"  # and for programs it is as good as before
    assert {one.code: one.browse for one in await codes_of(ada)} == {made.code: False, allowed.code: True}


async def codes_of(person: Person) -> list[SyncCode]:
    codes: Codes = await person.caller.ask("GET", "/codes", answer=Codes)
    return codes.codes


async def holder_of(server: ServiceUnderTest, code: str, **how: Any) -> Person:
    """Somebody outside who redeemed the code and looks at what it opens."""
    caller = server.nobody()
    caller.token = (await redeem(server, code, **how)).token
    [caller.view] = (await caller.ask("GET", "/views", answer=Views)).views
    return Person(caller)


async def listed(person: Person) -> list[SyncCode]:
    return (await person.caller.ask("GET", "/codes", answer=Codes)).codes


async def refusal(work: Any) -> MedicalBlocksError:
    with pytest.raises(MedicalBlocksError) as caught:
        await work
    return caught.value


# ---- what it opens -----------------------------------------------------------------------------------------


async def test_a_code_opens_one_folder_to_be_read(server: ServiceUnderTest, ada: Person) -> None:
    study = await ada.folder("Study")
    scan = await ada.file("scan.dcm", b"pixels", study)
    await ada.file("diary.txt", b"mine", None)
    made = await make_code(ada, study, label="for Jo")
    redeemed = await redeem(server, made.secret.lower().replace("-", " "))
    assert (redeemed.name, redeemed.label, redeemed.shared_by) == ("Study", "for Jo", "ada")
    assert abs(redeemed.expires_at_ms - time.time() * 1_000 - 30 * 86_400_000) < 60_000

    jo = await holder_of(server, made.secret)
    assert jo.caller.view is not None
    assert (jo.caller.view.root, jo.caller.view.rights) == (study, ["metadata", "read"])
    assert await jo.follow() == ["scan.dcm"]
    assert {state.changed_by for state in jo.known.values()} == {""}
    wanted = WantedContent(parts=[Part(node=scan, revision=Revision(1, 1))])
    status, body, _ = await jo.caller.raw("POST", f"{jo.caller.at}/content", body=wanted)
    assert status == 200
    assert body
    assert (await jo.caller.raw("GET", f"{jo.caller.at}/files/{scan}"))[1] == b"pixels"


async def test_a_holder_cannot_write_look_at_people_or_at_an_account(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    jo = await holder_of(server, (await make_code(ada, study)).secret)
    make = Make(node=uuid4(), parent=study, name="x", content=Content(kind=Kind.FOLDER))
    assert isinstance(await refusal(jo.caller.commit(make)), AccessDenied)
    for method, path in [
        ("GET", f"{jo.caller.at}/nodes/{study}/grants"),
        ("POST", f"{jo.caller.at}/nodes/{study}/codes"),
        ("GET", f"{jo.caller.at}/trash"),
        ("GET", "/devices"),
        ("GET", "/codes"),
    ]:
        body = NewCode() if method == "POST" else None
        assert isinstance(
            await refusal(jo.caller.ask(method, path, answer=Views, body=body)), AccessDenied
        ), path


async def test_what_lies_beside_or_is_shared_within_stays_closed(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    inner = await ada.folder("Inner", study)
    await ada.share(inner, "user:ben", "reader")
    bens = (await Person(await server.sign_in("ben")).views())["/Shared/Inner"].view
    jo = await holder_of(server, (await make_code(ada, study)).secret)
    assert ada.caller.view is not None
    for view in (bens, ada.caller.view.view):
        assert isinstance(
            await refusal(jo.caller.ask("GET", f"/views/{view}/changes", answer=Changes)), NotFound
        )
    assert [view.root for view in (await jo.views()).values()] == [study]


async def test_what_cannot_be_shared_gets_no_code(server: ServiceUnderTest, ada: Person) -> None:
    assert ada.caller.view is not None
    assert isinstance(await refusal(make_code(ada, ada.caller.view.root)), Refused)
    study = await ada.folder("Study")
    await ada.share(study, "user:ben", "editor")
    ben = await Person(await server.sign_in("ben")).look_at("/Shared/Study")
    assert isinstance(await refusal(make_code(ben, study)), AccessDenied)
    for words in (
        ["create", "Nerves", "--template", "imaging"],
        ["grant", "Nerves", "user:ben", "--role", "clinician"],
    ):
        done = await asyncio.to_thread(mb_server, "project", *words, "--data", server.data)
        assert done.returncode == 0, done.stderr
    intake = await ben.look_at("/Projects/Nerves/Intake")
    assert intake.caller.view is not None
    assert isinstance(await refusal(make_code(intake, intake.caller.view.root)), AccessDenied)


@pytest.mark.parametrize("asked", [{"seconds": 0}, {"devices": 0}, {"devices": 1_001}, {"label": "x" * 201}])
async def test_what_is_over_a_bound_gets_no_code(
    server: ServiceUnderTest, ada: Person, asked: dict[str, Any]
) -> None:
    study = await ada.folder("Study")
    assert isinstance(await refusal(make_code(ada, study, **asked)), BadRequest)
    assert isinstance(await refusal(make_code(ada, study, seconds=MAX_CODE_SECONDS + 1)), BadRequest)
    assert await make_code(ada, study, seconds=MAX_CODE_SECONDS, devices=1_000, label="x" * 200)


# ---- who may say what to whom --------------------------------------------------------------------------------


async def test_who_lacks_a_whole_secret_gets_one_answer_whatever_the_reason(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    good, ended = await make_code(ada, study, pin=True), await make_code(ada, study)
    await ada.caller.raw("DELETE", f"/codes/{ended.code}")
    almost = [bytearray(parse_code(made.secret)) for made in (good, ended)]
    for secret in almost:
        secret[-1] ^= 1
    told = {
        (type(error), str(error))
        for code in (
            *(code_text(CodeSecret(bytes(one))) for one in almost),
            code_text(CodeSecret(bytes(16))),
            "x",
            "",
        )
        for error in [await refusal(redeem(server, code, pin="123456"))]
    }
    assert len(told) == 1, told
    assert next(iter(told))[0] is WrongCode


async def test_guesses_are_throttled_and_a_right_code_costs_nothing(
    server: ServiceUnderTest, ada: Person
) -> None:
    made = await make_code(ada, await ada.folder("Study"))
    for _ in range(40):
        await redeem(server, made.secret)
    errors = [await refusal(redeem(server, code_text(CodeSecret(bytes([n] * 16))))) for n in range(1, 40)]
    assert isinstance(errors[0], WrongCode)
    assert isinstance(errors[-1], TooManyTries)
    assert isinstance(await refusal(redeem(server, made.secret)), TooManyTries)


async def test_the_pin_is_asked_for_and_guesses_of_it_are_throttled(
    server: ServiceUnderTest, ada: Person
) -> None:
    made = await make_code(ada, await ada.folder("Study"), pin=True)
    assert len(made.pin) == 6
    assert made.pin.isdigit()
    assert isinstance(await refusal(redeem(server, made.secret)), PinNeeded)
    assert (await redeem(server, made.secret, pin=made.pin)).name == "Study"
    wrong = "000000" if made.pin != "000000" else "000001"
    errors = [await refusal(redeem(server, made.secret, pin=wrong)) for _ in range(7)]
    assert isinstance(errors[0], PinNeeded)
    assert isinstance(errors[-1], TooManyTries)
    assert isinstance(await refusal(redeem(server, made.secret, pin=made.pin)), TooManyTries)


async def test_a_device_counts_once_and_its_older_token_ends(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Study"), devices=2)
    first = await holder_of(server, made.secret)
    again = await holder_of(server, made.secret)
    assert isinstance(await refusal(first.views()), NotSignedIn)
    await redeem(server, made.secret, device=UUID(int=2))
    assert isinstance(await refusal(redeem(server, made.secret, device=UUID(int=3))), CodeUsedUp)
    assert await again.views()


async def test_a_device_waits_until_it_is_let_in(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Study"), approve=True, devices=1)
    for device in (LAPTOP, UUID(int=2)):
        assert isinstance(await refusal(redeem(server, made.secret, device=device)), CodeWaiting)
    [code] = await listed(ada)
    assert [device.waiting for device in code.devices] == [True, True]
    path = f"/codes/{made.code}/devices/"
    let_in = await ada.caller.ask("PUT", path + str(code.devices[0].device), answer=SyncCode)
    assert [device.waiting for device in let_in.devices] == [False, True]
    assert (await redeem(server, made.secret)).name == "Study"
    assert isinstance(
        await refusal(ada.caller.ask("PUT", path + str(code.devices[1].device), answer=SyncCode)), CodeUsedUp
    )
    ben = await server.sign_in("ben")
    assert isinstance(
        await refusal(ben.ask("PUT", path + str(code.devices[1].device), answer=SyncCode)), NotFound
    )


SOON = 5.0  # a quarter of a second is usual, a poll lasts much longer, and the machine may be busy

# ---- what ends it --------------------------------------------------------------------------------------------


async def ended_at_once(holder: Person, ends: Callable[[], Any]) -> MedicalBlocksError:
    """Of a long poll that is open when it ends; the answer to the next request is the same."""
    view = holder.caller.view
    assert view is not None
    await holder.follow()
    wait = Wait(views=[Watched(view=view.view, cursor=holder.cursor)])

    async def poll() -> MedicalBlocksError:
        return await refusal(holder.caller.ask("POST", "/wait", answer=Moved, body=wait))

    async with asyncio.TaskGroup() as group:
        polling = group.create_task(poll())
        await asyncio.sleep(0.1)
        await ends()
        began = time.monotonic()
        error = await polling
        assert time.monotonic() - began < SOON
    assert type(await refusal(holder.views())) is type(error)
    return error


async def test_a_revoked_code_ends_what_is_open(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Study"))
    jo = await holder_of(server, made.secret)
    error = await ended_at_once(jo, lambda: ada.caller.raw("DELETE", f"/codes/{made.code}"))
    assert isinstance(error, CodeRevoked)
    assert made.code in str(error)
    assert isinstance(await refusal(redeem(server, made.secret)), CodeRevoked)


async def test_an_expired_code_ends_what_is_open(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Study"), seconds=2)
    jo = await holder_of(server, made.secret)

    async def until_it_expires() -> None:
        await asyncio.sleep(max(0.0, made.expires_at_ms / 1_000 - time.time()))

    assert isinstance(await ended_at_once(jo, until_it_expires), CodeExpired)
    assert isinstance(await refusal(redeem(server, made.secret)), CodeExpired)


async def test_a_running_download_is_cut_when_its_code_is_revoked(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    # more than the buffers between us hold
    chunks = [random.Random(number).randbytes(4 * 1024 * 1024) for number in range(6)]
    await ada.caller.upload(*chunks)
    scan, content = uuid4(), Content(kind=Kind.FILE, manifest=manifest_of(*chunks))
    await ada.do(Make(node=scan, parent=study, name="large.dcm", content=content))
    made = await make_code(ada, study)
    jo = await holder_of(server, made.secret)
    headers = {"Authorization": f"Bearer {jo.caller.token}"}
    url = f"{server.url}/api/v1{jo.caller.at}/files/{scan}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
        await reply.content.readexactly(1024)
        await ada.caller.raw("DELETE", f"/codes/{made.code}")
        await asyncio.sleep(1.0)
        with pytest.raises(aiohttp.ClientError):
            await reply.read()


async def test_a_code_is_worth_what_its_maker_may_still_give(server: ServiceUnderTest, ada: Person) -> None:
    async def operator(*words: str) -> None:
        done = await asyncio.to_thread(mb_server, *words, "--data", server.data)
        assert done.returncode == 0, done.stderr

    await operator("project", "create", "Nerves")
    await operator("project", "grant", "Nerves", "user:ben", "--role", "owner")
    ben = await Person(await server.sign_in("ben")).look_at("/Projects/Nerves")
    of_project = await make_code(ben, await ben.folder("Data"))
    of_home = await make_code(ada, await ada.folder("Study"))
    jo, mo = await holder_of(server, of_project.secret), await holder_of(server, of_home.secret)
    await operator("project", "grant", "Nerves", "user:ben", "--role", "editor")
    assert isinstance(await refusal(jo.views()), CodeRevoked)
    error = await ended_at_once(mo, lambda: operator("user", "disable", "ada"))
    assert isinstance(error, CodeRevoked)
    await operator("user", "enable", "ada")
    assert await mo.views()


async def test_a_deleted_folder_is_a_share_that_ended(server: ServiceUnderTest, ada: Person) -> None:
    study = await ada.folder("Study")
    made = await make_code(ada, study)
    jo = await holder_of(server, made.secret)
    await ada.follow()
    state = ada.known[study]
    await ada.do(DeleteTree(node=study, place_revision=state.place_revision, cursor=ada.cursor))
    assert await jo.views() == {}
    assert isinstance(await refusal(redeem(server, made.secret)), NotFound)


# ---- looking after them --------------------------------------------------------------------------------------


async def test_the_list_says_who_used_it_when_from_where_and_how_much(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    scan = await ada.file("scan.dcm", b"12345", study)
    made = await make_code(ada, study, label="for Jo", seconds=86_400)
    jo = await holder_of(server, made.secret)
    await jo.caller.raw("GET", f"{jo.caller.at}/files/{scan}")
    for _ in range(100):
        [code] = await listed(ada)
        if code.devices[0].read_bytes:
            break
        await asyncio.sleep(0.1)
    assert (code.code, code.folder, code.label, code.state) == (made.code, "Study", "for Jo", "open")
    [device] = code.devices
    assert (device.name, device.address, device.read_bytes) == ("collaborator", "127.0.0.1", 5)
    assert code.created_at_ms <= device.first_used_at_ms <= device.last_used_at_ms
    await ada.caller.raw("DELETE", f"/codes/{made.code}")
    assert [code.state for code in await listed(ada)] == ["revoked"]
    assert await listed(Person(await server.sign_in("ben"))) == []


async def notices_of(person: Person) -> list[tuple[str, str, str]]:
    told = (await person.caller.ask("GET", "/notices", answer=Notices)).notices
    return [(one.kind, one.code, one.folder) for one in told]


async def test_its_maker_is_told_of_each_first_use_for_a_week(server: ServiceUnderTest, ada: Person) -> None:
    study = await ada.folder("Study")
    made = await make_code(ada, study, label="for Jo")
    assert await notices_of(ada) == []
    await redeem(server, made.secret)
    [notice] = (await ada.caller.ask("GET", "/notices", answer=Notices)).notices
    [code] = await listed(ada)
    assert (notice.kind, notice.code, notice.folder, notice.label) == ("code", made.code, "Study", "for Jo")
    assert (notice.device_name, notice.address) == ("collaborator", "127.0.0.1")
    assert (notice.device, notice.at_ms) == (code.devices[0].device, code.devices[0].first_used_at_ms)
    await redeem(server, made.secret)
    assert len(await notices_of(ada)) == 1
    await redeem(server, made.secret, device=UUID(int=2))
    assert len(await notices_of(ada)) == 2
    assert await notices_of(Person(await server.sign_in("ben"))) == []
    latest = max(device.first_used_at_ms for one in await listed(ada) for device in one.devices)
    with server.service.database.reading() as session:
        user = UserId(UUID(bytes=session.scalars(select(UserRow.id).where(UserRow.name == "ada")).one()))
        assert len(news_of_codes(session, user, now_ms=notice.at_ms + TOLD_MS - 1)) == 2
        assert news_of_codes(session, user, now_ms=latest + TOLD_MS) == []


async def test_a_device_that_waits_is_told_of_until_it_is_let_in_or_the_code_ends(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    for ends in ("approved", "revoked", "expired"):
        made = await make_code(ada, study, approve=True, seconds=3)
        assert isinstance(await refusal(redeem(server, made.secret)), CodeWaiting)
        assert await notices_of(ada) == [("device", made.code, "Study")]
        if ends == "approved":
            [waiting] = next(one.devices for one in await listed(ada) if one.code == made.code)
            await ada.caller.raw("PUT", f"/codes/{made.code}/devices/{waiting.device}")
        elif ends == "revoked":
            await ada.caller.raw("DELETE", f"/codes/{made.code}")
        else:
            await asyncio.sleep(max(0.0, made.expires_at_ms / 1_000 - time.time()))
        assert await notices_of(ada) == []


async def test_who_sees_a_folder_lists_its_codes_and_revokes_them(
    server: ServiceUnderTest, ada: Person
) -> None:
    study = await ada.folder("Study")
    inner = await ada.folder("Inner", study)
    made = await make_code(ada, study, label="for Jo")
    jo = await holder_of(server, made.secret)
    path = f"{ada.caller.at}/nodes/{{}}/grants"
    above = (await ada.caller.ask("GET", path.format(inner), answer=WhoSees)).seers[-1]
    assert (above.who, above.here, above.on) == (f"code:{made.code}", False, "/Study")
    await ada.unshare(study, f"code:{made.code}")
    assert isinstance(await refusal(jo.views()), CodeRevoked)
    assert len((await ada.caller.ask("GET", path.format(study), answer=WhoSees)).seers) == 1


async def test_nobody_revokes_the_code_of_another(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Study"))
    ben = await server.sign_in("ben")
    status, _, _ = await ben.raw("DELETE", f"/codes/{made.code}")
    assert status == 404
    assert await redeem(server, made.secret)


async def test_a_holder_signs_out_and_may_come_back(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Study"), devices=1)
    jo = await holder_of(server, made.secret)
    assert (await jo.caller.raw("POST", "/logout"))[0] == 204
    assert isinstance(await refusal(jo.views()), NotSignedIn)
    assert await holder_of(server, made.secret)


async def test_time_does_not_tell_whether_a_guess_came_near(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Study"))
    near = bytearray(parse_code(made.secret))
    near[-1] ^= 1
    guesses = [hash_secret(CodeSecret(bytes(guess))) for guess in (bytes(16), near)]

    minutes = itertools.count()  # between two guesses, or they would be throttled

    def guess(which: int) -> None:
        error = begin(session, guesses[which], None, address="here", now_ms=next(minutes) * 60_000)
        assert isinstance(error, WrongCode)

    with server.service.database.writing() as session:
        assert not tell_apart(lambda _: guess(0), lambda _: guess(1))
