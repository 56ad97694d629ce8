"""What a running server does for its data by itself, when it is due and at a gentle pace.

Owns: when each task is due (remembered over restarts), the pace, stopping at once with the server.
May import: protocol, server.

A task is plain blocking code in one thread of its own.  It calls `pause` between pieces of work, where it sleeps
long enough to take its share of a core only, and where it ends when the server is told to stop: every task leaves
its data sound wherever it ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Event

from sqlalchemy.orm import Session

from protocol.errors import MedicalBlocksError, Unavailable
from server.database.session import Database
from server.database.tables import MetaRow

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
FIRST_LOOK_SECONDS = 10.0
_LONGEST_REST_SECONDS = 60.0


class _StopNow(BaseException):
    """The server ends: raised in the thread, caught where it began."""


class Pace:
    """`pause` sleeps in proportion to the time since it last did.  share: of a core, that may be used."""

    def __init__(self, stop: Event, share: float) -> None:
        self._stop = stop
        self._rest = 1 / share - 1
        self._woke = time.monotonic()

    def pause(self) -> None:
        worked = time.monotonic() - self._woke
        if self._stop.wait(min(worked * self._rest, _LONGEST_REST_SECONDS)):
            raise _StopNow
        self._woke = time.monotonic()


@dataclass(frozen=True, slots=True)
class Task:
    """every_seconds: 0 for never.  share: of a core.  work: takes `pause`."""

    every_seconds: int
    share: float
    work: Callable[[Callable[[], None]], None]


async def tend(
    database: Database,
    tasks: Mapping[str, Task],
    *,
    clock: Callable[[], int],
    first_look_seconds: float = FIRST_LOOK_SECONDS,
) -> None:
    """Run each task when it is due, one at a time, until cancelled."""
    stop = Event()
    try:
        await asyncio.sleep(first_look_seconds)
        while True:
            for name, task in tasks.items():
                try:
                    if task.every_seconds and await _is_due(database, name, task.every_seconds, clock()):
                        await _in_thread(partial(_run, name, task, stop), stop)
                        await database.write(partial(_note, name=name, now_ms=clock()))
                except (
                    Unavailable
                ) as error:  # the disk fails: no reason to end the server; the next look tells
                    log.warning("not looked after task=%s: %s", name, error)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        stop.set()


def last_run_ms(session: Session, name: str) -> int:
    """When the server last ended this task; 0: never."""
    row = session.get(MetaRow, f"{name}_at_ms")
    return 0 if row is None else int(row.value)


def _made_at_ms(session: Session) -> int:
    """A new server has nothing to look after yet."""
    row = session.get(MetaRow, "created_at_ms")
    return 0 if row is None else int(row.value)


async def _is_due(database: Database, name: str, every_seconds: int, now_ms: int) -> bool:
    last = await database.read(lambda session: last_run_ms(session, name) or _made_at_ms(session))
    return not last <= now_ms < last + every_seconds * 1_000  # a clock set back makes it due too


def _note(session: Session, *, name: str, now_ms: int) -> None:
    session.merge(MetaRow(key=f"{name}_at_ms", value=str(now_ms)))


def _run(name: str, task: Task, stop: Event) -> None:
    began = time.monotonic()
    try:
        task.work(Pace(stop, task.share).pause)
    except _StopNow:
        log.info("stopped task=%s with the server", name)
    except MedicalBlocksError as error:
        log.warning("task=%s did not end: %s", name, error)
    except Exception:  # one task's fault is no reason to stop serving
        log.exception("task=%s failed", name)
    else:
        log.info("ended task=%s seconds=%.1f", name, time.monotonic() - began)


async def _in_thread(work: Callable[[], None], stop: Event) -> None:
    """A caller that is cancelled tells the thread to stop, and waits for it: it uses the database."""
    working = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([working])
        raise
