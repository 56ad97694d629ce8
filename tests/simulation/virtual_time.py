"""An event loop in which time is a number: it passes only when nobody has anything to do.

Owns: the loop, its clock, and jobs for threads, which are done right here, each in one go.
May import: asyncio, sync_client.engine.round.

`time.time`, `time.time_ns` and `time.monotonic` tell the same clock while `installed` runs: whoever asks, in our
programs or in the libraries below them.  The first two, the clock on the wall, may be wrong on each computer in its own
way.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from sync_client.engine import round as engine_round

BEGAN_AT = 1_795_000_000  # seconds since 1970: some day in November 2026
MOST_TURNS = 60_000  # of the loop, in one history; a few thousand are usual
TICK_NS = 4_000_000  # files get the time of the last tick of the system's clock, as on Linux


# By how many seconds the clock of this computer is ahead; of what runs nowhere in particular it is right.
AHEAD: ContextVar[Callable[[], float]] = ContextVar("ahead", default=lambda: 0.0)


class Deadlock(AssertionError):
    """Everybody waits, and for nothing; or somebody never stops."""


class _NoSelector(selectors.BaseSelector):
    """Nothing outside this process is ever listened to: waiting is passing time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = 0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, 0, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nobody has anything to do, ever")
        if timeout > 0:
            self.now += timeout
        self.turns += 1
        if self.turns > MOST_TURNS:
            self.turns = 0  # so that what still runs can be ended
            raise Deadlock("somebody is busy for ever")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, chance: random.Random) -> None:
        self._passing = _NoSelector()
        super().__init__(self._passing)
        self._chance = chance
        self._last_start: dict[int, float] = {}
        self.slow_jobs = 0.0  # how many of them are not done at once
        self.bugs: list[str] = []
        self.set_exception_handler(self._note_bug)

    def time(self) -> float:
        return self._passing.now

    def time_ns(self) -> int:
        return BEGAN_AT * 1_000_000_000 + int(self._passing.now * 1e9)

    def shown_ns(self) -> int:
        """What the clock on the wall shows where this is asked."""
        return self.time_ns() + int(AHEAD.get()() * 1e9)

    def local_time(self) -> datetime:
        return datetime.fromtimestamp(BEGAN_AT + self.time() + AHEAD.get()(), UTC)

    def tick_ns(self) -> int:
        return self.time_ns() // TICK_NS * TICK_NS

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Here and in one go, a moment later; the jobs of a pool with one thread in their order."""
        future = self.create_future()
        start = self.time() + self._a_moment()
        if getattr(executor, "_max_workers", 0) == 1:
            start = self._last_start[id(executor)] = max(start, self._last_start.get(id(executor), 0.0))
        if start <= self.time():
            self.call_soon(self._do, future, func, args)
        else:
            self.call_at(start, self._do, future, func, args)
        return future

    def _do(self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.cancelled():
            return
        try:
            result = func(*args)
        except BaseException as error:
            tell: Callable[[], None] = lambda error=error: future.cancelled() or future.set_exception(error)  # noqa: E731
        else:
            tell = lambda: future.cancelled() or future.set_result(result)  # noqa: E731
        self.call_later(self._a_moment(), tell)

    def _a_moment(self) -> float:
        return self._chance.random() * 0.3 if self._chance.random() < self.slow_jobs else 0.0

    def _note_bug(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.bugs.append(f"{context['message']}: {error!r} {context.get('task', '')}")


@contextmanager
def installed(loop: VirtualLoop) -> Iterator[VirtualLoop]:
    """While this is open the clock of this process is the loop's."""
    local_time, engine_round.local_time = engine_round.local_time, loop.local_time
    before = {name: getattr(time, name) for name in ("time", "time_ns", "monotonic", "perf_counter")}
    time.time = lambda: BEGAN_AT + loop.time() + AHEAD.get()()
    time.time_ns = loop.shown_ns
    time.monotonic = time.perf_counter = loop.time
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        for name, function in before.items():
            setattr(time, name, function)
        engine_round.local_time = local_time
        asyncio.set_event_loop(None)
