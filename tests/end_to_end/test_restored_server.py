"""A server that came back from a backup of yesterday: what its clients still have comes back, nothing is deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sync_client.engine import putting_back
from sync_client.engine.engine import Engine
from sync_client.engine.trees import Row
from sync_client.home import ClientHome, read_account
from tests.support.computers import Computer, Together
from tests.support.server import RunningServer

pytestmark = pytest.mark.timeout(300)


def back_to(server: RunningServer, backup: Path) -> None:
    server.stop()
    done = server.command("restore", str(backup))
    assert done.returncode == 0, done.stderr
    server.start()


def test_a_day_of_work_comes_back_to_a_restored_server(pair: Together, tmp_path: Path) -> None:
    server = pair.server
    for name in ("stays", "edited", "twice", "moves/old", "deleted", "renamed/inner"):
        pair.a.write(name, f"{name} of yesterday".encode())
    pair.settle()
    done = server.command("backup", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    pair.a.write("edited", b"edited today")
    pair.a.write("twice", b"edited today for the first time")
    pair.a.move("moves/old", "moves/new")
    pair.a.move("renamed", "other name")
    pair.a.write("new folder/deep/new", b"new today" * 100_000)
    pair.b.delete("deleted")
    before = pair.settle()
    pair.a.write("twice", b"edited today for the second time")
    pair.a.once()  # the other computer holds the first edit still
    pair.a.write("not sent", b"never acknowledged")
    pair.b.write("stays", b"edited and not sent")
    back_to(server, tmp_path / "backup")
    pair.b.once()  # the one that knows less comes first
    after = pair.settle()
    assert pair.conflict_copies() == []
    assert pair.a.read("twice") == b"edited today for the second time"
    assert pair.a.read("stays") == b"edited and not sent"
    came_back = set(after) - set(before)
    assert came_back == {"not sent", "deleted"}  # a delete that the backup does not know is not repeated
    assert set(before) <= set(after)
    assert pair.a.mb_sync.json("guard") == pair.b.mb_sync.json("guard") == []
    versions = {one["size"] for one in pair.a.mb_sync.json("revs", pair.a.at("twice"))}
    assert len(b"edited today for the first time") in versions
    pair.sound()
    assert pair.a.once()["state"] == "synced"


def test_what_was_touched_meanwhile_comes_back_too(pair: Together, tmp_path: Path) -> None:
    """It must be read again before it is known to be what the server once acknowledged."""
    server = pair.server
    pair.a.write("stays", b"of yesterday")
    pair.settle()
    done = server.command("backup", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    pair.a.write("new", b"of today, and only on these computers")
    before = pair.settle()
    back_to(server, tmp_path / "backup")
    for computer in pair.computers:
        computer.at("new").touch()
    assert pair.settle() == before
    pair.sound()


def test_who_dies_before_it_noted_that_it_was_overtaken_keeps_both_all_the_same(
    pair: Together, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, noted = pair.server, putting_back._answered
    pair.a.write("report", b"of yesterday")
    pair.settle()
    done = server.command("backup", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    pair.a.write("report", b"edited by anvil before the restore")
    pair.a.once()
    back_to(server, tmp_path / "backup")
    pair.b.write("report", b"edited by cedar after it, from what the backup held")
    pair.b.once()
    answers: list[bool] = []

    def dies(row: Row, *, done: bool) -> Row:
        answers.append(done)
        raise KilledHere

    monkeypatch.setattr(putting_back, "_answered", dies)
    for _ in range(2):  # each time before the answer is noted
        asyncio.run(one_round(pair.a))
    monkeypatch.setattr(putting_back, "_answered", noted)
    assert answers == [False, False], "the second answer is the first one"
    pair.settle()
    [copy] = pair.conflict_copies()
    assert {pair.b.read("report"), pair.b.read(copy)} == {
        b"edited by anvil before the restore",
        b"edited by cedar after it, from what the backup held",
    }
    pair.sound()


class KilledHere(Exception):
    pass


async def one_round(computer: Computer) -> None:
    """In this process, so that it can be made to die at one place."""
    home = computer.mb_sync.home
    engine = await Engine.open(home, read_account(ClientHome(home)))
    try:
        await engine.once()
    except KilledHere:
        return
    finally:
        await engine.close()


def test_what_was_deleted_after_the_restore_is_deleted_for_who_comes_later(
    pair: Together, tmp_path: Path
) -> None:
    """Who comes later puts it back, and the delete is newer: its old name may be another file's by then."""
    server = pair.server
    for name in ("replaced", "deleted", "below/one", "below/two"):
        pair.a.write(name, f"{name} of yesterday".encode())
    pair.settle()
    done = server.command("backup", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    back_to(server, tmp_path / "backup")
    pair.a.once()
    for name in ("replaced", "deleted", "below"):
        pair.a.delete(name)
    pair.a.once()
    pair.a.write("replaced", b"another file of today")
    pair.a.once()
    assert set(pair.settle()) == {"replaced"}
    assert pair.b.read("replaced") == b"another file of today"
    pair.sound()


def test_a_followed_folder_that_the_backup_never_knew_comes_back_as_a_whole(
    server: RunningServer, tmp_path: Path
) -> None:
    user = "made-before-the-backup"
    server.add_user(user)
    alone = Together(server, user, [Computer(tmp_path, "anvil")])
    alone.a.login(server, user)
    done = server.command("backup", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    alone.a.follow("/Home/one/two", create=True)
    for number in range(20):
        alone.a.write(f"series/{number}.dcm", b"DICM %d" % number)
    before = alone.settle()
    assert len(before) == 21
    back_to(server, tmp_path / "backup")
    assert alone.settle() == before
    listed = {path for _, _, state, path in server.manifest() if state == "current"}
    assert f"{user}/Home/one/two/series/7.dcm" in listed
    alone.sound()
