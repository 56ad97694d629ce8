"""What answers at once: no heavy import, whatever the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forks import environment
from tests.support.mb_sync import MbSync

HEAVY = {
    *("click", "msgspec", "asyncio", "aiohttp", "rich", "tomlkit", "watchdog", "sqlite3", "zstandard"),
    *("cryptography", "logging", "ssl", "platformdirs"),
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "--json"],
        ["filestatus", "x"],
        ["wait"],
        ["pause"],
        ["resume"],
        ["activity"],
        ["conflicts"],
    ],
    ids=" ".join,
)
def test_a_quick_command_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    script = """
import sys
from sync_client.cli import main
main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, "--home", str(tmp_path), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    loaded = set(ran.stderr.splitlines()[-1].split())
    assert "sync_client.quick" in loaded
    assert {name for name in loaded if name.split(".")[0] in HEAVY} == set()
    assert {name for name in loaded if name.startswith("sync_client.") and "commands" in name} == set()
    assert len(loaded) < 160


def test_status_without_a_client_says_so_and_is_no_error(tmp_path: Path) -> None:
    status = MbSync(tmp_path / "home", as_installed=True).json("status")
    assert (status["state"], status["running"], status["folders"]) == ("offline", False, [])
    assert "mb-sync login" in status["words"]


@pytest.mark.parametrize("command", ["wait", "pause", "resume", "activity", "conflicts"])
def test_what_needs_a_running_client_ends_with_five(tmp_path: Path, command: str) -> None:
    ran = MbSync(tmp_path / "home", as_installed=True)(command)
    assert (ran.returncode, ran.stdout) == (5, "")
    assert ran.stderr == "mb-sync: MB-Sync is not running. Start it with `mb-sync start`.\n"


@pytest.mark.parametrize(
    "arguments", [["wait", "--timeout", "soon"], ["wait", "--timeout", "-1"], ["filestatus"], ["sync"]]
)
def test_a_mistyped_command_is_a_usage_error(tmp_path: Path, arguments: list[str]) -> None:
    ran = MbSync(tmp_path / "home", as_installed=True)(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Traceback" not in ran.stderr


def test_asking_changes_nothing_on_the_disk(tmp_path: Path) -> None:
    MbSync(tmp_path / "home", as_installed=True).done("status")
    assert list(tmp_path.iterdir()) == []


ALL = [
    *(
        "status",
        "filestatus",
        "wait",
        "pause",
        "resume",
        "activity",
        "conflicts",
        "login",
        "logout",
        "add",
        "ls",
    ),
    *(
        "remove",
        "start",
        "stop",
        "run",
        "once",
        "revs",
        "restore",
        "trash",
        "conflicts resolve",
        "trash restore",
        "trash empty",
        "exclude",
        "limit",
        "doctor",
        "support-bundle",
        "settings",
        "explorer",
    ),
]


@pytest.mark.parametrize("command", ALL)
def test_every_help_has_a_sentence_an_example_and_the_exit_codes(tmp_path: Path, command: str) -> None:
    said = MbSync(tmp_path, as_installed=True).done(*command.split(), "--help")
    assert re.search(r"Example:\n +mb-sync ", said)
    assert "Exit codes: 0 " in said
    if command not in ("run", "conflicts resolve", "trash restore", "settings"):
        assert "--json" in said


def test_the_help_of_all_lists_every_command(tmp_path: Path) -> None:
    said = MbSync(tmp_path, as_installed=True).done("--help")
    assert [command for command in ALL if " " not in command and f"\n  {command} " not in said] == []


def test_the_answer_of_status_is_one_json_value(tmp_path: Path) -> None:
    said = MbSync(tmp_path, as_installed=True).done("status", "--json")
    assert said.count("\n") == 1
    assert json.loads(said)["state"] == "offline"
