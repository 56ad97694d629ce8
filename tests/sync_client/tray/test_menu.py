"""What the tray says of each state, and what each line of its menu asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sync_client import screens
from sync_client.tray import icons
from sync_client.tray.menu import MAX_LABEL, MAX_LISTED, Ask, Item, Open, Page, Quit, Seen, Start, face_of

NOBODY = {"state": "offline", "running": False, "words": "", "server": None, "folders": [], "conflicts": 0}


def a_folder(local: str = "/home/ana/Study", **changes: Any) -> dict[str, Any]:
    folder = {"local": local, "remote": "/Home/Study", "state": "synced", "words": "All synced", "files": 12}
    return folder | {"problems": []} | changes


def a_status(**changes: Any) -> dict[str, Any]:
    status = {
        "state": "synced",
        "running": True,
        "words": "All synced",
        "server": "https://x",
        "conflicts": 0,
    }
    return status | {"folders": [a_folder()], "progress": None} | changes


def lines(items: tuple[Item, ...]) -> list[str]:
    return [item.label for item in items]


def at(items: tuple[Item, ...], *labels: str) -> Item:
    """The line under these, each found by how it begins."""
    [item] = [item for item in items if item.label.startswith(labels[0])]
    return at(item.items, *labels[1:]) if labels[1:] else item


@pytest.mark.parametrize("state", screens.WORDS)
def test_each_state_has_words_and_a_picture_of_its_own(state: str) -> None:
    face = face_of(Seen(a_status(state=state, words="why it is so")))
    assert (face.state, face.title) == (state, screens.WORDS[state])
    assert face.menu[0] == Item(screens.WORDS[state])  # it only tells
    assert icons.rgba(state, 22) not in {icons.rgba(other, 22) for other in icons.STATES if other != state}
    assert at(face.menu, "Quit MB-Sync").action == Quit()


def test_progress_is_told_in_words() -> None:
    progress = {
        "done_files": 3,
        "total_files": 38,
        "done_bytes": 10_000_000,
        "total_bytes": 100_000_000,
        "bytes_per_second": 1_000_000,
    }
    face = face_of(Seen(a_status(state="syncing", progress=progress)))
    assert face.detail == "3 of 38 files, 10 MB of 100 MB, 1.0 MB/s, 1 min left"
    assert face.detail in lines(face.menu)


def test_nobody_signed_in_is_told_how_and_a_client_that_rests_can_be_started() -> None:
    assert lines(face_of(Seen(NOBODY)).menu) == [
        "MB-Sync is not running",
        "",
        "Set up MB-Sync…",
        "Quit",
    ]
    face = face_of(Seen(NOBODY | {"server": "https://x", "state": "paused"}))
    assert face.title == "MB-Sync is not running"
    assert at(face.menu, "Start MB-Sync").action == Start()


def test_one_folder_is_opened_at_once_several_are_listed_with_what_ails_them() -> None:
    assert at(face_of(Seen(a_status())).menu, "Open Study").action == Open("/home/ana/Study")
    two = [a_folder(), a_folder("/home/ana/Old", state="error", words="It is not shared with you any more.")]
    menu = face_of(Seen(a_status(folders=two))).menu
    assert lines(at(menu, "Open folder").items) == ["Study", "Old (It is not shared with you any more.)"]
    assert at(menu, "Open folder", "Old").action == Open("/home/ana/Old")
    assert at(face_of(Seen(a_status(folders=[]))).menu, "Choose folders…").action == Page("first")


def test_recent_changes_show_the_file_where_it_lies() -> None:
    change = {"at": 1, "action": "added", "direction": "down", "path": "/home/ana/Study/a_1.dcm", "bytes": 3}
    menu = face_of(Seen(a_status(), activity=(change,) * 20)).menu
    listed = at(menu, "Recent changes").items
    assert listed[-1] == Item("Show all…", Page("activity"))
    assert (
        listed[:-2] == (Item("↓ a_1.dcm (added)", Open("/home/ana/Study/a_1.dcm", inside=True)),) * MAX_LISTED
    )


def test_a_conflict_is_decided_from_the_menu() -> None:
    conflict = {
        "id": "7",
        "path": "/home/ana/Study/a (conflict of ben).dcm",
        "original": "/home/ana/Study/a.dcm",
        "mine": {"size": 2_000_000, "mtime": 0, "user": "ana"},
        "theirs": {"size": 5, "mtime": 0},
    }
    menu = face_of(Seen(a_status(state="attention", conflicts=3), conflicts=(conflict,))).menu
    both = at(menu, "3 conflicts to decide")
    assert lines(both.items) == ["a.dcm", "2 more…"]
    assert both.items[1].action == Page("conflicts")
    choices = both.items[0].items
    assert lines(choices) == [
        "Show both files",
        "",
        "Keep mine (2.0 MB, ana)",
        "Keep theirs (5 B)",
        "Keep both",
    ]
    asked = [item.action for item in choices[2:]]
    assert asked == [Ask("resolve", (("id", "7"), ("keep", keep))) for keep in ("mine", "theirs", "both")]
    assert choices[0].action == Open("/home/ana/Study/a (conflict of ben).dcm", inside=True)


def test_a_mass_change_that_waits_is_decided_from_the_menu() -> None:
    guard = {"folder": "/home/ana/Study", "what": "deleted-there", "count": 214, "message": ""}
    folder = a_folder(problems=[{"path": "", "code": "guard", "message": "214 deletions by others wait."}])
    menu = face_of(Seen(a_status(state="attention", folders=[folder]), guards=(guard,))).menu
    assert not any("in trouble" in line for line in lines(menu))
    waiting = at(menu, "214 deletions on the server wait for you in Study")
    where = ("folder", "/home/ana/Study")
    assert at(waiting.items, "Go on").action == Ask("guard-decide", (where, ("apply", True)))
    assert at(waiting.items, "Put everything back").action == Ask("guard-decide", (where, ("apply", False)))


def test_items_in_trouble_say_why_and_show_where() -> None:
    trouble = {"path": "x.dcm", "code": "unreadable", "message": "It cannot be read. " * 9}
    menu = face_of(Seen(a_status(state="attention", folders=[a_folder(problems=[trouble])]))).menu
    [line] = at(menu, "1 item in trouble").items
    assert line.label.startswith("x.dcm: It cannot be read.")
    assert len(line.label) <= MAX_LABEL
    assert line.action == Open("/home/ana/Study/x.dcm", inside=True)


def test_a_large_new_folder_is_decided_from_the_menu_and_is_in_no_trouble() -> None:
    waits = {
        "path": "Cohort/raw",
        "code": "large-folder",
        "message": "It is new and large (3 files, 12.0 GB).",
    }
    folder = a_folder(problems=[waits])
    menu = face_of(Seen(a_status(state="attention", folders=[folder]))).menu
    asked = at(menu, "raw is large and waits")
    where = ("path", f"{folder['local']}/Cohort/raw")
    assert at(asked.items, "Have it on this computer").action == Ask("exclude", (where, ("remove", True)))
    assert at(asked.items, "Keep it off this computer").action == Ask("exclude", (where,))
    assert not any("in trouble" in line for line in lines(menu))


def test_pausing_and_going_on() -> None:
    pauses = at(face_of(Seen(a_status())).menu, "Pause syncing").items
    assert [item.action for item in pauses] == [
        *(Ask("pause", (("paused", True), ("for_seconds", hours * 3_600))) for hours in (1, 4, 24)),
        Ask("pause", (("paused", True),)),
    ]
    resumed = at(face_of(Seen(a_status(state="paused"))).menu, "Resume syncing")
    assert resumed.action == Ask("pause", (("paused", False),))


def test_names_that_play_tricks_are_shown_harmless() -> None:
    folder = a_folder("/home/ana/\u202egpj.exe\n")
    assert "\u202e" not in "".join(lines(face_of(Seen(a_status(folders=[folder]))).menu))


def test_the_same_answers_give_the_same_face() -> None:
    seen = Seen(a_status())
    assert face_of(seen) == face_of(replace(seen))


def test_what_the_server_tells_stands_with_the_command_that_answers_it() -> None:
    one = {"words": "2 files wait for a review", "command": "mb-sync quarantine list"}
    assert at(face_of(Seen(a_status(notices=[one]))).menu, "2 files wait for a review").items == (
        Item("mb-sync quarantine list"),
    )
    many = at(face_of(Seen(a_status(notices=[one] * 20))).menu, "20 notices").items
    assert len(many) == MAX_LISTED + 1
    assert many[0].items == (Item("mb-sync quarantine list"),)
