"""`mb-sync autostart`: with its icon where there is a desktop, without where there is none."""

from __future__ import annotations

import configparser
import os
import shlex
from pathlib import Path

import pytest

from sync_client.autostart import StartFile, start_at_login
from sync_client.commands.desktop import MB_SYNC, WITHOUT_ICON
from tests.support.mb_sync import MbSync


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize(
    ("options", "starts"), [((), ["tray"]), (("--no-tray",), ["run", "--background"])], ids=["tray", "none"]
)
def test_on_writes_what_starts_this_home_and_off_takes_it_away(
    tmp_path: Path, options: tuple[str, ...], starts: list[str]
) -> None:
    home = tmp_path / "home"
    mb_sync = MbSync(home, variables=(("HOME", str(tmp_path)), ("XDG_CONFIG_HOME", str(tmp_path / "config"))))
    told = mb_sync.json("autostart", "on", *options)
    [start] = files(tmp_path / "config")
    assert told == {"autostart": True, "path": str(start)}
    text = start.read_text()
    [command] = [
        line.split("=", 1)[1] for line in text.splitlines() if line.startswith(("Exec=", "ExecStart="))
    ]
    assert shlex.split(command)[-2 - len(starts) :] == ["--home", str(home), *starts]
    assert mb_sync.done("autostart", "off") == "MB-Sync does not start at login any more.\n"
    assert files(tmp_path / "config") == []


def test_an_icon_starts_with_the_desktop_also_where_systemd_is(tmp_path: Path) -> None:
    def written(program_has_icon: bool) -> StartFile:
        found = start_at_login(
            MB_SYNC if program_has_icon else WITHOUT_ICON,
            "linux",
            ["mb-sync", "tray"],
            home=tmp_path,
            variables=os.environ | {"XDG_CONFIG_HOME": ""},
            has_systemd=True,
        )
        assert isinstance(found, StartFile)
        return found

    assert written(True).path == tmp_path / ".config/autostart/mb-sync.desktop"
    entry = configparser.RawConfigParser()
    entry.read_string(written(True).text)
    assert entry["Desktop Entry"]["Name"] == "MB-Sync"
    assert written(False).path == tmp_path / ".config/systemd/user/mb-sync.service"
