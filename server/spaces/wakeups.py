"""Waking who waits for a space to move.

Owns: who waits for which space, and seeing what another process changed.
May import: sqlalchemy, protocol, server.database.

A commit of this process wakes those who wait for its space, and nobody else.  What another process commits is
seen by a look at the database every 250 ms, which costs microseconds while nothing changes.  The same look finds
that somebody's rights changed: that wakes everyone, for each to see whether it is about them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from sqlalchemy.orm import Session

from protocol.errors import Unavailable
from protocol.ids import SpaceId
from server.database.facts import rights_number
from server.database.session import Database, rows_in

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.25


class _Waiter:
    """One long poll.  seen: the stamps up to which it has read its spaces.  rights: their number as it knows it."""

    __slots__ = ("moved", "rights", "seen", "woken")

    def __init__(self, seen: Mapping[SpaceId, int], rights: int) -> None:
        self.seen = seen
        self.rights = rights
        self.moved: set[SpaceId] = set()
        self.woken = asyncio.Event()

    def wake(self, space: SpaceId) -> None:
        self.moved.add(space)
        self.woken.set()

    def look(self, stamps: Mapping[SpaceId, int], rights: int) -> None:
        """Wake it if this is news to it."""
        for space, seen in self.seen.items():
            if stamps.get(space, 0) > seen:
                self.wake(space)
        if rights != self.rights:
            self.woken.set()


class Wakeups:
    """`notify` after each commit; `wait` in each long poll; `watching()` around the life of the server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: defaultdict[SpaceId, dict[_Waiter, None]] = defaultdict(dict)  # in the order they came
        self._all: dict[_Waiter, None] = {}

    def notify(self, space: SpaceId) -> None:
        """This space moved: its transaction has ended."""
        for waiter in self._waiters.get(space, ()):
            waiter.wake(space)

    def notify_rights(self) -> None:
        """Somebody's rights changed: its transaction has ended."""
        for waiter in self._all:
            waiter.woken.set()

    async def wait(self, seen: Mapping[SpaceId, int], rights: int, timeout: float) -> set[SpaceId] | None:
        """Those spaces that have a stamp above the one seen, as soon as there is one; none where it is the rights
        that changed.  None: the time is up."""
        waiter = _Waiter(seen, rights)
        self._all[waiter] = None
        for space in seen:
            self._waiters[space][waiter] = None
        try:
            # after we are listed: nothing falls in between
            waiter.look(*await self._database.read(lambda session: _now(session, seen)))
            async with asyncio.timeout(timeout):
                await waiter.woken.wait()
        except TimeoutError:
            return None
        else:
            return waiter.moved
        finally:
            self._all.pop(waiter, None)
            for space in seen:
                self._waiters[space].pop(waiter, None)
                if not self._waiters[space]:
                    del self._waiters[space]

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While this is open, commits of other processes wake their waiters too."""
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look_again_and_again(), name="watch the database")
            try:
                yield
            finally:
                looking.cancel()

    async def _look_again_and_again(self) -> None:
        known = self._database.data_version()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                version = self._database.data_version()
                if version != known and self._all:
                    await self._wake_moved()
            except Unavailable:
                log.warning("the database is busy, or its disk failed; looking again")
                continue
            known = version

    async def _wake_moved(self) -> None:
        spaces = list(self._waiters)
        stamps, rights = await self._database.read(lambda session: _now(session, spaces))
        for waiter in self._all:
            waiter.look(stamps, rights)


def _now(session: Session, spaces: Collection[SpaceId]) -> tuple[dict[SpaceId, int], int]:
    return stamps_of(session, spaces), rights_number(session)


def stamps_of(session: Session, spaces: Collection[SpaceId]) -> dict[SpaceId, int]:
    """The stamp of the last change of each."""
    rows = rows_in(session, "SELECT id, stamp FROM spaces WHERE id IN", among=spaces)
    return {SpaceId(space): stamp for space, stamp in rows}
