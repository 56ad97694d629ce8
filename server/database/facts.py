"""What the `meta` table says of the whole server.

Owns: reading it, and keeping the wrapped store key in it.  May import: sqlalchemy, protocol, server.database.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import LocalProblem
from server.database.tables import MetaRow

FIRST_EPOCH = 1
EPOCH = "SELECT value FROM meta WHERE key = 'epoch'"  # to stand inside another statement
_EPOCH_QUERY = select(MetaRow.value).where(MetaRow.key == "epoch")


def epoch_of(session: Session) -> int:
    """Rises by one with each restore from a backup; the half of every revision and cursor that says which."""
    return epoch_value(session.scalar(_EPOCH_QUERY))


def epoch_value(text: str | None) -> int:
    """text: what `EPOCH` gave."""
    return FIRST_EPOCH if text is None else int(text)


def kept_store_key(session: Session) -> bytes | None:
    """The store key, wrapped: a backup of the database brings it along.  None: not kept yet."""
    value = session.scalar(select(MetaRow.value).where(MetaRow.key == "store_key"))
    return None if value is None else bytes.fromhex(value)


def keep_store_key(session: Session, wrapped: bytes) -> None:
    session.merge(MetaRow(key="store_key", value=wrapped.hex()))


def server_id_of(session: Session) -> UUID:
    """The name of this server among all servers, made by `init`."""
    value = session.scalar(select(MetaRow.value).where(MetaRow.key == "server_id"))
    if value is None:
        raise LocalProblem("The database does not say which server it is", hint="Make a new one with `init`.")
    return UUID(value)
