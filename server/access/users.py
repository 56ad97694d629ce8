"""People who have an account.

Owns: adding them with their home, disabling, new passwords, the rules for their names.
May import: sqlalchemy, protocol, server.access, server.database.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import BadRequest, NotFound, Refused
from protocol.ids import UserId, uuid7
from protocol.names import name_key, refusal
from server.access.passwords import check_password, hash_password
from server.database.facts import epoch_of
from server.database.tables import NodeRow, SpaceRow, UserRow, ViewRow

MAX_NAME_CHARACTERS = 64
HOME = "home"
HOME_NAME = "/Home"
_NOBODY = bytes(16)


@dataclass(frozen=True, slots=True)
class User:
    id: UserId
    name: str
    is_admin: bool
    is_disabled: bool
    created_at_ms: int


def check_user_name(name: str) -> None:
    """Raises BadRequest: a name that could not stand in a path, or that two people would read alike."""
    why = refusal(name)
    if why is None and len(name) > MAX_NAME_CHARACTERS:
        why = f"it is longer than {MAX_NAME_CHARACTERS} characters"
    if why is None and (name != name.strip() or not name.isprintable()):
        why = "it begins or ends with a space, or holds a character that does not show"
    if why is not None:
        raise BadRequest(f"{name[:80]!r} cannot be a user name: {why}", hint="Choose another one.")


def add_user(session: Session, name: str, password: str, *, is_admin: bool = False, now_ms: int) -> User:
    """A new account and its home, in the caller's transaction.

    Raises BadRequest: name or password are not taken.  Raises Refused: someone has this name.
    """
    check_user_name(name)
    check_password(password)
    if _find(session, name) is not None:
        raise Refused(f"There is a user {name} already", hint="Choose another name.")
    password_hash = hash_password(password)
    user, view, root = (_fresh(now_ms) for _ in range(3))
    row = UserRow(
        id=user.bytes,
        name=name,
        name_key=name_key(name),
        password_hash=password_hash,
        is_admin=is_admin,
        disabled_at_ms=None,
        created_at_ms=now_ms,
    )
    space = SpaceRow(kind=HOME, root=root.bytes, stamp=0, purged_stamp=0, used_bytes=0, created_at_ms=now_ms)
    session.add_all([row, space])
    session.flush()  # gives the space its number
    session.add_all(
        [
            _root(space.id, root, epoch=epoch_of(session), now_ms=now_ms),
            ViewRow(
                id=view.bytes, space=space.id, root=root.bytes, kind=HOME, name=HOME_NAME, owner=user.bytes
            ),
        ]
    )
    session.flush()
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


def _root(space: int, root: UUID, *, epoch: int, now_ms: int) -> NodeRow:
    """Stamp 0, below every cursor: a root is told by the view, never by the feed."""
    return NodeRow(
        space=space,
        id=root.bytes,
        parent=_NOBODY,
        name="",
        name_key="",
        kind="folder",
        place_epoch=epoch,
        place_number=1,
        content_epoch=epoch,
        content_number=1,
        place_operation=_NOBODY,
        content_operation=_NOBODY,
        stamp=0,
        changed_at_ms=now_ms,
        changed_by=_NOBODY,
        deleted_at_ms=None,
        conflict_of=None,
        conflict_device="",
    )


def _fresh(now_ms: int) -> UUID:
    return uuid7(now_ms, secrets.randbits(74))


def _value(row: UserRow) -> User:
    return User(
        id=UserId(UUID(bytes=row.id)),
        name=row.name,
        is_admin=row.is_admin,
        is_disabled=row.disabled_at_ms is not None,
        created_at_ms=row.created_at_ms,
    )
