"""A new data folder, from nothing to a server that can be started.

Owns: the order of its making, and that a failed one leaves nothing behind.
May import: protocol, server.access, server.audit, server.chunks, server.config, server.data_folder, server.database,
server.tls.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from protocol.errors import LocalProblem
from protocol.names import NAME_RULES
from server.access.users import add_user
from server.audit.rows import operated
from server.chunks.keys import create_keys, wrapped_store_key
from server.config import FIRST_SETTINGS
from server.data_folder import DataFolder
from server.database.facts import keep_store_key
from server.database.session import Database
from server.database.tables import MetaRow
from server.tls import create_authority


def initialise(folder: DataFolder, *, admin: str, password: str, clock: Callable[[], int]) -> str:
    """Make the folder, its keys, its database and its first user.  Returns the recovery key.

    Raises LocalProblem, BadRequest: nothing was made.
    """
    folder.check_free()
    was_there = folder.root.is_dir()
    made = (folder.settings, folder.packs, folder.keys, *_database_files(folder.database))
    try:
        return _make(folder, admin=admin, password=password, now_ms=clock())
    except BaseException as error:
        for path in made:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not was_there and folder.root.is_dir():
            folder.root.rmdir()
        if isinstance(error, OSError):
            raise LocalProblem(
                f"{folder.root} cannot be made: {error.strerror}", hint="Name a folder that you may write to."
            ) from error
        raise


def _make(folder: DataFolder, *, admin: str, password: str, now_ms: int) -> str:
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.packs.mkdir(mode=0o700)
    recovery_key = create_keys(folder.keys)
    create_authority(folder.keys, now=datetime.fromtimestamp(now_ms / 1000, UTC))
    folder.settings.write_text(FIRST_SETTINGS, encoding="utf-8")
    database = Database.open(folder.database, migrate=True)
    try:
        with database.writing() as session:
            session.add_all(
                MetaRow(key=key, value=value)
                for key, value in (
                    ("server_id", uuid4().hex),
                    ("epoch", "1"),
                    ("name_rules", NAME_RULES),
                    ("created_at_ms", str(now_ms)),
                )
            )
            keep_store_key(session, wrapped_store_key(folder.keys))
            add_user(session, admin, password, is_admin=True, now_ms=now_ms)
            operated(session, f"init --admin {admin}", now_ms=now_ms)
    finally:
        database.close()
    return recovery_key


def _database_files(database: Path) -> tuple[Path, ...]:
    return database, database.with_name(database.name + "-wal"), database.with_name(database.name + "-shm")
