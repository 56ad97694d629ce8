"""The client's memory: `state.db`.

Owns: its tables, its transactions, the followed folders, the one batch that may be under way, the activity list.
May import: the standard library, msgspec, protocol, engine.sealing.

One asyncio task owns the connection; every transaction is a plain block without a wait inside, so that two
folders can never interleave in one.  `synchronous=FULL`: a batch number must not come back after a power cut.
Rows of nodes are in `engine.row_store`.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID

from msgspec import msgpack

from protocol.errors import LocalProblem
from protocol.ids import Cursor, NodeId, ViewId
from protocol.messages import Manifest
from sync_client.engine.sealing import Seal, StateMalformed

log = logging.getLogger(__name__)

FORMAT = 4
ACTIVITY_KEPT = 1_000

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE folders (
    id INTEGER PRIMARY KEY,
    follow BLOB NOT NULL UNIQUE,        -- names this followed folder in the root marker
    view BLOB NOT NULL,
    root BLOB NOT NULL,                 -- the node that the local folder stands for
    whole_view INTEGER NOT NULL,        -- that node is the root of its view
    remote TEXT NOT NULL,               -- as the person wrote it, "/Home/studies"
    local TEXT NOT NULL UNIQUE,
    cursor TEXT NOT NULL,               -- of the feed
    at_head INTEGER NOT NULL DEFAULT 0, -- the remote tree is complete
    generation INTEGER NOT NULL DEFAULT 0,
    files INTEGER NOT NULL DEFAULT 0,   -- on the disk, counted as rows are written
    bytes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE nodes (
    folder INTEGER NOT NULL,
    node BLOB NOT NULL,
    r_parent BLOB, r_key TEXT,          -- places, for look-ups; the whole row is in `row`
    l_parent BLOB, l_key TEXT,
    inode INTEGER,
    size INTEGER,                       -- of a local file; NULL for folders
    conflict_of BLOB,
    digest BLOB,                        -- of a local file worth copying from instead of fetching
    dirty INTEGER,                      -- the order in which it was marked; NULL: nothing to do
    row BLOB NOT NULL,
    PRIMARY KEY (folder, node)
) WITHOUT ROWID;
CREATE INDEX nodes_remote ON nodes (folder, r_parent, r_key) WHERE r_parent IS NOT NULL;
CREATE INDEX nodes_local ON nodes (folder, l_parent, l_key) WHERE l_parent IS NOT NULL;
CREATE INDEX nodes_inode ON nodes (folder, inode) WHERE inode IS NOT NULL;
CREATE INDEX nodes_digest ON nodes (digest) WHERE digest IS NOT NULL;
CREATE INDEX nodes_conflict ON nodes (folder) WHERE conflict_of IS NOT NULL;
CREATE INDEX nodes_dirty ON nodes (folder, dirty) WHERE dirty IS NOT NULL;
CREATE TABLE manifests (digest BLOB PRIMARY KEY, manifest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE records (digest BLOB PRIMARY KEY, records BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE seen_states (             -- engine.window: the whole view, where only a part of it is followed
    folder INTEGER NOT NULL, node BLOB NOT NULL, parent BLOB NOT NULL, state BLOB NOT NULL, fresh INTEGER NOT NULL,
    PRIMARY KEY (folder, node)
) WITHOUT ROWID;
CREATE INDEX seen_states_parent ON seen_states (folder, parent);
CREATE INDEX seen_states_fresh ON seen_states (folder) WHERE fresh = 1;
CREATE TABLE batches (number INTEGER PRIMARY KEY, folder INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE intents (
    folder INTEGER NOT NULL, node BLOB NOT NULL, path BLOB NOT NULL, PRIMARY KEY (folder, node)
) WITHOUT ROWID;
CREATE TABLE activity (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, folder INTEGER NOT NULL,
    action TEXT NOT NULL, direction TEXT NOT NULL, path TEXT NOT NULL, bytes INTEGER NOT NULL
);
"""
_ADDED = {  # by the format that brought it
    2: """
CREATE TABLE unportable (              -- nodes that were named here, with a name that some system cannot hold
    folder INTEGER NOT NULL, node BLOB NOT NULL, PRIMARY KEY (folder, node)
) WITHOUT ROWID;
CREATE TABLE excluded (                -- what a person does not want on this computer; engine.exclusion
    -- asked: of this folder only what is not here yet, until a person answers; engine.large_folders
    folder INTEGER NOT NULL, node BLOB NOT NULL, asked INTEGER NOT NULL, PRIMARY KEY (folder, node)
) WITHOUT ROWID;
""",
    3: """
CREATE TABLE waiting (                 -- rows that last and are not in `nodes` yet, many together; a later one counts
    number INTEGER PRIMARY KEY, folder INTEGER NOT NULL, rows BLOB NOT NULL
);
""",
    4: """
ALTER TABLE activity ADD COLUMN author TEXT NOT NULL DEFAULT '';  -- "user on device", of what came from the server
""",
}


