"""Whoever changes the log in its file is found, whatever they change; whoever does not is not."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from server.audit.chain import START, Head, linked, public_key, row_facts, seal_facts
from server.audit.rows import Did, Entry, record
from server.audit.sealing import Heads, head_of, is_due, read_heads, seal
from server.audit.verifying import Verdict, verify
from server.database.session import Database
from server.database.tables import MetaRow

RANDOM = random.Random(int(os.environ.get("MB_SEED", "20261122")))
SEED = bytes(range(32))
ROWS = 60
_COLUMNS = "at_ms, space, did, result, actor, device, address, request, detail, count, nodes"
_ROWS = f"SELECT sequence, {_COLUMNS} FROM audit_rows ORDER BY sequence"


def some_entry(number: int) -> Entry:
    return Entry(
        at_ms=1_000 + number,
        did=RANDOM.choice(list(Did)),
        space=RANDOM.randrange(4),
        detail=RANDOM.choice(["", "reader to user:ben", "a\x1b[2J\u202eb"]),
        nodes=RANDOM.randbytes(28 * RANDOM.randrange(3)),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of some rows in some seals, and heads of the seals in the middle and at the end."""
    folder = tmp_path_factory.mktemp("log")
    database = Database.open(folder / "server.db", migrate=True)
    heads = Heads(folder / "audit-heads", SEED)
    with database.writing() as session:
        session.add(MetaRow(key="server_id", value="ab" * 16))
    number = 0
    while number < ROWS:
        with database.writing() as session:
            few = [some_entry(number + more) for more in range(RANDOM.randrange(1, 6))]
            record(session, few)
        number += len(few)
        with database.writing() as session:
            seal(session, now_ms=number)
        with database.reading() as session:
            head = head_of(session, now_ms=number)
        if number > ROWS // 2:
            heads.keep(head)
    database.close()
    return folder


