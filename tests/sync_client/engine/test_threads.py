"""Who is cancelled waits for its thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sync_client.engine.threads import in_thread


async def test_it_gives_what_the_work_gives() -> None:
    assert await in_thread(int, "ff", base=16) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "no number")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_ends_after_its_thread(fails: bool) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(60)
        ended.set()
        if fails:
            raise OSError

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    await asyncio.sleep(0.02)
    task.cancel()  # who is impatient changes nothing
    await asyncio.sleep(0.02)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
