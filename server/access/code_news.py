"""What became of a person's sync codes that they should know.

Owns: which devices are told of, and for how long.  May import: sqlalchemy, protocol, server.access, server.database.

A code that was passed on, or stolen, shows itself by a device that its maker does not know: each first use is told for
a week, unless its maker let that very device in, or has revoked the code.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from protocol.errors import NotFound
from protocol.ids import UserId
from protocol.notices import Notice
from server.access.codes import folder_of, why_ended
from server.database.tables import CodeDeviceRow, CodeRow

TOLD_MS = 7 * 86_400_000
_MOST = 100


def news_of_codes(session: Session, user: UserId, *, now_ms: int) -> list[Notice]:
    """Devices that wait to be let in, and first uses; the newest first."""
    rows = session.execute(
        select(CodeRow, CodeDeviceRow)
        .join(CodeDeviceRow, CodeDeviceRow.code == CodeRow.id)
        .where(
            CodeRow.maker == user.bytes,
            CodeRow.revoked_at_ms.is_(None),
            or_(
                CodeDeviceRow.approved.is_(False),
                CodeRow.approve.is_(False) & (CodeDeviceRow.first_used_at_ms > now_ms - TOLD_MS),
            ),
        )
        .order_by(CodeDeviceRow.first_used_at_ms.desc())
        .limit(_MOST)
    )
    found = (_told(session, code, device, now_ms=now_ms) for code, device in rows)
    return [notice for notice in found if notice is not None]


def _told(session: Session, code: CodeRow, device: CodeDeviceRow, *, now_ms: int) -> Notice | None:
    """None: nobody can be let in any more."""
    if not device.approved and why_ended(session, code, now_ms=now_ms) is not None:
        return None
    try:
        _, folder = folder_of(session, code)
    except NotFound:
        folder = ""
    return Notice(
        kind="code" if device.approved else "device",
        folder=folder,
        at_ms=device.first_used_at_ms,
        code=code.name,
        label=code.label,
        device=UUID(bytes=device.id),
        device_name=device.name,
        address=device.address,
    )
