"""A worker process survives whatever its block does, and says how the job ended."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from blocks.contract.job import InputFile, Job, write_job
from blocks.contract.manifest import MEBIBYTE, Resources
from blocks.runners.ran import Ended
from blocks.runners.warm import WarmWorkers, warm_workers
from protocol.errors import Refused
from tests.support.misbehaving_block import ENTRY

LIMITS = Resources(
    memory_bytes=256 * MEBIBYTE, cpu_seconds=1, wall_seconds=4, output_bytes=10 * MEBIBYTE, open_files=64
)

PATIENT = Resources(memory_bytes=256 * MEBIBYTE, cpu_seconds=1, wall_seconds=60)  # the machine may be busy


def a_job(folder: Path, deed: str, name: str = "1") -> Path:
    folder = folder / f"{deed}-{name}"
    for part in ("in", "out"):
        (folder / part).mkdir(parents=True)
    (folder / "in/0").write_bytes(b"x")
    files = [InputFile(file="0", path=["0"], kind="text", size_bytes=1)]
    write_job(folder, Job(id=name, block="misbehaving", version="1", parameters={"deed": deed}, files=files))
    return folder


@pytest.mark.parametrize(
    ("deed", "ended", "why"),
    [
        ("memory", Ended.OVERRAN, "memory"),
        ("time", Ended.OVERRAN, "time was up"),
        ("processor", Ended.OVERRAN, "processor time"),
        ("large-file", Ended.OVERRAN, "larger file"),
        ("crash", Ended.CRASHED, "signal 6"),
        ("raise", Ended.FAILED, "failed"),
    ],
)
async def test_a_job_that_overruns_or_crashes_is_told_and_the_next_one_runs(
    tmp_path: Path, deed: str, ended: Ended, why: str
) -> None:
    async with warm_workers(ENTRY, count=1) as workers:
        folder = a_job(tmp_path, deed)
        ran = await workers.run(folder, LIMITS if deed in {"time", "memory", "large-file"} else PATIENT)
        after = await workers.run(a_job(tmp_path, "fine"), PATIENT)

    assert (ran.ended, why in ran.why) == (ended, True), ran
    assert not (folder / "result.json").exists()
    assert "Zweistein" not in (folder / "log").read_text() + ran.why
    assert after.ended is Ended.DONE


async def test_what_a_block_prints_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    async with warm_workers(ENTRY, count=1) as workers:
        for name in "123":
            assert (await workers.run(a_job(tmp_path, "print", name), PATIENT)).ended is Ended.DONE


async def test_nothing_of_one_job_reaches_the_next(tmp_path: Path) -> None:
    async with warm_workers(ENTRY, count=1) as workers:
        for name in ("first", "second"):
            folder = a_job(tmp_path, "seen", name)
            await workers.run(folder, PATIENT)
            assert (folder / "out/seen").read_text() == name


async def test_a_process_that_a_block_left_behind_ends_with_its_job(tmp_path: Path) -> None:
    async with warm_workers(ENTRY, count=1) as workers:
        folder = a_job(tmp_path, "leave-a-process")
        await workers.run(folder, PATIENT)
        await asyncio.sleep(2)

    assert not (folder / "late").exists()


async def test_a_worker_that_is_killed_is_told_and_replaced(tmp_path: Path) -> None:
    async with warm_workers(ENTRY, count=1) as workers:
        await workers.run(a_job(tmp_path, "fine"), PATIENT)
        running = asyncio.create_task(workers.run(a_job(tmp_path, "time"), PATIENT))
        await asyncio.sleep(0.3)
        [worker] = workers._alive
        os.kill(worker.pid, 9)

        assert (await running).ended is Ended.CRASHED
        assert (await workers.run(a_job(tmp_path, "fine", "2"), PATIENT)).ended is Ended.DONE


async def test_a_cancelled_job_does_not_go_on(tmp_path: Path) -> None:
    workers = WarmWorkers(ENTRY, count=1)
    running = asyncio.create_task(workers.run(a_job(tmp_path, "time"), PATIENT))
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not workers._alive
    assert (await workers.run(a_job(tmp_path, "fine"), PATIENT)).ended is Ended.DONE
    await workers.close()


async def test_a_block_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    async with warm_workers("no.such.module:Block", count=1) as workers:
        with pytest.raises(Refused, match="cannot be loaded"):
            await workers.run(a_job(tmp_path, "fine"), PATIENT)
