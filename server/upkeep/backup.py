"""A copy of everything but the keys, made while the server works.

Owns: what lies in a backup, the order in which it is written.
May import: sqlalchemy, protocol, server.

    TO/server.db     one consistent copy of the database
    TO/packs/        every pack that it names; packs never change, so those of an earlier backup are kept
    TO/server.toml   the settings
    TO/backup.json   which server, which epoch, when; written last

The caller holds the upkeep lock, so no pack goes away between the database's copy and its own.  Killed at any
instant the folder still holds the backup that it held before.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import LocalProblem
from server.data_folder import DataFolder
from server.database.facts import epoch_of, server_id_of
from server.database.session import Database
from server.upkeep.pack_copies import Copies, Wanted, copy_packs, sync_folder

FORMAT = 1
DATABASE, PACKS, SETTINGS, NOTE = "server.db", "packs", "server.toml", "backup.json"
_NEW = ".new"
_ENDS = ("", ".retired")


@dataclass(frozen=True, slots=True)
class Note:
    """What backup.json says."""

    server_id: str
    epoch: int
    made_at_ms: int
    packs: int


@dataclass(frozen=True, slots=True)
class BackedUp:
    note: Note
    copies: Copies
    removed: int  # packs of earlier backups that nothing needs any more


def back_up(folder: DataFolder, database: Database, to: Path, *, now_ms: int, look: bool) -> BackedUp:
    """Make, or bring up to date, the backup in `to`.  look: also read every pack that was there already.

    Raises LocalProblem: `to` is another server's backup, lies inside the data folder, or cannot be written.
    """
    _check_target(folder, database, to)
    try:
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = to / (DATABASE + _NEW)
        fresh.unlink(missing_ok=True)
        _copy_database(folder.database, fresh)
        wanted = packs_named(fresh)

        def find(name: str) -> Path | None:
            return next((path for end in _ENDS if (path := folder.packs / (name + end)).is_file()), None)

        copies = copy_packs(wanted, find, to / PACKS, look=look)
        if folder.settings.is_file():
            shutil.copyfile(folder.settings, to / SETTINGS)
        fresh.replace(to / DATABASE)
        sync_folder(to)
        removed = _drop_unneeded(to / PACKS, {pack.name for pack in wanted})
        with database.reading() as session:
            note = Note(server_id_of(session).hex, epoch_of(session), now_ms, len(wanted))
        _write_note(to, note)
    except OSError as error:
        raise LocalProblem(
            f"The backup in {to} was not finished: {error.strerror or error}",
            hint="What it held before is still there; make room or name another folder.",
        ) from error
    return BackedUp(note, copies, removed)


def read_note(backup: Path) -> Note:
    """Raises LocalProblem: there is no whole backup."""
    try:
        facts = json.loads((backup / NOTE).read_text(encoding="utf-8"))
        if facts.pop("format") != FORMAT:
            raise LocalProblem(
                f"{backup} is a backup of an unknown format", hint="Use the program that made it."
            )
        return Note(**facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalProblem(
            f"{backup} holds no whole backup", hint="Name a folder that `mb-server backup` made."
        ) from error


def packs_named(database: Path) -> list[Wanted]:
    """By a copy of the database that nobody else uses."""
    connection = sqlite3.connect(database)
    try:
        rows = connection.execute("SELECT name, size, file_digest FROM packs ORDER BY id")
        return [Wanted(*row) for row in rows]
    finally:
        connection.close()


def _check_target(folder: DataFolder, database: Database, to: Path) -> None:
    inside = to.resolve()
    if inside == folder.root.resolve() or folder.root.resolve() in inside.parents:
        raise LocalProblem(
            f"{to} lies inside the data folder",
            hint="A backup belongs on another disk, better another machine.",
        )
    if (to / NOTE).exists():
        with database.reading() as session:
            mine = server_id_of(session).hex
        if read_note(to).server_id != mine:
            raise LocalProblem(f"{to} is the backup of another server", hint="Name another folder.")
    elif to.is_dir() and any(
        entry.name not in (DATABASE + _NEW, PACKS, DATABASE, SETTINGS) for entry in to.iterdir()
    ):
        raise LocalProblem(f"{to} holds other things already", hint="Name an empty or a new folder.")


def _copy_database(source: Path, target: Path) -> None:
    """One snapshot, whatever the server writes meanwhile; looked at before it counts."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _connected(source) as reading, _connected(target) as writing:
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")
        [found] = writing.execute("PRAGMA quick_check").fetchone()
    if found != "ok":
        raise LocalProblem(
            f"The copy of the database is damaged: {found[:200]}", hint="Run `mb-server check --deep`."
        )
    with target.open("rb") as file:
        os.fsync(file.fileno())


class _connected:  # noqa: N801 - read as a verb where it stands
    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=30)

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _drop_unneeded(packs: Path, needed: set[str]) -> int:
    unneeded = [path for path in _files(packs) if path.name not in needed]
    for path in unneeded:
        path.unlink()
    return len(unneeded)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file())


def _write_note(to: Path, note: Note) -> None:
    facts = {
        "format": FORMAT,
        "server_id": note.server_id,
        "epoch": note.epoch,
        "made_at_ms": note.made_at_ms,
        "packs": note.packs,
    }
    fresh = to / (NOTE + _NEW)
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(to / NOTE)
    sync_folder(to)
