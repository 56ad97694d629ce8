"""What the `meta` table says of the whole server.

Owns: reading it.  May import: sqlalchemy, protocol, server.database.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import LocalProblem
from server.database.tables import MetaRow

FIRST_EPOCH = 1


def epoch_of(session: Session) -> int:
    """Rises by one with each restore from a backup; the half of every revision and cursor that says which."""
    value = session.scalar(select(MetaRow.value).where(MetaRow.key == "epoch"))
    return FIRST_EPOCH if value is None else int(value)


def server_id_of(session: Session) -> UUID:
    """The name of this server among all servers, made by `init`."""
    value = session.scalar(select(MetaRow.value).where(MetaRow.key == "server_id"))
    if value is None:
        raise LocalProblem("The database does not say which server it is", hint="Make a new one with `init`.")
    return UUID(value)
