"""What changed between two looks at the engine, for whoever shows the states of files.

Owns: the numbered log of changes, short enough to be kept in memory.  Pure.
May import: engine.marks (for its type).

A number is good for one life of the client: one from before is answered with "look at everything".
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync_client.engine.marks import Picture

MOST_CHANGES = 200  # are remembered; who asks less often looks at everything
MOST_PATHS = 2_000  # of one answer
WHOLE_STATES = frozenset({"error", "paused", "offline"})  # of a folder: each file in it has that state


class Changes:
    def __init__(self, begins: int) -> None:
        """begins: higher than any number of an earlier life."""
        self.number = begins
        self._begins = begins
        self._log: deque[tuple[int, frozenset[str] | None]] = deque(maxlen=MOST_CHANGES)
        self._last: Picture | None = None

    def take(self, seen: Picture | None, *, renew: bool = False) -> None:
        """Look at how it is now.  None: there is no engine.  renew: tell of what is too much to tell once more."""
        before, self._last = self._last, seen
        changed = difference(before, seen)
        if changed is None or changed:
            self._note(changed)
        elif renew and seen is not None and seen.busy is None:
            self._note(None)

    def _note(self, changed: frozenset[str] | None) -> None:
        self.number += 1
        self._log.append((self.number, changed))

    def since(self, after: int) -> frozenset[str] | None:
        """The paths that changed after this number; None: everything may have."""
        if after > self.number or after < self._begins or (self._log and after < self._log[0][0] - 1):
            return None
        found: set[str] = set()
        for number, changed in self._log:
            if number > after:
                if changed is None:
                    return None
                found |= changed
        return frozenset(found) if len(found) <= MOST_PATHS else None


def difference(before: Picture | None, after: Picture | None) -> frozenset[str] | None:
    """The paths whose state may be another one; None: everything's."""
    if before is None or after is None:
        return frozenset() if before is after else None
    if before.decisions != after.decisions or before.folders.keys() != after.folders.keys():
        return None
    changed: set[str] = set()
    for folder, state in after.folders.items():
        was = before.folders[folder]
        if state != was:
            if WHOLE_STATES & {was, state}:
                return None
            changed.add(folder)
    if before.busy != after.busy:
        if before.busy is None or after.busy is None:
            return None
        changed |= before.busy ^ after.busy
    return frozenset(changed | (before.troubled ^ after.troubled))
