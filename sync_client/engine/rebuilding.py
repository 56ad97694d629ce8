"""A damaged or lost `state.db`: set aside, and begun anew from a note of what was followed.

Owns: `followed.json` in the client home, `state.db.damaged`, which errors are damage.
May import: the standard library, msgspec, protocol, engine.database, row_bytes, sealing, stored_trees and trees.

What `state.db` knows of files is observed again: equal bytes are adopted, nothing is deleted, nothing is sent or
fetched twice.  Only what a person said cannot be observed; that is noted a second time whenever it changes.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from uuid import UUID

import msgspec

from protocol.ids import Cursor, NodeId, ViewId
from sync_client.engine.database import StateDatabase, is_damage_code
from sync_client.engine.row_bytes import RowDamaged
from sync_client.engine.sealing import StateDamaged, StateMalformed
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.trees import root_row

log = logging.getLogger(__name__)

STATE = "state.db"
TOLD_SECONDS = 7 * 86_400
_ASIDE = "state.db.damaged"
_NOTE = "followed.json"
_FACT = "begun anew"
_PARTS = ("", "-wal", "-shm", "-open", "-sum")


class _Folder(msgspec.Struct, frozen=True):
    follow: UUID
    view: UUID
    root: UUID
    whole_view: bool
    remote: str
    local: str
    excluded: list[UUID]


class _Note(msgspec.Struct, frozen=True):
    """facts: as `state.db` has them (engine.database), of what a person said."""

    account: str
    folders: list[_Folder]
    facts: dict[str, str]
    format: int = 1


# ---- damage ----------------------------------------------------------------------------------------------


def is_damage(error: BaseException) -> bool:
    """Not of the disk or of its room, which pass: the bytes are there and are wrong."""
    if isinstance(error, StateDamaged):
        return True
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    words = str(error)
    return is_damage_code(getattr(error, "sqlite_errorname", "")) or words.startswith(
        ("no such table", "Could not decode")
    )


def set_aside_if_damaged(home: Path, error: BaseException) -> bool:
    """Whether it was.  Nobody may have it open; the damaged one of an earlier time goes."""
    if not is_damage(error):
        return False
    if _is_word_of_sqlite(error) and _reads_well(home / STATE):
        log.warning("state.db could not be read once, and is whole")
        return False
    log.error("state.db is damaged: it is set aside and begun anew")
    for part in _PARTS:
        with suppress(FileNotFoundError):
            os.replace(home / f"{STATE}{part}", home / f"{_ASIDE}{part}")
    return True


def _is_word_of_sqlite(error: BaseException) -> bool:
    """It calls a database malformed also when a single read has failed (SQLITE_IOERR_CORRUPTFS)."""
    if isinstance(error, StateDamaged):
        return isinstance(error, StateMalformed)
    return is_damage_code(getattr(error, "sqlite_errorname", "")) and not isinstance(error, RowDamaged)


def _reads_well(path: Path) -> bool:
    """All of it, now; also if it cannot be read at all, which proves nothing.

    Opened only to be read: whoever closes a database last would take its log away.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return bool(database.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.Error as error:
        return not is_damage_code(getattr(error, "sqlite_errorname", ""))


def told(state: StateDatabase) -> str:
    """For a week: what happened, for people."""
    since = state.fact(_FACT)
    if not since or time.time() - int(since) > TOLD_SECONDS:
        return ""
    day = time.strftime("%Y-%m-%d", time.localtime(int(since)))
    return (
        f"MB-Sync's own records were damaged or lost, and were made anew on {day}"
        " from your files and the server's. Nothing was deleted or sent twice."
    )


# ---- the note --------------------------------------------------------------------------------------------


def note_down(state: StateDatabase) -> None:
    """What is followed now.  A disk that is full is no reason not to sync: it is noted the next time."""
    folders = [
        _Folder(
            folder.follow,
            folder.view,
            folder.root,
            folder.whole_view,
            folder.remote,
            str(folder.local),
            list(state.excluded(folder.id)),
        )
        for folder in state.folders()
    ]
    note = msgspec.json.encode(_Note(state.fact("account"), folders, state.facts_of_people()))
    path = state.path.parent / _NOTE
    try:
        if path.exists() and path.read_bytes() == note:
            return
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o600), "wb") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        log.warning("what is followed was not noted: %s", error.strerror)


def recall(state: StateDatabase, account: str) -> None:
    """Into a database that knows nothing: what was noted, if it is of this account."""
    if state.fact("account") or state.folders():
        return
    try:
        note = msgspec.json.decode((state.path.parent / _NOTE).read_bytes(), type=_Note)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return
    if note.account != account or note.format != 1 or not note.folders:
        return
    with state.transaction():
        for key, value in note.facts.items():
            state.set_fact(key, value)
        for noted in note.folders:
            root = NodeId(noted.root)
            folder = state.add_folder(
                follow=noted.follow,
                view=ViewId(noted.view),
                root=root,
                whole_view=noted.whole_view,
                remote=noted.remote,
                local=Path(noted.local),
                cursor=Cursor(""),
            )
            state.exclude(folder.id, [NodeId(node) for node in noted.excluded])
            trees = StoredTrees(state, folder.id, root)
            with trees.transaction():
                trees.save(root_row(root), dirty=False)
        state.set_fact(_FACT, str(int(time.time())))
    log.warning("state.db was begun anew folders=%d", len(note.folders))
