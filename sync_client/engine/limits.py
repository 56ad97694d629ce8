"""How fast this computer may send and receive, and at which hours; how large a new folder may be unasked.

Owns: the limits, whether they apply at a moment, their place in `state.db`.
May import: the standard library, msgspec, engine.database.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sync_client.engine.database import StateDatabase

NEW_FOLDERS = 10_000_000_000  # far above a study of a day, and below what fills a laptop
_FACT = "limits"


class Limits(msgspec.Struct, frozen=True):
    """up, down: bytes a second; None: as fast as it goes.  begins, ends: minutes of the day by this computer's clock
    between which they apply; the same or None: always.  They may stretch over midnight.
    new_folders: bytes above which a folder that is new on the server waits for a person; None: none waits."""

    up: int | None = None
    down: int | None = None
    begins: int | None = None
    ends: int | None = None
    new_folders: int | None = NEW_FOLDERS

    def apply_at(self, moment: datetime) -> bool:
        if self.begins is None or self.ends is None or self.begins == self.ends:
            return True
        minute = moment.hour * 60 + moment.minute
        if self.begins < self.ends:
            return self.begins <= minute < self.ends
        return minute >= self.begins or minute < self.ends


def read_limits(state: StateDatabase) -> Limits:
    kept = state.fact(_FACT)
    return msgspec.json.decode(kept, type=Limits) if kept else Limits()


def write_limits(state: StateDatabase, limits: Limits) -> None:
    with state.transaction():
        state.set_fact(_FACT, msgspec.json.encode(limits).decode())
