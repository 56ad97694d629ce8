"""The real server inside the test's own loop, on a loopback port, and a caller who speaks both codecs.

async with a_service(tmp_path) as server:
    ada = await server.sign_in("ada")
    reply = await ada.ask("GET", "/views", answer=Views)
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import msgspec

from protocol.errors import error_from_wire
from protocol.frames import HEAD, FrameReader, encode_frames, end_of_stream, frame_of, open_frame
from protocol.ids import ChunkId
from protocol.messages import (
    FRAMES,
    JSON,
    MSGPACK,
    Commit,
    Committed,
    Content,
    Kind,
    Login,
    Make,
    Manifest,
    OpResult,
    Problem,
    SignedIn,
    Stored,
    View,
    Views,
    to_json,
    to_msgpack,
)
from server.access.users import add_user
from server.app import listening, now_ms, opened, sealed, watched
from server.config import Settings
from server.data_folder import DataFolder
from server.http.service import Service
from server.initialise import initialise
from tests.support.server import PASSWORD


@dataclass
class Caller:
    """One device of one user, or nobody (token None)."""

    url: str
    client: aiohttp.ClientSession
    codec: str = MSGPACK
    token: str | None = None
    signed_in: SignedIn | None = None
    view: View | None = None
    batches: int = field(default=0)

    async def raw(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: dict[str, str] | None = None,
        data: Any = None,
    ) -> tuple[int, bytes, Any]:
        """Status, body and headers.  body: a message; data: bytes or a stream as they are."""
        sent = {"Accept": self.codec} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        if body is not None:
            sent["Content-Type"] = self.codec
            data = to_msgpack(body) if self.codec == MSGPACK else to_json(body)
        url = self.url + (path if path == "/openapi.json" else "/api/v1" + path)
        async with self.client.request(
            method, url, headers=sent | (headers or {}), data=data, allow_redirects=False
        ) as reply:
            return reply.status, await reply.read(), reply.headers

    async def ask(self, method: str, path: str, *, answer: Any, body: object = None, **more: Any) -> Any:
        """The answer message.  Raises the error that the server told."""
        status, data, headers = await self.raw(method, path, body=body, **more)
        if status >= 400:
            told = self.decode(data, headers, Problem)
            assert told.request_id == headers["X-Request-Id"]
            raise error_from_wire(told.error, told.message, status)
        return self.decode(data, headers, answer)

    def decode(self, data: bytes, headers: Any, kind: Any) -> Any:
        """It came in the codec that was asked for."""
        assert headers["Content-Type"].partition(";")[0] == self.codec, (headers, data[:200])
        return (msgspec.msgpack if self.codec == MSGPACK else msgspec.json).decode(data, type=kind)

    # ---- what a client does ------------------------------------------------------------------------------

    @property
    def at(self) -> str:
        assert self.view is not None
        return f"/views/{self.view.view}"

    async def upload(self, *chunks: bytes, replaces: int = 0) -> Stored:
        frames = [frame_of(ChunkId(hashlib.sha256(data).digest()), data) for data in chunks]
        stored: Stored = await self.ask(
            "POST",
            f"{self.at}/chunks" + (f"?replaces={replaces}" if replaces else ""),
            answer=Stored,
            data=HEAD + encode_frames(frames) + end_of_stream(len(frames)),
            headers={"Content-Type": FRAMES},
        )
        return stored

    async def commit(self, *ops: Any) -> list[OpResult]:
        self.batches += 1
        batch = Commit(operation=uuid4(), number=self.batches, ops=list(ops))
        answer = await self.ask("POST", f"{self.at}/commit", answer=Committed, body=batch)
        assert answer.operation == batch.operation
        return list(answer.results)

    async def put_file(self, name: str, *chunks: bytes, parent: UUID | None = None) -> UUID:
        """A new file of these chunks."""
        assert self.view is not None
        if chunks:
            await self.upload(*chunks)
        node = uuid4()
        content = Content(kind=Kind.FILE, manifest=manifest_of(*chunks))
        [result] = await self.commit(
            Make(node=node, parent=parent or self.view.root, name=name, content=content)
        )
        assert result.status == "done", result
        return node

    async def fetch(self, parts: Any) -> list[bytes]:
        """The plain chunks of a content stream."""
        status, data, headers = await self.raw("POST", f"{self.at}/content", body=parts)
        if status >= 400:
            told = self.decode(data, headers, Problem)
            raise error_from_wire(told.error, told.message, status)
        reader = FrameReader()
        frames = reader.feed(data)
        reader.close()
        return [open_frame(frame) for frame in frames]


def manifest_of(*chunks: bytes) -> Manifest:
    return Manifest(
        size=sum(map(len, chunks)),
        chunks=b"".join(hashlib.sha256(data).digest() for data in chunks),
        lengths=[len(data) for data in chunks],
    )


@dataclass
class ServiceUnderTest:
    service: Service
    url: str
    data: Path
    client: aiohttp.ClientSession

    def nobody(self, codec: str = MSGPACK) -> Caller:
        return Caller(self.url, self.client, codec)

    async def add_user(self, name: str, password: str = PASSWORD) -> None:
        with self.service.database.writing() as session:
            add_user(session, name, password, now_ms=now_ms())

    async def sign_in(
        self, name: str, *, codec: str = MSGPACK, device: UUID | None = None, password: str = PASSWORD
    ) -> Caller:
        """Looking at their home."""
        caller = self.nobody(codec)
        login = Login(user=name, password=password, device=device or uuid4(), device_name="laptop")
        signed_in = await caller.ask("POST", "/login", answer=SignedIn, body=login)
        caller.signed_in, caller.token = signed_in, signed_in.token
        views = (await caller.ask("GET", "/views", answer=Views)).views
        [caller.view] = [view for view in views if view.kind == "home"]
        return caller


@asynccontextmanager
async def a_service(
    data: Path, *, users: tuple[str, ...] = ("ada", "ben"), settings: Settings | None = None
) -> AsyncIterator[ServiceUnderTest]:
    """A fresh server with these users; all have the same password."""
    settings = settings or Settings(listen="127.0.0.1:0", shutdown_seconds=1)
    folder = DataFolder(data)
    initialise(folder, admin=users[0], password=PASSWORD, clock=now_ms)
    async with (
        opened(folder, settings) as service,
        listening(service, settings) as url,
        sealed(service),
        watched(service),
        aiohttp.ClientSession(auto_decompress=False) as client,
    ):
        server = ServiceUnderTest(service, url, data, client)
        for name in users[1:]:
            await server.add_user(name)
        yield server


__all__ = ["JSON", "MSGPACK", "Caller", "ServiceUnderTest", "a_service", "manifest_of"]
