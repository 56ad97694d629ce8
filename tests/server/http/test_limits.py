"""The table "Limits" of docs/protocol.md against a real server: just below each bound, at it, and just above."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import inspect

from protocol import limits
from protocol.errors import BadRequest, Refused, TooLarge, Unavailable
from protocol.ids import ChunkId
from protocol.manifests import write_records
from protocol.messages import (
    JSON,
    MSGPACK,
    AnyOp,
    Changes,
    Committed,
    Content,
    Delete,
    Kind,
    Make,
    Manifest,
    Missing,
    Move,
    Moved,
    Part,
    Put,
    Revision,
    Status,
    ToUpload,
    WantedContent,
)
from server.http import connections, exchange
from server.http.crowd import Crowd
from server.http.routes import Stream
from server.http.table import ROUTES
from server.spaces import commit, content, holdings, states
from tests.support.service import Caller, ServiceUnderTest, a_service, manifest_of

FIRST = Revision(1, 1)
FOLDER = Content(kind=Kind.FOLDER)
SLOW_ONES = 2_000 if float(os.environ.get("MB_BUDGET_SECONDS") or 0) >= 300 else 200


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada",)) as running:
        yield running


@pytest.fixture
async def ada(server: ServiceUnderTest) -> Caller:
    return await server.sign_in("ada")


@asynccontextmanager
async def a_connection(
    server: ServiceUnderTest,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()


async def sent(server: ServiceUnderTest, *pieces: bytes) -> tuple[int, dict[str, Any], bytes]:
    """Status, body and head of what comes back for these bytes on a connection of their own."""
    async with a_connection(server) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        async with asyncio.timeout(60):
            return await answer_on(reader)


async def answer_on(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length)), head


def a_head(size: int) -> bytes:
    """A whole request of exactly this many bytes."""
    start = b"GET /api/v1/hello HTTP/1.1\r\nHost: x\r\nX-A: %s\r\nX-B: %s\r\n\r\n"
    room = size - len(start % (b"", b""))
    return start % (b"a" * (room // 2), b"b" * (room - room // 2))


# ---- connections and heads -------------------------------------------------------------------------------


@pytest.mark.parametrize(("over", "status"), [(-1, 200), (0, 200), (1, 413)])
async def test_a_head_has_at_most_16_kib(server: ServiceUnderTest, over: int, status: int) -> None:
    request = a_head(limits.MAX_HEAD_BYTES + over)
    for pieces in ((request,), (request[:10_000], request[10_000:])):
        got, body, _ = await sent(server, *pieces)
        assert got == status
        assert body.get("error", "") == ("" if status == 200 else "too-large")


async def test_a_head_that_never_ends_is_cut_at_its_limit(server: ServiceUnderTest) -> None:
    status, body, _ = await sent(server, a_head(10_000)[:-2], b"X: " + b"c" * 8_000)
    assert (status, body["error"]) == (431, "too-large")
    status, body, _ = await sent(server, b"GET /" + b"x" * 100_000)
    assert (status, body["error"]) == (431, "too-large")


async def test_headers_are_counted(server: ServiceUnderTest) -> None:
    start = b"GET /api/v1/hello HTTP/1.1\r\nHost: x\r\n"
    status, _, _ = await sent(server, start + b"A: b\r\n" * (limits.MAX_HEADERS - 2) + b"\r\n")
    assert status == 200
    status, body, _ = await sent(server, start + b"A: b\r\n" * (limits.MAX_HEADERS + 2) + b"\r\n")
    assert (status, body["error"]) == (431, "too-large")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GARBAGE\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/login HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/login HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /api/v1/hello HTTP/1.1\r\nA b: c\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_like_any_problem_and_without_a_trace(
    server: ServiceUnderTest, garbage: bytes
) -> None:
    status, body, head = await sent(server, garbage)
    assert status == 400
    assert (body["error"], len(body["request_id"])) == ("bad-request", 16)
    assert body["request_id"].encode() in head
    assert b"nosniff" in head
    assert not {"Traceback", "aiohttp", ".py"} & set(body["message"].split())


async def test_a_head_has_ten_seconds_and_a_connection_between_requests_has_more(
    server: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.HEAD_SECONDS == 10
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    began = time.monotonic()
    status, body, _ = await sent(server, *[b"G", b"E", b"T"])
    assert (status, body["error"]) == (408, "bad-request")
    assert "did not come within" in (await sent(server))[1]["message"]  # not one byte
    async with a_connection(server) as (reader, writer):
        writer.write(a_head(100))
        assert (await answer_on(reader))[0] == 200
        await asyncio.sleep(1.5)  # idle between two requests
        writer.write(a_head(100))
        assert (await answer_on(reader))[0] == 200
        writer.write(b"GET /api/v1/hello HT")
        assert (await answer_on(reader))[0] == 408
        assert await reader.read() == b""
    assert time.monotonic() - began < 60


async def test_slow_ones_hurt_nobody_and_are_gone_after_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As slowloris: heads that come byte by byte.  2,000 of them in `make test-long`."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 4.0)
    async with a_service(tmp_path / "data", users=("ada",)) as server:
        port = int(server.url.rpartition(":")[2])
        dripping_ends = (
            time.monotonic() + 3.0
        )  # who writes to a closed connection never reads its last answer
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(SLOW_ONES)]
        try:
            waits: list[float] = []
            caller = server.nobody()
            for byte in a_head(60)[:20]:
                for _, writer in opened:
                    if time.monotonic() < dripping_ends:
                        writer.write(bytes([byte]))
                began = time.monotonic()
                assert (await caller.raw("GET", "/hello"))[0] == 200
                waits.append(time.monotonic() - began)
            assert sorted(waits)[len(waits) // 2] < 1.0
            async with asyncio.timeout(120):
                replies = [await reader.read() for reader, _ in opened]
            assert all(reply.startswith(b"HTTP/1.1 408 ") for reply in replies)
        finally:
            for _, writer in opened:
                writer.close()
        assert (await caller.raw("GET", "/hello"))[0] == 200


async def test_connections_are_counted_and_one_too_many_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.app.connection_limit", lambda: 5)
    async with a_service(tmp_path / "data", users=("ada",)) as server:
        port = int(server.url.rpartition(":")[2])
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        status, _, _ = await sent(server, a_head(100))
        assert status == 200
        await asyncio.sleep(0.3)  # until that one has gone
        kept.append(await asyncio.open_connection("127.0.0.1", port))
        async with a_connection(server) as (reader, _):
            status, body, _ = await answer_on(reader)
            assert (status, body["error"]) == (503, "unavailable")
            assert await reader.read() == b""
        kept[0][1].write(a_head(100))
        assert (await answer_on(kept[0][0]))[0] == 200  # who was there before is served
        for _, writer in kept:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.3)
        assert (await sent(server, a_head(100)))[0] == 200


async def test_one_user_has_so_many_polls_and_requests_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.app.Crowd", partial(Crowd, requests=1, polls=2))
    async with a_service(tmp_path / "data", users=("ada", "ben")) as server:
        ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
        poll = {"views": [], "timeout_seconds": 50}
        body = msgspec.msgpack.encode(poll)
        headers = {"Content-Type": MSGPACK}
        polls = [asyncio.create_task(ada.raw("POST", "/wait", data=body, headers=headers)) for _ in range(2)]
        await asyncio.sleep(0.3)
        with pytest.raises(Unavailable, match="2 long polls"):
            await ada.ask("POST", "/wait", answer=Moved, data=body, headers=headers)
        assert (await ada.raw("GET", "/views"))[0] == 200  # polls are counted apart
        short = msgspec.msgpack.encode(poll | {"timeout_seconds": 0})
        assert (await ben.raw("POST", "/wait", data=short, headers=headers))[0] == 200
        polls.pop().cancel()
        await asyncio.sleep(0.3)
        assert (await ada.raw("POST", "/wait", data=short, headers=headers))[0] == 200
        for task in polls:
            task.cancel()


def test_the_count_of_one_user_is_exact_and_given_back() -> None:
    crowd, ada, ben = Crowd(requests=2, polls=1), uuid4(), uuid4()
    for _ in range(3):
        with crowd.entered(ada, polls=False), crowd.entered(ada, polls=False):  # type: ignore[arg-type]  # any id
            with crowd.entered(ben, polls=False), crowd.entered(ada, polls=True):  # type: ignore[arg-type]
                pass
            with pytest.raises(Unavailable), crowd.entered(ada, polls=False):  # type: ignore[arg-type]
                pass


def test_the_server_takes_as_many_connections_as_it_may_have_files() -> None:
    assert 200 <= connections.connection_limit() <= limits.MAX_CONNECTIONS


# ---- messages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_a_message_has_its_size(ada: Caller, over: int) -> None:
    message = b'{"views": [], "timeout_seconds": 0}'
    asked = b'{"chunks": ""}'
    for path, text, limit in (
        ("/wait", message, limits.MAX_MESSAGE_BYTES),
        (f"{ada.at}/missing", asked, limits.MAX_BULK_MESSAGE_BYTES),
    ):
        body = text + b" " * (limit + over - len(text))
        status, answer, headers = await ada.raw("POST", path, data=body, headers={"Content-Type": JSON})
        assert status == (413 if over > 0 else 200)
        if over > 0:
            assert ada.decode(answer, headers, dict[str, Any])["error"] == "too-large"


async def test_a_body_that_drips_is_let_go(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (limits.PACE_SECONDS, limits.PACE_BYTES) == (30, 300_000)
    monkeypatch.setattr(exchange, "PACE_SECONDS", 0.5)

    async def drips() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    with pytest.raises(Unavailable, match="too slowly"):
        await ada.ask("POST", "/wait", answer=None, data=drips(), headers={"Content-Type": JSON})


REQUESTS = [route.request for route in ROUTES if route.request not in (None, *Stream)]


def depth_of(kind: inspect.Type) -> int:
    """How deep a message of this type can be.  Raises AssertionError: as deep as its sender likes."""
    assert not isinstance(kind, inspect.AnyType | inspect.RawType), (
        "an untyped field is as deep as its sender likes"
    )
    match kind:
        case inspect.StructType():
            assert kind.forbid_unknown_fields, f"{kind.cls.__name__} would skip what it does not know"
            return 1 + max((depth_of(field.type) for field in kind.fields), default=0)
        case inspect.ListType():
            return 1 + depth_of(kind.item_type)
        case inspect.UnionType():
            return max(depth_of(one) for one in kind.types)
        case inspect.DictType() | inspect.SetType():
            raise AssertionError("say the bounds of this type here")
        case _:
            return 0


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_no_request_can_be_deeper_than_its_types(kind: Any) -> None:
    assert depth_of(inspect.type_info(kind)) <= limits.MAX_MESSAGE_DEPTH


@pytest.mark.parametrize("depth", [2, limits.MAX_MESSAGE_DEPTH, limits.MAX_MESSAGE_DEPTH + 1, 100_000])
async def test_what_is_deeper_is_refused_wherever_it_stands(ada: Caller, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    content = b'{"kind": "file", "manifest": [0, "", [], false, %s]}' % deep
    op = b'{"op": "make", "node": "%s", "parent": "%s", "name": "x", "content": %s}'
    node = str(uuid4()).encode()
    batch = b'{"operation": "%s", "number": 1, "ops": [%s]}' % (node, op % (node, node, content))
    for path, body in ((f"{ada.at}/commit", batch), ("/wait", b'{"views": %s}' % deep), ("/login", deep)):
        with pytest.raises(BadRequest):
            await ada.ask("POST", path, answer=None, data=body, headers={"Content-Type": JSON})


@pytest.mark.parametrize(
    ("number", "fits"),
    [(0, True), (2**63 - 2, True), (2**63 - 1, True), (2**63, False), (2**64, False), (-1, False)],
)
async def test_numbers_have_64_bits(ada: Caller, number: int, fits: bool) -> None:
    assert ada.view is not None
    node = str(uuid4())
    make = {"op": "make", "node": node, "parent": str(ada.view.root), "name": "x", "group": number}
    batch = {"operation": str(uuid4()), "number": 1, "ops": [make | {"content": {"kind": "folder"}}]}
    body, headers = json.dumps(batch).encode(), {"Content-Type": JSON}
    if fits:
        done = await ada.ask("POST", f"{ada.at}/commit", answer=Committed, data=body, headers=headers)
        assert [result.status for result in done.results] == [Status.DONE]
    else:
        with pytest.raises(BadRequest):
            await ada.ask("POST", f"{ada.at}/commit", answer=None, data=body, headers=headers)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 50.1])
async def test_what_is_no_number_is_no_time(ada: Caller, number: float) -> None:
    packed = msgspec.msgpack.encode({"views": [], "timeout_seconds": number})
    spelled = json.dumps({"views": [], "timeout_seconds": number}).encode()
    for body, kind in ((packed, MSGPACK), (spelled, JSON)):
        with pytest.raises(BadRequest):
            await ada.ask("POST", "/wait", answer=None, data=body, headers={"Content-Type": kind})


# ---- what messages hold ----------------------------------------------------------------------------------


def makes(parent: UUID, count: int) -> list[AnyOp]:
    return [Make(node=uuid4(), parent=parent, name=f"f{n}", content=FOLDER) for n in range(count)]


async def test_a_batch_has_at_most_a_thousand_operations(ada: Caller) -> None:
    assert ada.view is not None
    assert {result.status for result in await ada.commit(*makes(ada.view.root, limits.MAX_BATCH_OPS))} == {
        "done"
    }
    with pytest.raises(BadRequest, match="<= 1000"):
        await ada.commit(*makes(ada.view.root, limits.MAX_BATCH_OPS + 1))


async def test_a_question_about_chunks_has_at_most_a_hundred_thousand(ada: Caller) -> None:
    for count in (limits.MAX_MISSING_CHUNKS - 1, limits.MAX_MISSING_CHUNKS):
        asked = Missing(chunks=bytes(32 * count))
        answer = await ada.ask("POST", f"{ada.at}/missing", answer=ToUpload, body=asked)
        assert len(answer.wanted) >= 1
    too_many = Missing(chunks=bytes(32 * (limits.MAX_MISSING_CHUNKS + 1)))
    with pytest.raises(BadRequest):
        await ada.ask("POST", f"{ada.at}/missing", answer=ToUpload, body=too_many)


async def test_a_request_for_content_has_so_many_chunks(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it asks for them: a short request cannot make a list of millions."""
    monkeypatch.setattr(content, "MAX_CONTENT_CHUNKS", 4)
    node = await ada.put_file("a.bin", b"one", b"two")

    def wanted(*positions: list[int] | None) -> WantedContent:
        return WantedContent(
            parts=[Part(node=node, revision=FIRST, positions=some, through=True) for some in positions]
        )

    assert len(await ada.fetch(wanted([0, 0, 1]))) == 3
    assert len(await ada.fetch(wanted(None, [0, 1]))) == 4
    for parts in (wanted([0] * 5), wanted(None, None, None), wanted(*[None] * 5_000)):
        with pytest.raises(TooLarge, match="chunks"):
            await ada.fetch(parts)


