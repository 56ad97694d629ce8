"""The client against small real servers on loopback, most of them bad ones."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.errors import (
    LocalProblem,
    NotSignedIn,
    Refused,
    ServerFault,
    TooManyTries,
    Unavailable,
    WrongPassword,
)
from protocol.frames import (
    HEAD,
    Codec,
    Frame,
    FrameReader,
    encode_frames,
    end_of_stream,
    frame_of,
    open_frame,
)
from protocol.http import ServerApi
from protocol.ids import ChunkId
from protocol.messages import (
    FRAMES,
    JSON,
    MSGPACK,
    PROTOCOL_VERSION,
    Changes,
    Commit,
    Committed,
    Hello,
    Kind,
    Login,
    Make,
    Missing,
    Moved,
    OpResult,
    Problem,
    Reset,
    ResetCause,
    Status,
    Stored,
    ToUpload,
    Wait,
    WantedContent,
    to_json,
    to_msgpack,
)
from protocol.messages import Content as FileContent
from protocol.patience import Patience

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
VIEW = UUID(int=7)
QUICK = Patience(tries=3, base_seconds=0.01)
HELLO = Hello(
    product="Medical-Blocks",
    version="0.1.0",
    protocol=PROTOCOL_VERSION,
    server_id=UUID(int=1),
    cutter="x",
    max_batch_ops=1,
    max_chunk_bytes=1,
    max_missing_chunks=1,
    name_rules="x",
)
LOGIN = Login(user="ada", password="secret", device=UUID(int=3), device_name="laptop")


def an_answer(message: object, *, status: int = 200) -> web.Response:
    return web.Response(body=to_msgpack(message), content_type=MSGPACK, status=status)


def a_problem(status: int, code: str, **headers: str) -> web.Response:
    problem = Problem(error=code, message="What happened. What to do.")
    return web.Response(body=to_json(problem), content_type=JSON, status=status, headers=headers)


def a_frame(data: bytes) -> Frame:
    return frame_of(ChunkId(hashlib.sha256(data).digest()), data)


@asynccontextmanager
async def a_server(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def an_api(
    handler: Handler, *, patience: Patience = QUICK, stall_seconds: float = 5.0, token: str | None = "t0k"
) -> AsyncIterator[ServerApi]:
    async with (
        a_server(handler) as url,
        ServerApi(url, token, patience=patience, stall_seconds=stall_seconds) as api,
    ):
        yield api


def a_self_signed_context(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@asynccontextmanager
async def a_raw_server(reply: bytes) -> AsyncIterator[str]:
    """Whatever is asked, these bytes come back and the connection ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


# ---- calls that go well ----------------------------------------------------------------------------------


async def test_a_message_goes_out_and_its_answer_comes_back() -> None:
    seen: list[tuple[str, str, str, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, request.headers["Authorization"], await request.read()))
        return an_answer(ToUpload(wanted=[0, 2]))

    missing = Missing(chunks=bytes(96))
    async with an_api(handler) as api:
        answer = await api.missing(VIEW, missing)
        assert answer.wanted == [0, 2]
        assert api.bytes_sent == len(to_msgpack(missing))
        assert api.bytes_received == len(to_msgpack(ToUpload(wanted=[0, 2])))
    assert seen == [("POST", f"/api/v1/views/{VIEW}/missing", "Bearer t0k", to_msgpack(missing))]


async def test_a_feed_is_a_page_or_a_reset() -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.query["after"] == "":
            return an_answer(Changes(nodes=[], more=False, cursor="c1"))
        return an_answer(Reset(cause=ResetCause.RESTORED, cursor="c0"))

    async with an_api(handler) as api:
        assert await api.changes(VIEW, "", 10) == Changes(nodes=[], more=False, cursor="c1")
        assert await api.changes(VIEW, "old", 10) == Reset(cause=ResetCause.RESTORED, cursor="c0")


