"""What MB-SyncLight's icon says and offers.  test_tray_menu.py: with real programs behind it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sync_client.tray.menu import Ask, Item, Open
from synclight.tray import face_of, notices
from tests.support.base_install import ROOT, prelude


def a_folder(name: str, state: str = "synced", **told: Any) -> dict[str, Any]:
    words = {"ended": "The sync code was revoked. Ask ada for a new one."}.get(state, "As it is")
    base = {"folder": f"/home/clara/{name}", "state": state, "words": words, "files": 3, "bytes": 12}
    return base | {"problems": [], "shared_by": "ada", "running": True} | told


def labels(items: tuple[Item, ...]) -> list[str]:
    return [item.label for item in items if not item.is_separator]


def test_without_a_folder_it_says_how_to_begin() -> None:
    face = face_of([], running=False)
    assert (face.state, face.title) == ("offline", "No folder is followed yet")
    assert labels(face.menu) == [face.title, "Receive a folder…", "Quit MB-SyncLight"]


def test_all_is_well() -> None:
    face = face_of([a_folder("Study"), a_folder("Scans")], running=True)
    assert (face.state, face.title) == ("synced", "All that is shared is here")
    assert face.detail == "6 files in 2 folders"
    assert labels(face.menu)[2:] == ["Open folder", "Receive a folder…", "Quit MB-SyncLight"]


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        (("synced", "syncing"), "syncing"),
        (("syncing", "offline"), "offline"),
        (("offline", "attention"), "attention"),
        (("attention", "error"), "error"),
        (("synced", "ended"), "error"),
        (("starting", "syncing"), "starting"),
    ],
)
def test_the_icon_shows_the_worst(states: tuple[str, ...], shown: str) -> None:
    folders = [a_folder(f"f{number}", state) for number, state in enumerate(states)]
    assert face_of(folders, running=True).state == shown


def test_when_nothing_works_it_can_be_started_and_when_all_has_ended_it_cannot() -> None:
    face = face_of([a_folder("Study")], running=False)
    assert (face.state, face.title) == ("offline", "MB-SyncLight is not running")
    assert "Start MB-SyncLight" in labels(face.menu)
    over = face_of([a_folder("Study", "ended")], running=False)
    assert over.title == "Nothing is shared with you any more"
    assert "Start MB-SyncLight" not in labels(over.menu)


def test_what_waits_is_decided_from_the_menu() -> None:
    guard = {"path": "", "code": "guard", "message": "214 deletions wait"}
    bad = {"path": "sub/a.dcm", "code": "denied", "message": "It cannot be written."}
    face = face_of([a_folder("Study", "attention", problems=[guard, bad])], running=True)
    found = {item.label: item for item in face.menu}
    go_on = found["Many changes wait for you in Study"].items[-1]
    assert go_on.action == Ask("apply", (("folder", "/home/clara/Study"),))
    [line] = found["1 file in trouble in Study"].items
    assert line == Item("a.dcm: It cannot be written.", Open("/home/clara/Study/sub/a.dcm", inside=True))


def test_news_is_told_once() -> None:
    quiet: dict[str, int] = {}
    first = [a_folder("Study")]
    assert notices(None, first, quiet) == []
    on_the_way = [a_folder("Study", "syncing", files=10)]
    assert notices(first, on_the_way, quiet) == []
    [arrived] = notices(on_the_way, [a_folder("Study", files=41)], quiet)
    assert (arrived.title, arrived.text) == ("38 files arrived in Study", "Shared by ada.")
    ended = [a_folder("Study", "ended", files=41)]
    [told] = notices([a_folder("Study", files=41)], ended, quiet)
    assert (told.title, told.urgent) == ("Study has ended", True)
    assert notices(ended, ended, quiet) == []


def test_the_base_install_says_that_it_has_no_icon(tmp_path: Path) -> None:
    code = f"from synclight.cli import main; raise SystemExit(main(['tray', '--home', {str(tmp_path)!r}]))"
    ran = subprocess.run([sys.executable, "-c", prelude() + code], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 1
    assert ran.stderr.startswith("mb-synclight: What draws the icon is not installed.")
