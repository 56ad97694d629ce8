"""How long to go on asking a server that is not there right now.

Owns: the back-off.  May import: protocol.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from protocol.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of one call, all its tries together.  `Patience(tries=1)` asks once."""

    tries: int = 6
    base_seconds: float = 0.2
    cap_seconds: float = 30.0
    total_seconds: float = 60.0


class Tries:
    """The tries of one call."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._done = 0
        self._ends = asyncio.get_running_loop().time() + patience.total_seconds

    async def pause(self, error: Unavailable) -> None:
        """Wait before the next try; raises `error` when there is none left.

        The time is drawn from zero to a limit that doubles (full jitter), so that the clients of a server
        that comes back do not all ask at once.
        """
        self._done += 1
        limit = min(self._patience.cap_seconds, self._patience.base_seconds * 2 ** (self._done - 1))
        seconds = random.uniform(0, limit)  # noqa: S311  # spreads load, guards nothing
        if self._done >= self._patience.tries or asyncio.get_running_loop().time() + seconds > self._ends:
            raise error
        await asyncio.sleep(seconds)
