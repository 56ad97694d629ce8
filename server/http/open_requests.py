"""Requests that last: long polls and streams.

Owns: which of them are open, for whom and with which right; ending them when the token dies, the right ends or the
server stops.
May import: the standard library, protocol, server.access.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from protocol.errors import MedicalBlocksError, NotSignedIn, Unavailable
from protocol.ids import DeviceId
from server.access.codes import expired_for
from server.access.rights import Action, Principal, ReadableView

Needed = tuple[Principal, ReadableView, Action]  # the right that a request goes on with


class _Open:
    """One request.  Its scope is ended by moving the deadline to now."""

    __slots__ = ("needs", "principal", "reason", "scope")

    def __init__(self, scope: asyncio.Timeout, principal: Principal, needs: Needed | None) -> None:
        self.scope = scope
        self.principal = principal
        self.needs = needs
        self.reason: MedicalBlocksError | None = None

    def end(self, reason: MedicalBlocksError) -> None:
        if self.reason is None:
            self.reason = reason
            self.scope.reschedule(asyncio.get_running_loop().time())


class OpenRequests:
    """All requests under way that may last longer than a moment."""

    def __init__(self) -> None:
        self._open: defaultdict[DeviceId, set[_Open]] = defaultdict(set)
        self._ending: set[_Open] = set()  # those of sync codes, whose time is over one day
        self._stopping = False

    @asynccontextmanager
    async def track(
        self, principal: Principal, view: ReadableView | None = None, action: Action | None = None
    ) -> AsyncIterator[None]:
        """Let the body run until it is done, its device or its right is ended, or the server stops.

        action: what it does with `view`.
        Raises NotSignedIn: the token was revoked meanwhile.  Raises NotFound, AccessDenied: so was the right.
        Raises Unavailable: the server stops.
        """
        device = principal.device
        if self._stopping:
            raise _stopping()
        mine: _Open | None = None
        try:
            async with asyncio.timeout(None) as scope:
                needs = None if view is None or action is None else (principal, view, action)
                mine = _Open(scope, principal, needs)
                self._open[device].add(mine)
                if principal.opened is not None:
                    self._ending.add(mine)
                yield
        except TimeoutError as error:
            if mine is None or mine.reason is None:
                raise
            raise mine.reason from error
        finally:
            if mine is not None:
                self._open[device].discard(mine)
                self._ending.discard(mine)
                if not self._open[device]:
                    del self._open[device]

    def devices(self) -> set[DeviceId]:
        return set(self._open)

    def end(self, devices: Collection[DeviceId], reason: MedicalBlocksError | None = None) -> None:
        """These tokens are dead: what they have open ends now."""
        for device in devices:
            for request in list(self._open.get(device, ())):
                request.end(reason or NotSignedIn("This device was signed out", hint="Sign in again."))

    def end_expired(self, *, now_ms: int) -> None:
        """What goes on with a sync code whose time is over ends now."""
        for request in list(self._ending):
            if (over := expired_for(request.principal, now_ms=now_ms)) is not None:
                request.end(over)

    def needed(self) -> list[Needed]:
        """The rights that open requests go on with."""
        return [request.needs for requests in self._open.values() for request in requests if request.needs]

    def end_right(self, needed: Needed, reason: MedicalBlocksError) -> None:
        """This right is no more: what goes on with it ends now."""
        for request in list(self._open.get(needed[0].device, ())):
            if request.needs == needed:
                request.end(reason)

    def end_all(self) -> None:
        """The server stops: nothing new lasts, what lasts ends."""
        self._stopping = True
        for requests in list(self._open.values()):
            for request in list(requests):
                request.end(_stopping())


def _stopping() -> Unavailable:
    return Unavailable("The server is stopping", hint="Try again in a moment.")
