"""How much the devices of sync codes read.

Owns: the counts that are not written yet.  May import: sqlalchemy, protocol, server.access, server.database.

They are written once a second for all, not once for each answer: a count that a killed server loses is one second's.
"""

from __future__ import annotations

from collections import Counter

from sqlalchemy.orm import Session

from protocol.ids import DeviceId
from server.access.codes import note_use
from server.access.rights import Principal
from server.database.session import Database


class CodeUse:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._read_bytes: Counter[DeviceId] = Counter()

    def note(self, principal: Principal, read_bytes: int) -> None:
        """Of a user nothing is counted here."""
        if principal.opened is not None and read_bytes:
            self._read_bytes[principal.device] += read_bytes

    async def write(self, *, now_ms: int) -> None:
        """Raises Unavailable: the database is busy; the counts are kept for the next time."""
        if not self._read_bytes:
            return
        counts, self._read_bytes = self._read_bytes, Counter()
        try:
            await self._database.write(lambda session: _write(session, counts, now_ms=now_ms))
        except BaseException:
            self._read_bytes.update(counts)
            raise


def _write(session: Session, counts: Counter[DeviceId], *, now_ms: int) -> None:
    for device, read_bytes in counts.items():
        note_use(session, device, read_bytes=read_bytes, now_ms=now_ms)
