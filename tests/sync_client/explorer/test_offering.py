"""Emblem and menu of the file explorer, from the client's answers alone."""

from __future__ import annotations

from typing import Any

import pytest

from sync_client.explorer.extension.mb_sync_explorer.offering import (
    EMBLEMS,
    WORDS,
    Ask,
    CopyCode,
    Entry,
    Page,
    emblem_of,
    menu_of,
)
from sync_client.explorer.placing import EMBLEMS as DRAWN
from sync_client.screens import WORDS as STATES


def a_mark(**facts: Any) -> dict[str, Any]:
    usual = {
        "path": "/home/ana/Study/Cohort",
        "state": "synced",
        "reason": "",
        "remote": "/Home/Study/Cohort",
        "read_only": False,
        "top": False,
        "conflict": None,
        "excluded": [],
    }
    return usual | facts


def offered(
    mark: dict[str, Any] | None, *, is_folder: bool = True, has_pages: bool = True
) -> dict[str, Entry]:
    return {entry.name: entry for entry in menu_of(mark, is_folder=is_folder, has_pages=has_pages)}


def test_every_state_has_an_emblem_that_is_drawn_and_words() -> None:
    assert set(EMBLEMS) >= {*STATES, "excluded", "unknown"}
    assert set(EMBLEMS.values()) == set(DRAWN) == set(WORDS)


def test_what_is_none_of_ours_gets_neither() -> None:
    for mark in (None, a_mark(remote=None, state="unknown")):
        assert emblem_of(mark) is None
        assert offered(mark) == {}


def test_a_new_file_is_on_its_way_before_the_client_has_seen_it() -> None:
    assert emblem_of(a_mark(state="unknown")) == "mb-sync-syncing"
    assert set(offered(a_mark(state="unknown"), has_pages=False)) == {"state"}


def test_a_folder_is_given_away_and_kept_off() -> None:
    found = offered(a_mark())
    assert list(found) == ["state", "code", "share", "exclude", "pages"]
    assert found["state"].action is None
    assert found["code"].action == CopyCode("/Home/Study/Cohort")
    assert found["share"].action == Page("sharing", "/home/ana/Study/Cohort")
    assert found["exclude"].action.arguments == (("path", "/home/ana/Study/Cohort"),)


def test_a_whole_home_gets_no_code_and_the_followed_folder_itself_is_not_kept_off() -> None:
    assert not {"code", "share"} & offered(a_mark(remote="/Home", top=True)).keys()
    assert "exclude" not in offered(a_mark(top=True))
    assert "code" in offered(a_mark(top=True))


def test_a_file_gets_its_versions_and_no_code() -> None:
    found = offered(a_mark(), is_folder=False)
    assert list(found) == ["state", "versions", "exclude", "pages"]
    assert found["versions"].action == Page("versions", "/home/ana/Study/Cohort")
    assert "versions" not in offered(a_mark(state="unknown"), is_folder=False)


def test_without_pages_nothing_leads_to_one() -> None:
    for is_folder in (True, False):
        found = offered(a_mark(), is_folder=is_folder, has_pages=False)
        assert not any(isinstance(entry.action, Page) for entry in found.values())


def test_what_is_not_on_the_server_yet_is_not_kept_off() -> None:
    for state in ("syncing", "error", "paused", "offline"):
        assert "exclude" not in offered(a_mark(state=state))


def test_what_was_kept_off_comes_back_by_its_name() -> None:
    [back] = offered(a_mark(excluded=["raw"]))["keep"].entries
    assert back.label == "raw"
    assert back.action == Ask(
        "exclude", (("path", "/home/ana/Study/Cohort/raw"), ("remove", True)), "raw comes back."
    )
    many = offered(a_mark(excluded=[f"raw{number}" for number in range(40)]))["keep"].entries
    assert len(many) == 12


@pytest.mark.parametrize("keep", ["mine", "theirs", "both"])
def test_a_conflict_is_decided_where_it_is_seen(keep: str) -> None:
    found = offered(a_mark(conflict="1a2b3c4d"), is_folder=False)
    [line] = [entry for entry in found["conflict"].entries if entry.name == f"keep-{keep}"]
    assert (line.action.do, dict(line.action.arguments)) == ("resolve", {"id": "1a2b3c4d", "keep": keep})
    assert found["pages"].action == Page("conflicts")


def test_a_reason_is_told_as_far_as_a_menu_has_room() -> None:
    found = offered(a_mark(state="error", reason="It is a pipe.\n" + "x" * 200))
    assert found["state"].label.startswith("Cannot be synced: It is a pipe. x")
    assert len(found["state"].label) == 70
    assert found["pages"].action == Page("problems")
