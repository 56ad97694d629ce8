"""`check` is silent about a sound server, and names each thing that is broken."""

import os
import sqlite3
import struct
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from protocol.ids import ChunkId
from protocol.messages import Make
from server.chunks.keys import StoreKeys
from server.upkeep.check import check
from server.upkeep.walk import reachable
from tests.support.busy_space import HALVES, a_copy, alter
from tests.support.spaces import a_file, a_space
from tests.support.store import Store, chunk_id


async def codes(store: Store, *, deep: bool = False) -> set[str]:
    return {found.code for found in check(store.database, store.packs, store.keys, deep=deep)}


async def test_a_sound_server_has_no_findings(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        assert check(store.database, store.packs, store.keys, deep=True) == []


@pytest.mark.parametrize(
    ("code", "sql"),
    [
        ("space-root", "UPDATE spaces SET root = zeroblob(16)"),
        ("space-stamp", "UPDATE spaces SET stamp = 3 WHERE stamp > 3"),
        ("space-purged-stamp", "UPDATE spaces SET purged_stamp = stamp + 1"),
        ("space-used-bytes", "UPDATE spaces SET used_bytes = used_bytes + 1"),
        ("view-root", "UPDATE views SET root = zeroblob(16)"),
        ("arrival", "INSERT INTO arrivals SELECT space, 1, zeroblob(16) FROM nodes LIMIT 1"),
        ("node-kind", "UPDATE nodes SET kind = 'pipe' WHERE name = 'empty'"),
        ("node-parent", "UPDATE nodes SET parent = (SELECT id FROM nodes WHERE name = 'link') WHERE name = 'empty'"),
        ("node-cycle", "UPDATE nodes SET parent = id WHERE name = 'folder'"),
        ("node-name-held", "UPDATE nodes SET name_key = NULL WHERE name = 'empty'"),
        ("node-name-key", "UPDATE nodes SET name_key = 'Empty' WHERE name = 'empty'"),
        ("node-name", "UPDATE nodes SET name = '..', name_key = '..' WHERE name = 'empty'"),
        ("node-revision", "UPDATE nodes SET place_epoch = 2 WHERE name = 'empty'"),
        ("node-version", "UPDATE nodes SET content_number = 9 WHERE name = 'empty'"),
        ("version-newer", "UPDATE nodes SET content_number = 1 WHERE name = 'One'"),
        ("version-node", "DELETE FROM nodes WHERE name = 'empty'"),
        ("manifest", "UPDATE versions SET lengths = x'', size = 0 WHERE size = 3"),
        ("manifest", "UPDATE versions SET size = size + 1 WHERE indirect"),
        ("manifest-length", "UPDATE versions SET size = 4, lengths = x'04000000' WHERE size = 3"),
        ("uses", "DELETE FROM chunk_uses"),
        ("uses", "DELETE FROM chunk_uses WHERE chunk = (SELECT max(chunk) FROM chunk_uses)"),
        ("use-version", "INSERT INTO chunk_uses SELECT space, chunk, zeroblob(16), 1, 1 FROM chunk_uses LIMIT 1"),
        ("use-version", "UPDATE chunk_uses SET node = x'ffffffffffffffffffffffffffffffff'"),
        ("chunk-missing", "DELETE FROM chunks"),
        ("chunk-length", "INSERT INTO chunks SELECT id, pack, offset + 1, stored_length, 99, 0 FROM chunks"),
        ("chunk-place", "UPDATE chunks SET offset = offset + 1000000"),
        ("possession-chunk", "UPDATE possessions SET chunk = zeroblob(32) WHERE chunk = (SELECT max(chunk) FROM possessions)"),  # noqa: E501
        ("possession-space", "UPDATE possessions SET space = 999"),
        ("pack-missing", "UPDATE packs SET name = 'gone.pack' WHERE id = 1"),
        ("pack-size", "UPDATE packs SET size = size + 1"),
        ("pack-digest", "UPDATE packs SET file_digest = zeroblob(16)"),
        ("database", "UPDATE devices SET user = zeroblob(16)"),
    ],
)  # fmt: skip
async def test_each_broken_row_is_found(busy: Path, tmp_path: Path, code: str, sql: str) -> None:
    async with a_copy(busy, tmp_path) as store:
        alter(store, sql)
        assert code in await codes(store)


async def test_a_fault_in_great_numbers_is_told_a_hundred_times_and_counted(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        batch = [
            Make(node=UUID(int=n), parent=ada.root, name=f"{n}", content=a_file()) for n in range(1, 301)
        ]
        await ada.commit(*batch)
        store = space.store
        alter(store, "UPDATE nodes SET name_key = name || '!' WHERE name <> ''")
        told = check(store.database, store.packs, store.keys, deep=False)
        assert len(told) == 101
        assert told[-1].message == "and 200 more like these"


def flip_a_bit(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        [byte] = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def cut(path: Path, to: int) -> None:
    os.truncate(path, to)


@pytest.mark.parametrize("damage", [flip_a_bit, cut])
@pytest.mark.parametrize("part", range(8))
async def test_damage_anywhere_in_a_pack_is_found(
    busy: Path, tmp_path: Path, damage: Callable[[Path, int], None], part: int
) -> None:
    async with a_copy(busy, tmp_path) as store:
        largest = max(store.pack_files, key=lambda path: path.stat().st_size)
        damage(largest, part * (largest.stat().st_size - 1) // 7)
        assert await codes(store) & {"pack-digest", "pack-size"}


async def test_a_deep_check_names_the_damaged_chunk(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        with sqlite3.connect(store.database.path) as rows:
            [(name, offset)] = rows.execute(
                "SELECT name, offset FROM chunks c JOIN packs p ON p.id = c.pack WHERE c.id = ?",
                [chunk_id(HALVES[0])],
            )
        flip_a_bit(store.packs.folder / name, offset + 60)
        told = check(store.database, store.packs, store.keys, deep=True)
        assert {found.code for found in told} == {"pack-digest", "chunk-damaged"}
        assert chunk_id(HALVES[0]).hex() in "".join(found.message for found in told)


async def test_a_pack_and_its_rows_disagreeing_is_found(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        alter(store, "UPDATE chunks SET codec = 1 - codec")
        assert await codes(store) == set()
        assert "pack-index" in await codes(store, deep=True)


async def test_other_keys_open_nothing(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        told = check(store.database, store.packs, StoreKeys(b"other" * 8), deep=True)
        assert {found.code for found in told} >= {"chunk-damaged", "manifest"}


async def test_what_was_left_half_written_is_found_only_when_nobody_writes_it_any_more(
    busy: Path,
    tmp_path: Path,
) -> None:
    async with a_copy(busy, tmp_path) as store:
        leftover = store.packs.folder / "x.pack.tmp"
        leftover.write_bytes(b"MBPK")
        assert await codes(store) == set()
        an_hour_ago = time.time() - 3_601
        os.utime(leftover, (an_hour_ago, an_hour_ago))
        assert await codes(store) == {"pack-leftover"}
        (store.packs.folder / "y.pack").write_bytes(b"not a pack")
        assert await codes(store, deep=True) == {"pack-leftover", "pack-stray"}


async def test_the_walk_reaches_what_old_versions_trash_and_indirect_manifests_hold(
    busy: Path, tmp_path: Path
) -> None:
    async with a_copy(busy, tmp_path) as store:
        reached: set[ChunkId] = set()
        with store.database.reading() as session:
            for page in reachable(session, store.chunks):
                for held in page:
                    reached.update(held.chunks)
    records = b"".join(chunk_id(data) + struct.pack("<I", len(data)) for data in (b"first", b"second"))
    everything = (b"one", b"two", b"../somewhere", *HALVES, b"first", b"second", records)
    assert reached == {chunk_id(data) for data in everything}