async def test_a_batch_is_answered_operation_by_operation() -> None:
    make = Make(node=UUID(int=9), parent=UUID(int=8), name="a.dcm", content=FileContent(kind=Kind.FILE))
    batch = Commit(operation=UUID(int=5), number=1, ops=[make])

    async def handler(request: web.Request) -> web.Response:
        received = msgspec.msgpack.decode(await request.read(), type=Commit)
        assert received == batch
        done = OpResult(status=Status.DONE)
        return an_answer(Committed(operation=received.operation, results=[done]))

    async with an_api(handler) as api:
        answer = await api.commit(VIEW, batch)
        assert isinstance(answer, Committed)
        assert answer.results[0].status is Status.DONE


async def test_a_path_with_any_signs_arrives_as_it_is() -> None:
    async def handler(request: web.Request) -> web.Response:
        return a_problem(409, "refused") if request.query["path"] == "/ä b&c=d/#1+2%" else a_problem(400, "?")

    async with an_api(handler) as api:
        with pytest.raises(Refused):
            await api.listing(VIEW, "/ä b&c=d/#1+2%")


async def test_frames_go_up_in_one_stream() -> None:
    received: list[Frame] = []

    async def handler(request: web.Request) -> web.Response:
        assert request.content_type == FRAMES
        reader = FrameReader()
        async for piece in request.content.iter_any():
            received.extend(reader.feed(piece))
        reader.close()
        return an_answer(Stored(stored=len(received)))

    async def groups() -> AsyncIterator[list[Frame]]:
        for number in range(20):
            yield [a_frame(b"%d-%d" % (number, i) * 100) for i in range(50)]

    async with an_api(handler) as api:
        assert (await api.upload(VIEW, groups())).stored == 1000
        assert api.bytes_sent == len(HEAD) + len(encode_frames(received)) + len(end_of_stream(1000))
    assert open_frame(received[51]) == b"1-1" * 100


async def test_frames_come_down_as_they_are_sent() -> None:
    frames = [a_frame(bytes([i]) * 5_000) for i in range(100)]
    first_was_read = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": FRAMES})
        await response.prepare(request)
        await response.write(HEAD + encode_frames(frames[:1]))
        await first_was_read.wait()
        await response.write(encode_frames(frames[1:]) + end_of_stream(len(frames)))
        return response

    received: list[Frame] = []
    async with an_api(handler) as api:
        async for group in api.content(VIEW, WantedContent(parts=[])):
            received += group
            first_was_read.set()
    assert received == frames


# ---- what passes by itself -------------------------------------------------------------------------------


async def test_503_is_tried_again() -> None:
    answers = iter([a_problem(503, "unavailable"), web.Response(status=502, text="proxy"), an_answer(HELLO)])

    async def handler(request: web.Request) -> web.Response:
        return next(answers)

    async with an_api(handler) as api:
        assert await api.hello() == HELLO


async def test_it_gives_up_after_the_tries_it_was_given() -> None:
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return a_problem(503, "unavailable")

    async with an_api(handler) as api:
        with pytest.raises(Unavailable, match="What happened"):
            await api.hello()
    assert calls == QUICK.tries


async def test_no_server_at_all_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        async with ServerApi(f"http://127.0.0.1:{taken.getsockname()[1]}", patience=QUICK) as api:
            with pytest.raises(Unavailable, match=r"cannot be reached \(Connection refused\)\. Check"):
                await api.hello()


async def test_login_is_never_repeated() -> None:
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return a_problem(503, "unavailable")

    async with an_api(handler) as api:
        with pytest.raises(Unavailable):
            await api.login(LOGIN)
    assert calls == 1


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return an_answer(HELLO)

    async with an_api(handler, stall_seconds=0.1, patience=Patience(tries=1)) as api:
        with pytest.raises(Unavailable, match="does not answer in time"):
            await api.hello()


async def test_a_long_poll_may_take_its_time() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0.4)
        return an_answer(Moved(views=[VIEW], generation="g"))

    async with an_api(handler, stall_seconds=0.1) as api:
        assert (await api.wait(Wait(views=[], timeout_seconds=0.3))).views == [VIEW]


