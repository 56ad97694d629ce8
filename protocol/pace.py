"""How many bytes may go now: a limit in bytes a second that can change at any moment.

Owns: waiting for the limit.  May import: asyncio.

A bucket that fills by the limit and holds a quarter of a second of it, so that what flows is even and never stands
still for so long that the other end would take it for dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BUCKET_SECONDS = 0.25
LOOK_SECONDS = 0.5  # a limit that was changed counts from then on


class Pace:
    """rate: asked each time; bytes a second, None for no limit, 0 for not now."""

    def __init__(self, rate: Callable[[], int | None] = lambda: None) -> None:
        self.rate = rate
        self._level = 0.0
        self._seen_at = 0.0

    async def allow(self, wanted: int) -> int:
        """Waits until some of `wanted` bytes (at least one) may go; how many."""
        while True:
            rate = self.rate()
            if rate is None:
                return wanted
            now = asyncio.get_running_loop().time()
            self._level = min(rate * BUCKET_SECONDS, self._level + (now - self._seen_at) * rate)
            self._seen_at = now
            enough = min(
                wanted, max(1, rate * BUCKET_SECONDS / 2)
            )  # not a few bytes at a time, without a rest
            if rate and self._level >= enough:
                allowed = min(wanted, int(self._level))
                self._level -= allowed
                return allowed
            await asyncio.sleep((enough - self._level) / rate if rate else LOOK_SECONDS)

    async def spend(self, count: int) -> None:
        """Waits until so many bytes, which came already, are within the limit."""
        while count > 0:
            count -= await self.allow(count)
