"""What people see."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sync_client import screens

PLAIN = screens.painter(colours=False)


def a_status(**changes: Any) -> dict[str, Any]:
    folder = {
        "remote": "/Home/Study",
        "local": "/data/study",
        "state": "synced",
        "words": "",
        "files": 1_204,
        "bytes": 3_400_000_000,
        "waiting": 0,
        "problems": [],
    }
    return {
        "state": "synced",
        "words": "All synced",
        "server": "http://127.0.0.1:8080",
        "user": "ana",
        "device": "laptop",
        "folders": [folder | changes.pop("folder", {})],
        "traffic": {"sent_bytes": 0, "received_bytes": 0},
        "progress": None,
        "notes": [],
        "retention": "",
        **changes,
    }


def test_the_screen_of_a_quiet_client() -> None:
    assert screens.status_screen(a_status(), PLAIN) == (
        "✓ All synced\n"
        "  ana on laptop · http://127.0.0.1:8080\n"
        "\n"
        "  ✓ /data/study   /Home/Study   1,204 files, 3.4 GB"
    )


def test_every_problem_is_named_with_its_reason() -> None:
    problem = {
        "path": "scan\x1b[2J.dcm",
        "code": "unreadable",
        "message": "It may not be read. Change its permissions.",
    }
    status = a_status(
        state="attention",
        words="1 item needs your attention",
        folder={"state": "attention", "problems": [problem]},
    )
    said = screens.status_screen(status, PLAIN)
    assert "It may not be read. Change its permissions." in said
    assert "\x1b" not in said


def test_colour_changes_nothing_but_colour() -> None:
    coloured = screens.status_screen(a_status(), screens.painter(colours=True))
    assert "\x1b[32m" in coloured
    for code in ("32", "2", "0"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == screens.status_screen(a_status(), PLAIN)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_951, "10 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (3_400_000_000, "3.4 GB"),
        (5 * 10**15, "5,000 TB"),
    ],
)
def test_sizes_have_at_most_three_figures(count: int, words: str) -> None:
    assert screens.size(count) == words


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (-3, "just now"),
        (1, "just now"),
        (30, "30 s ago"),
        (150, "2 min ago"),
        (7_200, "2 h ago"),
        (90_000, "yesterday"),
        (260_000, "3 days ago"),
    ],
)
def test_times_are_told_from_now(past: float, words: str) -> None:
    now = time.time()
    assert screens.ago(now - past, now) == words
    assert screens.ago((now - past) * 1_000, now) == words


def test_columns_are_aligned() -> None:
    assert screens.table([("a", "b", "c"), ("long", "x", "y")], indent="") == ["a      b   c", "long   x   y"]


def test_a_progress_line_tells_rate_and_time_left() -> None:
    progress = {
        "done_files": 3,
        "total_files": 10,
        "done_bytes": 10**6,
        "total_bytes": 5 * 10**6,
        "bytes_per_second": 10**6,
    }
    assert screens.progress_line(progress) == "3 of 10 files, 1.0 MB of 5.0 MB, 1.0 MB/s, 5 s left"


def test_what_the_server_tells_stands_with_its_command() -> None:
    waits = {"words": "2 files wait", "command": "mb-sync quarantine list", "waits": True, "at": 0}
    told = {
        "words": "pc used it",
        "command": "",
        "waits": False,
        "at": int((time.time() - 7_300) * 1_000),
    }
    said = screens.status_screen(a_status(notices=[waits, told]), PLAIN)
    assert said.endswith("\n\n  ! 2 files wait\n      mb-sync quarantine list\n  · pc used it · 2 h ago")


def test_who_sees_a_folder_stands_with_the_line_that_ends_it() -> None:
    owner = {"who": "user:ana", "role": "owner", "here": True, "on": "", "people": [], "removable": False}
    ben = owner | {"who": "user:ben", "role": "reader", "removable": True}
    team = owner | {"who": "team:lab", "role": "editor", "here": False, "on": "/Home", "people": ["eva"]}
    assert screens.who_screen([owner, ben, team], "/Home/My study").splitlines() == [
        "Who can see this now:",
        "user:ana   owner",
        "user:ben   reader",
        "    end it: mb-sync share '/Home/My study' --with user:ben --remove",
        "team:lab   editor   from /Home   eva",
    ]