async def test_an_upload_is_repeated_when_its_frames_can_be_made_again() -> None:
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        body = await request.read()
        return an_answer(Stored(stored=len(body))) if calls == 2 else a_problem(503, "unavailable")

    def groups() -> Iterator[list[Frame]]:
        yield [a_frame(b"x" * 1000)]

    async with an_api(handler) as api:
        first = await api.upload(VIEW, groups)
        calls = 0
        assert await api.upload(VIEW, list(groups())) == first
        calls = 0
        with pytest.raises(Unavailable):
            await api.upload(VIEW, groups())
        assert calls == 1


async def test_a_server_that_takes_no_bytes_ends_the_upload() -> None:
    enough = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await enough.wait()  # the body is never read
        return an_answer(Stored(stored=0))

    def groups() -> Iterator[list[Frame]]:
        for _ in range(50):
            yield [Frame(ChunkId(bytes(32)), Codec.PLAIN, 1 << 20, bytes(1 << 20))]

    async with an_api(handler, stall_seconds=0.2, patience=Patience(tries=1)) as api:
        with pytest.raises(Unavailable, match="stopped taking bytes"):
            await api.upload(VIEW, groups())
        enough.set()


async def test_frames_that_are_slow_to_make_are_no_stalled_server() -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return an_answer(Stored(stored=2))

    async def groups() -> AsyncIterator[list[Frame]]:
        for data in (b"first", b"second"):
            await asyncio.sleep(1.2)
            yield [a_frame(data)]

    async with an_api(handler, stall_seconds=1.0) as api:
        assert (await api.upload(VIEW, groups())).stored == 2


async def test_an_upload_that_is_refused_early_says_why_and_lets_its_frames_go() -> None:
    released = False

    async def handler(request: web.Request) -> web.Response:
        return a_problem(401, "not-signed-in")

    async def groups() -> AsyncIterator[list[Frame]]:
        nonlocal released
        try:
            for _ in range(20):
                yield [Frame(ChunkId(bytes(32)), Codec.PLAIN, 1 << 20, bytes(1 << 20))]
        finally:
            released = True

    async with an_api(handler) as api:
        with pytest.raises(NotSignedIn):
            await api.upload(VIEW, groups)
        assert released


async def test_an_error_while_frames_are_made_is_not_taken_for_the_network() -> None:
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        await request.read()
        return an_answer(Stored(stored=0))

    def groups() -> Iterator[list[Frame]]:
        yield [a_frame(b"x")]
        raise PermissionError(13, "Permission denied", "scan.dcm")

    async with an_api(handler) as api:
        with pytest.raises(PermissionError, match=r"scan\.dcm"):
            await api.upload(VIEW, groups)
    assert calls == 1


@pytest.mark.parametrize("frames_before_the_cut", [0, 1])
async def test_a_cut_stream_is_unavailable_and_never_the_end(frames_before_the_cut: int) -> None:
    frames = [a_frame(b"abc")] * frames_before_the_cut
    calls = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return web.Response(body=HEAD + encode_frames(frames), content_type=FRAMES)

    received: list[Frame] = []

    async def fetch(api: ServerApi) -> None:
        async for group in api.content(VIEW, WantedContent(parts=[])):
            received.extend(group)

    async with an_api(handler) as api:
        with pytest.raises(Unavailable, match="stream of chunks was cut"):
            await fetch(api)
    assert received == frames
    assert calls == (1 if frames else QUICK.tries)  # what was given cannot be taken back


async def test_a_connection_lost_in_the_middle_of_a_body_is_unavailable() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {MSGPACK}\r\nContent-Length: 900\r\n\r\n".encode()
    async with a_raw_server(head + b"abc") as url, ServerApi(url, patience=QUICK) as api:
        with pytest.raises(Unavailable):
            await api.hello()


# ---- what a person must put right ------------------------------------------------------------------------


async def test_an_error_of_the_server_keeps_its_class_and_its_words() -> None:
    async def handler(request: web.Request) -> web.Response:
        return a_problem(401, "wrong-password")

    async with an_api(handler) as api:
        with pytest.raises(WrongPassword, match=r"^What happened\. What to do\.$"):
            await api.login(LOGIN)


async def test_a_throttled_call_says_for_how_long() -> None:
    async def handler(request: web.Request) -> web.Response:
        return a_problem(429, "too-many-tries", **{"Retry-After": "17"})

    async with an_api(handler) as api:
        with pytest.raises(TooManyTries) as caught:
            await api.login(LOGIN)
    assert caught.value.retry_after_seconds == 17.0


