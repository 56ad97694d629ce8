"""Transactions on the one database: SQLite in a file today, PostgreSQL behind the same calls later.

Owns: the engine and its threads, how a transaction begins, bulk inserts, what a full or busy disk means.
May import: sqlalchemy, protocol.errors, server.database.

    answer = await database.read(work)     work(session) runs in a thread: one snapshot; blocks no writer
    answer = await database.write(work)    the same in one transaction: committed at the end, undone by an error

    with database.reading() as session: ...   the same two right here, for commands and for code that is in a
    with database.writing() as session: ...   thread already; never on the event loop of a running server

All that speaks to the database is plain code that takes a `Session`; a request costs one hand-over to a thread
and back, however many statements it makes.  Who writes holds the only write lock there is: no network wait
inside, and no second `write` inside it.
Many rows: `insert_rows` with a list of tuples is more than twice as fast as `insert(T.__table__)` with a list
of dicts, and more than four times as fast as `insert(T)`, which goes through the ORM.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Any, Self, TypeVar, cast

from sqlalchemy import Connection, Engine, Row, Table, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from protocol.errors import LocalProblem, Unavailable
from server.database import migrations
from server.database.tables import Base

_T = TypeVar("_T")
AnyRow = Row[*tuple[Any, ...]]
BULK = 5_000  # values in one statement
# In one INSERT: with each statement the driver gives the interpreter's lock away and takes it back.
_ROW_VALUES = 1_000
BUSY_SECONDS = 30  # how long a transaction waits for the write lock of another process
READERS = 4  # threads; more would only wait for each other on the few cores there are
# A disk that fails in the middle of the write-ahead log can look like a damaged database, until it works again.
_DISK_TROUBLE = (
    *("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM"),
    *("SQLITE_CORRUPT", "SQLITE_NOTADB"),
)
# The log grows to some 32 MiB before it is written back: chunks come in the order of their hashes, so each transaction
# touches the same pages as the one before it.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=8000")
# Of pages, for each connection.  A commit empties the caches of all connections but the one that made it: all writing
# goes through one, so its pages stay; what readers need again soon the system keeps for them.
_WRITER_KIB, _READER_KIB = 32_768, 4_096


# The driver looks for an adapter of each value that is no number or text, and raises and drops an error inside
# where there is none: with one that gives back what it got, rows go in in two thirds of the time.
sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(type(None), lambda nothing: nothing)


class Database:
    """Opened by `Database.open`; `path` is the file it lives in."""

    def __init__(self, path: Path, engine: Engine) -> None:
        """engine: the one that writes."""
        self.path = path
        self._engines = engine, _engine(path, writes=False)
        self._writing = sessionmaker(engine, expire_on_commit=False)
        self._reading = sessionmaker(self._engines[1], expire_on_commit=False, autoflush=False)
        self._turn = Lock()  # writers of this process queue here, not in SQLite's polling wait
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._watch = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    @classmethod
    def open(cls, path: Path, *, migrate: bool) -> Self:
        """migrate: make the tables, or bring them to this version, where needed (`init` and `serve`).

        Raises LocalProblem: there is no database, a newer version wrote it, or (without `migrate`) an older.
        """
        if not migrate and not path.is_file():
            raise LocalProblem(f"There is no database {path.name}", hint="Run `mb-server init` first.")
        engine = _engine(path, writes=True)
        try:
            with engine.connect() as connection:  # IMMEDIATE: of two processes the second one waits
                _bring_to_head(connection, migrate=migrate)
                connection.commit()
            return cls(path, engine)
        except BaseException:
            engine.dispose()
            raise

    async def read(self, work: Callable[[Session], _T]) -> _T:
        """What `work` makes of one snapshot, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def write(self, work: Callable[[Session], _T]) -> _T:
        """What `work` gives back, once its transaction is on the disk.

        A caller that is cancelled waits for the end of what it began.
        """
        working = asyncio.get_running_loop().run_in_executor(self._writer, self._write, work)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working])
            working.exception()  # looked at, so that nobody calls it forgotten
            raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One snapshot.  What is written through it is undone."""
        with _told_plainly(), self._reading() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction that holds the write lock from its first statement until it ends."""
        with self._turn, _told_plainly(), self._writing() as session, session.begin():
            yield session

    def data_version(self) -> int:
        """A number that changes when anyone, in this process or another, committed a change (3 µs).

        Raises Unavailable: the disk does not answer.
        """
        try:
            number: int = self._watch.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise Unavailable("The server's disk failed", hint="Its operator must look at it.") from error
        return number

    def close(self) -> None:
        """Waits for what is under way."""
        self._readers.shutdown()
        self._writer.shutdown()
        self._watch.close()
        for engine in self._engines:
            engine.dispose()

    def _read(self, work: Callable[[Session], _T]) -> _T:
        with self.reading() as session:
            return work(session)

    def _write(self, work: Callable[[Session], _T]) -> _T:
        with self.writing() as session:
            return work(session)


