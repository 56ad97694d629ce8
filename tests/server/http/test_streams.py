"""Streams that do not go as they should: slow, revoked in the middle, cut by a killed server."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from protocol.errors import Unavailable
from protocol.frames import HEAD, encode_frames, frame_of
from protocol.http import ServerApi
from protocol.ids import ChunkId
from protocol.messages import (
    FRAMES,
    Commit,
    Committed,
    Content,
    Kind,
    Login,
    Make,
    Missing,
    Part,
    Revision,
    Stored,
    ToUpload,
    WantedContent,
    to_msgpack,
)
from protocol.patience import Patience
from server.http import exchange
from tests.support.server import ADMIN, PASSWORD, RunningServer
from tests.support.service import a_service, manifest_of

FIRST = Revision(epoch=1, number=1)
MIB = 1024 * 1024
BIG = [random.Random(n).randbytes(4 * MIB) for n in range(12)]


async def test_a_sender_that_falls_silent_is_let_go_and_its_whole_chunks_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "PACE_SECONDS", 0.5)
    async with a_service(tmp_path / "data", users=("ada",)) as server:
        ada = await server.sign_in("ada")
        first = frame_of(ChunkId(hashlib.sha256(b"first").digest()), b"first")

        async def silent() -> AsyncIterator[bytes]:
            yield HEAD + encode_frames([first])
            await asyncio.sleep(100)

        began = time.monotonic()
        with pytest.raises(Unavailable):
            await ada.ask(
                "POST", f"{ada.at}/chunks", answer=Stored, data=silent(), headers={"Content-Type": FRAMES}
            )
        assert time.monotonic() - began < 50
        asked = await ada.ask(
            "POST", f"{ada.at}/missing", answer=ToUpload, body=Missing(chunks=bytes(first.id))
        )
        assert asked.wanted == []


@pytest.mark.parametrize("how", ["content", "files"])
async def test_a_download_ends_when_its_device_is_revoked(tmp_path: Path, how: str) -> None:
    async with a_service(tmp_path / "data", users=("ada",)) as server:
        laptop, desk = await server.sign_in("ada"), await server.sign_in("ada")
        assert desk.signed_in is not None
        node = await desk.put_file("big.bin", *BIG)
        headers = {"Authorization": f"Bearer {desk.token}", "Content-Type": "application/x-msgpack"}
        method, body = "GET", None
        if how == "content":
            method, body = "POST", to_msgpack(WantedContent(parts=[Part(node=node, revision=FIRST)]))
        path = f"files/{node}" if how == "files" else "content"
        async with (
            aiohttp.ClientSession(read_bufsize=65_536) as client,
            client.request(
                method, f"{server.url}/api/v1{desk.at}/{path}", headers=headers, data=body
            ) as reply,
        ):
            assert reply.status == 200
            await reply.content.readexactly(1_000)
            assert (await laptop.raw("DELETE", f"/devices/{desk.signed_in.device}"))[0] == 204
            await asyncio.sleep(1.0)
            with pytest.raises(aiohttp.ClientError):
                await reply.read()


async def test_a_server_killed_in_an_upload_keeps_what_it_answered_and_takes_the_rest(tmp_path: Path) -> None:
    small = [random.Random(n).randbytes(2_000) for n in range(500)]
    frames = [frame_of(ChunkId(hashlib.sha256(data).digest()), data) for data in small]
    with RunningServer(tmp_path / "data") as server:
        async with ServerApi(server.url, patience=Patience(total_seconds=20)) as api:
            login = Login(user=ADMIN, password=PASSWORD, device=uuid4(), device_name="laptop")
            api.token = (await api.login(login)).token
            view = (await api.views()).views[0]
            assert await api.upload(view.view, [frames[:250]]) == Stored(stored=250)
            operation, node = uuid4(), uuid4()
            content = Content(kind=Kind.FILE, manifest=manifest_of(*small[:250]))
            batch = Commit(
                operation=operation,
                number=1,
                ops=[Make(node=node, parent=view.root, name="a.bin", content=content)],
            )
            first = await api.commit(view.view, batch)
            assert isinstance(first, Committed)

            async def killing() -> AsyncIterator[list[object]]:
                for at in range(250, 500, 50):
                    if at == 400:
                        server.kill9()
                    yield list(frames[at : at + 50])

            with pytest.raises(Unavailable):
                await api.upload(view.view, killing())  # type: ignore[arg-type]  # frames, seen as objects
            server.restart()
            assert await api.commit(view.view, batch) == first
            assert await api.upload(view.view, [frames[250:]]) == Stored(stored=250)
            wanted = await api.missing(view.view, Missing(chunks=b"".join(frame.id for frame in frames)))
            assert wanted.wanted == []
        server.check_deep()
        whole = b"".join(small[:250])
        assert server.manifest() == [
            (hashlib.sha256(whole).hexdigest(), len(whole), "current", f"{ADMIN}/Home/a.bin")
        ]
