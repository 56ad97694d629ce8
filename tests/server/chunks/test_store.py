"""A chunk counts when it is verified, durable and named: not before, and then for good."""

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from protocol.errors import BadRequest, ContentDamaged, Unavailable
from protocol.frames import Codec, Frame
from protocol.ids import ChunkId, split_chunk_ids
from server.chunks import pack_format
from server.chunks.packs import FileBeingPacked
from server.chunks.possession import LEASE_MS, leased
from server.database.tables import ChunkRow
from tests.support.store import DEVICE, NOW_MS, Store, a_store, chunk_id, frames_of, stream_of

SOME = [b"one", b"two" * 1_000, os.urandom(300_000), bytes(1 << 20)]


async def leased_now(store: Store, chunks: list[ChunkId], now_ms: int = NOW_MS) -> set[ChunkId]:
    with store.database.reading() as session:
        return leased(session, DEVICE, chunks, now_ms)


async def test_what_was_taken_is_given_out_in_the_asked_order(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        first, second = await store.put(*SOME), await store.put(b"three", b"four")
        asked = [second[1], *reversed(first), second[0], first[0]]
        assert [chunk_id(data) for data in await store.get(asked)] == asked
        assert await store.get([]) == []
        with store.database.reading() as session:
            assert store.chunks.read_bytes(session, second) == b"threefour"
            assert store.chunks.lengths(session, [*first, chunk_id(b"?")]) == {
                chunk: len(data) for chunk, data in zip(first, SOME, strict=True)
            }


async def test_an_uploaded_chunk_is_leased_for_a_day_to_its_uploader(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        chunks = await store.put(*SOME)
        assert await leased_now(store, [*chunks, chunk_id(b"?")]) == set(chunks)
        assert await leased_now(store, chunks, NOW_MS + LEASE_MS) == set()


async def test_an_upload_is_written_as_if_new_and_any_whole_copy_will_do(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        chunks = await store.put(*SOME)
        [first] = store.pack_files
        await store.put(*SOME)
        [second] = set(store.pack_files) - {first}
        assert second.stat().st_size == first.stat().st_size
        for broken, whole in ((first, second), (second, first)):
            kept = broken.read_bytes()
            broken.write_bytes(bytes(len(kept)))
            assert await store.get(chunks) == SOME, whole
            broken.write_bytes(kept)
        first.unlink()
        assert await store.get(chunks) == SOME


async def test_a_damaged_frame_is_told_by_its_index_and_never_stored(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        good = frames_of(SOME)
        wrong = Frame(chunk_id(b"x"), Codec.PLAIN, 1, b"y")
        not_zstd = Frame(chunk_id(b"z" * 9), Codec.ZSTD, 9, b"not zstd!")
        stored = await store.chunks.take(DEVICE, stream_of([good[0], wrong], [not_zstd, *good[1:]]))
        assert (stored.stored, stored.damaged) == (4, [1, 2])
        assert await leased_now(store, [wrong.id, not_zstd.id]) == set()
        with pytest.raises(ContentDamaged, match="is not in the store"):
            await store.get([wrong.id])


async def test_a_stream_that_breaks_off_keeps_its_whole_frames(tmp_path: Path) -> None:
    async def breaking() -> AsyncIterator[list[Frame]]:
        yield frames_of(SOME)
        raise BadRequest("The stream was cut", hint="Send it again.")

    async with a_store(tmp_path) as store:
        with pytest.raises(BadRequest, match="The stream was cut"):
            await store.chunks.take(DEVICE, breaking())
        chunks = [chunk_id(data) for data in SOME]
        assert await leased_now(store, chunks) == set(chunks)
        assert await store.get(chunks) == SOME


async def test_a_cancelled_upload_keeps_its_whole_frames_and_no_temporary_file(tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def stalling() -> AsyncIterator[list[Frame]]:
        yield frames_of(SOME)
        reached.set()
        await asyncio.sleep(60)

    async with a_store(tmp_path) as store:
        upload = asyncio.create_task(store.chunks.take(DEVICE, stalling()))
        await reached.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert await store.get([chunk_id(data) for data in SOME]) == SOME
        assert [path.suffix for path in store.packs.folder.iterdir()] == [".pack"]


async def test_a_long_stream_fills_several_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_format, "PACK_BYTES", 100_000)
    datas = [os.urandom(30_000) for _ in range(20)]
    async with a_store(tmp_path) as store:
        chunks = await store.put(*datas)
        assert len(store.pack_files) == 5
        assert await store.get(chunks) == datas


async def test_an_empty_stream_makes_no_pack(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert (await store.chunks.take(DEVICE, stream_of([]))).stored == 0
        assert store.pack_files == []


@pytest.mark.parametrize("call", ["write", "keep"])
async def test_a_full_disk_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with a_store(tmp_path) as store:
        with monkeypatch.context() as full:
            full.setattr(FileBeingPacked, call, no_space)
            with pytest.raises(Unavailable, match="disk is full"):
                await store.put(*SOME)
        assert list(store.packs.folder.iterdir()) == []
        chunks = await store.put(*SOME)  # it heals by itself
        assert await store.get(chunks) == SOME


async def test_a_pack_that_was_kept_but_not_named_is_adopted_at_the_next_start(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        chunks = await store.put(*SOME)
        with sqlite3.connect(store.database.path) as other:  # as if the server had died before its rows
            for table in ("possessions", "chunks", "packs"):
                other.execute(f"DELETE FROM {table}")
        assert await store.chunks.adopt() == 1
        assert await store.get(chunks) == SOME
        assert await leased_now(store, chunks) == set()
        assert await store.chunks.adopt() == 0


UPLOADER = """
    import asyncio, os, sys
    from pathlib import Path
    from tests.support.store import DEVICE, a_store, frames_of
    from server.chunks import pack_format

    pack_format.PACK_BYTES = 200_000

    async def main():
        async with a_store(Path(sys.argv[1])) as store:
            while True:
                frames = frames_of([os.urandom(20_000) for _ in range(40)])
                async def stream():
                    yield frames
                await store.chunks.take(DEVICE, stream())
                print(b"".join(frame.id for frame in frames).hex(), flush=True)

    asyncio.run(main())
"""


def answered_before_kill_9(folder: Path, seconds: float) -> list[ChunkId]:
    """Upload in another process, kill it some time after its first answer, and return what was answered."""
    command = [sys.executable, "-c", textwrap.dedent(UPLOADER), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as uploader:
        assert uploader.stdout is not None
        lines = [uploader.stdout.readline()]
        time.sleep(seconds)
        uploader.kill()
        lines += uploader.stdout.readlines()
    joined = "".join(line.strip() for line in lines if line.endswith("\n"))
    return split_chunk_ids(bytes.fromhex(joined))


@pytest.mark.parametrize("seconds", [0.0, 0.013, 0.05, 0.11])
async def test_what_was_answered_survives_kill_9(tmp_path: Path, seconds: float) -> None:
    answered = answered_before_kill_9(tmp_path, seconds)
    assert len(answered) >= 40
    async with a_store(tmp_path) as store:
        await store.chunks.adopt()
        assert [chunk_id(data) for data in await store.get(answered)] == answered
        assert await leased_now(store, answered) == set(answered)
        with store.database.reading() as session:
            count = session.scalar(select(func.count()).select_from(ChunkRow)) or 0
        assert count >= len(answered)
        assert {path.suffix for path in store.packs.folder.iterdir()} == {".pack"}
