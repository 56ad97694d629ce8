"""All codes of a home at once: each has its engine; what other commands add or remove is taken up.

Owns: the tasks, one a code; the end when nothing is followed any more.
May import: asyncio, synclight, engine.marker.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from pathlib import Path

from protocol.errors import LocalProblem
from sync_client.engine.database import StateDatabase
from sync_client.engine.marker import remove_marker
from sync_client.engine.sealing import StateDamaged
from synclight.home import Follow, LightHome
from synclight.keeping import Keeper
from synclight.progress import Teller

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


async def run_all(home: LightHome, teller: Teller) -> bool:
    """Follow until told to stop.  False: nothing is followed any more, since every code has ended."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: Ctrl-C ends asyncio.run
            break
    tasks: dict[Path, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        try:
            while not stop.is_set():
                follows = home.follows()
                for follow in follows:
                    if follow.is_asked("remove"):
                        await _stop(tasks.pop(follow.path, None))
                        await asyncio.to_thread(forget, follow)
                    elif follow.path not in tasks and not follow.shared.ended:
                        log.info("follow begins id=%s", follow.path.name)
                        tasks[follow.path] = group.create_task(Keeper(follow, teller).keep())
                for path in set(tasks) - {follow.path for follow in follows}:  # somebody took its record away
                    await _stop(tasks.pop(path, None))
                tasks = {path: task for path, task in tasks.items() if not task.done()}
                if not tasks:
                    return not home.follows()
                await _wait_at_most(stop, LOOK_SECONDS)
            return True
        finally:
            for task in tasks.values():
                task.cancel()


def forget(follow: Follow) -> None:
    """Stop following; no file is deleted.  Whoever calls it holds the lock of the home."""
    if (follow.path / "state.db").exists():
        with suppress(StateDamaged):  # then the marker stays, and proves nothing any more
            database = StateDatabase(follow.path / "state.db")
            try:
                folders = database.folders()
            finally:
                database.close()
            for folder in folders:
                remove_marker(folder.local, folder.follow)
    try:
        follow.forget()
    except OSError as error:
        raise LocalProblem(
            f"{follow.path} cannot be removed ({error.strerror})", hint="See who may write there."
        ) from error


async def _stop(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait([task])


async def _wait_at_most(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
