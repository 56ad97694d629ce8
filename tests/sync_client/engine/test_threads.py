"""Who is cancelled waits for its thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sync_client.engine.threads import ended, in_thread


async def test_it_gives_what_the_work_gives() -> None:
    assert await in_thread(int, "ff", base=16) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "no number")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_ends_after_its_thread(fails: bool) -> None:
    begun, may_end, over = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(60)
        over.set()
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
    assert over.is_set()


async def _slow_to_end(may_end: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await may_end.wait()


async def test_who_ends_a_task_and_is_cancelled_meanwhile_is_cancelled_once_the_task_is_over() -> None:
    """Taken for the task's own end, the cancellation would be lost, and a client that is told to stop goes on."""
    may_end = asyncio.Event()
    task = asyncio.create_task(_slow_to_end(may_end))
    await asyncio.sleep(0)
    ending = asyncio.create_task(ended(task))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.sleep(0)
    assert not ending.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert task.cancelled()


async def test_what_an_ended_task_raised_is_told_to_nobody() -> None:
    task = asyncio.ensure_future(asyncio.to_thread(int, "no number"))
    await asyncio.wait([task])
    await ended(task)


async def test_a_cancelled_task_is_waited_for() -> None:
    may_end = asyncio.Event()
    task = asyncio.create_task(_slow_to_end(may_end))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.02, may_end.set)
    await ended(task)
    assert task.cancelled()
