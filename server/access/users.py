"""People who have an account.

Owns: adding them with their home, disabling, new passwords.
May import: sqlalchemy, protocol, server.access, server.database.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from protocol.errors import NotFound, Refused
from protocol.ids import UserId
from protocol.names import name_key
from server.access.new_spaces import check_name, fresh_id, make_space
from server.access.passwords import check_password, hash_password
from server.access.rights import HOME
from server.database.tables import SpaceRow, UserRow, ViewRow

HOME_NAME = "/Home"


@dataclass(frozen=True, slots=True)
class User:
    id: UserId
    name: str
    is_admin: bool
    is_disabled: bool
    created_at_ms: int


def add_user(session: Session, name: str, password: str, *, is_admin: bool = False, now_ms: int) -> User:
    """A new account and its home, in the caller's transaction.

    Raises BadRequest: name or password are not taken.  Raises Refused: someone has this name, or no space is left.
    """
    check_name(name, of="user")
    check_password(password)
    if _find(session, name) is not None:
        raise Refused(f"There is a user {name} already", hint="Choose another name.")
    password_hash = hash_password(password)
    user = UserId(fresh_id(now_ms))
    row = UserRow(
        id=user.bytes,
        name=name,
        name_key=name_key(name),
        password_hash=password_hash,
        is_admin=is_admin,
        disabled_at_ms=None,
        created_at_ms=now_ms,
    )
    session.add(row)
    session.flush()
    make_space(session, HOME, HOME_NAME, owner=user, now_ms=now_ms)
    return _value(row)


def disable_user(session: Session, name: str, *, now_ms: int) -> User:
    """From the next request on all tokens of this user are dead; the files stay."""
    row = _found(session, name)
    if row.disabled_at_ms is None:
        row.disabled_at_ms = now_ms
    return _value(row)


def enable_user(session: Session, name: str) -> User:
    row = _found(session, name)
    row.disabled_at_ms = None
    return _value(row)


def set_password(session: Session, name: str, password: str) -> User:
    """Devices that are signed in stay so.  Raises BadRequest, NotFound."""
    check_password(password)
    row = _found(session, name)
    row.password_hash = hash_password(password)
    return _value(row)


def set_quota(session: Session, name: str, quota_bytes: int | None) -> None:
    """Of this user's home; None: the server's default.  Raises NotFound."""
    row = _found(session, name)
    homes = select(ViewRow.space).where(ViewRow.owner == row.id, ViewRow.kind == HOME)
    session.execute(update(SpaceRow).where(SpaceRow.id.in_(homes)).values(quota_bytes=quota_bytes))


def list_users(session: Session) -> list[User]:
    return [_value(row) for row in session.scalars(select(UserRow).order_by(UserRow.name_key))]


def _find(session: Session, name: str) -> UserRow | None:
    found: UserRow | None = session.scalar(select(UserRow).where(UserRow.name_key == name_key(name)))
    return found


def _found(session: Session, name: str) -> UserRow:
    row = _find(session, name)
    if row is None:
        raise NotFound(f"There is no user {name[:80]}", hint="`mb-server user list` shows all.")
    return row


def _value(row: UserRow) -> User:
    return User(
        id=UserId(UUID(bytes=row.id)),
        name=row.name,
        is_admin=row.is_admin,
        is_disabled=row.disabled_at_ms is not None,
        created_at_ms=row.created_at_ms,
    )
