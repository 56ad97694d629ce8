"""The steps make the very tables that the program works with, and nothing is opened that it does not know."""

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from protocol.errors import LocalProblem
from server.database import migrations
from server.database.session import Database
from server.database.tables import Base

TABLES = text(
    "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%'"
)


def schema(connection: Connection) -> dict[str, list[str]]:
    """Each table with its parts in any order (a step adds at the end), without white space and quotes."""
    return {
        name: sorted(part.strip() for part in re.split(r"[,\n]", sql.replace('"', "")) if part.strip())
        for name, sql in connection.execute(TABLES)
    }


async def test_the_steps_end_at_the_tables_of_the_program(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "server.db", migrate=True)
    database.close()
    migrated = create_engine(f"sqlite:///{tmp_path}/server.db")
    declared = create_engine("sqlite://")
    Base.metadata.create_all(declared)
    with migrated.connect() as there, declared.connect() as here:
        assert compare_metadata(MigrationContext.configure(there), Base.metadata) == []
        assert schema(there) == schema(here)  # what compare_metadata does not see: WITHOUT ROWID
    migrated.dispose()
    declared.dispose()


def test_head_names_the_newest_step() -> None:
    config = Config()
    config.set_main_option("script_location", "server.database:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    database = Database.open(path, migrate=True)
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    database.close()
    for migrate in (True, False):
        with pytest.raises(LocalProblem, match="0999, newer than this program"):
            Database.open(path, migrate=migrate)


async def test_a_missing_or_empty_database_is_made_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(LocalProblem, match="There is no database"):
        Database.open(tmp_path / "server.db", migrate=False)
    assert not (tmp_path / "server.db").exists()
    (tmp_path / "empty.db").touch()
    with pytest.raises(LocalProblem, match="is of version none"):
        Database.open(tmp_path / "empty.db", migrate=False)


async def test_sqlite_finds_children_by_their_parent_and_the_feed_by_its_stamp(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "server.db", migrate=True)
    children = "SELECT id FROM nodes WHERE space = 1 AND parent IN (x'01', x'02') AND deleted_at_ms IS NULL"
    feed = (
        "SELECT n.id FROM nodes n JOIN versions v ON v.space = n.space AND v.node = n.id"
        " WHERE n.space = 1 AND n.stamp > 5 ORDER BY n.stamp LIMIT 10"
    )
    with database.reading() as session:
        for query, used in ((children, "(space=? AND parent=?)"), (feed, "(space=? AND stamp>?)")):
            plan = (session.execute(text(f"EXPLAIN QUERY PLAN {query}"))).all()
            assert used in plan[0].detail
    database.close()