@pytest.fixture
def log(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def looked_at(log: Path, *, heads: bool = True) -> Verdict:
    database = Database.open(log / "server.db", migrate=False)
    try:
        with database.reading() as session:
            kept = read_heads(log / "audit-heads") if heads else []
            return verify(session, kept, own_key=public_key(SEED))
    finally:
        database.close()


def tamper(log: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    connection = sqlite3.connect(log / "server.db")
    with connection:
        change(connection)
    connection.close()


def execute(connection: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> None:
    connection.execute(sql, values)


def count(log: Path) -> int:
    connection = sqlite3.connect(log / "server.db")
    try:
        return int(connection.execute("SELECT count(*) FROM audit_rows").fetchone()[0])
    finally:
        connection.close()


def chained_anew(connection: sqlite3.Connection) -> None:
    """As one does who knows the format and can write every row."""
    connection.row_factory = sqlite3.Row
    links: dict[int, bytes] = {}
    before, first = START, 0
    seals = connection.execute("SELECT * FROM audit_seals ORDER BY number").fetchall()
    for found in seals:
        told: dict[int, bytes] = {}
        for row in connection.execute(_ROWS):
            if first < row["sequence"] <= found["last"]:
                as_read = _Row({name: row[name] for name in row.keys()})  # noqa: SIM118 - a row iterates its values
                link = linked(links.get(row["space"], START), row_facts(as_read))
                links[row["space"]] = told[row["space"]] = link
                connection.execute(
                    "UPDATE audit_links SET hash = ? WHERE sequence = ?", (link, row["sequence"])
                )
        facts = seal_facts(found["number"], found["at_ms"], found["last"], told)
        before, first = linked(before, facts), found["last"]
        text = "{" + ",".join(f'"{space}":"{told[space].hex()}"' for space in sorted(told)) + "}"
        connection.execute(
            "UPDATE audit_seals SET heads = ?, hash = ? WHERE number = ?", (text, before, found["number"])
        )


class _Row:
    def __init__(self, facts: dict[str, object]) -> None:
        self.__dict__.update(facts)


def test_a_log_that_nobody_touched_is_whole(log: Path) -> None:
    found = looked_at(log)
    assert (found.broken, found.explained, found.waiting) == ([], [], 0)
    assert found.rows == count(log) >= ROWS
    assert found.seals > 1


def test_every_changed_value_of_every_row_is_found(log: Path) -> None:
    columns = _COLUMNS.split(", ")
    for _ in range(40):
        row, column = RANDOM.randrange(1, count(log) + 1), RANDOM.choice(columns)
        kept = (log / "server.db").read_bytes()
        new: object = RANDOM.randrange(10**6, 10**7)
        if column in ("did", "result", "address", "request", "detail"):
            new = "another"
        elif column in ("actor", "device", "nodes"):
            new = RANDOM.randbytes(28)
        sql = f"UPDATE audit_rows SET {column} = ? WHERE sequence = ?"
        tamper(log, partial(execute, sql=sql, values=(new, row)))
        broken = looked_at(log, heads=False).broken
        assert any(f"Row {row} is not what was written" in told for told in broken), (column, row, broken)
        (log / "server.db").write_bytes(kept)


def test_every_dropped_row_is_named(log: Path) -> None:
    for _ in range(15):
        row = RANDOM.randrange(1, count(log) + 1)
        kept = (log / "server.db").read_bytes()
        tamper(log, lambda db: db.execute("DELETE FROM audit_rows WHERE sequence = ?", (row,)))  # noqa: B023 - done before the next turn
        broken = looked_at(log, heads=False).broken
        assert any(told.startswith(f"Row {row} is missing") for told in broken), (row, broken)
        (log / "server.db").write_bytes(kept)


def test_rows_that_changed_places_are_found(log: Path) -> None:
    for _ in range(15):
        one, other = RANDOM.sample(range(1, count(log) + 1), 2)
        kept = (log / "server.db").read_bytes()

        def swap(db: sqlite3.Connection, one: int = one, other: int = other) -> None:
            for was, now in ((one, -1), (other, one), (-1, other)):
                db.execute("UPDATE audit_rows SET sequence = ? WHERE sequence = ?", (now, was))

        tamper(log, swap)
        assert any(f"Row {one} is not" in told for told in looked_at(log, heads=False).broken)
        (log / "server.db").write_bytes(kept)


def test_a_row_put_in_is_found(log: Path) -> None:
    last = count(log)

    def put_in(db: sqlite3.Connection) -> None:
        db.execute("UPDATE audit_rows SET sequence = ? WHERE sequence = ?", (last + 1, 7))
        values = "9, 0, 'read', 'done', NULL, NULL, '', '', 'forged', 1, x''"
        db.execute(f"INSERT INTO audit_rows (sequence, {_COLUMNS}) VALUES (7, {values})")

    tamper(log, put_in)
    assert any("Row 7 is not what was written" in told for told in looked_at(log, heads=False).broken)


def test_rows_cut_off_at_the_end_are_named(log: Path) -> None:
    last = count(log)
    tamper(log, lambda db: db.execute("DELETE FROM audit_rows WHERE sequence > ?", (last - 3,)))
    wanted = f"Rows {last - 2} to {last} are missing at the end of the log"
    assert wanted in looked_at(log, heads=False).broken


def test_a_log_cut_off_with_its_seals_is_betrayed_by_a_head(log: Path) -> None:
    def cut(db: sqlite3.Connection) -> None:
        [last] = db.execute("SELECT last FROM audit_seals WHERE number = 3").fetchone()
        for table, column, bound in (
            ("audit_seals", "number", 3),
            ("audit_rows", "sequence", last),
            ("audit_links", "sequence", last),
        ):
            db.execute(f"DELETE FROM {table} WHERE {column} > ?", (bound,))

    tamper(log, cut)
    assert looked_at(log, heads=False).broken == []  # nothing in the database can know
    assert any(told.startswith("The log was cut off") for told in looked_at(log).broken)


def test_a_log_chained_anew_is_betrayed_by_one_old_head(log: Path) -> None:
    row = RANDOM.randrange(1, ROWS // 2)
    tamper(log, lambda db: db.execute("UPDATE audit_rows SET detail = 'forged' WHERE sequence = ?", (row,)))
    tamper(log, chained_anew)
    assert looked_at(log, heads=False).broken == []
    first_head = (log / "audit-heads").read_text().splitlines()[0]
    (log / "audit-heads").write_text(first_head + "\n")
    assert any(told.startswith("The log was written anew") for told in looked_at(log).broken)


def test_a_head_that_somebody_else_signed_is_no_head(log: Path) -> None:
    [*_, last] = read_heads(log / "audit-heads")
    forged = Head("head", last.server, last.epoch, 1, 1, last.at_ms, b"\1" * 32).signed(b"\2" * 32)
    with (log / "audit-heads").open("a") as file:
        file.write(forged.line() + "\n")
    assert any("does not have this server's signature" in told for told in looked_at(log).broken)


def test_a_lost_link_and_a_changed_seal_are_found(log: Path) -> None:
    tamper(log, lambda db: db.execute("DELETE FROM audit_links WHERE sequence = 5"))
    assert "Row 5 has lost its link, or was put in later" in looked_at(log).broken
    tamper(log, lambda db: db.execute("UPDATE audit_seals SET at_ms = at_ms + 1 WHERE number = 2"))
    assert "Seal 2 is not the one that was made" in looked_at(log).broken


def test_what_a_crash_left_unsealed_is_sealed_in_its_order(log: Path) -> None:
    database = Database.open(log / "server.db", migrate=False)
    with database.writing() as session:
        record(session, [some_entry(number) for number in range(1_500)])  # more than one seal takes
    assert looked_at(log).waiting == 1_500
    while True:
        with database.writing() as session:
            if not is_due(session):
                break
            seal(session, now_ms=5)
    database.close()
    found = looked_at(log)
    assert (found.broken, found.waiting) == ([], 0)


def test_a_restore_explains_what_the_backup_lacked(log: Path, tmp_path: Path) -> None:
    def back_to_seal_3(db: sqlite3.Connection) -> None:
        [last] = db.execute("SELECT last FROM audit_seals WHERE number = 3").fetchone()
        db.execute("DELETE FROM audit_seals WHERE number > 3")
        db.execute("DELETE FROM audit_rows WHERE sequence > ?", (last,))
        db.execute("DELETE FROM audit_links WHERE sequence > ?", (last,))

    tamper(log, back_to_seal_3)
    database = Database.open(log / "server.db", migrate=False)
    with database.writing() as session:
        session.add(MetaRow(key="epoch", value="2"))
        session.flush()
        head = head_of(session, kind="restored", now_ms=9)
    Heads(log / "audit-heads", SEED).keep(head)
    for _ in range(6):  # the log goes on, past the number of the heads that were lost
        with database.writing() as session:
            record(session, [some_entry(1)])
            seal(session, now_ms=10)
    database.close()
    found = looked_at(log)
    assert found.broken == []
    assert found.explained
    assert all("were not in it" in told for told in found.explained)
