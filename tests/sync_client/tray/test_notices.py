"""Which changes are worth a notice, each told once."""

from __future__ import annotations

from typing import Any

from sync_client.tray.menu import Seen
from sync_client.tray.notices import Notice, notices

STUDY = "/home/ana/Study"


def seen(state: str = "synced", *, problems: tuple[str, ...] = (), conflicts: int = 0, **more: Any) -> Seen:
    folder = {
        "local": STUDY,
        "state": more.pop("folder_state", "synced"),
        "words": "It is not there.",
        "files": 1,
        "problems": [{"path": f"{STUDY}/{name}", "message": "It cannot be read."} for name in problems],
    }
    status = {"state": state, "running": True, "words": "", "folders": [folder], "conflicts": conflicts}
    return Seen(status, conflicts=more.pop("conflicts_", ()), **more)


def added(*names: str, at: int = 5, direction: str = "down", **more: Any) -> tuple[dict[str, Any], ...]:
    one = {"at": at, "action": "added", "direction": direction, "bytes": 1} | more
    return tuple(one | {"path": f"{STUDY}/Cohort A/{name}"} for name in names)


def by(user: str, *, you: bool = False) -> dict[str, Any]:
    return {"user": user, "device": "lab-2", "you": you}


def told(before: Seen | None, after: Seen, *, quiet: Seen | None = None) -> list[str]:
    return [notice.title for notice in notices(before, after, quiet=quiet)]


def test_nothing_is_told_of_what_was_so_before() -> None:
    guard = ({"folder": STUDY, "what": "deleted-here", "count": 2, "message": ""},)
    for one in (seen(), seen("attention", problems=("x",), conflicts=2, guards=guard), seen("offline")):
        assert told(one, one, quiet=one) == []


def test_files_that_came_are_told_together_when_all_is_quiet_again() -> None:
    before = seen(activity=added("old", at=4))
    during = seen("syncing", activity=added("b", "a") + added("old", at=4))
    after = seen(activity=added("d", "c", "b", "a") + added("old", at=4))
    assert told(before, during, quiet=before) == []
    [notice] = notices(during, after, quiet=before)
    assert notice == Notice("4 files added to Cohort A", "d, c, b and 1 more", f"arrived {STUDY}/Cohort A")
    assert told(during, seen(activity=added("one")), quiet=seen()) == ["1 file added to Cohort A"]
    with_its_folder = added("one") + added("")
    with_its_folder[1]["path"] = f"{STUDY}/Cohort A"
    assert told(during, seen(activity=with_its_folder), quiet=seen()) == ["1 file added to Cohort A"]
    assert told(during, seen(activity=added("mine", direction="up")), quiet=seen()) == []


def test_it_is_told_who_brought_the_files_as_far_as_the_server_tells() -> None:
    def title(*changes: dict[str, Any]) -> str:
        [notice] = notices(seen(), seen(activity=changes), quiet=seen())
        return notice.title

    many = [str(number) for number in range(36)]
    ben, eva = added(*many, **by("ben")), added("x", "y", **by("eva"))
    assert title(*ben) == "36 files added to Cohort A by ben"
    assert title(*ben, *eva) == "38 files added to Cohort A by ben and eva"
    assert title(*ben, *eva, *added("z", **by("kim"))) == "39 files added to Cohort A by ben and 2 others"
    assert title(*added("a", **by("ana", you=True))) == "1 file added to Cohort A by you on lab-2"
    assert title(*ben, *added("of a block")) == "37 files added to Cohort A", "one of them has no name"
    assert title(*ben * 28).startswith("1,008 or more files added to")


def test_what_somebody_else_edited_or_deleted_is_told_and_what_one_did_oneself_elsewhere_is_not() -> None:
    def titles(**how: Any) -> list[str]:
        return told(seen(), seen(activity=added("a", "b", **how)), quiet=seen())

    assert titles(action="changed", **by("ben")) == ["2 files changed in Cohort A by ben"]
    assert titles(action="deleted", **by("ben")) == ["2 files deleted from Cohort A by ben"]
    assert titles(action="changed", **by("ana", you=True)) == []
    assert titles(action="changed") == [], "a block's new version"
    both = added("a", **by("ben")) + added("b", action="changed", **by("ben"))
    assert told(seen(), seen(activity=both), quiet=seen()) == [
        "2 files added, changed or deleted in Cohort A by ben"
    ]


