"""gc drops what nothing holds, and never anything else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.errors import ContentDamaged
from protocol.messages import DeleteTree, Make, Put, PutBack, Revision, Status
from server.chunks.possession import LEASE_MS
from server.spaces.content import stored_file
from server.upkeep.check import check
from server.upkeep.gc import Collected, Collector
from tests.support.busy_space import a_copy, alter
from tests.support.spaces import Client, Space, a_file, a_space
from tests.support.store import NOW_MS, Store, chunk_id

LATER_MS = NOW_MS + 2 * LEASE_MS


def noise(size: int, number: int = 0) -> bytes:
    return os.urandom(size - 8) + number.to_bytes(8)


def collector(store: Store, *, now_ms: int = LATER_MS, pause: Callable[[], None] = lambda: None) -> Collector:
    return Collector(store.database, store.packs, store.keys, clock=lambda: now_ms, pause=pause)


def collect(store: Store, *, now_ms: int = LATER_MS, grace_seconds: float = 0) -> Collected:
    return collector(store, now_ms=now_ms).run(grace_seconds=grace_seconds)


def is_sound(store: Store) -> bool:
    return check(store.database, store.packs, store.keys, deep=True) == []


def chunk_count(store: Store) -> int:
    with store.database.reading() as session:
        [(count,)] = session.connection().exec_driver_sql("SELECT count(*) FROM chunks").all()
    return int(count)


async def bytes_of(client: Client, node: UUID) -> bytes:
    store = client.space.store
    with store.database.reading() as session:
        found = stored_file(session, store.chunks, client.principal, client.view, node)
    return b"".join(await store.get([chunk for chunk, _ in found.chunks]))


async def test_what_versions_trash_and_leases_hold_stays_and_the_rest_goes(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        kept, dropped = noise(50_000), noise(60_000)
        await ada.upload(kept, dropped)
        file = await ada.put_new("a", a_file(kept))
        before = collect(store, now_ms=NOW_MS)
        assert (before.packs_dropped, chunk_count(store)) == (0, 2), "the lease of the other one holds"
        done = collect(store)
        assert (done.packs_dropped, done.packs_written, chunk_count(store)) == (1, 1, 1)
        assert 60_000 <= done.freed_bytes < 61_000
        assert await bytes_of(ada, file) == kept
        assert is_sound(store)
        assert collect(store).packs_dropped == 0, "a second run finds nothing to do"


async def test_everything_a_busy_server_holds_survives(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        collect(store)
        assert is_sound(store)
        assert chunk_count(store) == 8, "each chunk once, eve's copy of ada's too"


async def test_many_small_packs_become_one(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        files = {}
        for number in range(20):
            data = noise(500, number)
            await ada.upload(data)
            files[await ada.put_new(f"{number}", a_file(data))] = data
        assert len(store.pack_files) == 20
        done = collect(store)
        assert (done.packs_dropped, done.packs_written, len(store.pack_files)) == (20, 1, 1)
        assert [await bytes_of(ada, node) for node in files] == list(files.values())
        assert is_sound(store)
        assert collect(store).packs_written == 0


async def test_a_download_that_began_before_goes_on(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        data = [noise(3_000_000, number) for number in range(4)]
        waste = noise(4_000_000), noise(4_000_000), noise(4_000_000)
        await ada.upload(*data, *waste)
        await ada.put_new("a", a_file(*data))
        with store.database.reading() as session:
            located = store.chunks.locate(session, [chunk_id(one) for one in data])
        stream = store.chunks.stream(located)
        got = list(await anext(stream))
        assert collect(store, grace_seconds=3_600).packs_written == 1
        assert len(store.pack_files) == 1, "the old one stands under another name until the grace is over"
        async for frames in stream:
            got += frames
        assert [frame.id for frame in got] == [chunk_id(one) for one in data]


async def test_who_slept_through_its_lease_is_told_to_upload_again(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        await ada.upload(b"text")
        collect(store)
        ada.now_ms = NOW_MS  # as its request says, which was on its way for two days
        [result] = await ada.commit(Make(node=uuid4(), parent=ada.root, name="a", content=a_file(b"text")))
        assert result.status is Status.MISSING_CHUNKS
        assert is_sound(store)


async def test_a_commit_between_mark_and_sweep_keeps_its_chunks(tmp_path: Path) -> None:
    """Its lease had run out by gc's clock, not yet by its own."""
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        data = noise(10_000)
        await ada.upload(data)
        collected = collector(store)
        marked = collected.mark(grace_seconds=0)
        await ada.lease(chunk_id(data))
        node = await ada.put_new("a", a_file(data))
        done = collected.sweep(marked)
        assert done.packs_dropped == 0
        assert await bytes_of(ada, node) == data
        assert is_sound(store)


