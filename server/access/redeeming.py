"""A sync code for a device token.

Owns: what is asked in which order, and what may be said to whom.
May import: sqlalchemy, protocol, server.access, server.audit, server.database.

Whoever does not hold a whole secret gets one answer, whatever the reason, and pays with a try of their address.  What
is said beyond it is said to somebody who could have the folder, but for the PIN, which is asked for first.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.codes import CodeSecret, parse_code
from protocol.errors import (
    CodeUsedUp,
    CodeWaiting,
    MedicalBlocksError,
    MistypedCode,
    NotFound,
    PinNeeded,
    Refused,
    WrongCode,
)
from protocol.sharing import CodeShown, Redeem, Redeemed
from server.access.codes import folder_of, hash_secret, room_for_device, why_ended
from server.access.new_spaces import fresh_id
from server.access.passwords import Passwords
from server.access.throttle import count_pin, count_try_of_code, forget_pins, take_back_try_of_code
from server.access.tokens import fresh_token, hash_token
from server.audit.rows import NOWHERE, Came, Did, Entry, pack_nodes, record
from server.database.session import Database
from server.database.tables import CodeDeviceRow, CodeRow, UserRow

_NOBODYS = CodeSecret(bytes(16))  # no code has it


@dataclass(frozen=True, slots=True)
class _Held:
    """A code whose whole secret the caller holds, and that still counts."""

    id: bytes
    pin_hash: str | None


async def look(database: Database, text: str, *, address: str, now_ms: int) -> CodeShown:
    """What a code opens; no device is used up.  Raises as `redeem` does, but for the PIN, and asks for no device."""
    secret_hash = _hash_of(text)
    shown = await database.write(lambda session: _look(session, secret_hash, address=address, now_ms=now_ms))
    if isinstance(shown, MedicalBlocksError):
        raise shown
    return shown


def _look(
    session: Session, secret_hash: bytes, *, address: str, now_ms: int
) -> CodeShown | MedicalBlocksError:
    code = _held(session, secret_hash, address=address, now_ms=now_ms)
    if isinstance(code, MedicalBlocksError):
        return code
    try:
        _, name = folder_of(session, code)
    except NotFound as error:
        return error
    has_pin = code.pin_hash is not None
    return CodeShown(
        name="" if has_pin else name,
        label="" if has_pin else code.label,
        shared_by=session.get_one(UserRow, code.maker).name,
        expires_at_ms=code.expires_at_ms,
        pin=has_pin,
        approve=code.approve,
        used_up=not room_for_device(session, code),
        browse=code.browse,
        downloads=[],
    )


def _hash_of(text: str) -> bytes:
    try:
        return hash_secret(parse_code(text))
    except MistypedCode:
        return hash_secret(_NOBODYS)


async def redeem(
    database: Database,
    passwords: Passwords,
    asked: Redeem,
    *,
    address: str,
    came: Came = NOWHERE,
    now_ms: int,
) -> Redeemed:
    """A token for this device.  address: where the request came from.

    Raises WrongCode: no such code, one answer for all.  Raises TooManyTries.  To whoever holds the whole secret:
    Raises CodeRevoked, CodeExpired.  Raises PinNeeded: it is missing or wrong.  Raises NotFound: the folder is deleted.
    Raises Refused: it is for no browser.  Raises CodeUsedUp.
    Raises CodeWaiting: the device must be let in, and is on the list.
    """
    secret_hash = _hash_of(asked.code)
    found = await database.write(
        lambda session: begin(session, secret_hash, asked.pin, address=address, now_ms=now_ms)
    )
    if isinstance(found, MedicalBlocksError):
        raise found
    if found.pin_hash is not None:
        assert asked.pin is not None  # asked for in the beginning
        if not await passwords.verify(asked.pin, found.pin_hash):
            raise PinNeeded("The PIN is wrong", hint="Ask whoever shared the folder for it.")
    held = found
    done = await database.write(
        lambda session: _finish(session, held, asked, address=address, came=came, now_ms=now_ms)
    )
    if isinstance(done, MedicalBlocksError):
        raise done
    return done


def begin(
    session: Session, secret_hash: bytes, pin: str | None, *, address: str, now_ms: int
) -> _Held | MedicalBlocksError:
    """Errors come as values, so that the tries they cost are kept."""
    code = _held(session, secret_hash, address=address, now_ms=now_ms)
    if isinstance(code, MedicalBlocksError):
        return code
    if code.pin_hash is not None:
        if not pin:
            return PinNeeded(
                "This sync code needs its PIN",
                hint="Whoever shared the folder told you, or will, by another way.",
            )
        count_pin(session, code=code.id.hex(), now_ms=now_ms)
    return _Held(code.id, code.pin_hash)


def _held(session: Session, secret_hash: bytes, *, address: str, now_ms: int) -> CodeRow | MedicalBlocksError:
    """The code of this secret, while it counts; a wrong one costs its address a try."""
    count_try_of_code(session, address=address, now_ms=now_ms)
    code = session.scalar(select(CodeRow).where(CodeRow.secret_hash == secret_hash))
    if code is None:
        return WrongCode("There is no such sync code", hint="Check it, and ask whoever gave it to you.")
    take_back_try_of_code(session, address=address)
    if (why := why_ended(session, code, now_ms=now_ms)) is not None:
        return why
    return code


def _finish(
    session: Session, held: _Held, asked: Redeem, *, address: str, came: Came, now_ms: int
) -> Redeemed | MedicalBlocksError:
    code = session.get_one(CodeRow, held.id)
    if held.pin_hash is not None:
        forget_pins(session, code=code.id.hex())
    if (why := why_ended(session, code, now_ms=now_ms)) is not None:
        return why
    try:
        view, name = folder_of(session, code)
    except NotFound as error:
        return error
    if asked.browser and not code.browse:
        return Refused(
            f"Sync code {code.name} is not for browsers",
            hint="Use MB-SyncLight, or ask whoever shared the folder for a code that allows it.",
        )
    device = _device(session, code, asked, address=address, now_ms=now_ms)
    if device is None:
        return CodeUsedUp(
            f"Sync code {code.name} was redeemed on as many devices as it allows",
            hint="Ask whoever shared the folder for a code of your own.",
        )
    if not device.approved:
        return CodeWaiting(
            f"Sync code {code.name} is right; whoever shared the folder lets in each device",
            hint="Ask them to approve this one; this program goes on by itself then.",
        )
    token = fresh_token()
    device.token_hash = hash_token(token)
    session.flush()
    told = Entry(
        at_ms=now_ms,
        did=Did.CODE,
        space=code.space,
        actor=UUID(bytes=code.maker),
        device=UUID(bytes=device.id),
        came=came,
        detail=f"redeemed {code.name} on {asked.device_name}",
        nodes=pack_nodes([(code.node, 0, 0)]),
    )
    record(session, [told])
    return Redeemed(
        token=token,
        view=view,
        name=name,
        label=code.label,
        shared_by=session.get_one(UserRow, code.maker).name,
        expires_at_ms=code.expires_at_ms,
        device=asked.device,
    )


def _device(
    session: Session, code: CodeRow, asked: Redeem, *, address: str, now_ms: int
) -> CodeDeviceRow | None:
    """The row of this device, perhaps a new one; None if the code allows no more."""
    row = session.scalar(
        select(CodeDeviceRow).where(CodeDeviceRow.code == code.id, CodeDeviceRow.device == asked.device.bytes)
    )
    if row is None:
        if not room_for_device(session, code):
            return None
        row = CodeDeviceRow(
            id=fresh_id(now_ms).bytes,
            code=code.id,
            device=asked.device.bytes,
            name=asked.device_name,
            address=address,
            token_hash=None,
            first_used_at_ms=now_ms,
            last_used_at_ms=now_ms,
            read_bytes=0,
            approved=not code.approve,
        )
        session.add(row)
    row.name, row.address = asked.device_name, address[:100]
    row.last_used_at_ms = now_ms
    session.flush()
    return row
