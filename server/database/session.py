"""Transactions on the one database: SQLite in a file today, PostgreSQL behind the same three calls later.

Owns: the engine, how a transaction begins, bulk inserts, what a full or busy disk means to a caller.
May import: sqlalchemy, protocol.errors, server.database.

    async with database.reading() as session: ...   one snapshot; blocks no writer, and no writer blocks it
    async with database.writing() as session: ...   one transaction: committed at the end, undone by an error

A `writing` block holds the only write lock there is: no network wait inside, and no second one inside it.
Many rows: `insert_rows` with a list of tuples is twice as fast as `insert(T.__table__)` with a list of
dicts, and four times as fast as `insert(T)`, which goes through the ORM.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from sqlalchemy import Connection, Table, event, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from protocol.errors import LocalProblem, Unavailable
from server.database import migrations
from server.database.tables import Base

_T = TypeVar("_T")
BUSY_SECONDS = 30  # how long a transaction waits for the write lock of another process
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-32768")


class Database:
    """Opened by `Database.open`; `path` is the file it lives in."""

    def __init__(self, path: Path, engine: AsyncEngine) -> None:
        self.path = path
        self._engine = engine
        self._writing = async_sessionmaker(engine, expire_on_commit=False)
        self._reading = async_sessionmaker(
            engine.execution_options(read_only=True), expire_on_commit=False, autoflush=False
        )
        self._turn = asyncio.Lock()  # writers of this process queue here, not in SQLite's polling wait
        self._watch = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    @classmethod
    async def open(cls, path: Path, *, migrate: bool) -> Self:
        """migrate: make the tables, or bring them to this version, where needed (`init` and `serve`).

        Raises LocalProblem: there is no database, a newer version wrote it, or (without `migrate`) an older.
        """
        if not migrate and not path.is_file():
            raise LocalProblem(f"There is no database {path.name}", hint="Run `mb-server init` first.")
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}",
            connect_args={"timeout": BUSY_SECONDS},
            pool_size=8,
            max_overflow=24,
        )
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        try:
            async with engine.connect() as connection:  # IMMEDIATE: of two processes the second one waits
                await connection.run_sync(_bring_to_head, migrate=migrate)
                await connection.commit()
            return cls(path, engine)
        except BaseException:
            await engine.dispose()
            raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One snapshot.  What is written through it is undone."""
        with _told_plainly():
            async with self._reading() as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """One transaction that holds the write lock from its first statement until it ends."""
        async with self._turn:
            with _told_plainly():
                async with self._writing() as session, session.begin():
                    yield session

    def data_version(self) -> int:
        """A number that changes when anyone, in this process or another, committed a change (3 µs)."""
        number: int = self._watch.execute("PRAGMA data_version").fetchone()[0]
        return number

    async def close(self) -> None:
        self._watch.close()
        await self._engine.dispose()


async def insert_rows(
    session: AsyncSession, table: type[Base], rows: Sequence[tuple[Any, ...]], *, renew: bool = False
) -> None:
    """Insert tuples whose values stand in the order of the table's columns: all of them, defaults too.

    renew: a row whose primary key is there already takes the new values.
    """
    if rows:
        connection = await session.connection()
        await connection.exec_driver_sql(_insert_sql(table, renew=renew), list(rows))


def in_groups(values: Iterable[_T], size: int = 500) -> Iterator[list[_T]]:
    """For `WHERE column IN (...)`: databases limit how many values one statement may have."""
    rest = iter(values)
    while group := list(islice(rest, size)):
        yield group


@lru_cache(maxsize=64)
def _insert_sql(table: type[Base], *, renew: bool) -> str:
    mapped = cast(Table, table.__table__)
    names = [column.name for column in mapped.columns]
    sql = f"INSERT INTO {mapped.name} ({_names(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - names of our own tables
    if renew:
        keys = [column.name for column in mapped.primary_key.columns]
        rest = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
        sql += f" ON CONFLICT ({_names(keys)}) DO UPDATE SET {rest}"
    return sql


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver opens no transaction of its own: `_begin` does
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


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
        if not isinstance(error, OperationalError):
            return
        words = str(error.orig)
        if "full" in words:
            raise Unavailable(
                "The server's disk is full",
                hint="Its operator must make room; the client tries again by itself.",
            ) from error
        if "locked" in words:
            raise Unavailable("The server's database is busy", hint="Try again in a minute.") from error