async def test_a_put_back_between_mark_and_sweep_keeps_its_chunks(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        file = await ada.put_new("a", a_file())
        await ada.commit(Put(node=file, content_revision=Revision(1, 1), content=a_file(executable=True)))
        await ada.commit(Put(node=file, content_revision=Revision(1, 2), content=a_file()))
        alter(store, "DELETE FROM versions WHERE number = 2")
        alter(store, "INSERT OR REPLACE INTO meta VALUES ('epoch', '2')")
        data = noise(10_000)
        await ada.upload(data)
        collected = collector(store)
        marked = collected.mark(grace_seconds=0)
        await ada.lease(chunk_id(data))
        op = PutBack(
            node=file,
            parent=ada.root,
            name="a",
            place_revision=Revision(1, 1),
            content_revision=Revision(1, 2),
            content=a_file(data),
        )
        [result] = await ada.commit(op)
        assert result.status is Status.DONE
        assert collected.sweep(marked).packs_dropped == 0
        assert is_sound(store)


async def test_of_copies_a_whole_one_stays(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben, store = await space.client("ada"), await space.client("ben"), space.store
        data = noise(100_000)
        for client in (ada, ben):
            await client.upload(data)
        node = await ada.put_new("a", a_file(data))
        await ben.put_new("b", a_file(data))
        first, _ = sorted(store.pack_files, key=lambda path: store_number(store, path.name))
        damage(first)
        collect(store)
        assert store.pack_files != [first]
        assert await bytes_of(ada, node) == data


def store_number(store: Store, name: str) -> int:
    with store.database.reading() as session:
        [(number,)] = (
            session.connection().exec_driver_sql("SELECT id FROM packs WHERE name = ?", (name,)).all()
        )
    return int(number)


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(10_000)
        byte = file.read(1)[0]
        file.seek(10_000)
        file.write(bytes([byte ^ 1]))


async def test_a_pack_with_a_broken_record_is_left_alone_and_told(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        data, waste = noise(50_000), noise(90_000)
        await ada.upload(data, waste)
        await ada.put_new("a", a_file(data))
        [pack] = store.pack_files
        damage(pack)
        done = collect(store)
        assert done.damaged == [pack.name]
        assert store.pack_files == [pack]


async def test_nothing_is_dropped_while_a_manifest_cannot_be_followed(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        packs = store.pack_files
        alter(store, "UPDATE versions SET size = size + 1 WHERE indirect")
        with pytest.raises(ContentDamaged, match="cannot be followed"):
            collect(store)
        assert store.pack_files == packs


async def test_a_deleted_tree_is_held_by_the_trash(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        await ada.upload(b"text")
        folder = await ada.put_new("folder")
        await ada.put_new("a", a_file(b"text"), parent=folder)
        await ada.commit(DeleteTree(node=folder, place_revision=Revision(1, 1), cursor=await ada.head()))
        assert collect(store).packs_dropped == 0
        assert is_sound(store)


class Died(BaseException):
    """As a kill would end it."""


@pytest.mark.parametrize("at", range(1, 30, 3))
async def test_killed_anywhere_it_leaves_a_sound_store(tmp_path: Path, at: int) -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            raise Died

    async with a_space(tmp_path) as space:
        files = await _some_files(space)
        ada, store = await space.client("ada"), space.store
        try:
            collector(store, pause=step).run(grace_seconds=0)
        except Died:
            assert steps == at
        assert is_sound(store)
        await store.chunks.adopt()
        collect(store)
        assert is_sound(store)
        assert [await bytes_of(ada, node) for node in files] == list(files.values())


async def _some_files(space: Space) -> dict[UUID, bytes]:
    ada = await space.client("ada")
    files = {}
    for number in range(10):
        data, waste = noise(2_000, number), noise(3_000, number)
        await ada.upload(data, waste)
        files[await ada.put_new(f"{number}", a_file(data))] = data
    return files