def test_a_few_folders_have_a_notice_each_and_more_of_them_one_together() -> None:
    def across(folders: int) -> list[Notice]:
        changes = [
            one | {"path": f"{STUDY}/{n}/a"} for n in range(folders) for one in added("a", **by("ben"))
        ]
        return notices(seen(), seen(activity=tuple(changes)), quiet=seen())

    assert [one.title for one in across(3)] == [f"1 file added to {number} by ben" for number in range(3)]
    assert across(5) == [Notice("5 changes in 5 folders by ben", "0, 1, 2 and 2 more", "arrived")]


def test_a_conflict_names_both_whose_versions_are_kept() -> None:
    one = {"original": f"{STUDY}/a.txt", "mine": {"user": "ana"}, "theirs": {"user": "ben"}}
    [notice] = notices(seen(), seen("attention", conflicts=1, conflicts_=(one,)), quiet=None)
    assert notice.text.startswith("a.txt (ana and ben): both versions are kept")


def test_at_the_first_look_only_what_waits_for_a_person_is_told() -> None:
    guard = ({"folder": STUDY, "what": "deleted-here", "count": 214, "message": "Many."},)
    first = seen("attention", problems=("x",), conflicts=1, guards=guard, activity=added("a"))
    assert told(None, first) == ["214 deletions wait for you in Study", "1 conflict to decide"]
    [first_notice, _] = notices(None, first, quiet=None)
    assert first_notice.urgent


def test_a_new_item_in_trouble_is_named_many_are_counted() -> None:
    assert told(seen(), seen("attention", problems=("x.dcm",))) == ["x.dcm cannot be synced"]
    assert told(seen(), seen("attention", problems=("x", "y"))) == ["2 items cannot be synced"]


def test_a_large_new_folder_is_told_once_and_is_in_no_trouble() -> None:
    waiting = seen("attention")
    [folder] = waiting.status["folders"]
    folder["problems"] = [
        {
            "path": "raw",
            "code": "large-folder",
            "message": "It is new and large (3 files, 12.0 GB), and waits.",
        }
    ]
    for before in (None, seen()):
        [notice] = notices(before, waiting, quiet=None)
        assert notice.urgent
        assert (notice.title, "12.0 GB" in notice.text) == ("raw is large and waits", True)
    assert told(waiting, waiting) == []


def test_a_folder_that_stops_is_told_by_its_name_a_client_that_stops_as_such() -> None:
    other = {"local": "/home/ana/Other", "state": "synced", "words": "", "files": 1, "problems": []}
    one = seen("error", folder_state="error")
    one.status["folders"].append(other)
    assert told(seen(), one) == ["Study does not sync"]
    assert told(seen(), seen("error", folder_state="error")) == ["MB-Sync does not sync"]


def a_told(kind: str, *, count: int = 1, device: str = "") -> dict[str, Any]:
    words, waits = f"{count} {kind}", kind != "code"
    return {
        "kind": kind,
        "folder": "F",
        "code": "",
        "device": device,
        "count": count,
        "words": words,
        "command": "do",
        "waits": waits,
    }


def test_what_the_server_tells_is_told_once_and_not_again_for_each_file() -> None:
    def with_told(*all_told: dict[str, Any]) -> Seen:
        one = seen()
        one.status["notices"] = list(all_told)
        return one

    waits, used = with_told(a_told("review")), with_told(a_told("review"), a_told("code"))
    assert told(None, used) == ["1 review"]
    assert told(seen(), waits) == ["1 review"]
    assert told(waits, with_told(a_told("review", count=9))) == []
    assert told(waits, used) == ["1 code"]
    assert told(seen(), with_told(*(a_told("device", device=str(one)) for one in range(5)))) == [
        "5 notices from the server"
    ]
    [urgent] = notices(seen(), waits, quiet=None)
    assert urgent == Notice("1 review", "do", "told", urgent=True)