async def test_signing_out_twice_is_signing_out() -> None:
    async def handler(request: web.Request) -> web.Response:
        return a_problem(401, "not-signed-in")

    async with an_api(handler) as api:
        await api.logout()


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "<html>Welcome</html>", "content_type": "text/html"},
        {"text": "Not Found", "status": 404},
        {"body": b"\xc1\xc1", "content_type": MSGPACK},
        {"body": to_msgpack({"product": 3}), "content_type": MSGPACK},
        {"body": b'{"hello": "world"}', "content_type": JSON},
        {"body": b"\x81" * 100_000, "content_type": MSGPACK},
        {"body": b"[" * 10_000, "content_type": JSON, "status": 500},
    ],
)
async def test_what_is_not_our_server_is_named_so(answer: dict[str, object]) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(**answer)  # type: ignore[arg-type]  # one table for several kinds of answer

    async with an_api(handler) as api:
        with pytest.raises(LocalProblem, match=r"is not a Medical-Blocks server .* Check the address\.$"):
            await api.hello()


async def test_what_speaks_no_http_is_not_our_server() -> None:
    async with a_raw_server(b"SSH-2.0-OpenSSH_9.2\r\n") as url, ServerApi(url, patience=QUICK) as api:
        with pytest.raises(LocalProblem, match="does not speak HTTP"):
            await api.hello()


@pytest.mark.parametrize(("version", "older"), [(99, "this program"), (0, "the server")])
async def test_another_protocol_is_refused(version: int, older: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return an_answer(msgspec.structs.replace(HELLO, protocol=version))

    async with an_api(handler) as api:
        with pytest.raises(LocalProblem, match=f"Update {older}"):
            await api.hello()


async def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("the handshake was to fail")

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=a_self_signed_context(tmp_path))
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with ServerApi(url, "t0k", patience=QUICK) as api:
            with pytest.raises(LocalProblem, match=r"certificate of https://127\.0\.0\.1:.* is not trusted"):
                await api.hello()


async def test_a_redirect_is_refused_and_gets_no_token() -> None:
    reached = False

    async def elsewhere(request: web.Request) -> web.Response:
        nonlocal reached
        reached = True
        return an_answer(HELLO)

    async with a_server(elsewhere) as other:

        async def handler(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": other + request.path})

        async with an_api(handler) as api:
            with pytest.raises(LocalProblem, match="follows no redirect"):
                await api.hello()
    assert not reached


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.exchange.MAX_ANSWER_BYTES", 1_000_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": MSGPACK})
        await response.prepare(request)
        while True:
            await response.write(bytes(100_000))

    async with an_api(handler) as api:
        with pytest.raises(LocalProblem, match="longer than 1000000 bytes"):
            await api.hello()
        assert api.bytes_received < 4_000_000


async def test_a_malformed_stream_is_a_fault_of_the_server() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=HEAD + b"\x07" * 100, content_type=FRAMES)

    async with an_api(handler) as api:
        with pytest.raises(ServerFault, match="unknown codec"):
            async for _ in api.content(VIEW, WantedContent(parts=[])):
                pass


# ---- nothing is left behind ------------------------------------------------------------------------------


async def test_cancelling_a_call_closes_its_connection() -> None:
    cancelled, begun = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return an_answer(HELLO)

    async with an_api(handler) as api:
        call = asyncio.create_task(api.wait(Wait(views=[])))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(cancelled.wait(), 2)


async def test_leaving_a_download_early_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": FRAMES})
        await response.prepare(request)
        try:
            await response.write(HEAD)
            while True:
                await response.write(encode_frames([a_frame(b"x" * 100_000)]))
                await asyncio.sleep(0)
        except (ConnectionError, asyncio.CancelledError):
            gone.set()
            raise

    async with an_api(handler) as api:
        async with aclosing(api.content(VIEW, WantedContent(parts=[]))) as stream:
            await anext(stream)
        await asyncio.wait_for(gone.wait(), 2)
