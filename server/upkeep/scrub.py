"""Stored packs read again from time to time, so that a dying disk shows before a file is wanted.

Owns: which packs are read next, what is remembered of each.  May import: sqlalchemy, protocol, server.

The digest of a whole pack (xxh3-128) is compared: fast, and enough for bit rot.  What a reader gets is proven anyway,
record by record: damaged bytes are never served.  Each pack's result is written at once, so a pass goes on where the
last one stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.chunks.pack_format import digest_of
from server.chunks.packs import PackStore
from server.database.session import Database
from server.database.tables import PackRow

log = logging.getLogger(__name__)

PROVEN_FOR_MS = 14 * 24 * 3_600_000  # then a pack is read again
RUN_SECONDS = 1_800.0  # of one run in the background: other tasks come in between


@dataclass(slots=True)
class Health:
    """What is known of the packs.  oldest_at_ms: when the pack that waits longest was proven; None: one never was."""

    packs: int = 0
    unproven: int = 0
    oldest_at_ms: int | None = None
    damaged: list[str] = field(default_factory=list)


def health(session: Session) -> Health:
    found = Health()
    for name, proven, damaged in session.execute(
        select(PackRow.name, PackRow.proven_at_ms, PackRow.damaged_at_ms).order_by(PackRow.id)
    ):
        found.packs += 1
        if damaged is not None:
            found.damaged.append(name)
        elif proven is None:
            found.unproven += 1
        else:
            found.oldest_at_ms = min(proven, found.oldest_at_ms or proven)
    return found


def scrub(
    database: Database,
    packs: PackStore,
    *,
    clock: Callable[[], int],
    older_than_ms: int = PROVEN_FOR_MS,
    seconds: float | None = None,
    pause: Callable[[], None] = lambda: None,
) -> int:
    """Read the packs that were not proven for so long, those first that wait longest; returns how many.

    seconds: stop after about so long.
    """
    before_ms = clock() - older_than_ms
    with database.reading() as session:
        waiting = session.execute(
            select(PackRow.id, PackRow.name, PackRow.file_digest)
            .where(PackRow.proven_at_ms.is_(None) | (PackRow.proven_at_ms <= before_ms))
            .order_by(PackRow.proven_at_ms.is_not(None), PackRow.proven_at_ms, PackRow.id)
        ).all()
    began = time.monotonic()
    count = 0
    for number, name, digest in waiting:
        if seconds is not None and time.monotonic() - began > seconds:
            break
        is_whole = _is_whole(packs, name, digest, pause)
        with database.writing() as session:
            _note(session, number, name, is_whole=is_whole, now_ms=clock())
        count += 1
        pause()
    return count


def _is_whole(packs: PackStore, name: str, digest: bytes, pause: Callable[[], None]) -> bool:
    try:
        return digest_of(packs, name, between=pause) == digest
    except OSError:
        return False


def _note(session: Session, number: int, name: str, *, is_whole: bool, now_ms: int) -> None:
    """A pack that gc dropped meanwhile has no row any more: then there is nothing to say."""
    values = {"proven_at_ms": now_ms, "damaged_at_ms": None} if is_whole else {"damaged_at_ms": now_ms}
    told = session.execute(
        update(PackRow)
        .where(PackRow.id == number, PackRow.name == name)
        .values(**values)
        .returning(PackRow.id)
    ).one_or_none()
    if told is not None and not is_whole:
        log.error("a pack is damaged: %s; what is in it is not served. Run `mb-server check --deep`", name)