# The log grows to some MiB before it is written back: pages that many transactions touch are so written once.
_PRAGMAS = (
    *("journal_mode=WAL", "synchronous=FULL", "cache_size=-32768", "temp_store=MEMORY"),
    "wal_autocheckpoint=4000",
)


# The driver looks for an adapter of each value that is no number or text, and raises and drops an error inside
# where there is none: with one that gives back what it got, rows go in in two thirds of the time.
sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(type(None), lambda nothing: nothing)


def is_damage_code(name: str | None) -> bool:
    return (name or "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def state_trouble(error: sqlite3.Error) -> LocalProblem:
    """What SQLite says about a disk, for a person.  The engine that met it is opened anew: its trees may be ahead of
    the database, which holds whole transactions only."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if is_damage_code(code):
        return StateMalformed(str(error))
    if code.startswith("SQLITE_FULL"):
        return LocalProblem(
            "There is no room left on the disk for MB-Sync's own records",
            hint="Make some; it goes on by itself.",
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN")):
        return LocalProblem(
            "MB-Sync's own records (state.db) cannot be opened for writing",
            hint="See that the disk has room and that you may write in the client home; it goes on by itself.",
        )
    return LocalProblem(
        f"MB-Sync's own records (state.db) cannot be read or written ({error})",
        hint="Check the disk; it goes on by itself.",
    )


class Note(NamedTuple):
    """One thing that was done, for the list of what happened.

    direction: "up" or "down".  path: in the followed folder.  author: "user on device", of what came; "" unknown.
    """

    action: str
    direction: str
    path: str
    size: int
    author: str = ""


@dataclass(slots=True)
class Followed:
    """A followed folder, as it is remembered."""

    id: int
    follow: UUID
    view: ViewId
    root: NodeId
    whole_view: bool
    remote: str
    local: Path
    cursor: Cursor
    at_head: bool
    generation: int


class RowsInMemory(Protocol):
    """Rows of a folder that wait to be written (engine.row_store): a part of every transaction."""

    def begin(self) -> None:
        """What comes now may be undone."""
        ...

    def last(self) -> None:
        """They are on the disk when this transaction ends, in their table or beside it."""
        ...

    def write(self) -> None:
        """Into their table, where anybody finds them."""
        ...

    def undo(self) -> None:
        """Be as at `begin`; the tables are."""
        ...


class StateDatabase:
    """One connection; all of the engine's memory."""

    def __init__(self, path: Path) -> None:
        """Raises StateDamaged, LocalProblem."""
        self.path = path
        self._seal = Seal(path)
        self._seal.check()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        except sqlite3.Error as error:
            raise state_trouble(error) from error
        self._depth = 0
        self._lasting = False
        self._waiting: dict[int, RowsInMemory] = {}  # by folder
        try:
            for pragma in _PRAGMAS:
                self._db.execute("PRAGMA " + pragma)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            self._db.close()
            raise state_trouble(error) from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StateMalformed(str(error)) from error
        if version > FORMAT:
            self._db.close()
            raise LocalProblem(
                "The state of this client was written by a newer version",
                hint="Update MB-Sync and start it again.",
            )
        if version < FORMAT:
            with self.transaction():
                added = [_ADDED[number] for number in range(max(2, version + 1), FORMAT + 1)]
                self._run_script("".join(added if version else [_SCHEMA, *added]))
                if not version:
                    # A database that was lost may have counted far: numbers used twice would look like a cloned device.
                    self.set_fact("batch_number", str(time.time_ns() // 1_000_000))
                self._db.execute(f"PRAGMA user_version={FORMAT}")
        self._begin_log()
        self._writers = msgpack.Encoder()
        self._manifest = msgpack.Decoder(Manifest)

    def _begin_log(self) -> None:
        """A log that has something in it, and then the sign: without the one the other proves a loss."""
        try:
            with self.transaction():
                self.set_fact("opened", str(time.time_ns()))
        except sqlite3.Error:
            self._db.close()
            raise
        self._seal.opened()

    def _run_script(self, script: str) -> None:
        """`executescript` would commit first."""
        statement = ""
        for line in script.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                self._db.execute(statement)
                statement = ""

    def close(self) -> None:
        """What was only observed is lost if the disk fails now: it is observed again."""
        try:
            self.write_rows()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorname", "")
            log.warning("state.db: the last observations were not written code=%s", code)
        finally:
            self._seal.closing()
            self._db.close()
            self._seal.closed()

    @property
    def connection(self) -> sqlite3.Connection:
        return self._db

    def keep_in_memory(self, folder: int, rows: RowsInMemory) -> None:
        """From now on these are a part of every transaction."""
        self._waiting[folder] = rows

    @property
    def in_transaction(self) -> bool:
        return self._depth > 0

    @contextlib.contextmanager
    def transaction(self, *, lasting: bool = True) -> Iterator[None]:
        """All or nothing.  Inside another one it is a part of that.  No `await` may stand inside.

        lasting: on the disk when this ends.  Observations need not be: with power lost before the next lasting
        transaction, the database is a little older, as a whole, and what it forgot is observed again.
        """
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            self._lasting |= lasting
            return
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("SAVEPOINT block")
        self._depth, self._lasting = 1, lasting
        for rows in self._waiting.values():
            rows.begin()
        try:
            yield
            if self._lasting:
                for rows in self._waiting.values():
                    rows.last()
        except BaseException:
            if self._db.in_transaction:  # a full or failing disk ends the whole transaction by itself
                self._db.execute("ROLLBACK TO block")
                self._db.execute("RELEASE block")
            for rows in self._waiting.values():
                rows.undo()
            raise
        else:
            self._db.execute("RELEASE block")
            if self._lasting:
                self._db.execute("COMMIT")
        finally:
            self._depth = 0

    def write_rows(self) -> None:
        """Whatever waits stands in its table, and lasts from here on."""
        with self.transaction():
            for rows in self._waiting.values():
                rows.write()

    # ---- single facts ------------------------------------------------------------------------------------

    def fact(self, key: str, default: str = "") -> str:
        found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(found[0]) if found else default

    def set_fact(self, key: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )

    def facts_of_people(self) -> dict[str, str]:
        """What somebody said, and nobody could observe again."""
        query = (
            "SELECT key, value FROM meta WHERE key = 'limits' OR key LIKE 'paused%' OR key LIKE 'large %'"
            " OR key LIKE 'scanned every %' ORDER BY key"
        )
        return {str(key): str(value) for key, value in self._db.execute(query)}

    # ---- followed folders --------------------------------------------------------------------------------

    def folders(self) -> list[Followed]:
        rows = self._db.execute(
            "SELECT id, follow, view, root, whole_view, remote, local, cursor, at_head, generation"
            " FROM folders ORDER BY id"
        )
        return [
            Followed(
                id=number,
                follow=UUID(bytes=follow),
                view=ViewId(UUID(bytes=view)),
                root=NodeId(UUID(bytes=root)),
                whole_view=bool(whole_view),
                remote=remote,
                local=Path(local),
                cursor=Cursor(cursor),
                at_head=bool(at_head),
                generation=generation,
            )
            for number, follow, view, root, whole_view, remote, local, cursor, at_head, generation in rows
        ]

    def add_folder(
        self,
        *,
        follow: UUID,
        view: ViewId,
        root: NodeId,
        whole_view: bool,
        remote: str,
        local: Path,
        cursor: Cursor,
    ) -> Followed:
        inserted = self._db.execute(
            "INSERT INTO folders (follow, view, root, whole_view, remote, local, cursor) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (follow.bytes, view.bytes, root.bytes, whole_view, remote, str(local), cursor),
        )
        return next(folder for folder in self.folders() if folder.id == inserted.lastrowid)

    def totals(self, folder: int) -> tuple[int, int]:
        """Files on the disk, and their bytes."""
        if folder in self._waiting:
            self._waiting[folder].write()
        found = self._db.execute("SELECT files, bytes FROM folders WHERE id = ?", (folder,)).fetchone()
        return (int(found[0]), int(found[1])) if found else (0, 0)

    def count(self, folder: int, *, files: int, size: int) -> None:
        """So many more files (or fewer) on the disk."""
        self._db.execute(
            "UPDATE folders SET files = files + ?, bytes = bytes + ? WHERE id = ?", (files, size, folder)
        )

    def save_folder(self, folder: Followed) -> None:
        self._db.execute(
            "UPDATE folders SET cursor = ?, at_head = ?, generation = ?, root = ? WHERE id = ?",
            (folder.cursor, folder.at_head, folder.generation, folder.root.bytes, folder.id),
        )

    def remove_folder(self, folder: Followed) -> None:
        self._waiting.pop(folder.id, None)
        with self.transaction():
            for table in (
                *("nodes", "waiting", "batches", "intents", "activity"),
                *("seen_states", "unportable", "excluded"),
            ):
                self._db.execute(f"DELETE FROM {table} WHERE folder = ?", (folder.id,))  # noqa: S608 - our own names
            self._db.execute("DELETE FROM folders WHERE id = ?", (folder.id,))

    # ---- manifests of files of more than one chunk -------------------------------------------------------

    def keep_manifest(self, digest: bytes, manifest: Manifest) -> None:
        self._db.execute(
            "INSERT INTO manifests VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
            (digest, self._writers.encode(manifest)),
        )

    def manifest(self, digest: bytes) -> Manifest | None:
        found = self._db.execute("SELECT manifest FROM manifests WHERE digest = ?", (digest,)).fetchone()
        return self._manifest.decode(found[0]) if found else None

    def keep_records(self, digest: bytes, records: bytes) -> None:
        """Of an indirect manifest: its records, so the chunks of the file itself."""
        self._db.execute(
            "INSERT INTO records VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", (digest, records)
        )

    def records(self, digest: bytes) -> bytes | None:
        found = self._db.execute("SELECT records FROM records WHERE digest = ?", (digest,)).fetchone()
        return bytes(found[0]) if found else None

    # ---- the batch under way -----------------------------------------------------------------------------

    def next_batch_number(self) -> int:
        return int(self.fact("batch_number", "0")) + 1

    def write_batch(self, folder: int, number: int, body: bytes) -> None:
        """Before it is sent.  It stays until it was answered."""
        with self.transaction():
            self.set_fact("batch_number", str(number))
            self._db.execute("INSERT INTO batches VALUES (?, ?, ?)", (number, folder, body))

    def batches(self, folder: int) -> list[tuple[int, bytes]]:
        return list(
            self._db.execute("SELECT number, body FROM batches WHERE folder = ? ORDER BY number", (folder,))
        )

    def drop_batch(self, number: int) -> None:
        self._db.execute("DELETE FROM batches WHERE number = ?", (number,))

    # ---- what is about to be exchanged on the disk -------------------------------------------------------

    def write_intents(self, folder: int, paths: list[tuple[NodeId, tuple[str, ...]]]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO intents VALUES (?, ?, ?)",
            [(folder, node.bytes, self._writers.encode(parts)) for node, parts in paths],
        )

    def intent(self, folder: int, node: NodeId) -> tuple[str, ...] | None:
        found = self._db.execute(
            "SELECT path FROM intents WHERE folder = ? AND node = ?", (folder, node.bytes)
        ).fetchone()
        return tuple(msgpack.decode(found[0], type=list[str])) if found else None

    def drop_intents(self, folder: int) -> None:
        self._db.execute("DELETE FROM intents WHERE folder = ?", (folder,))

    def excluded(self, folder: int) -> list[NodeId]:
        found = self._db.execute(
            "SELECT node FROM excluded WHERE folder = ? AND asked = 0", (folder,)
        ).fetchall()
        return [NodeId(UUID(bytes=node)) for (node,) in found]

    def exclude(self, folder: int, nodes: Iterable[NodeId]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO excluded VALUES (?, ?, 0)", [(folder, node.bytes) for node in nodes]
        )

    # ---- names that some system cannot hold --------------------------------------------------------------

    def note_unportable(self, folder: int, node: NodeId) -> None:
        self._db.execute("INSERT OR IGNORE INTO unportable VALUES (?, ?)", (folder, node.bytes))

    def forget_unportable(self, folder: int, node: NodeId) -> None:
        self._db.execute("DELETE FROM unportable WHERE folder = ? AND node = ?", (folder, node.bytes))

    def unportable(self, folder: int) -> list[NodeId]:
        found = self._db.execute("SELECT node FROM unportable WHERE folder = ?", (folder,)).fetchall()
        return [NodeId(UUID(bytes=node)) for (node,) in found]

    # ---- activity ----------------------------------------------------------------------------------------

    def note_activity(self, folder: int, notes: Sequence[Note]) -> None:
        now = time.time_ns() // 1_000_000
        self._db.executemany(
            "INSERT INTO activity (at_ms, folder, action, direction, path, bytes, author)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(now, folder, *note) for note in notes[-ACTIVITY_KEPT:]],
        )
        self._db.execute(
            "DELETE FROM activity WHERE id <= (SELECT max(id) FROM activity) - ?",
            (ACTIVITY_KEPT,),
        )

    def activity(self, limit: int) -> list[tuple[int, int, Note]]:
        """When, in which folder, and what; the newest first."""
        found = self._db.execute(
            "SELECT at_ms, folder, action, direction, path, bytes, author FROM activity ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [(at_ms, folder, Note(*note)) for at_ms, folder, *note in found]
