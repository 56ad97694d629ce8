"""Blocking work in threads, and tasks that are ended.

Owns: what happens to them when who waits for them is cancelled.
May import: asyncio.

A thread cannot be stopped.  Who closes a file or a folder while a thread still uses it may hand that thread another
file under the same number; so a cancelled caller waits until the thread has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """As `asyncio.to_thread`, but never ends before the work has."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:  # once is enough: it ends with this cancellation anyway
                continue
        if not running.cancelled():
            running.exception()  # it is told to nobody: the caller has left
        raise


async def ended(task: asyncio.Future[Any]) -> None:
    """Cancels the task and comes back when it is over; what it raised is told to nobody.

    Who is cancelled meanwhile waits all the same, and then ends with that: awaiting the task under
    `suppress(CancelledError)` would take the caller's own cancellation for the task's, and go on for ever.
    """
    task.cancel()
    own: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            own = error
    if not task.cancelled():
        task.exception()
    if own is not None:
        raise own
