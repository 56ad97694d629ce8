"""When a whole folder is looked at again although nothing is known to have changed there.

Owns: how long until then.  Pure: the clock is an argument.

A watcher is a hint.  Where it tells nothing, or cannot tell all (no more watches, another computer's changes on a
network file system), what it does not tell is found this way, and only this way.
"""

from __future__ import annotations

WATCHED_SECONDS = 15 * 60.0
BLIND_SECONDS = 60.0
SHARE = 0.01  # of a core, at most: what a look costs is spread over the time until the next
WISHED_SHARE = 0.1  # the same where a person said how often
LEAST_WISHED_SECONDS, MOST_WISHED_SECONDS = 10.0, 86_400.0


class ScanTimes:
    """Of one folder.  blind: not all that changes there is told.  wished: how often a person wants it."""

    def __init__(self, now: float) -> None:
        self.blind = False
        self.wished: float | None = None
        self._looked_at = now
        self._cost = 0.0

    def looked(self, now: float, cpu_seconds: float) -> None:
        """All of it was looked at, which took so much of the processor."""
        self._looked_at, self._cost = now, cpu_seconds

    @property
    def seconds(self) -> float:
        """From one look to the next, as things are now."""
        if self.wished is not None:
            return max(self.wished, self._cost / WISHED_SHARE)
        return max(BLIND_SECONDS if self.blind else WATCHED_SECONDS, self._cost / SHARE)

    def due_at(self) -> float:
        return self._looked_at + self.seconds