def insert_rows(
    session: Session, table: type[Base], rows: Sequence[tuple[Any, ...]], *, renew: bool = False
) -> None:
    """Insert tuples whose values stand in the order of the table's columns: all of them, defaults too.

    renew: a row whose primary key is there already takes the new values.
    """
    if not rows:
        return
    connection = session.connection()
    at_once = max(1, _ROW_VALUES // len(rows[0]))
    whole = len(rows) - len(rows) % at_once
    if whole:
        groups = [
            tuple(chain.from_iterable(rows[first : first + at_once])) for first in range(0, whole, at_once)
        ]
        connection.exec_driver_sql(_insert_sql(table, at_once, renew=renew), groups)
    if whole < len(rows):
        connection.exec_driver_sql(_insert_sql(table, 1, renew=renew), list(rows[whole:]))


def rows_of_sql(session: Session, sql: str, *values: Any) -> Sequence[AnyRow]:
    """The rows of a statement written out: a tenth of the cost of one put together anew each time."""
    return session.connection().exec_driver_sql(sql, values).all()


def rows_in(session: Session, sql: str, *values: Any, among: Iterable[Any]) -> Iterator[AnyRow]:
    """The rows of a statement that ends in `IN`, for any number of values.

    Thousands of values as parameters of a statement written out cost a fifth of the same in `column.in_`.
    """
    connection = session.connection()
    for group in in_groups(among, BULK):
        marks = ", ".join("?" * len(group))
        yield from connection.exec_driver_sql(f"{sql} ({marks})", (*values, *group)).all()


def in_groups(values: Iterable[_T], size: int = 500) -> Iterator[list[_T]]:
    """For `WHERE column IN (...)`: databases limit how many values one statement may have."""
    rest = iter(values)
    while group := list(islice(rest, size)):
        yield group


@lru_cache(maxsize=64)
def _insert_sql(table: type[Base], count: int, *, renew: bool) -> str:
    """count: of rows in one statement."""
    mapped = cast(Table, table.__table__)
    names = [column.name for column in mapped.columns]
    row = f"({', '.join('?' * len(names))})"
    sql = f"INSERT INTO {mapped.name} ({_names(names)}) VALUES {', '.join([row] * count)}"  # noqa: S608 - names of our own tables
    if renew:
        keys = [column.name for column in mapped.primary_key.columns]
        rest = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
        sql += f" ON CONFLICT ({_names(keys)}) DO UPDATE SET {rest}"
    return sql


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _engine(path: Path, *, writes: bool) -> Engine:
    """writes: each transaction takes the write lock at its beginning, on the one connection there is for that."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=1 if writes else READERS + 1,
        max_overflow=-1,
    )
    pragmas = (*_PRAGMAS, f"cache_size=-{_WRITER_KIB if writes else _READER_KIB}")

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver opens no transaction of its own: `begin` does
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def _bring_to_head(connection: Connection, *, migrate: bool) -> None:
    found = ""
    if inspect(connection).has_table("alembic_version"):
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
    if found > migrations.HEAD:
        raise LocalProblem(
            f"The database is of version {found}, newer than this program, which knows {migrations.HEAD}",
            hint="Install the version of Medical-Blocks that last served this folder, or a newer one.",
        )
    if found == migrations.HEAD:
        return
    if not migrate:
        raise LocalProblem(
            f"The database is of version {found or 'none'}, this program needs {migrations.HEAD}",
            hint="Start `mb-server serve` on this folder once: it brings the database up to date.",
        )
    migrations.upgrade(connection)


class _told_plainly:  # noqa: N801 - read as a verb where it stands
    """What SQLite says about a full disk or a busy file, as an error that clients know."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, DatabaseError):
            return
        words = str(error.orig) if isinstance(error, OperationalError) else ""
        if "full" in words:
            raise Unavailable(
                "The server's disk is full",
                hint="Its operator must make room; the client tries again by itself.",
            ) from error
        if "locked" in words:
            raise Unavailable("The server's database is busy", hint="Try again in a minute.") from error
        if getattr(error.orig, "sqlite_errorname", "").startswith(_DISK_TROUBLE):
            raise Unavailable(
                "The server's disk failed",
                hint="Its operator must look at it (`mb-server check`); the client tries again by itself.",
            ) from error
