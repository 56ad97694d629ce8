"""`mb-server gc` as a process, killed at random, beside a server that works."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from pathlib import Path

from tests.support.busy_space import a_copy, alter
from tests.support.server import mb_server, mb_server_process
from tests.support.spaces import a_file, a_space
from tests.support.store import a_store

SEED = int(os.environ.get("MB_SEED", "1"))
KILLS = 4


def test_killed_at_random_points_it_loses_nothing(tmp_path: Path) -> None:
    asyncio.run(_fill(tmp_path))
    before = mb_server("manifest", "--data", tmp_path).stdout
    assert before.count("current") == 40
    pauses = random.Random(SEED)
    for _ in range(KILLS):
        process = mb_server_process("gc", "--data", tmp_path, "--grace", "0s")
        time.sleep(pauses.uniform(0.4, 1.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert mb_server("check", "--data", tmp_path, "--deep").stdout == ""
    asyncio.run(_start(tmp_path))
    done = mb_server("gc", "--data", tmp_path, "--grace", "0s", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["damaged"] == []
    assert mb_server("check", "--data", tmp_path, "--deep").stdout == ""
    assert mb_server("manifest", "--data", tmp_path).stdout == before
    assert sum(path.stat().st_size for path in tmp_path.glob("packs/*")) < 40 * 201_000


async def _fill(folder: Path) -> None:
    async with a_space(folder) as space:
        ada = await space.client("ada")
        for number in range(40):
            data = random.Random(number).randbytes(200_000)
            await ada.upload(data, data[:1_000] + b"waste")
            await ada.put_new(f"{number}", a_file(data))
        alter(space.store, "UPDATE possessions SET leased_until_ms = 1")


async def _start(folder: Path) -> None:
    """As a server does when it starts."""
    async with a_store(folder) as store:
        await store.chunks.adopt()


async def test_a_dry_run_says_what_would_be_freed_and_changes_nothing(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        alter(store, "UPDATE possessions SET leased_until_ms = 1")
        packs = store.pack_files
    told = mb_server("gc", "--data", tmp_path / "copy", "--dry-run", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["dry_run"] is True
    assert sorted((tmp_path / "copy" / "packs").iterdir()) == packs


def test_a_wrong_grace_is_told_in_a_sentence(busy: Path) -> None:
    told = mb_server("gc", "--data", busy, "--grace", "soon")
    assert (told.returncode, told.stdout) == (1, "")
    assert "'soon' is no span of time. Write a number" in told.stderr