async def test_pages_of_the_feed_end_where_their_manifests_grow_long(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "MAX_PAGE_MANIFEST_BYTES", 64)
    assert ada.view is not None
    made = {await ada.put_file(f"f{n}", b"%d" % n) for n in range(7)}
    cursor, seen, sizes = ada.view.cursor, [], []
    while True:
        page = await ada.ask("GET", f"{ada.at}/changes?after={cursor}", answer=Changes)
        seen += [state.node for state in page.nodes]
        sizes.append(len(page.nodes))
        cursor = page.cursor
        if not page.more:
            break
    assert set(seen) == made
    assert len(seen) == 7
    assert max(sizes) == 2


async def test_the_indirect_manifests_of_one_batch_are_read_up_to_a_sum(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "MAX_INDIRECT_BYTES", 72)
    assert ada.view is not None
    root, contents = ada.view.root, []
    for data in (b"one", b"two", b"three"):
        records = write_records([(ChunkId(hashlib.sha256(data).digest()), len(data))])
        await ada.upload(data, records)
        chunk = hashlib.sha256(records).digest()
        contents.append(Content(kind=Kind.FILE, manifest=Manifest(len(data), chunk, [36], indirect=True)))
    ops = [Make(node=uuid4(), parent=root, name=f"{n}", content=one) for n, one in enumerate(contents)]
    again = Make(node=uuid4(), parent=root, name="again", content=contents[0])  # known by then: read once
    results = await ada.commit(ops[0], again, ops[1], ops[2])
    assert [result.status for result in results] == ["done", "done", "done", "content-refused"]
    assert [result.status for result in await ada.commit(ops[2])] == ["done"]


