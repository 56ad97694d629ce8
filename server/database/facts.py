"""What the `meta` table says of the whole server.

Owns: reading it, keeping the wrapped store key in it, counting the changes of rights.
May import: sqlalchemy, protocol, server.database.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from protocol.errors import LocalProblem
from server.database.session import rows_of_sql
from server.database.tables import MetaRow

FIRST_EPOCH = 1
EPOCH = "SELECT value FROM meta WHERE key = 'epoch'"  # to stand inside another statement
_RIGHTS = "SELECT value FROM meta WHERE key = 'rights'"
_COUNT_RIGHTS = text(
    "INSERT INTO meta (key, value) VALUES ('rights', '1')"
    " ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(meta.value AS INTEGER) + 1 AS VARCHAR)"
)


def epoch_of(session: Session) -> int:
    """Rises by one with each restore from a backup; the half of every revision and cursor that says which."""
    return epoch_value(_value_of(session, EPOCH))


def epoch_value(text: str | None) -> int:
    """text: what `EPOCH` gave."""
    return FIRST_EPOCH if text is None else int(text)


def rights_number(session: Session) -> int:
    """Rises whenever anyone may see more, less or other things than before."""
    value = _value_of(session, _RIGHTS)
    return 0 if value is None else int(value)


def _value_of(session: Session, sql: str) -> str | None:
    """Both are asked for at almost every request."""
    value: str
    for (value,) in rows_of_sql(session, sql):
        return value
    return None


def note_changed_rights(session: Session) -> None:
    """To be said in the transaction that changes them: whoever waits looks again at what it may see."""
    session.execute(_COUNT_RIGHTS)


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
