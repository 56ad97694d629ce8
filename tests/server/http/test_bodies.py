"""Compressed messages over real HTTP: what our client sends, what a stranger may try, and plain `curl`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
import zstandard

from protocol.errors import BadRequest, TooLarge
from protocol.http import ServerApi
from protocol.messages import (
    FRAMES,
    JSON,
    MSGPACK,
    AnyOp,
    Changes,
    Commit,
    Committed,
    Content,
    Kind,
    Make,
    Missing,
    Stored,
    ToUpload,
    Wait,
    to_msgpack,
)
from tests.support.service import Caller, ServiceUnderTest, a_service

ZSTD = {"Content-Encoding": "zstd", "Content-Type": MSGPACK}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada",)) as running:
        yield running


@pytest.fixture
async def ada(server: ServiceUnderTest) -> Caller:
    return await server.sign_in("ada")


def packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def folders(root: UUID, count: int) -> list[AnyOp]:
    content = Content(kind=Kind.FOLDER)
    return [Make(node=uuid4(), parent=root, name=f"folder {n:04}", content=content) for n in range(count)]


async def test_our_client_sends_and_gets_small_bodies_and_counts_them_as_they_crossed(
    server: ServiceUnderTest, ada: Caller
) -> None:
    assert ada.view is not None
    batch = Commit(operation=uuid4(), number=1, ops=folders(ada.view.root, 1_000))
    async with ServerApi(server.url, ada.token) as api:
        committed = await api.commit(ada.view.view, batch)
        assert isinstance(committed, Committed)
        assert 10_000 < api.bytes_sent < len(to_msgpack(batch)) / 3
        received = api.bytes_received
        assert received < len(to_msgpack(committed)) / 10
        feed = await api.changes(ada.view.view, "")
        assert isinstance(feed, Changes)
        assert {state.node for state in feed.nodes} >= {op.node for op in batch.ops}
        assert api.bytes_received - received < len(to_msgpack(feed)) / 4


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
async def test_who_does_not_ask_for_zstd_gets_and_sends_plain_messages(
    server: ServiceUnderTest, codec: str
) -> None:
    ada = await server.sign_in("ada", codec=codec)
    assert ada.view is not None
    await ada.commit(*folders(ada.view.root, 50))
    status, body, headers = await ada.raw("GET", f"{ada.at}/changes", headers={"Accept-Encoding": "gzip, br"})
    assert status == 200
    assert "Content-Encoding" not in headers
    assert len(ada.decode(body, headers, Changes).nodes) >= 50


async def test_json_in_zstd_is_understood_and_answered(server: ServiceUnderTest) -> None:
    ada = await server.sign_in("ada", codec=JSON)
    body = packed(msgspec.json.encode(Missing(chunks=bytes(range(32)) * 20)))
    headers = {"Content-Type": JSON, "Content-Encoding": "zstd"}
    asked = await ada.ask("POST", f"{ada.at}/missing", answer=ToUpload, data=body, headers=headers)
    assert asked.wanted == [0]


async def test_a_short_answer_stays_plain_even_for_who_takes_zstd(ada: Caller) -> None:
    status, _, headers = await ada.raw("GET", "/hello", headers={"Accept-Encoding": "zstd"})
    assert status == 200
    assert "Content-Encoding" not in headers


async def test_a_bomb_is_too_large_at_every_limit(ada: Caller) -> None:
    for path, limit in (("/wait", 1024 * 1024), (f"{ada.at}/missing", 8 * 1024 * 1024)):
        with pytest.raises(TooLarge, match=f"more than {limit} bytes"):
            await ada.ask("POST", path, answer=None, data=packed(bytes(limit + 1)), headers=ZSTD)
        with pytest.raises(BadRequest, match="not understood"):  # the limit itself is unpacked and read
            await ada.ask("POST", path, answer=None, data=packed(bytes(limit)), headers=ZSTD)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd, zstd"])
async def test_another_coding_is_refused_in_one_sentence(ada: Caller, encoding: str) -> None:
    body = to_msgpack(Wait(views=[]))
    headers = {"Content-Encoding": encoding, "Content-Type": MSGPACK}
    with pytest.raises(BadRequest, match="Content-Encoding"):
        await ada.ask("POST", "/wait", answer=None, data=body, headers=headers)


async def test_a_body_that_says_zstd_and_is_not_is_refused(ada: Caller) -> None:
    with pytest.raises(BadRequest, match="no zstd frame"):
        await ada.ask("POST", "/wait", answer=None, data=to_msgpack(Wait(views=[])), headers=ZSTD)


async def test_a_stream_of_chunks_has_no_coding(ada: Caller) -> None:
    headers = {"Content-Type": FRAMES, "Content-Encoding": "zstd"}
    with pytest.raises(BadRequest, match="Content-Encoding"):
        await ada.ask("POST", f"{ada.at}/chunks", answer=Stored, data=packed(b"x"), headers=headers)
