"""A real HTTP server that speaks our wire, and means no good.

async with a_hostile_server() as server:
    server.states = [a_file("../x", b"…")]      # what its feed tells
    server.content = endless                    # how it answers the request for bytes
    async with an_engine(server, tmp_path) as engine: …
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
from aiohttp import web

from protocol.bodies import expanded
from protocol.chunking import CUTTER
from protocol.frames import HEAD, encode_frames, end_of_stream, frame_of
from protocol.http import ServerApi
from protocol.ids import DeviceId, split_chunk_ids
from protocol.messages import (
    FRAMES,
    MSGPACK,
    PROTOCOL_VERSION,
    Changes,
    Commit,
    Committed,
    Content,
    Hello,
    Kind,
    Manifest,
    Moved,
    NodeState,
    OpResult,
    Reset,
    Revision,
    Status,
    Stored,
    ToUpload,
    View,
    Views,
    WantedContent,
    to_msgpack,
)
from protocol.resources import Listing
from sync_client.engine.account import Account
from sync_client.engine.database import StateDatabase
from sync_client.engine.engine import Engine
from tests.support.uploads import IMPATIENT

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ROOT, VIEW = UUID(int=100), UUID(int=101)


def a_state(
    name: str,
    *,
    content: Content | None = None,
    node: UUID | None = None,
    parent: UUID = ROOT,
    deleted: bool = False,
    revision: int = 1,
) -> NodeState:
    return NodeState(
        node=node or uuid4(),
        parent=parent,
        name=name,
        place_revision=Revision(1, revision),
        content_revision=Revision(1, revision),
        place_operation=uuid4(),
        content_operation=uuid4(),
        content=None if deleted else content or Content(kind=Kind.FOLDER),
        deleted=deleted,
    )


def a_content(data: bytes, *, kind: Kind = Kind.FILE, size: int | None = None, mtime_ns: int = 0) -> Content:
    """size: what the server says of it, where it lies."""
    said = len(data) if size is None else size
    manifest = (
        Manifest(size=said, chunks=hashlib.sha256(data).digest(), lengths=[said]) if said else Manifest()
    )
    return Content(kind=kind, manifest=manifest, mtime_ns=mtime_ns)


@dataclass
class HostileServer:
    """Honest until a test sets something.  `answers` goes before all: path ending → handler."""

    states: Sequence[NodeState] = ()
    data: dict[bytes, bytes] = field(default_factory=dict)  # chunk id → what is sent for it
    pages: Callable[[str], Changes | Reset | bytes] | None = None
    answers: dict[str, Handler] = field(default_factory=dict)
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def add(self, name: str, data: bytes, **content: object) -> NodeState:
        """One more file, whose bytes it will send."""
        state = a_state(name, content=a_content(data, **content))  # type: ignore[arg-type]  # as of a_content
        self.states = [*self.states, state]
        self.data[hashlib.sha256(data).digest()] = data
        return state

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        for ending, handler in self.answers.items():
            if request.path.endswith(ending):
                return await handler(request)
        match request.path.removeprefix("/api/v1").split("/"):
            case [_, "hello"]:
                return reply(_HELLO)
            case [_, "views"]:
                return reply(Views(user="ada", generation="1", views=[_VIEW]))
            case [_, "wait"]:
                await asyncio.sleep(0.05)
                return reply(Moved(views=[], generation="1"))
            case [_, "views", _, "list"]:
                return reply(Listing(path="/", node=ROOT, items=[]))
            case [_, "views", _, "changes"]:
                return self._changes(request.query["after"])
            case [_, "views", _, "missing"]:
                asked = len(msgspec.msgpack.decode(await body_of(request))["chunks"]) // 32
                return reply(ToUpload(wanted=list(range(asked))))
            case [_, "views", _, "chunks"]:
                await request.read()
                return reply(Stored(stored=1))
            case [_, "views", _, "commit"]:
                return reply(committed(await commit_of(request)))
            case [_, "views", _, "content"]:
                return await self._content(request)
        return web.Response(status=404)

    def _changes(self, cursor: str) -> web.Response:
        answer: Changes | Reset | bytes
        if self.pages is not None:
            answer = self.pages(cursor)
        else:
            answer = Changes(nodes=[] if cursor == "end" else list(self.states), more=False, cursor="end")
        return reply(answer)

    async def _content(self, request: web.Request) -> web.StreamResponse:
        wanted = msgspec.msgpack.decode(await body_of(request), type=WantedContent)
        of_node = {state.node: state.content for state in self.states if state.content is not None}
        frames = []
        for part in wanted.parts:
            chunks = split_chunk_ids(of_node[part.node].manifest.chunks)
            asked = range(len(chunks)) if part.positions is None else part.positions
            frames += [frame_of(chunks[at], self.data.get(chunks[at], b"none")) for at in asked]
        body = HEAD + encode_frames(frames) + end_of_stream(len(frames))
        return web.Response(body=body, content_type=FRAMES)


def reply(message: object) -> web.Response:
    body = message if isinstance(message, bytes) else to_msgpack(message)
    return web.Response(body=body, content_type=MSGPACK)


async def body_of(request: web.Request) -> bytes:
    return expanded(
        await request.read(), request.headers.get("Content-Encoding", ""), max_bytes=64 * 1024 * 1024
    )


async def commit_of(request: web.Request) -> Commit:
    return msgspec.msgpack.decode(await body_of(request), type=Commit)


def committed(batch: Commit, count: int | None = None) -> Committed:
    done = OpResult(status=Status.DONE, place_revision=Revision(1, 1), content_revision=Revision(1, 1))
    return Committed(operation=batch.operation, results=[done] * (len(batch.ops) if count is None else count))


_HELLO = Hello(
    product="medical-blocks",
    version="0.1.0",
    protocol=PROTOCOL_VERSION,
    server_id=UUID(int=1),
    cutter=CUTTER,
    max_batch_ops=1_000,
    max_chunk_bytes=4 * 1024 * 1024,
    max_missing_chunks=100_000,
    name_rules="mb-names-1",
)
_VIEW = View(view=VIEW, name="/Home", kind="home", root=ROOT, rights=["read", "write", "versions"], cursor="")


@asynccontextmanager
async def a_hostile_server() -> AsyncIterator[HostileServer]:
    server = HostileServer()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def an_engine(server: HostileServer, base: Path) -> AsyncIterator[Engine]:
    """A client that follows all of /Home in `base/here`, at work."""
    (base / "home").mkdir(exist_ok=True)
    account = Account(server.url, "ada", "t0k", DeviceId(UUID(int=3)), "laptop")
    async with ServerApi(server.url, "t0k", patience=IMPATIENT, stall_seconds=2.0) as api:
        engine = Engine(StateDatabase(base / "home" / "state.db"), account, api)
        if not engine.syncs:
            await engine.add_folder("/Home", base / "here", create=False)
        work = asyncio.create_task(engine.run(), name="engine")
        try:
            yield engine
            assert not work.done(), "the client is not alive"
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            await engine.close()
