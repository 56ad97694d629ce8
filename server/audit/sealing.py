"""Linking what was written, and keeping signed heads outside the database.

Owns: seals, the file of heads, when a head is signed.
May import: sqlalchemy, protocol, server.audit, server.database.

A seal is made in one writing transaction that reads the last one first: however many processes try, each row is
linked once, in the order of its number.  Rows that a crash left without a link get theirs at the next start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.audit.chain import START, Head, canonical, linked, read_head, row_facts, seal_facts
from server.database.facts import epoch_of, server_id_of
from server.database.session import insert_rows, rows_of_sql
from server.database.tables import AuditLinkRow, AuditRow, AuditSealRow

MAX_ROWS = 1_000  # in one seal: a transaction stays short
HEAD_ROWS, HEAD_MS = 1_000, 600_000
_LAST_LINK = (
    "SELECT audit_links.hash FROM audit_rows JOIN audit_links ON audit_links.sequence = audit_rows.sequence"
    " WHERE audit_rows.space = ? AND audit_rows.sequence <= ? ORDER BY audit_rows.sequence DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """The last seal there is.  rows: how many were just linked."""

    number: int
    last: int
    hash: bytes
    rows: int = 0


def last_seal(session: Session) -> Sealed:
    sql = "SELECT number, last, hash FROM audit_seals ORDER BY number DESC LIMIT 1"
    return next((Sealed(*row) for row in rows_of_sql(session, sql)), Sealed(0, 0, START))


def is_due(session: Session) -> bool:
    """Whether there are rows without a seal."""
    [(newest,)] = rows_of_sql(session, "SELECT max(sequence) FROM audit_rows")
    return (newest or 0) > last_seal(session).last


def seal(session: Session, *, now_ms: int) -> Sealed:
    """Link at most MAX_ROWS rows, in order, and seal them."""
    before = last_seal(session)
    rows = session.execute(
        select(*AuditRow.__table__.c)
        .where(AuditRow.sequence > before.last)
        .order_by(AuditRow.sequence)
        .limit(MAX_ROWS)
    ).all()
    if not rows:
        return before
    heads: dict[int, bytes] = {}
    links: list[tuple[int, bytes]] = []
    for row in rows:
        previous = heads.get(row.space)
        if previous is None:
            previous = _last_link(session, row.space, before.last)
        heads[row.space] = link = linked(previous, row_facts(row))
        links.append((row.sequence, link))
    number, last = before.number + 1, rows[-1].sequence
    facts = seal_facts(number, now_ms, last, heads)
    sealed = Sealed(number, last, linked(before.hash, facts), len(rows))
    insert_rows(session, AuditLinkRow, links)
    text = canonical(facts["heads"]).decode("ascii")
    insert_rows(session, AuditSealRow, [(number, now_ms, last, text, sealed.hash)])
    return sealed


def _last_link(session: Session, space: int, until: int) -> bytes:
    found = rows_of_sql(session, _LAST_LINK, space, until)
    return found[0][0] if found else START


def heads_told(text: str) -> dict[int, bytes]:
    """Of a seal's row.  Raises ValueError: it holds something else."""
    return {int(space): bytes.fromhex(head) for space, head in json.loads(text).items()}


# ---- heads, outside the database -------------------------------------------------------------------------


def head_of(session: Session, *, kind: str = "head", now_ms: int) -> Head:
    """The last seal, unsigned."""
    found = last_seal(session)
    server = server_id_of(session).hex
    return Head(kind, server, epoch_of(session), found.number, found.last, now_ms, found.hash)


class Heads:
    """The file of signed heads.  seed: of the private key."""

    def __init__(self, path: Path, seed: bytes) -> None:
        self._path = path
        self._seed = seed

    def last(self) -> Head | None:
        kept = read_heads(self._path)
        return kept[-1] if kept else None

    def is_due(self, sealed: Sealed, kept: Head | None, *, now_ms: int) -> bool:
        if kept is None:
            return sealed.number > 0
        rows = sealed.last - kept.last
        return rows >= HEAD_ROWS or (sealed.number != kept.number and now_ms - kept.at_ms >= HEAD_MS)

    def keep(self, head: Head) -> Head:
        """Sign it and append it; it is on the disk when this returns."""
        signed = head.signed(self._seed)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with open(os.open(self._path, flags, 0o600), "ab") as file:
            file.write(signed.line().encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return signed


def read_heads(path: Path) -> Sequence[Head]:
    """Those lines that are heads; a line that was cut by a crash is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    return [head for line in lines if (head := read_head(line)) is not None]
