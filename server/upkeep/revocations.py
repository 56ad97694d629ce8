"""Who was shut out, kept beside the database, so that a restore does not let them in again.

Owns: `revoked.json` in the data folder: what is in it, writing it, applying it.
May import: sqlalchemy, protocol, server.

A backup knows nothing of a token that was revoked after it.  This file is never in a backup; `restore` reads it,
and the database that it replaces.  It also keeps the highest epoch, which must never be given twice.
"""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.database.facts import epoch_of
from server.database.session import rows_of_sql
from server.database.tables import CodeRow, DeviceRow, UserRow

FILE = "revoked.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Revocations:
    """devices, users, codes: their ids, as hexadecimal digits."""

    epoch: int = 1
    devices: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()

    def with_those_of(self, other: Revocations) -> Revocations:
        return Revocations(
            max(self.epoch, other.epoch),
            self.devices | other.devices,
            self.users | other.users,
            self.codes | other.codes,
        )


def revocations_of(session: Session) -> Revocations:
    """As the database has them now."""
    devices = rows_of_sql(session, "SELECT id FROM devices WHERE revoked_at_ms IS NOT NULL")
    users = rows_of_sql(session, "SELECT id FROM users WHERE disabled_at_ms IS NOT NULL")
    codes = rows_of_sql(session, "SELECT id FROM codes WHERE revoked_at_ms IS NOT NULL")
    return Revocations(
        epoch_of(session),
        frozenset(device.hex() for (device,) in devices),
        frozenset(user.hex() for (user,) in users),
        frozenset(code.hex() for (code,) in codes),
    )


def in_old_database(path: Path) -> Revocations:
    """Of a database that may be of another version, or damaged: what can be read."""
    old = sqlite3.connect(path)
    try:
        epoch = old.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        devices = old.execute("SELECT id FROM devices WHERE revoked_at_ms IS NOT NULL").fetchall()
        users = old.execute("SELECT id FROM users WHERE disabled_at_ms IS NOT NULL").fetchall()
        has_codes = old.execute("SELECT 1 FROM sqlite_master WHERE name = 'codes'").fetchone()
        codes = (
            old.execute("SELECT id FROM codes WHERE revoked_at_ms IS NOT NULL").fetchall()
            if has_codes
            else []
        )
    except sqlite3.Error:
        return Revocations()
    finally:
        old.close()
    return Revocations(
        int(epoch[0]) if epoch else 1,
        frozenset(row[0].hex() for row in devices),
        frozenset(row[0].hex() for row in users),
        frozenset(row[0].hex() for row in codes),
    )


def read_revocations(path: Path) -> Revocations:
    """Nobody, where there is no such file, or none that can be read."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return Revocations(
            int(facts["epoch"]),
            frozenset(facts["devices"]),
            frozenset(facts["users"]),
            frozenset(facts.get("codes", ())),  # not there before there were codes
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Revocations()


def write_revocations(path: Path, revoked: Revocations) -> None:
    """Durable when this returns, and never half of it."""
    facts = {
        "format": _FORMAT,
        "epoch": revoked.epoch,
        "devices": sorted(revoked.devices),
        "users": sorted(revoked.users),
        "codes": sorted(revoked.codes),
    }
    fresh = path.with_name(path.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def apply_revocations(session: Session, revoked: Revocations, *, now_ms: int) -> int:
    """Shut them out here too; returns how many were not."""
    count = 0
    for device in session.scalars(select(DeviceRow).where(DeviceRow.revoked_at_ms.is_(None))):
        if device.id.hex() in revoked.devices:
            device.revoked_at_ms = now_ms
            count += 1
    for user in session.scalars(select(UserRow).where(UserRow.disabled_at_ms.is_(None))):
        if user.id.hex() in revoked.users:
            user.disabled_at_ms = now_ms
            count += 1
    for code in session.scalars(select(CodeRow).where(CodeRow.revoked_at_ms.is_(None))):
        if code.id.hex() in revoked.codes:
            code.revoked_at_ms = now_ms
            count += 1
    return count
