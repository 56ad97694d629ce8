"""A limit is kept, evenly, and can change at any moment."""

from __future__ import annotations

import asyncio
import time

from protocol.pace import BUCKET_SECONDS, Pace


async def test_without_a_limit_everything_goes_at_once() -> None:
    assert await Pace().allow(10**12) == 10**12


async def test_what_flows_is_the_limit_and_comes_in_small_pieces() -> None:
    pace = Pace(lambda: 400_000)
    began, went, pieces = time.monotonic(), 0, 0
    while went < 300_000:
        allowed = await pace.allow(300_000 - went)
        assert 0 < allowed <= 400_000 * BUCKET_SECONDS
        went, pieces = went + allowed, pieces + 1
    seconds = time.monotonic() - began
    assert pieces < 10  # whoever else runs here gets his turn
    assert seconds > (300_000 - 400_000 * BUCKET_SECONDS) / 400_000 * 0.95


async def test_a_limit_that_is_taken_away_counts_for_who_waits_already() -> None:
    limits: list[int | None] = [0]
    pace = Pace(lambda: limits[0])
    waiting = asyncio.create_task(pace.spend(10**9))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    limits[0] = None
    async with asyncio.timeout(60):
        await waiting
