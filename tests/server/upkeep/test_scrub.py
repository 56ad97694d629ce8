"""Damage on the disk is found by reading again, and never served."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from protocol.errors import ContentDamaged
from server.upkeep.background import Pace, Task, last_run_ms, tend
from server.upkeep.scrub import PROVEN_FOR_MS, health, scrub
from tests.support.store import NOW_MS, Store, a_store

SEED = int(os.environ.get("MB_SEED", "1"))
DAMAGES = 60  # of each kind; they cost a millisecond each


def known(store: Store) -> tuple[int, int, list[str]]:
    with store.database.reading() as session:
        found = health(session)
    return found.packs, found.unproven, found.damaged


def run(store: Store, now_ms: int = NOW_MS) -> int:
    return scrub(store.database, store.packs, clock=lambda: now_ms)


async def test_each_pack_is_read_once_in_two_weeks_and_damage_is_remembered(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.put(b"one")
        await store.put(b"two")
        assert known(store) == (2, 2, [])
        assert (run(store), run(store, NOW_MS + PROVEN_FOR_MS - 1)) == (2, 0)
        broken = store.pack_files[0]
        broken.write_bytes(broken.read_bytes()[:-1] + b"?")
        assert known(store) == (2, 0, [])
        assert run(store, NOW_MS + PROVEN_FOR_MS) == 2
        assert known(store) == (2, 0, [broken.name])


async def test_a_lost_pack_is_damage_and_one_that_is_whole_again_is_not(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.put(b"one")
        [pack] = store.pack_files
        aside = pack.rename(tmp_path / "aside")
        run(store)
        assert known(store) == (1, 0, [pack.name])
        aside.rename(pack)
        run(store)
        assert known(store) == (1, 0, [])


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def cut(data: bytes, at: int) -> bytes:
    return data[:at]


def zeroed(data: bytes, at: int) -> bytes:
    page = at // 4_096 * 4_096
    return data[:page] + bytes(len(data[page : page + 4_096])) + data[page + 4_096 :]


@pytest.mark.parametrize("damage", [flipped, cut, zeroed])
async def test_damaged_bytes_are_found_and_never_served(
    tmp_path: Path, damage: Callable[[bytes, int], bytes]
) -> None:
    chance = random.Random(SEED)
    datas = [chance.randbytes(chance.randint(1, 20_000)) for _ in range(8)]
    async with a_store(tmp_path) as store:
        chunks = await store.put(*datas)
        [pack] = store.pack_files
        whole = pack.read_bytes()
        for number in range(DAMAGES):
            at = chance.randrange(len(whole))
            pack.write_bytes(damage(whole, at))
            for chunk, data in zip(chunks, datas, strict=True):
                with suppress(ContentDamaged):
                    assert await store.get([chunk]) == [data], (damage, at)
            run(store, NOW_MS + (number + 1) * PROVEN_FOR_MS)
            assert known(store)[2] == [pack.name], (damage, at)


async def test_a_task_runs_when_it_is_due_and_ends_with_the_server(tmp_path: Path) -> None:
    began, ended = Event(), Event()

    def work(pause: Callable[[], None]) -> None:
        began.set()
        try:
            while True:
                pause()
        finally:
            ended.set()

    async with a_store(tmp_path) as store:
        quick = Task(60, 0.5, lambda pause: pause())
        tasks = {"quick": quick, "endless": Task(60, 0.5, work), "never": Task(0, 0.5, work)}
        tending = asyncio.create_task(
            tend(store.database, tasks, clock=lambda: NOW_MS, first_look_seconds=0), name="tend"
        )
        await asyncio.to_thread(began.wait, 60)
        with store.database.reading() as session:
            assert last_run_ms(session, "quick") == NOW_MS
            assert last_run_ms(session, "endless") == 0
        tending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tending
        assert ended.is_set()


def test_a_pace_takes_its_share_only() -> None:
    class Clocked(Event):
        slept = 0.0

        def wait(self, timeout: float | None = None) -> bool:
            self.slept += timeout or 0.0
            return False

    stop = Clocked()
    pace = Pace(stop, 0.05)
    worked = 0.02
    time.sleep(worked)
    pace.pause()
    assert stop.slept >= worked * 19
