"""What was asked for and not granted, on its way into the log.

Owns: gathering denials for a moment, equal ones as one.
May import: sqlalchemy, protocol, server.audit, server.database, server.http.

A denial changes nothing, so there is no transaction to write it in: it waits in memory for at most a second, and
whoever asks without end makes one row a second.  A server that is killed loses that second; one that is stopped
does not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.names import name_key
from server.audit.rows import SERVER, Came, Did, Entry, record
from server.database.tables import UserRow

MAX_KINDS = 1_000  # of denials in one moment; what is more is counted without saying what it was


@dataclass(frozen=True, slots=True)
class Denial:
    """tried: the name that somebody gave to sign in."""

    did: Did
    result: str
    actor: UUID | None = None
    device: UUID | None = None
    space: int = SERVER
    address: str = ""
    detail: str = ""
    tried: str = ""


class Denials:
    """`note` at each; `take` and `write_denials` every second."""

    def __init__(self) -> None:
        self._counts: Counter[Denial] = Counter()
        self._request: dict[Denial, str] = {}

    def note(self, denial: Denial, *, request: str) -> None:
        """request: the id of the first of equal ones is kept."""
        if denial not in self._counts and len(self._counts) >= MAX_KINDS:
            denial, request = Denial(Did.ASK, "too-many-kinds"), ""
        self._counts[denial] += 1
        self._request.setdefault(denial, request)

    @property
    def are_waiting(self) -> bool:
        return bool(self._counts)

    def take(self) -> list[tuple[Denial, int, str]]:
        taken = [(denial, count, self._request[denial]) for denial, count in self._counts.items()]
        self._counts.clear()
        self._request.clear()
        return taken


def write_denials(session: Session, taken: list[tuple[Denial, int, str]], *, now_ms: int) -> None:
    record(
        session,
        [
            Entry(
                at_ms=now_ms,
                did=denial.did,
                space=denial.space,
                result=denial.result,
                actor=denial.actor or _user_of(session, denial.tried),
                device=denial.device,
                came=Came(denial.address, request),
                detail=denial.detail,
                count=count,
            )
            for denial, count, request in taken
        ],
    )


def _user_of(session: Session, name: str) -> UUID | None:
    """None where nobody has this name: then it may be anything, a password too, and is not kept."""
    if not name:
        return None
    found = session.scalar(select(UserRow.id).where(UserRow.name_key == name_key(name)))
    return None if found is None else UUID(bytes=found)
