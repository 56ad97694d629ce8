"""Starting at login: what is written for each system, and that it is taken away again."""

from __future__ import annotations

import configparser
import os
import plistlib
import subprocess
import sys
from pathlib import Path

import pytest

from sync_client.autostart import RunValue, StartFile, start_at_login, turn_off, turn_on
from synclight.desktop import MB_SYNCLIGHT

COMMAND = ["/opt/my apps/python", "-P", "-m", "synclight", "--home", '/home/ana/100% "light"']


def wanted(platform: str, home: Path, *, has_systemd: bool = False, **variables: str) -> StartFile:
    found = start_at_login(
        MB_SYNCLIGHT, platform, COMMAND, home=home, variables=variables, has_systemd=has_systemd
    )
    assert isinstance(found, StartFile)
    return found


def test_with_systemd_it_is_a_unit_of_the_person_and_a_link_that_switches_it_on(tmp_path: Path) -> None:
    unit = wanted("linux", tmp_path, has_systemd=True)
    assert unit.path == tmp_path / ".config/systemd/user/mb-synclight.service"
    assert unit.link == tmp_path / ".config/systemd/user/default.target.wants/mb-synclight.service"
    assert (
        'ExecStart="/opt/my apps/python" "-P" "-m" "synclight" "--home" "/home/ana/100%% \\"light\\""\n'
        in unit.text
    )


def test_without_it_an_entry_of_the_desktop(tmp_path: Path) -> None:
    entry = wanted("linux", tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert entry.path == tmp_path / "config/autostart/mb-synclight.desktop"
    read = configparser.RawConfigParser()
    read.read_string(entry.text)
    assert read["Desktop Entry"]["Type"] == "Application"
    assert read["Desktop Entry"]["Exec"].startswith('"/opt/my apps/python" "-P"')
    assert "100%%" in read["Desktop Entry"]["Exec"]


def test_on_macos_an_agent_with_the_very_words(tmp_path: Path) -> None:
    agent = wanted("darwin", tmp_path)
    assert agent.path.parent == tmp_path / "Library/LaunchAgents"
    job = plistlib.loads(agent.text.encode())
    assert (job["ProgramArguments"], job["RunAtLoad"]) == (COMMAND, True)


def test_on_windows_a_value_of_the_run_key(tmp_path: Path) -> None:
    value = start_at_login(MB_SYNCLIGHT, "win32", COMMAND, home=tmp_path, variables={}, has_systemd=False)
    assert isinstance(value, RunValue)
    assert value.command.startswith('"/opt/my apps/python" -P -m synclight --home ')


@pytest.mark.parametrize("has_systemd", [True, False])
def test_what_was_turned_on_is_gone_when_it_is_turned_off(tmp_path: Path, *, has_systemd: bool) -> None:
    start = wanted("linux", tmp_path, has_systemd=has_systemd)
    for _ in range(2):  # twice is no error
        assert turn_on(start) == str(start.path)
    assert start.path.read_text() == start.text
    assert start.link is None or start.link.resolve() == start.path
    for _ in range(2):
        turn_off(start)
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_the_command_writes_it_for_this_home_and_takes_it_away(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent

    def say(wanted: str) -> str:
        command = [programs / "mb-synclight", "--home", tmp_path / "light", "autostart", wanted]
        environment = os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        ran = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=True, timeout=240
        )
        return ran.stderr

    assert str(tmp_path / "config") in say("on")
    [start] = [path for path in (tmp_path / "config").rglob("*") if path.is_file() and not path.is_symlink()]
    assert str(tmp_path / "light") in start.read_text()
    say("off")
    assert not start.exists()
