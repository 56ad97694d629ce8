"""A data folder as a backup has it, in a new epoch.

Owns: the order of a restore, what is kept of the folder's own, the new epoch.
May import: sqlalchemy, protocol, server.

Clients went on after the backup was made.  The new epoch tells them: they believe no absence and put back what
they hold (docs/protocol.md, "After a restore").  An epoch is never given twice, so it is one above all that this
folder or the backup knows of.

The old database is set aside, never deleted.  Until the one rename that puts the new one in its place nothing
has changed but packs that were added; a restore that was killed is simply done again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from protocol.errors import LocalProblem
from server.audit.chain import HEADS_KEY_INFO
from server.audit.rows import operated
from server.audit.sealing import Heads, head_of
from server.chunks.keys import open_keys, recover_keys, wrapped_store_key
from server.data_folder import DataFolder
from server.database.facts import epoch_of, kept_store_key, server_id_of
from server.database.session import Database
from server.database.tables import MetaRow
from server.upkeep.backup import DATABASE, PACKS, SETTINGS, Note, packs_named, read_note
from server.upkeep.pack_copies import Copies, copy_packs, sync_folder
from server.upkeep.revocations import (
    FILE,
    Revocations,
    apply_revocations,
    in_old_database,
    read_revocations,
    write_revocations,
)

_COMING = "server.db.restoring"
_ASIDE = "before-restore-"
_WITH = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """aside: where the database that was there lies now, None if there was none.  revoked: shut out anew."""

    note: Note
    epoch: int
    copies: Copies
    revoked: int
    aside: Path | None


def restore(folder: DataFolder, backup: Path, *, recovery_key: str, now_ms: int) -> Restored:
    """The caller holds both locks of the folder.  recovery_key: "" where the folder still has its keys.

    Raises LocalProblem: no whole backup, another server's, keys that do not open it, a full disk.
    """
    note = read_note(backup)
    try:
        return _restore(folder, backup, note, recovery_key, now_ms)
    except OSError as error:
        raise LocalProblem(
            f"{backup} was not restored: {error.strerror or error}", hint="Nothing was replaced; try again."
        ) from error


def _restore(folder: DataFolder, backup: Path, note: Note, recovery_key: str, now_ms: int) -> Restored:
    root = folder.root
    coming = root / _COMING
    for end in ("", *_WITH):
        coming.with_name(coming.name + end).unlink(missing_ok=True)
    os.close(os.open(coming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    shutil.copyfile(backup / DATABASE, coming)
    known = _known_here(folder)
    database = Database.open(coming, migrate=True)
    try:
        _check_same_server(folder, database)
        _open_or_make_keys(folder, database, recovery_key)
        copies = copy_packs(packs_named(coming), _found_in(backup / PACKS), folder.packs, look=True)
        with database.writing() as session:
            known = known.with_those_of(Revocations(epoch_of(session)))
            epoch = known.epoch + 1
            session.merge(MetaRow(key="epoch", value=str(epoch)))
            revoked = apply_revocations(session, known, now_ms=now_ms)
            operated(session, f"restore of a backup, epoch {epoch}", now_ms=now_ms)
            head = head_of(session, kind="restored", now_ms=now_ms)
        Heads(folder.audit_heads, open_keys(folder.keys).subkey(HEADS_KEY_INFO)).keep(head)
    finally:
        database.close()
    write_revocations(root / FILE, replace(known, epoch=epoch))
    if not folder.settings.exists() and (backup / SETTINGS).is_file():
        shutil.copyfile(backup / SETTINGS, folder.settings)
    aside = _set_aside(folder, now_ms)
    coming.replace(folder.database)
    for end in _WITH:
        coming.with_name(coming.name + end).unlink(missing_ok=True)
    sync_folder(root)
    return Restored(note, epoch, copies, revoked, aside)


def _found_in(packs: Path) -> Callable[[str], Path | None]:
    return lambda name: path if (path := packs / name).is_file() else None


def _known_here(folder: DataFolder) -> Revocations:
    """Who was shut out, and the highest epoch, by all that lies in the folder."""
    known = read_revocations(folder.root / FILE)
    for old in (folder.database, *folder.root.glob(f"{_ASIDE}*/{DATABASE}")):
        if old.is_file():
            known = known.with_those_of(in_old_database(old))
    return known


def _check_same_server(folder: DataFolder, database: Database) -> None:
    if not folder.database.is_file():
        return
    with database.reading() as session:
        theirs = server_id_of(session)
    try:
        old = Database.open(folder.database, migrate=False)
    except LocalProblem:  # of another version, or damaged: that may be why it is replaced
        return
    try:
        with old.reading() as session:
            mine = server_id_of(session)
    finally:
        old.close()
    if mine != theirs:
        raise LocalProblem(
            f"{folder.root} holds another server's data",
            hint="Restore into that server's folder, or a new one.",
        )


def _open_or_make_keys(folder: DataFolder, database: Database, recovery_key: str) -> None:
    with database.reading() as session:
        kept = kept_store_key(session)
    if recovery_key:
        recover_keys(folder.keys, recovery_key, kept=kept)
    elif not folder.keys.exists():
        raise LocalProblem(
            "There are no keys here, and a backup holds none",
            hint="Say --recovery-key-stdin and give the recovery key that `init` printed.",
        )
    open_keys(folder.keys)
    if kept is not None and kept != wrapped_store_key(folder.keys):
        raise LocalProblem(
            "The keys here are not those of the backup",
            hint="Restore into the folder that it was made from, or a new one, with the recovery key.",
        )


def _set_aside(folder: DataFolder, now_ms: int) -> Path | None:
    if not folder.database.is_file():
        return None
    stamp = datetime.fromtimestamp(now_ms / 1_000, tz=UTC).strftime("%Y-%m-%dT%H%M%S")
    aside = folder.root / f"{_ASIDE}{stamp}-{now_ms % 1_000:03}"
    aside.mkdir(mode=0o700)
    for end in (*_WITH, ""):  # the database itself last: with it goes what says that there was one
        old = folder.database.with_name(folder.database.name + end)
        if old.exists():
            old.rename(aside / old.name)
    return aside
