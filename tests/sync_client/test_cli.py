"""`mb-sync` as a researcher uses it, with real processes on both ends."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def user(server: RunningServer) -> str:
    """An account of this test's own."""
    name = f"user-{next(NUMBERS)}"
    server.add_user(name)
    return name


@pytest.fixture
def here(server: RunningServer, user: str, tmp_path: Path) -> Iterator[MbSync]:
    mb_sync = MbSync(tmp_path / "home here")
    mb_sync.login(server.url, user, PASSWORD, device_name="laptop")
    yield mb_sync
    mb_sync("stop")


@pytest.fixture
def there(server: RunningServer, user: str, tmp_path: Path) -> MbSync:
    mb_sync = MbSync(tmp_path / "home there")
    mb_sync.login(server.url, user, PASSWORD, device_name="workstation")
    return mb_sync


def test_what_one_computer_holds_arrives_on_the_other(here: MbSync, there: MbSync, tmp_path: Path) -> None:
    here = replace(here, as_installed=True)  # once all the way; a fork is quicker
    (tmp_path / "a" / "CT").mkdir(parents=True)
    (tmp_path / "a" / "CT" / "1.dcm").write_bytes(b"DICM" * 1_000)
    added = here.json("add", "/Home/Study", tmp_path / "a", "--create")
    assert (added["remote"], added["local"]) == ("/Home/Study", str(tmp_path / "a"))
    assert json.loads(here.done("once", "--json"))["synced"] is True
    there.done("add", "/Home/Study", tmp_path / "b")
    said = there.done("once")
    assert said.startswith("✓ All synced\n")
    assert (tmp_path / "b" / "CT" / "1.dcm").read_bytes() == b"DICM" * 1_000
    assert [item["name"] for item in there.json("ls", "/Home/Study")] == ["CT"]
    assert "Study/" in there.done("ls", "/Home")
    assert "/Home" in there.done("ls", "/")


def test_the_running_client_answers_for_its_files(here: MbSync, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "notes.txt").write_text("one")
    here.done("start")
    here.done("add", "/Home/Study", study, "--create")
    here.done("wait", "--timeout", "90")
    status = here.comes_to("synced")
    assert status["running"] is True
    assert [folder["files"] for folder in status["folders"]] == [1]
    assert here.json("filestatus", study / "notes.txt")[0]["state"] == "synced"
    activity = here.json("activity", "--limit", "5")
    assert activity[0]["path"].endswith("notes.txt")
    assert activity[0]["direction"] == "up"
    assert "notes.txt" in here.done("activity")
    here.done("remove", study)
    assert here.json("status")["folders"] == []
    assert (study / "notes.txt").read_text() == "one"


def test_an_old_version_comes_back(here: MbSync, tmp_path: Path) -> None:
    notes = tmp_path / "study" / "notes.txt"
    here.done("add", "/Home/Study", notes.parent, "--create")
    for text in ("first", "second, longer"):
        notes.write_text(text)
        here.done("once")
    revs = here.json("revs", notes)
    assert [rev["size"] for rev in revs] == [len("second, longer"), len("first")]
    assert [rev["current"] for rev in revs] == [True, False]
    assert "on laptop" in here.done("revs", notes)
    here.done("restore", notes, "--rev", revs[1]["rev"], "--to", notes.with_name("old.txt"))
    here.done("once")
    assert notes.with_name("old.txt").read_text() == "first"
    here.done("restore", notes, "--rev", revs[1]["rev"])
    here.done("once")
    assert notes.read_text() == "first"


def test_what_was_deleted_comes_back(here: MbSync, tmp_path: Path) -> None:
    notes = tmp_path / "study" / "notes.txt"
    here.done("add", "/Home/Study", notes.parent, "--create")
    notes.write_text("keep me")
    here.done("once")
    notes.unlink()
    here.done("once")
    deleted = [item for item in here.json("trash") if item["path"].endswith("notes.txt")]
    assert [item["where"] for item in deleted] == ["server"]
    assert "notes.txt" in here.done("trash", "list")
    here.done("trash", "restore", deleted[0]["id"])
    here.done("once")
    assert notes.read_text() == "keep me"


def test_conflicts_are_shown_and_decided(here: MbSync, there: MbSync, tmp_path: Path) -> None:
    decisions = ("mine", "theirs", "both")
    a, b = tmp_path / "a", tmp_path / "b"
    here.done("add", "/Home/Study", a, "--create")
    write(a, decisions, "common")
    here.done("once")
    there.done("add", "/Home/Study", b)
    there.done("once")
    write(b, decisions, "from the workstation")
    there.done("once")
    write(a, decisions, "from the laptop")
    here.done("once")
    with here.running():
        here.done("wait", "--timeout", "90")
        conflicts = {Path(conflict["original"]).stem: conflict for conflict in here.json("conflicts")}
        assert set(conflicts) == set(decisions)
        assert "conflict" in here.done("conflicts")
        for keep in decisions:
            assert conflicts[keep]["path"] == str(next(a.glob(f"{keep} (conflict laptop *).txt")))
            here.done("conflicts", "resolve", conflicts[keep]["id"], "--keep", keep)
        here.done("wait", "--timeout", "90")
        assert here.json("conflicts") == []
    mine, theirs = "from the laptop", "from the workstation"
    assert texts(a, "mine") == [mine]
    assert texts(a, "theirs") == [theirs]
    assert texts(a, "both") == [mine, theirs]


def write(folder: Path, names: tuple[str, ...], text: str) -> None:
    for name in names:
        (folder / f"{name}.txt").write_text(text)


def texts(folder: Path, name: str) -> list[str]:
    return sorted(path.read_text() for path in folder.glob(f"{name}*.txt"))


def test_a_password_is_asked_for_nowhere_but_on_standard_input(here: MbSync) -> None:
    assert "--password " not in here.done("login", "--help")
