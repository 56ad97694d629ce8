"""A damaged or lost `state.db` (T8, T9) is noticed and begun anew, and nothing is lost, doubled or sent again."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sync_client.engine.database import StateDatabase
from sync_client.engine.engine import Engine
from sync_client.engine.rebuilding import is_damage, set_aside_if_damaged
from tests.support.one_engine import Setting, names, shown

COUNT = 40
SEED = int(os.environ.get("MB_SEED", "1"))


def content(image: int) -> bytes:
    return random.Random(image).randbytes(3_000)


async def a_synced_study(setting: Setting) -> Path:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        for image in range(COUNT):
            (study / f"{image}.dcm").write_bytes(content(image))
        assert await engine.once()
    return study


async def goes_on_by_itself(setting: Setting, study: Path, *, told: bool = True) -> None:
    """Nothing is followed again by hand; what a person did meanwhile is synced."""
    before = await setting.on_server("/study")
    (study / "new.dcm").write_bytes(b"made while it was damaged")
    (study / "0.dcm").write_bytes(b"edited while it was damaged")
    setting.proxy.requests.clear()
    async with setting.engine() as engine:
        await engine.once()
        assert shown(engine) == {}
        assert engine.status()["state"] == "synced"
        assert any("records were damaged or lost" in note for note in engine.status()["notes"]) is told
        assert setting.proxy.count("/content") <= told  # the one that was edited has two contents then
    after = await setting.on_server("/study")
    assert after["new.dcm"][1] == len(b"made while it was damaged")
    assert all(after[f"{image}.dcm"] == before[f"{image}.dcm"] for image in range(1, COUNT))
    for image in range(1, COUNT):
        assert (study / f"{image}.dcm").read_bytes() == content(image)
    kept = {(study / name).read_bytes() for name in names(study)}
    assert b"edited while it was damaged" in kept


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def no_database(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 400)


def zeroed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [cut, empty, no_database, zeroed, gone])
async def test_a_damaged_database_is_set_aside_and_made_anew(setting: Setting, damage: object) -> None:
    study = await a_synced_study(setting)
    assert callable(damage)
    damage(setting.base / "home" / "state.db")
    await goes_on_by_itself(setting, study)
    held = await setting.on_server("/study")
    conflicts = [name for name in held if "(conflict" in name]
    assert (
        len(conflicts) == 1
    )  # of the file that was edited meanwhile: which of the two is older nobody knows
    assert len(held) == COUNT + 2


async def test_a_log_that_is_gone_is_noticed(setting: Setting) -> None:
    """A crash leaves state.db with its log; without the log it is a database of some moment before."""
    study = await a_synced_study(setting)
    home, kept = setting.base / "home", setting.base / "kept"
    async with setting.engine() as engine:
        (study / "late.dcm").write_bytes(b"late")
        assert await engine.once()
        shutil.copytree(home, kept)  # as a crash leaves it
    shutil.rmtree(home)
    kept.rename(home)
    assert (home / "state.db-wal").stat().st_size
    (home / "state.db-wal").unlink()
    await goes_on_by_itself(setting, study)


async def test_a_crash_that_leaves_the_log_is_no_damage(setting: Setting) -> None:
    study = await a_synced_study(setting)
    home, kept = setting.base / "home", setting.base / "kept"
    async with setting.engine() as engine:
        assert await engine.once()
        shutil.copytree(home, kept)
    shutil.rmtree(home)
    kept.rename(home)
    await goes_on_by_itself(setting, study, told=False)


async def test_what_a_person_said_is_remembered(setting: Setting) -> None:
    study = await a_synced_study(setting)
    async with setting.engine() as engine:
        (study / "raw").mkdir()
        (study / "raw" / "large").write_bytes(b"large")
        assert await engine.once()
        engine.exclude(study / "raw")
        assert await engine.once()
        assert not (study / "raw").exists()
        await engine.set_paused(True, folder=study)
    no_database(setting.base / "home" / "state.db")
    async with setting.engine() as engine:
        assert engine.status()["folders"][0]["state"] == "paused"
        await engine.set_paused(False, folder=study)
        assert await engine.once()
        assert not (study / "raw").exists()
        assert [item["path"] for item in engine.excluded()] == [str(study / "raw")]


async def test_a_bit_that_flips_while_it_is_closed_is_noticed(setting: Setting) -> None:
    study = await a_synced_study(setting)
    path = setting.base / "home" / "state.db"
    chance = random.Random(SEED)
    before = await setting.on_server("/study")
    for turn in range(6):
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        aside = path.with_name("state.db.damaged")
        aside.unlink(missing_ok=True)
        setting.proxy.requests.clear()
        async with setting.engine() as engine:
            assert aside.read_bytes() == data, turn
            assert await engine.once()
        assert [setting.proxy.count(what) for what in ("/chunks", "/content", "/commit")] == [0, 0, 0]
        assert names(study) == set(before)
        assert await setting.on_server("/study") == before


async def test_a_row_that_is_none_is_damage_too(setting: Setting) -> None:
    """Found at work, by what reads it; the next engine begins anew."""
    study = await a_synced_study(setting)
    path = setting.base / "home" / "state.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("UPDATE nodes SET row = x'c1c1', dirty = 1 WHERE l_key = '7.dcm'")
    path.with_name("state.db-sum").unlink()
    async with setting.engine() as engine:
        with pytest.raises(sqlite3.DatabaseError) as met:
            await engine.once()
    assert set_aside_if_damaged(path.parent, met.value)  # as the daemon does
    await goes_on_by_itself(setting, study)


@pytest.mark.parametrize("rows", ["c1c1", "9209"])
async def test_waiting_rows_that_are_none_are_damage_too(setting: Setting, rows: str) -> None:
    """Found by whoever opens it, who begins anew."""
    study = await a_synced_study(setting)
    path = setting.base / "home" / "state.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO waiting (folder, rows) VALUES (1, ?)", (bytes.fromhex(rows),))
    path.with_name("state.db-sum").unlink()
    await goes_on_by_itself(setting, study)


def test_a_read_that_failed_once_is_not_taken_for_damage(tmp_path: Path) -> None:
    """SQLite calls that malformed too.  What is whole stays, with the log that a crash has left."""
    whole, bad = tmp_path / "whole", tmp_path / "bad"
    for home in (whole, bad, tmp_path / "at work"):
        home.mkdir()
    with closing(StateDatabase(tmp_path / "at work" / "state.db")) as state:
        for number in range(500):
            state.set_fact(f"fact {number}", "x" * 500)
        for file in (tmp_path / "at work").iterdir():
            shutil.copy(file, whole)
            shutil.copy(file, bad)
    with closing(sqlite3.connect(bad / "state.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray((bad / "state.db").read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    (bad / "state.db").write_bytes(data)
    with closing(sqlite3.connect(bad / "state.db")) as database, pytest.raises(sqlite3.DatabaseError) as met:
        database.execute("SELECT count(*) FROM meta").fetchone()
    assert met.value.sqlite_errorname.startswith("SQLITE_CORRUPT")
    assert not set_aside_if_damaged(whole, met.value)
    assert (whole / "state.db-wal").stat().st_size > 0
    with closing(StateDatabase(whole / "state.db")) as state:
        assert state.fact("fact 499") == "x" * 500
    assert set_aside_if_damaged(bad, met.value)
    assert not (bad / "state.db").exists()


async def test_a_disk_that_fails_is_not_taken_for_damage(setting: Setting) -> None:
    path = setting.base / "state.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE some (thing)")
        with pytest.raises(sqlite3.OperationalError) as met:
            database.execute("INSERT INTO other VALUES (1)")
    assert is_damage(met.value)  # a table of ours is not there
    for name in ("SQLITE_IOERR_READ", "SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY"):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = name
        assert not is_damage(error)
    await a_synced_study(setting)
    home = setting.base / "home"
    (home / "state.db").chmod(0)
    (home / "state.db").rename(home / "elsewhere")
    (home / "state.db").mkdir()  # what cannot be opened at all
    with pytest.raises(Exception, match="cannot be opened"):
        await Engine.open(home, setting.account)
    assert not (home / "state.db.damaged").exists()
