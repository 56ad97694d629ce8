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
    return Seen(status, **more)


def added(*names: str, at: int = 5, direction: str = "down") -> tuple[dict[str, Any], ...]:
    return tuple(
        {"at": at, "action": "added", "direction": direction, "path": f"{STUDY}/Cohort A/{name}", "bytes": 1}
        for name in names
    )


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
    assert notice == Notice("4 files arrived in Cohort A", "d, c, b and 1 more", "arrived")
    assert told(during, seen(activity=added("one")), quiet=seen()) == ["A file arrived in Cohort A"]
    with_its_folder = added("one") + added("")
    with_its_folder[1]["path"] = f"{STUDY}/Cohort A"
    assert told(during, seen(activity=with_its_folder), quiet=seen()) == ["A file arrived in Cohort A"]
    assert told(during, seen(activity=added("mine", direction="up")), quiet=seen()) == []


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
        assert (notice.title, "12.0 GB" in notice.text) == ("raw is new and large", True)
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
