"""The background process: started once, ended cleanly, honest about what is wrong.

The real `mb-sync` against a real `mb-server`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.errors import BadRequest
from sync_client.control import ask
from sync_client.lock import is_held
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

LIMIT_SECONDS = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        running.add_user("ana")
        yield running


@pytest.fixture
def ana(server: RunningServer, tmp_path: Path) -> Iterator[MbSync]:
    mb_sync = MbSync(tmp_path / "home", as_installed=True)
    mb_sync.login(server.url, "ana", PASSWORD)
    yield mb_sync
    mb_sync("stop")


def until_state(mb_sync: MbSync, state: str) -> None:
    ends = time.monotonic() + LIMIT_SECONDS
    while (seen := mb_sync.json("status")["state"]) != state:
        assert time.monotonic() < ends, f"{seen}, not {state}"
        time.sleep(0.05)


def until_ended(mb_sync: MbSync) -> None:
    ends = time.monotonic() + LIMIT_SECONDS
    while is_held(mb_sync.home / "lock"):
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_starting_twice_starts_one(ana: MbSync) -> None:
    first = ana.json("start")
    assert ana.json("start") == {"pid": first["pid"], "started": False}
    assert ana.json("status")["pid"] == first["pid"]
    assert ana.json("stop") == {"pid": first["pid"], "stopped": True}
    assert ana.json("status")["running"] is False
    assert sorted(path.name for path in ana.home.glob("control.*")) == []


def test_the_system_may_end_it(ana: MbSync) -> None:
    os.kill(ana.json("start")["pid"], signal.SIGTERM)
    until_ended(ana)
    assert not (ana.home / "control.sock").exists()


def test_after_a_kill_it_starts_again(ana: MbSync) -> None:
    os.kill(ana.json("start")["pid"], signal.SIGKILL)
    until_ended(ana)
    assert ana.json("status")["running"] is False
    assert ana.json("start")["started"] is True


@contextmanager
def somebody_holds(lock_file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the home for a second, and answers nobody."""
    script = """
import pathlib, sys, time
from sync_client.lock import only_one
with only_one(pathlib.Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(1)
"""
    command = [sys.executable, "-c", script, str(lock_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield other


@pytest.mark.parametrize("command", ["start", "once"])
def test_it_waits_for_the_end_of_one_that_does_not_answer_any_more(ana: MbSync, command: str) -> None:
    with somebody_holds(ana.home / "lock"):
        ana.done(command)


def test_stopping_waits_for_the_end_of_one_that_does_not_answer_any_more(ana: MbSync) -> None:
    with somebody_holds(ana.home / "lock"):
        ana.done("stop")
        assert not is_held(ana.home / "lock")


def test_many_starts_at_once_start_one(ana: MbSync) -> None:
    with ThreadPoolExecutor() as threads:
        started = list(threads.map(lambda _: ana.json("start")["pid"], range(4)))
    assert set(started) == {ana.json("status")["pid"]}
    ana.done("stop")
    assert not is_held(ana.home / "lock")


def test_it_runs_wherever_it_was_started(
    ana: MbSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "protocol").mkdir()
    (tmp_path / "protocol" / "__init__.py").write_text("raise SystemExit('the wrong protocol')")
    monkeypatch.chdir(tmp_path)
    assert ana.json("start")["started"] is True


def test_pausing_outlives_a_restart(ana: MbSync, tmp_path: Path) -> None:
    ana.done("add", "/Home", tmp_path / "study")
    with ana.running():
        ana.done("pause")
        until_state(ana, "paused")
    with ana.running():
        until_state(ana, "paused")
        ana.done("resume")
        until_state(ana, "synced")


def test_a_fault_of_the_engine_is_told_and_the_process_goes_on(ana: MbSync) -> None:
    for path in ana.home.glob("state.db*"):
        path.unlink()
    (ana.home / "state.db").mkdir()  # what no program can open as a file
    ana.done("start")
    until_state(ana, "error")
    assert ana.json("status")["words"]
    assert ana("wait", "--timeout", "90").returncode == 1
    (ana.home / "state.db").rmdir()
    until_state(ana, "synced")


def test_without_a_server_it_is_offline_and_comes_back(
    ana: MbSync, server: RunningServer, tmp_path: Path
) -> None:
    ana.done("add", "/Home", tmp_path / "study")
    with ana.running():
        ana.done("wait", "--timeout", "90")
        server.stop()
        (tmp_path / "study" / "new.txt").write_text("written without a server")
        until_state(ana, "offline")
        assert ana("wait", "--timeout", "1").returncode == 4
        server.start()
        ana.done("wait", "--timeout", "90")
    assert any(path.endswith("/new.txt") for *_, path in server.manifest())


def test_the_log_holds_neither_names_of_files_nor_the_token(ana: MbSync, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "Meier Hans 1950.dcm").write_bytes(b"DICM")
    ana.done("add", "/Home/log", study, "--create")
    with ana.running():
        ana.done("wait", "--timeout", "90")
    logged = "".join(path.read_text() for path in (ana.home / "log").iterdir())
    assert "Meier" not in logged
    assert (ana.home / "token").read_text().strip() not in logged


def test_signing_out_stops_following_and_deletes_nothing(ana: MbSync, tmp_path: Path) -> None:
    study = tmp_path / "study"
    ana.done("add", "/Home", study)
    (study / "mine.txt").write_text("mine")
    ana.done("start")
    ana.done("logout")
    assert (study / "mine.txt").read_text() == "mine"
    status = ana.json("status")
    assert (status["running"], status["user"]) == (False, None)
    assert not (ana.home / "token").exists()


def test_whoever_shows_files_hears_of_what_changes(ana: MbSync, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "a.txt").write_text("a")
    ana.done("add", "/Home/watched", study, "--create")
    with ana.running():
        ana.done("wait", "--timeout", "90")
        ana.comes_to("synced")
        first = ask(ana.home, "watch", after=0)
        assert first["paths"] is None
        assert first["folders"] == [{"local": str(study), "remote": "/Home/watched"}]
        quiet = ask(ana.home, "watch", after=first["change"], for_seconds=0)
        while quiet["paths"] != []:  # what came of its start
            quiet = ask(ana.home, "watch", after=quiet["change"], for_seconds=0)
        (study / "b.txt").write_text("b")
        heard: set[str] = set()
        change = quiet["change"]
        while str(study / "b.txt") not in heard:
            news = ask(ana.home, "watch", after=change, seconds=60, for_seconds=20)
            change = news["change"]
            heard |= set(news["paths"] or [str(study / "b.txt")])
        [mark, stranger] = ask(ana.home, "marks", paths=[str(study / "a.txt"), str(tmp_path)])
        assert (mark["state"], mark["remote"], mark["conflict"]) == ("synced", "/Home/watched/a.txt", None)
        assert stranger["remote"] is None
        with pytest.raises(BadRequest, match="are numbers"):
            ask(ana.home, "watch", after="soon")
