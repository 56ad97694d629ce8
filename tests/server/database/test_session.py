"""Transactions are whole, writers queue, readers never wait."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from protocol.errors import Unavailable
from server.database.session import Database, insert_rows
from server.database.tables import DeviceRow, MetaRow, PossessionRow, UserRow


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(tmp_path / "server.db", migrate=True)
    yield database
    database.close()


async def count(database: Database) -> int:
    with database.reading() as session:
        return int(session.scalar(select(MetaRow.value).where(MetaRow.key == "n")) or 0)


async def test_writers_that_read_first_lose_no_update(database: Database) -> None:
    with database.writing() as session:
        session.add(MetaRow(key="n", value="0"))

    async def count_up() -> None:
        for _ in range(10):
            with database.writing() as session:
                value = session.scalar(select(MetaRow.value).where(MetaRow.key == "n"))
                session.execute(update(MetaRow).values(value=str(int(value or 0) + 1)))

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(count_up())
    assert await count(database) == 80


async def test_an_error_undoes_the_whole_transaction(database: Database) -> None:
    async def write_and_fail() -> None:
        with database.writing() as session:
            session.add(MetaRow(key="n", value="7"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_and_fail()
    assert await count(database) == 0


async def test_a_reader_sees_its_snapshot_beside_an_open_writer(database: Database) -> None:
    with database.reading() as reader:
        assert reader.scalar(select(MetaRow.value)) is None
        with database.writing() as writer:
            writer.add(MetaRow(key="n", value="1"))
        assert reader.scalar(select(MetaRow.value)) is None
    assert await count(database) == 1


async def test_what_a_reading_session_writes_is_undone(database: Database) -> None:
    with database.reading() as session:
        session.execute(text("INSERT INTO meta VALUES ('n', '3')"))
    assert await count(database) == 0


@pytest.mark.parametrize("count", [1, 165, 166, 167, 1_000])
async def test_insert_rows_takes_any_number_of_rows(database: Database, count: int) -> None:
    device = b"d" * 16
    chunks = [number.to_bytes(32) for number in range(count)]
    for until in (10, 20):
        with database.writing() as session:
            rows = [(device, chunk, until, None, 0, 0) for chunk in chunks]
            insert_rows(session, PossessionRow, rows, renew=True)
    with database.reading() as session:
        kept = session.execute(select(PossessionRow.chunk, PossessionRow.leased_until_ms)).all()
    assert [tuple(row) for row in kept] == [(chunk, 20) for chunk in chunks]


async def test_truth_and_nothing_are_kept_as_what_they_are(database: Database) -> None:
    with database.writing() as session:
        insert_rows(session, DeviceRow, [])
        insert_rows(
            session,
            UserRow,
            [
                (b"u" * 16, "Ada", "ada", "hash", True, None, 1),
                (b"v" * 16, "Eve", "eve", "hash", False, 7, 1),
            ],
        )
    with database.reading() as session:
        rows = session.execute(select(UserRow.is_admin, UserRow.disabled_at_ms).order_by(UserRow.name)).all()
    assert [tuple(row) for row in rows] == [(True, None), (False, 7)]


async def test_insert_rows_renews_what_is_there(database: Database) -> None:
    device, chunk = b"d" * 16, b"c" * 32
    for until in (10, 20):
        with database.writing() as session:
            insert_rows(session, PossessionRow, [(device, chunk, until, None, 0, 0)], renew=True)
    with database.reading() as session:
        assert (session.scalars(select(PossessionRow.leased_until_ms))).all() == [20]


async def test_data_version_tells_of_the_writes_of_another_process(database: Database) -> None:
    before = database.data_version()
    assert database.data_version() == before
    other = sqlite3.connect(database.path)
    other.execute("INSERT INTO meta VALUES ('n', '5')")
    other.commit()
    other.close()
    assert database.data_version() != before


async def test_a_full_disk_is_told_in_a_sentence(database: Database) -> None:
    async def fill() -> None:
        with database.writing() as session:
            session.execute(text("PRAGMA max_page_count = 1"))  # as if the disk ended here
            session.execute(text("INSERT INTO meta VALUES ('n', zeroblob(10000000))"))

    with pytest.raises(Unavailable, match="disk is full"):
        await fill()


async def test_a_cancelled_caller_is_let_go_when_its_transaction_has_ended(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def write(session: Session) -> None:
        begun.set()
        go_on.wait(60)
        session.execute(text("INSERT INTO meta VALUES ('n', '1')"))

    writing = asyncio.create_task(database.write(write))
    await asyncio.to_thread(begun.wait)
    writing.cancel()
    await asyncio.sleep(0.05)
    assert not writing.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await database.read(lambda session: session.scalar(select(MetaRow.value))) == "1"


async def test_readers_go_on_while_a_writer_waits(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def write(session: Session) -> None:
        session.execute(text("INSERT INTO meta VALUES ('n', '1')"))
        begun.set()
        go_on.wait(60)

    writing = asyncio.create_task(database.write(write))
    await asyncio.to_thread(begun.wait)
    assert await database.read(lambda session: session.scalar(select(MetaRow.value))) is None
    go_on.set()
    await writing
    assert await database.read(lambda session: session.scalar(select(MetaRow.value))) == "1"
