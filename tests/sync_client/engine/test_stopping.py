"""A client that is told to stop stops, whatever it is at.

MB_SEED chooses the moments.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from tests.support.hostile_server import HostileServer, a_hostile_server, a_state, an_engine

SEED = int(os.environ.get("MB_SEED") or 1)
TIMES = 40
STOPS_SECONDS = 60.0


async def _work(server: HostileServer, base: Path, seconds: float) -> None:
    """`an_engine` cancels once, and waits for the end."""
    base.mkdir()
    async with an_engine(server, base):
        await asyncio.sleep(seconds)


async def test_it_ends_at_the_first_cancellation_at_any_moment(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    async with a_hostile_server() as server:
        for number in range(20):
            server.add(f"{number}.txt", str(number).encode())
            server.states = [*server.states, a_state(f"folder {number}")]
        for number in range(TIMES):
            seconds = dice.uniform(0, 0.25)
            working = asyncio.create_task(_work(server, tmp_path / str(number), seconds))
            await asyncio.wait([working], timeout=STOPS_SECONDS)
            assert working.done(), f"cancelled after {seconds:.4f} s of work, it goes on"
            await working
