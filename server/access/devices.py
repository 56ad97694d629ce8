"""Devices and their tokens.

Owns: signing in and out, tokens, finding who a token speaks for, the list of one's devices.
May import: sqlalchemy, protocol, server.access, server.audit, server.database.

A token is looked up anew for each request, so that what was revoked is dead at the next one.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from protocol.errors import NotFound, NotSignedIn, Refused, WrongPassword
from protocol.ids import DeviceId, UserId
from protocol.messages import Login, SignedIn
from protocol.names import name_key
from protocol.resources import Device, Devices
from server.access.codes import forget_token, note_use, principal_of_code
from server.access.passwords import Passwords
from server.access.rights import Principal
from server.access.throttle import count_try, take_back
from server.access.tokens import fresh_token, hash_token
from server.audit.rows import NOWHERE, Came, Did, Entry, record
from server.database.session import Database, rows_in, rows_of_sql
from server.database.tables import DeviceRow, UserRow

# Whatever blocks make is committed, and was uploaded, by this device; nobody can sign in as it.
HOOKS = DeviceId(UUID("6d622d68-6f6f-8b73-8000-000000000001"))
# The same for what cohorts put into their folders; apart, since what HOOKS deletes was withdrawn.
COHORTS = DeviceId(UUID("6d622d68-6f6f-8b73-8000-000000000002"))
SEEN_EVERY_MS = 60_000
_SPEAKS_FOR = (
    'SELECT devices.id, devices.name, devices.last_seen_at_ms, devices.revoked_at_ms, users.id AS "user",'
    " users.name AS user_name, users.is_admin, users.disabled_at_ms"
    ' FROM devices JOIN users ON users.id = devices."user" WHERE devices.token_hash = ?'
)


async def sign_in(
    database: Database,
    passwords: Passwords,
    login: Login,
    *,
    address: str,
    came: Came = NOWHERE,
    now_ms: int,
) -> SignedIn:
    """A token for this device.  address: where the request came from.

    Two short transactions, and the slow look at the password between them.
    Raises TooManyTries.  Raises WrongPassword: a wrong password, an unknown name, a disabled account alike.
    Raises Refused: the device is another user's.
    """
    account = name_key(login.user)

    def begin(session: Session) -> UserRow | None:
        count_try(session, account=account, address=address, now_ms=now_ms)
        found: UserRow | None = session.scalar(select(UserRow).where(UserRow.name_key == account))
        return found

    user = await database.write(begin)
    fits = await passwords.verify(login.password, None if user is None else user.password_hash)
    if not fits or user is None or user.disabled_at_ms is not None:
        raise WrongPassword("Name and password do not belong together", hint="Check both and try again.")
    known = user

    def finish(session: Session) -> str:
        take_back(session, account=account, address=address)
        token = _give_token(session, known.id, login, now_ms=now_ms)
        who = UUID(bytes=known.id)
        record(session, [Entry(now_ms, Did.LOGIN, actor=who, device=login.device, came=came)])
        return token

    token = await database.write(finish)
    return SignedIn(token=token, user=known.name, user_id=UUID(bytes=known.id), device=login.device)


def _give_token(session: Session, user: bytes, login: Login, *, now_ms: int) -> str:
    token = fresh_token()
    device = session.get(DeviceRow, login.device.bytes)
    if device is None:
        device = DeviceRow(id=login.device.bytes, user=user, created_at_ms=now_ms)
        session.add(device)
    elif device.user != user:
        raise Refused(
            "This computer's settings folder is signed in for another user",
            hint="Log that user out, or use another settings folder (--home).",
        )
    device.name = login.device_name
    device.token_hash = hash_token(token)
    device.last_seen_at_ms = now_ms
    device.revoked_at_ms = None
    session.flush()
    return token


def principal_of(session: Session, token: str) -> Principal:
    """Raises NotSignedIn: an unknown or revoked token, its user was disabled, or its sync code was revoked."""
    rows = rows_of_sql(session, _SPEAKS_FOR, hash_token(token))
    if not rows:
        return principal_of_code(session, token)
    [row] = rows
    if row.revoked_at_ms is not None or row.disabled_at_ms is not None:
        raise NotSignedIn("This token is not valid, or not any more", hint="Log in again.")
    return Principal(
        user=UserId(UUID(bytes=row.user)),
        user_name=row.user_name,
        device=DeviceId(UUID(bytes=row.id)),
        device_name=row.name,
        is_admin=bool(row.is_admin),
        last_seen_at_ms=row.last_seen_at_ms,
    )


def seen_is_due(principal: Principal, *, now_ms: int) -> bool:
    """Whether `note_seen` is worth a transaction: once a minute."""
    return now_ms - principal.last_seen_at_ms >= SEEN_EVERY_MS


def note_seen(session: Session, principal: Principal, *, now_ms: int) -> None:
    if principal.opened is not None:
        note_use(session, principal.device, read_bytes=0, now_ms=now_ms)
        return
    session.execute(
        update(DeviceRow).where(DeviceRow.id == principal.device.bytes).values(last_seen_at_ms=now_ms)
    )


def list_devices(session: Session, principal: Principal) -> Devices:
    """All devices of this user, the newest first."""
    rows = session.scalars(
        select(DeviceRow)
        .where(DeviceRow.user == principal.user.bytes)
        .order_by(DeviceRow.created_at_ms.desc(), DeviceRow.id)
    )
    return Devices(
        devices=[
            Device(
                device=UUID(bytes=row.id),
                name=row.name,
                created_at_ms=row.created_at_ms,
                last_seen_at_ms=row.last_seen_at_ms,
                current=row.id == principal.device.bytes,
                revoked=row.revoked_at_ms is not None,
            )
            for row in rows
        ]
    )


def revoke_device(session: Session, principal: Principal, device: DeviceId, *, now_ms: int) -> None:
    """Its token is dead at the next request.  Raises NotFound: absent or another user's."""
    row = session.get(DeviceRow, device.bytes)
    if row is None or row.user != principal.user.bytes:
        raise NotFound("There is no such device", hint="Look at the list of your devices.")
    if row.revoked_at_ms is None:
        row.revoked_at_ms = now_ms


def sign_out(session: Session, principal: Principal, *, now_ms: int) -> None:
    if principal.opened is not None:
        forget_token(session, principal)
        return
    revoke_device(session, principal, principal.device, now_ms=now_ms)


def dead_among(session: Session, devices: Collection[DeviceId]) -> set[DeviceId]:
    """Those whose tokens no longer open anything: what has a request under way for one ends it."""
    sql = (
        'SELECT devices.id FROM devices JOIN users ON users.id = devices."user"'
        " WHERE (devices.revoked_at_ms IS NOT NULL OR users.disabled_at_ms IS NOT NULL) AND devices.id IN"
    )
    ids = [device.bytes for device in devices]
    return {DeviceId(UUID(bytes=found)) for (found,) in rows_in(session, sql, among=ids)}
