"""Every resource over real HTTP, in both codecs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from protocol.errors import (
    BadRequest,
    NotFound,
    NotSignedIn,
    Refused,
    ServerFault,
    TooLarge,
    TooManyTries,
    WrongPassword,
)
from protocol.frames import HEAD, encode_frames, end_of_stream, frame_of
from protocol.ids import ChunkId
from protocol.messages import (
    FRAMES,
    JSON,
    MSGPACK,
    Changes,
    Content,
    Delete,
    Hello,
    Kind,
    Login,
    Make,
    Missing,
    Part,
    Put,
    Revision,
    SignedIn,
    Stored,
    ToUpload,
    Views,
    WantedContent,
)
from protocol.resources import Devices, Listing, Trash, Versions
from tests.support.server import PASSWORD
from tests.support.service import Caller, ServiceUnderTest, a_service, manifest_of

FIRST = Revision(1, 1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data") as running:
        yield running


@pytest.fixture(params=[JSON, MSGPACK], ids=["json", "msgpack"])
async def ada(server: ServiceUnderTest, request: pytest.FixtureRequest) -> Caller:
    return await server.sign_in("ada", codec=request.param)


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# ---- hello, login, devices -------------------------------------------------------------------------------


async def test_hello_says_versions_and_limits_to_anyone(server: ServiceUnderTest) -> None:
    for codec in (JSON, MSGPACK):
        hello = await server.nobody(codec).ask("GET", "/hello", answer=Hello)
        assert (hello.product, hello.protocol) == ("medical-blocks", 1)
        assert hello.server_id == server.service.server_id


async def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(server: ServiceUnderTest) -> None:
    told = []
    for user in ("ada", "nobody"):
        login = Login(user=user, password="not the password", device=uuid4(), device_name="laptop")
        with pytest.raises(WrongPassword) as error:
            await server.nobody().ask("POST", "/login", answer=SignedIn, body=login)
        told.append(str(error.value))
    assert told[0] == told[1]


async def test_guessing_is_slowed_down_and_says_for_how_long(server: ServiceUnderTest) -> None:
    login = Login(user="ada", password="not the password", device=uuid4(), device_name="laptop")
    for _ in range(5):
        with pytest.raises(WrongPassword):
            await server.nobody().ask("POST", "/login", answer=SignedIn, body=login)
    status, _, headers = await server.nobody().raw("POST", "/login", body=login)
    assert status == 429
    assert int(headers["Retry-After"]) >= 1
    with pytest.raises(TooManyTries):
        await server.nobody().ask("POST", "/login", answer=SignedIn, body=login)


async def test_a_device_of_another_user_is_refused(server: ServiceUnderTest) -> None:
    ada = await server.sign_in("ada")
    assert ada.signed_in is not None
    with pytest.raises(Refused):
        await server.sign_in("ben", device=ada.signed_in.device)


async def test_devices_are_listed_and_a_revoked_one_is_out(server: ServiceUnderTest, ada: Caller) -> None:
    other = await server.sign_in("ada")
    listed = (await ada.ask("GET", "/devices", answer=Devices)).devices
    assert len(listed) == 2
    [mine] = [device for device in listed if device.current]
    [theirs] = [device for device in listed if not device.current]
    assert ada.signed_in is not None
    assert mine.device == ada.signed_in.device
    status, body, _ = await ada.raw("DELETE", f"/devices/{theirs.device}")
    assert (status, body) == (204, b"")
    with pytest.raises(NotSignedIn):
        await other.ask("GET", "/views", answer=Views)


async def test_nobody_revokes_the_device_of_another_user(server: ServiceUnderTest) -> None:
    ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
    assert ada.signed_in is not None
    with pytest.raises(NotFound):
        await ben.ask("DELETE", f"/devices/{ada.signed_in.device}", answer=None)
    assert (await ada.raw("GET", "/views"))[0] == 200


async def test_after_logout_the_token_is_dead(ada: Caller) -> None:
    assert (await ada.raw("POST", "/logout"))[0] == 204
    with pytest.raises(NotSignedIn):
        await ada.ask("GET", "/views", answer=Views)


# ---- chunks, commit, feed --------------------------------------------------------------------------------


async def test_a_file_goes_up_and_comes_back(ada: Caller) -> None:
    """missing, chunks, commit, changes, content: one whole way through the server."""
    chunks = [random.Random(n).randbytes(300_000 + n) for n in range(3)]
    assert ada.view is not None
    asked = Missing(chunks=b"".join(map(digest, chunks)))
    assert (await ada.ask("POST", f"{ada.at}/missing", answer=ToUpload, body=asked)).wanted == [0, 1, 2]
    assert await ada.upload(*chunks) == Stored(stored=3)
    assert (await ada.ask("POST", f"{ada.at}/missing", answer=ToUpload, body=asked)).wanted == []
    node = uuid4()
    content = Content(kind=Kind.FILE, manifest=manifest_of(*chunks), mtime_ns=-1, executable=True)
    [done] = await ada.commit(Make(node=node, parent=ada.view.root, name="scan.dcm", content=content))
    assert done.status == "done"
    page = await ada.ask("GET", f"{ada.at}/changes?after={ada.view.cursor}", answer=Changes | None)
    assert isinstance(page, Changes)
    [state] = page.nodes
    assert (state.node, state.name, state.content, page.more) == (node, "scan.dcm", content, False)
    assert done.content_revision is not None
    whole = Part(node=node, revision=done.content_revision)
    some = Part(node=node, revision=done.content_revision, positions=[2, 0])
    wanted = WantedContent(parts=[whole, some])
    assert await ada.fetch(wanted) == [*chunks, chunks[2], chunks[0]]


async def test_pages_of_the_feed_lead_on_and_end(ada: Caller) -> None:
    assert ada.view is not None
    folder = Content(kind=Kind.FOLDER)
    nodes = [Make(node=uuid4(), parent=ada.view.root, name=f"f{n}", content=folder) for n in range(7)]
    assert {result.status for result in await ada.commit(*nodes)} == {"done"}
    cursor, seen, pages = ada.view.cursor, [], 0
    while True:
        page = await ada.ask("GET", f"{ada.at}/changes?after={cursor}&limit=3", answer=Changes)
        seen += [state.node for state in page.nodes]
        cursor, pages = page.cursor, pages + 1
        if not page.more:
            break
    assert sorted(seen) == sorted(node.node for node in nodes)
    assert pages >= 3
    again = await ada.ask("GET", f"{ada.at}/changes?after={cursor}", answer=Changes)
    assert (again.nodes, again.more) == ([], False)


async def test_a_damaged_chunk_is_told_and_not_kept(ada: Caller) -> None:
    good, bad = frame_of(ChunkId(digest(b"good")), b"good"), frame_of(ChunkId(digest(b"bad")), b"BAD")
    body = HEAD + encode_frames([bad, good]) + end_of_stream(2)
    stored = await ada.ask(
        "POST", f"{ada.at}/chunks", answer=Stored, data=body, headers={"Content-Type": FRAMES}
    )
    assert stored == Stored(stored=1, damaged=[0])
    asked = Missing(chunks=digest(b"bad") + digest(b"good"))
    assert (await ada.ask("POST", f"{ada.at}/missing", answer=ToUpload, body=asked)).wanted == [0]


async def test_a_stream_that_was_cut_or_is_no_stream_is_refused(ada: Caller) -> None:
    whole = HEAD + encode_frames([frame_of(ChunkId(digest(b"good")), b"good")])
    for body in (whole, b"", b"nonsense" * 100, HEAD + b"\x00" * 41):
        with pytest.raises(BadRequest):
            await ada.ask(
                "POST", f"{ada.at}/chunks", answer=Stored, data=body, headers={"Content-Type": FRAMES}
            )
    with pytest.raises(BadRequest):
        await ada.ask("POST", f"{ada.at}/chunks", answer=Stored, data=b"x", headers={"Content-Type": JSON})


async def test_a_stranger_cannot_name_or_fetch_what_she_did_not_upload(server: ServiceUnderTest) -> None:
    ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
    assert ben.view is not None
    secret = b"a secret of ada's"
    node = await ada.put_file("secret.txt", secret)
    asked = Missing(chunks=digest(secret))
    assert (await ben.ask("POST", f"{ben.at}/missing", answer=ToUpload, body=asked)).wanted == [0]
    content = Content(kind=Kind.FILE, manifest=manifest_of(secret))
    [result] = await ben.commit(Make(node=uuid4(), parent=ben.view.root, name="x", content=content))
    assert result.status == "missing-chunks"
    with pytest.raises(NotFound):
        await ben.fetch(WantedContent(parts=[Part(node=node, revision=FIRST)]))


# ---- versions, trash, list -------------------------------------------------------------------------------


async def test_versions_of_a_file_are_listed_and_each_can_be_fetched(ada: Caller) -> None:
    node = await ada.put_file("notes.txt", b"one")
    await ada.upload(b"two")
    content = Content(kind=Kind.FILE, manifest=manifest_of(b"two"))
    [done] = await ada.commit(Put(node=node, content_revision=FIRST, content=content))
    assert done.content_revision is not None
    versions = (await ada.ask("GET", f"{ada.at}/nodes/{node}/versions", answer=Versions)).versions
    assert [(version.revision, version.current) for version in versions] == [
        (done.content_revision, True),
        (FIRST, False),
    ]
    old = await ada.ask("GET", f"{ada.at}/nodes/{node}/versions/1.1", answer=Content)
    assert old.manifest == manifest_of(b"one")
    assert await ada.fetch(WantedContent(parts=[Part(node=node, revision=FIRST)])) == [b"one"]
    with pytest.raises(NotFound):
        await ada.ask("GET", f"{ada.at}/nodes/{node}/versions/1.99", answer=Content)
    with pytest.raises(BadRequest):
        await ada.ask("GET", f"{ada.at}/nodes/{node}/versions/latest", answer=Content)


async def test_a_deleted_file_lies_in_the_trash(ada: Caller) -> None:
    node = await ada.put_file("old.txt", b"old")
    [done] = await ada.commit(Delete(node=node, place_revision=FIRST, content_revision=FIRST))
    assert done.status == "done"
    [item] = (await ada.ask("GET", f"{ada.at}/trash", answer=Trash)).items
    assert (item.node, item.path, item.size) == (node, "/old.txt", 3)


async def test_a_folder_is_listed_by_its_path(ada: Caller) -> None:
    assert ada.view is not None
    folder = uuid4()
    await ada.commit(
        Make(node=folder, parent=ada.view.root, name="Study Ä", content=Content(kind=Kind.FOLDER))
    )
    node = await ada.put_file("a.dcm", b"12345", parent=folder)
    listing = await ada.ask("GET", f"{ada.at}/list?path=/Study%20%C3%84", answer=Listing)
    [item] = listing.items
    assert (item.node, item.name, item.size, item.kind) == (node, "a.dcm", 5, Kind.FILE)
    assert (await ada.ask("GET", f"{ada.at}/list", answer=Listing)).node == ada.view.root
    with pytest.raises(NotFound):
        await ada.ask("GET", f"{ada.at}/list?path=/nowhere", answer=Listing)


# ---- what is not understood ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "data", "kind"),
    [
        ("POST", "/login", b"{", JSON),
        ("POST", "/login", b"\xc1", MSGPACK),
        ("POST", "/login", b"", JSON),
        ("POST", "/login", b'{"user": "a"}', JSON),
        ("POST", "/login", b"[" * 100_000, JSON),
        ("POST", "/login", b"\x91" * 100_000, MSGPACK),
        ("POST", "/login", b"user=a", "application/x-www-form-urlencoded"),
        ("POST", "/login", b"\xdd\xff\xff\xff\xff", MSGPACK),
        ("POST", "/views/{view}/missing", b'{"chunks": "AAAA"}', JSON),
        ("POST", "/views/{view}/missing", b'{"chunks": "", "extra": 1}', JSON),
        ("POST", "/views/{view}/commit", b'{"ops": []}', JSON),
        ("GET", "/views/{view}/changes?limit=0", None, JSON),
        ("GET", "/views/{view}/changes?limit=99999", None, JSON),
        ("GET", "/views/{view}/changes?limit=x", None, JSON),
        ("GET", "/views/{view}/changes?after=x", None, JSON),
        ("GET", "/views/{view}/changes?lmit=5", None, JSON),
        ("GET", "/views/nonsense/changes", None, JSON),
        ("GET", "/views/{view}/files/nonsense", None, JSON),
        ("GET", "/views/{view}/trash?after=%FF%00", None, JSON),
        ("GET", "/views/{view}/list?path=%00%FF", None, JSON),
        ("GET", "/nonsense", None, JSON),
        ("PUT", "/views", None, JSON),
    ],
)
async def test_what_makes_no_sense_is_told_in_one_sentence(
    server: ServiceUnderTest, method: str, path: str, data: bytes | None, kind: str
) -> None:
    ada = await server.sign_in("ada", codec=JSON)
    assert ada.view is not None
    path = path.replace("{view}", str(ada.view.view))
    with pytest.raises((BadRequest, NotFound)) as told:
        await ada.ask(
            method, path, answer=None, data=data, headers={"Content-Type": kind} if data is not None else None
        )
    assert not isinstance(told.value, ServerFault)
    assert len(str(told.value)) < 400


async def test_a_message_over_its_limit_is_refused_with_or_without_a_length(ada: Caller) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    for data in (b" " * (1024 * 1024 + 1), endless()):
        with pytest.raises(TooLarge):
            await ada.ask("POST", "/wait", answer=None, data=data, headers={"Content-Type": JSON})


async def test_a_bug_is_answered_without_its_trace(
    server: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await server.sign_in("ada")

    def broken() -> set[object]:
        raise ZeroDivisionError("a secret path /srv/x")

    monkeypatch.setattr(server.service.open_requests, "track", lambda _: broken())
    with pytest.raises(ServerFault) as told:
        await ada.upload(b"x")
    assert "secret" not in str(told.value)
    assert "request id" in str(told.value)


async def test_every_answer_has_an_id_and_is_not_sniffed_or_cached(server: ServiceUnderTest) -> None:
    for path in ("/hello", "/nonsense", "/views"):
        _, _, headers = await server.nobody().raw("GET", path)
        assert len(headers["X-Request-Id"]) == 16
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


async def test_the_log_names_no_file_user_or_token(
    server: ServiceUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="server")
    await server.add_user("Grzegorz")
    ada = await server.sign_in("Grzegorz")
    await ada.put_file("Patient Muster.dcm", b"x")
    await ada.ask("GET", f"{ada.at}/list?path=/", answer=Listing)
    assert ada.token is not None
    assert "route=/api/v1/views/{view}/list status=200" in caplog.text
    for secret in ("Muster", ada.token, PASSWORD, "Grzegorz"):
        assert secret not in caplog.text


async def test_a_reader_who_goes_away_harms_nobody(server: ServiceUnderTest) -> None:
    ada = await server.sign_in("ada")
    node = await ada.put_file("big.bin", *[random.Random(n).randbytes(4 * 1024 * 1024) for n in range(8)])
    headers = {"Authorization": f"Bearer {ada.token}"}
    url = f"{server.url}/api/v1{ada.at}/files/{node}"
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as reply:
        await reply.content.readexactly(1000)
    assert (await ada.raw("GET", "/views"))[0] == 200