# ---- trees -----------------------------------------------------------------------------------------------


async def test_a_tree_is_128_folders_deep(ada: Caller) -> None:
    assert ada.view is not None
    ids = [ada.view.root, *(uuid4() for _ in range(limits.MAX_DEPTH + 1))]
    ops = [Make(node=node, parent=parent, name="d", content=FOLDER) for parent, node in pairwise(ids)]
    results = await ada.commit(*ops)
    assert {result.status for result in results[:-1]} == {"done"}
    assert results[-1].status == "name-refused"
    assert "128 folders deep" in results[-1].message


async def test_a_folder_has_so_many_children(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.MAX_FOLDER_CHILDREN == 1_000_000
    monkeypatch.setattr(commit, "MAX_FOLDER_CHILDREN", 5)
    assert ada.view is not None
    root = ada.view.root
    ops = makes(root, 4)
    assert {result.status for result in await ada.commit(*ops)} == {"done"}
    two = [Make(node=uuid4(), parent=root, name=f"g{n}", content=FOLDER) for n in range(2)]
    assert [result.status for result in await ada.commit(*two)] == ["done", "over-quota"]
    inside = Make(node=uuid4(), parent=ops[0].node, name="inside", content=FOLDER)
    up = Move(node=inside.node, place_revision=FIRST, parent=root, name="inside")
    assert [result.status for result in await ada.commit(inside, up)] == ["done", "over-quota"]
    rename = Move(node=ops[0].node, place_revision=FIRST, parent=root, name="renamed")
    assert [result.status for result in await ada.commit(rename)] == ["done"]  # it stands there already
    gone = Delete(node=ops[1].node, place_revision=FIRST, content_revision=FIRST)
    assert [result.status for result in await ada.commit(gone)] == ["done"]
    assert [result.status for result in await ada.commit(up)] == ["done"]


async def test_a_file_in_a_full_folder_can_be_edited(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "MAX_FOLDER_CHILDREN", 1)
    node = await ada.put_file("a", b"one")
    await ada.upload(b"two")
    edited = Content(kind=Kind.FILE, manifest=manifest_of(b"two"))
    results = await ada.commit(Put(node=node, content_revision=FIRST, content=edited))
    assert [result.status for result in results] == ["done"]


async def test_a_server_has_so_many_spaces(server: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.MAX_SPACES == 10_000
    monkeypatch.setattr("server.access.new_spaces.MAX_SPACES", 3)
    await server.add_user("ben")
    await server.add_user("eve")
    with pytest.raises(Refused, match="3 spaces"):
        await server.add_user("dan")


# ---- answers ---------------------------------------------------------------------------------------------


async def test_every_answer_tells_browsers_to_keep_and_run_nothing(server: ServiceUnderTest) -> None:
    ada = await server.sign_in("ada", codec=JSON)
    node = await ada.put_file("page.html", b"<script>alert(1)</script>")
    for path in ("/hello", "/nonsense", "/views", f"{ada.at}/files/{node}", f"{ada.at}/list?path=/"):
        _, _, headers = await ada.raw("GET", path)
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "sandbox" in headers["Content-Security-Policy"]
        assert headers["Content-Type"].split(";")[0] in {JSON, "application/octet-stream"}
    assert headers["X-Request-Id"]
