"""`mb-server` as an operator meets it: the console script as a real process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import ADMIN, PASSWORD, RunningServer, mb_server, mb_server_process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 1 and one sentence with what to do; nothing on stdout, no traceback."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_init_makes_a_folder_that_only_its_owner_reads_and_shows_the_recovery_key_once(
    tmp_path: Path,
) -> None:
    data = tmp_path / "new" / "data"
    done = mb_server("init", "--data", data, "--admin", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "recovery key" in done.stderr
    assert sorted(path.name for path in data.iterdir()) == ["keys", "packs", "server.db", "server.toml"]
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert {stat.S_IMODE(key.stat().st_mode) for key in (data / "keys").iterdir()} == {0o600}


def test_init_leaves_an_existing_server_as_it_is(server: RunningServer) -> None:
    before = (server.data / "keys" / "store.key").read_bytes()
    refused(
        mb_server("init", "--data", server.data, "--admin", "eve", "--password-stdin", stdin=PASSWORD),
        "already",
    )
    assert (server.data / "keys" / "store.key").read_bytes() == before
    assert "eve" not in server.command("user", "list").stdout


@pytest.mark.parametrize(
    ("name", "password", "word"),
    [("ada", "", "empty"), ("ada", "short", "8"), ("ada", "password", "first"), ("a/b", PASSWORD, "name")],
)
def test_a_refused_init_leaves_nothing_behind(tmp_path: Path, name: str, password: str, word: str) -> None:
    data = tmp_path / "data"
    refused(mb_server("init", "--data", data, "--admin", name, "--password-stdin", stdin=password), word)
    assert not data.exists()


def test_a_password_is_never_taken_from_an_argument_or_a_pipe_without_saying_so(tmp_path: Path) -> None:
    refused(mb_server("init", "--data", tmp_path / "d", "--admin", "ada", stdin=PASSWORD), "--password-stdin")


def test_a_missing_data_folder_is_one_sentence(tmp_path: Path) -> None:
    for command in (["serve"], ["check"], ["manifest"], ["user", "list"]):
        refused(mb_server(*command, "--data", tmp_path / "nowhere"), "nowhere", "init")
        refused(mb_server(*command, "--data", tmp_path), "no data folder")


def test_a_second_server_on_one_data_folder_is_refused(server: RunningServer) -> None:
    refused(server.command("serve", "--listen", "127.0.0.1:0"), "Another server")


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    other = RunningServer(tmp_path / "data")
    other.init()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(other.command("serve", "--listen", f"127.0.0.1:{port}"), str(port), "--listen")


def test_listening_beyond_this_computer_needs_a_proxy(server: RunningServer) -> None:
    refused(server.command("serve", "--listen", "0.0.0.0:0"), "--behind-proxy")


def test_a_wrong_settings_file_is_one_sentence(tmp_path: Path) -> None:
    other = RunningServer(tmp_path / "data")
    other.init()
    (other.data / "server.toml").write_text("lisen = 1\nprot = 2\n")
    refused(other.command("serve"), "lisen, prot")


def test_a_database_of_a_newer_program_is_refused_and_not_changed(tmp_path: Path) -> None:
    other = RunningServer(tmp_path / "data")
    other.init()
    with sqlite3.connect(other.data / "server.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    refused(other.command("serve", "--listen", "127.0.0.1:0"), "newer")
    refused(other.command("user", "list"), "newer")


def test_users_are_looked_after_beside_the_running_server(server: RunningServer) -> None:
    server.add_user("ben")
    refused(server.command("user", "add", "BEN", "--password-stdin", stdin=PASSWORD), "already")
    refused(server.command("user", "disable", "nobody"), "nobody")
    assert server.command("user", "disable", "ben").returncode == 0
    assert (
        server.command("user", "passwd", "ben", "--password-stdin", stdin="another long one").returncode == 0
    )
    refused(server.command("user", "passwd", "ben", "--password-stdin", stdin=""), "empty")
    states = {
        user["name"]: user["disabled"] for user in json.loads(server.command("user", "list", "--json").stdout)
    }
    assert states == {ADMIN: False, "ben": True}
    assert server.command("user", "enable", "ben").returncode == 0
    assert "ben" in server.command("user", "list").stdout


def test_check_and_manifest_run_beside_the_server(server: RunningServer) -> None:
    server.check_deep()
    assert json.loads(server.command("check", "--json").stdout) == {"deep": False, "findings": []}
    assert server.manifest("--versions", "--trash") == []


def test_check_finds_a_broken_row_and_says_so_by_exit_code(tmp_path: Path) -> None:
    other = RunningServer(tmp_path / "data")
    other.init()
    with sqlite3.connect(other.data / "server.db") as database:
        database.execute("UPDATE spaces SET used_bytes = 7")
    database.close()
    done = other.command("check")
    assert done.returncode == 1
    assert done.stdout.strip()


def test_the_recovery_key_brings_a_lost_master_key_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = mb_server("init", "--data", data, "--admin", "ada", "--password-stdin", stdin=PASSWORD)
    [key] = [line.strip() for line in done.stderr.splitlines() if line.startswith("    ")]
    master = (data / "keys" / "master.key").read_bytes()
    (data / "keys" / "master.key").unlink()
    refused(mb_server("serve", "--data", data, "--listen", "127.0.0.1:0"), "master.key")
    refused(mb_server("recover", "--data", data, stdin=key[:-1]), "recovery key")
    assert mb_server("recover", "--data", data, stdin=key + "\n").returncode == 0
    assert (data / "keys" / "master.key").read_bytes() == master


def test_a_backup_without_any_key_is_opened_by_the_recovery_key_alone(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    done = mb_server("init", "--data", data, "--admin", "ada", "--password-stdin", stdin=PASSWORD)
    [key] = [line.strip() for line in done.stderr.splitlines() if line.startswith("    ")]
    copy.mkdir()
    shutil.copy(data / "server.db", copy)
    shutil.copytree(data / "packs", copy / "packs")
    refused(mb_server("check", "--data", copy), ".key is missing")
    other = key[:-1] + ("0" if key[-1] != "0" else "1")
    refused(mb_server("recover", "--data", copy, stdin=other), "recovery key")
    assert not (copy / "keys").exists()
    assert mb_server("recover", "--data", copy, stdin=key).returncode == 0
    for name in ("master.key", "store.key"):
        assert (copy / "keys" / name).read_bytes() == (data / "keys" / name).read_bytes()
        assert stat.S_IMODE((copy / "keys" / name).stat().st_mode) == 0o600
    assert mb_server("check", "--data", copy, "--deep").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_the_next_one_takes_the_same_port(
    tmp_path: Path, number: signal.Signals
) -> None:
    with RunningServer(tmp_path / "data") as running:
        os.kill(running.pid, number)
        assert running.reap() == 0
        running.start()


def test_the_installed_program_serves_and_says_where(tmp_path: Path) -> None:
    """The console script itself; elsewhere a fork of a process that has imported it."""
    made = RunningServer(tmp_path / "data")
    made.init()
    with mb_server_process("serve", "--data", made.data, "--listen", "127.0.0.1:0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on http://127.0.0.1:")
        process.terminate()
        assert process.wait(60) == 0


def test_a_killed_server_starts_again_within_seconds(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as running:
        url = running.url
        running.kill9()
        began = time.monotonic()
        running.restart()
        assert running.url == url
        assert time.monotonic() - began < 20  # one; no old lock or port is waited for
        running.check_deep()


@pytest.mark.parametrize(
    "command",
    [
        "init",
        "serve",
        "check",
        "manifest",
        "user add",
        "user list",
        "user disable",
        "user enable",
        "user passwd",
    ],
)
def test_help_has_a_sentence_an_example_and_the_exit_codes(command: str) -> None:
    done = mb_server(*command.split(), "--help")
    assert done.returncode == 0
    assert f"mb-server {command}" in done.stdout.partition("Example:")[2]
    assert "Exit codes: 0" in done.stdout


@pytest.mark.parametrize("command", ["", "nonsense", "serve", "init --data x", "user add"])
def test_wrong_usage_is_exit_code_2(command: str) -> None:
    done = mb_server(*command.split())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
