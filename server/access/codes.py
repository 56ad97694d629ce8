"""Sync codes: one folder for whoever holds the secret, to be read, for a time.

Owns: making, listing and revoking them, letting devices in, whether one still counts.
May import: sqlalchemy, protocol, server.access, server.database.

Of a secret only the SHA-256 is kept.  A code is worth what whoever made it may still give: it counts while they may
share that folder, looked up anew like any right.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.codes import CodeSecret, code_text
from protocol.errors import (
    CodeExpired,
    CodeRevoked,
    CodeUsedUp,
    MedicalBlocksError,
    NotFound,
    NotSignedIn,
    Refused,
)
from protocol.ids import DeviceId, NodeId, SpaceId, UserId
from protocol.sharing import CodeDevice, CodeMade, Codes, NewCode, SyncCode
from server.access.ancestry import folders_above
from server.access.grants import have_view, roles_held, space_of
from server.access.new_spaces import fresh_id
from server.access.passwords import hash_password
from server.access.rights import HOME, INTAKE, Action, Opened, Principal, Role, rights_by
from server.access.tokens import hash_token
from server.database.facts import note_changed_rights
from server.database.session import in_groups
from server.database.tables import CodeDeviceRow, CodeRow, UserRow, ViewRow

_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NAME_SYMBOLS = 6
_PIN_DIGITS = 6
MAX_WAITING = 20  # devices of one code that wait to be let in


def fresh_pin() -> tuple[str, str]:
    """A PIN and what is kept of it.  Slow, so not in a transaction."""
    pin = "".join(secrets.choice("0123456789") for _ in range(_PIN_DIGITS))
    return pin, hash_password(pin)


def hash_secret(secret: CodeSecret) -> bytes:
    return hashlib.sha256(b"mb-sync-code-1" + secret).digest()


def make_code(
    session: Session,
    principal: Principal,
    space: SpaceId,
    node: NodeId,
    asked: NewCode,
    *,
    pin_hash: str | None,
    now_ms: int,
) -> CodeMade:
    """The caller has checked the right to share this live folder.  Raises Refused: a rule says no."""
    kind, root, owner = space_of(session, space)
    if kind == INTAKE:
        raise Refused("No sync code opens an intake", hint="Share what its blocks made.")
    if kind == HOME and node.bytes == root:
        raise Refused("A whole home cannot be shared", hint="Make the code for a folder in it.")
    secret = CodeSecret(secrets.token_bytes(16))
    row = CodeRow(
        id=fresh_id(now_ms).bytes,
        name=_fresh_name(session),
        secret_hash=hash_secret(secret),
        space=space,
        node=node.bytes,
        maker=principal.user.bytes,
        label=asked.label,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + asked.seconds * 1_000,
        devices=asked.devices,
        pin_hash=pin_hash,
        approve=asked.approve,
        browse=asked.browse,
        revoked_at_ms=None,
    )
    session.add(row)
    session.flush()
    if node.bytes != root:
        have_view(session, space, node, owner, now_ms=now_ms)
    return CodeMade(
        code=row.name, secret=code_text(secret), expires_at_ms=row.expires_at_ms, devices=row.devices
    )


def _fresh_name(session: Session) -> str:
    while True:
        name = "MBS-" + "".join(secrets.choice(_SYMBOLS) for _ in range(_NAME_SYMBOLS))
        if session.scalar(select(CodeRow.id).where(CodeRow.name == name)) is None:
            return name


# ---- does it still count -----------------------------------------------------------------------------------


def why_ended(session: Session, code: CodeRow, *, now_ms: int) -> MedicalBlocksError | None:
    """What is said to whoever holds the whole secret; None while it counts."""
    return _why_revoked(session, code) or (_expired(code) if now_ms >= code.expires_at_ms else None)


def _expired(code: CodeRow) -> CodeExpired:
    return CodeExpired(f"Sync code {code.name} has expired", hint=_ASK)


def _why_revoked(session: Session, code: CodeRow) -> CodeRevoked | None:
    if code.revoked_at_ms is not None or not _may_still_share(session, code):
        return CodeRevoked(f"Sync code {code.name} was revoked", hint=_ASK)
    return None


_ASK = "Ask whoever shared the folder for a new one. What you have of it stays."


def _may_still_share(session: Session, code: CodeRow) -> bool:
    maker = session.get_one(UserRow, code.maker)
    return maker.disabled_at_ms is None and may_share(
        session, UserId(UUID(bytes=maker.id)), SpaceId(code.space), NodeId(UUID(bytes=code.node))
    )


def may_share(session: Session, user: UserId, space: SpaceId, node: NodeId) -> bool:
    """Whether this user may share this folder, in whichever view; deleted folders as if they were there."""
    kind, _, owner = space_of(session, space)
    if owner == user.bytes:
        return True
    held = roles_held(session, user)
    roles: set[Role] = set()
    for folder in folders_above(session, space, node):
        roles |= held.get((space, folder.id), frozenset())
    return Action.SHARE in rights_by(roles, restricted=kind == INTAKE)


def expired_for(principal: Principal, *, now_ms: int) -> CodeExpired | None:
    """By the clock alone: what was looked up earlier may be over by now."""
    opened = principal.opened
    if opened is None or now_ms < opened.ends_at_ms:
        return None
    return CodeExpired(f"Sync code {principal.user_name} has expired", hint=_ASK)


# ---- its devices -------------------------------------------------------------------------------------------


def principal_of_code(session: Session, token: str) -> Principal:
    """Who the token of a device that redeemed a code speaks for; whether its time is over is asked apart.

    Raises NotSignedIn: no such token.  Raises CodeRevoked."""
    device = session.scalar(select(CodeDeviceRow).where(CodeDeviceRow.token_hash == hash_token(token)))
    if device is None:
        raise NotSignedIn("This token is not valid, or not any more", hint="Log in again.")
    code = session.get_one(CodeRow, device.code)
    if (why := _why_revoked(session, code)) is not None:
        raise why
    return Principal(
        user=UserId(UUID(bytes=code.id)),
        user_name=code.name,
        device=DeviceId(UUID(bytes=device.id)),
        device_name=device.name,
        is_admin=False,
        last_seen_at_ms=device.last_used_at_ms,
        opened=Opened(SpaceId(code.space), NodeId(UUID(bytes=code.node)), code.expires_at_ms),
    )


def dead_code_devices(
    session: Session, devices: Collection[DeviceId], *, now_ms: int
) -> dict[DeviceId, MedicalBlocksError]:
    """Those of these whose codes do not count any more, and why."""
    dead: dict[DeviceId, MedicalBlocksError] = {}
    known: dict[bytes, MedicalBlocksError | None] = {}
    for group in in_groups([device.bytes for device in devices]):
        for row in session.scalars(select(CodeDeviceRow).where(CodeDeviceRow.id.in_(group))):
            if row.code not in known:
                known[row.code] = why_ended(session, session.get_one(CodeRow, row.code), now_ms=now_ms)
            why = known[row.code]
            if row.token_hash is None:
                why = NotSignedIn("This device was signed out", hint="Redeem the code again.")
            if why is not None:
                dead[DeviceId(UUID(bytes=row.id))] = why
    return dead


def forget_token(session: Session, principal: Principal) -> None:
    """The device stays on the list of those that redeemed the code."""
    session.get_one(CodeDeviceRow, principal.device.bytes).token_hash = None


def note_use(session: Session, device: DeviceId, *, read_bytes: int, now_ms: int) -> None:
    row = session.get(CodeDeviceRow, device.bytes)
    if row is not None:
        row.last_used_at_ms = max(row.last_used_at_ms, now_ms)
        row.read_bytes += read_bytes


def let_in(session: Session, principal: Principal, name: str, device: UUID, *, now_ms: int) -> SyncCode:
    """Approve a device that waits.  Raises NotFound: no such code of theirs, no such device.  Raises CodeUsedUp."""
    code = _mine(session, principal, name)
    row = session.get(CodeDeviceRow, device.bytes)
    if row is None or row.code != code.id:
        raise NotFound("There is no such device", hint="`mb-sync code list` shows those that wait.")
    if not row.approved:
        if len(_devices(session, code, approved=True)) >= code.devices:
            raise CodeUsedUp(
                f"{code.devices} devices use sync code {code.name}, as many as it allows",
                hint="Make another code, for this device.",
            )
        row.approved = True
        session.flush()
    return _value(session, code, now_ms=now_ms)


def _devices(session: Session, code: CodeRow, *, approved: bool) -> list[CodeDeviceRow]:
    query = select(CodeDeviceRow).where(CodeDeviceRow.code == code.id, CodeDeviceRow.approved.is_(approved))
    return list(session.scalars(query))


def room_for_device(session: Session, code: CodeRow) -> bool:
    if len(_devices(session, code, approved=True)) >= code.devices:
        return False
    return not code.approve or len(_devices(session, code, approved=False)) < MAX_WAITING


# ---- looking after them ------------------------------------------------------------------------------------


def codes_made_by(session: Session, principal: Principal, *, now_ms: int) -> Codes:
    """The newest first, those that ended too."""
    query = select(CodeRow).where(CodeRow.maker == principal.user.bytes)
    rows = session.scalars(query.order_by(CodeRow.created_at_ms.desc(), CodeRow.id))
    return Codes(codes=[_value(session, row, now_ms=now_ms) for row in rows])


def revoke_code(session: Session, principal: Principal, name: str, *, now_ms: int) -> None:
    """It ends at the next request.  Raises NotFound: absent, or on a folder that they may not share."""
    _revoke(session, _mine(session, principal, name), now_ms=now_ms)


def revoke_code_on(session: Session, space: SpaceId, node: NodeId, code: UUID, *, now_ms: int) -> bool:
    """Whether there was such a code on this very folder."""
    row = session.get(CodeRow, code.bytes)
    if row is None or (row.space, row.node) != (space, node.bytes) or row.revoked_at_ms is not None:
        return False
    _revoke(session, row, now_ms=now_ms)
    return True


def _revoke(session: Session, row: CodeRow, *, now_ms: int) -> None:
    if row.revoked_at_ms is None:
        row.revoked_at_ms = now_ms
        note_changed_rights(session)


def place_of_code(session: Session, name: str) -> tuple[SpaceId, bytes]:
    """The space and the folder that it opens, for the log.  The caller was allowed to see it."""
    row = session.execute(
        select(CodeRow.space, CodeRow.node).where(CodeRow.name == name.strip().upper())
    ).one()
    return SpaceId(row.space), row.node


def _mine(session: Session, principal: Principal, name: str) -> CodeRow:
    row = session.scalar(select(CodeRow).where(CodeRow.name == name.strip().upper()))
    if row is None or not (
        row.maker == principal.user.bytes
        or may_share(session, principal.user, SpaceId(row.space), NodeId(UUID(bytes=row.node)))
    ):
        raise NotFound("There is no such sync code", hint="`mb-sync code list` shows yours.")
    return row


@dataclass(frozen=True, slots=True)
class CodeOn:
    """A code that counts, as the list of who sees a folder has it."""

    id: UUID
    name: str
    label: str
    node: bytes


def codes_on(session: Session, space: SpaceId, folders: Collection[bytes], *, now_ms: int) -> list[CodeOn]:
    """Those that count on any of these folders."""
    query = select(CodeRow).where(CodeRow.space == space, CodeRow.node.in_(list(folders)))
    return [
        CodeOn(UUID(bytes=row.id), row.name, row.label, row.node)
        for row in session.scalars(query.order_by(CodeRow.created_at_ms, CodeRow.id))
        if why_ended(session, row, now_ms=now_ms) is None
    ]


def folder_of(session: Session, code: CodeRow) -> tuple[UUID, str]:
    """The view that it opens, and the folder's name.  Raises NotFound: the folder was deleted."""
    view = session.execute(
        select(ViewRow.id, ViewRow.name).where(ViewRow.space == code.space, ViewRow.root == code.node)
    ).one()
    chain = folders_above(session, SpaceId(code.space), NodeId(UUID(bytes=code.node)))
    if not chain or any(folder.deleted_at_ms is not None for folder in chain):
        raise NotFound("The folder of this sync code is not there any more", hint=_ASK)
    return UUID(bytes=view.id), chain[0].name or view.name.rpartition("/")[2]


def _value(session: Session, row: CodeRow, *, now_ms: int) -> SyncCode:
    why = why_ended(session, row, now_ms=now_ms)
    try:
        _, folder = folder_of(session, row)
    except NotFound:
        folder = ""
    devices = session.scalars(
        select(CodeDeviceRow).where(CodeDeviceRow.code == row.id).order_by(CodeDeviceRow.first_used_at_ms)
    )
    return SyncCode(
        code=row.name,
        folder=folder,
        label=row.label,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        devices_allowed=row.devices,
        pin=row.pin_hash is not None,
        approve=row.approve,
        browse=row.browse,
        state="open" if why is None else "expired" if isinstance(why, CodeExpired) else "revoked",
        devices=[
            CodeDevice(
                device=UUID(bytes=device.id),
                name=device.name,
                address=device.address,
                first_used_at_ms=device.first_used_at_ms,
                last_used_at_ms=device.last_used_at_ms,
                read_bytes=device.read_bytes,
                waiting=not device.approved,
            )
            for device in devices
        ],
    )
