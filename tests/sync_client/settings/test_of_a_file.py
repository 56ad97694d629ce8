"""The pages of one folder and of one file: who sees it, links to it, versions and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import Window
from tests.support.desk import Desk
from tests.support.server import RunningServer

NARROW = {"width": 320, "height": 640}


@pytest.fixture
def study(desk: Desk, server: RunningServer, user: str) -> Path:
    desk.sign_in(server, user)
    desk.follow("/Home/Study", "Study")
    folder = desk.mine / "Study"
    (folder / "Raw & scans").mkdir()
    (folder / "Raw & scans" / "a.txt").write_text("first")
    desk.mb_sync.done("once")
    desk.mb_sync.done("start")
    return folder


def opens(desk: Desk, window: Window, *words: object) -> Page:
    window.page.goto("about:blank")
    window.page.goto(desk.address(*map(str, words)))
    return window.page


def test_a_folder_is_shared_and_that_is_ended_again(
    study: Path, desk: Desk, server: RunningServer, user: str, browser: Browser
) -> None:
    server.add_user(other := f"{user}-other")
    window = Window(browser)
    page = opens(desk, window, "sharing", study / "Raw & scans")
    expect(page.get_by_role("heading", level=1)).to_have_text("Share Raw & scans")
    people = page.get_by_role("region", name="People of this server")
    expect(people.locator("li")).to_have_count(1)  # oneself
    assert window.violations() == []
    page.set_viewport_size(NARROW)
    assert window.violations() == []

    people.get_by_role("button", name="Share").click()
    expect(people.get_by_text("Write a name.")).to_be_visible()
    people.get_by_label("Name on this server").fill("nobody-of-this-name")
    people.get_by_role("button", name="Share").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("nobody-of-this-name")
    people.get_by_label("Name on this server").fill(other)
    people.get_by_label("What they may do").select_option("editor")
    people.get_by_role("button", name="Share").press("Enter")
    expect(people.locator("li").filter(has_text=other)).to_contain_text("may read and change")
    who = desk.mb_sync.json("who", "/Home/Study/Raw & scans")
    assert {one["role"] for one in who if one["who"] == f"user:{other}"} == {"editor"}

    people.get_by_role("button", name=f"End sharing with {other}").click()
    assert window.violations() == []
    page.get_by_role("dialog").get_by_role("button", name="End").click()
    expect(people.locator("li")).to_have_count(1)
    assert not any(
        one["who"] == f"user:{other}" for one in desk.mb_sync.json("who", "/Home/Study/Raw & scans")
    )


def test_a_link_is_made_shown_once_and_ended(study: Path, desk: Desk, browser: Browser) -> None:
    window = Window(browser)
    page = opens(desk, window, "sharing", study / "Raw & scans")
    outside = page.get_by_role("region", name="Somebody outside")
    outside.get_by_label("On how many devices").fill("0")
    outside.get_by_role("button", name="Make the link").click()
    expect(outside.get_by_text("A number from 1 to 1000.")).to_be_visible()
    outside.get_by_label("On how many devices").fill("2")
    outside.get_by_label("Whom it is for").fill("Jo, Basel")
    outside.get_by_label("How long").select_option("7")
    outside.get_by_role("button", name="Make the link").press("Enter")
    link = outside.get_by_role("textbox", name="The link")
    expect(link).to_be_focused()
    [made] = desk.mb_sync.json("code", "list")
    assert (made["folder"], made["label"], made["devices_allowed"]) == (
        "Raw & scans",
        "Jo, Basel",
        2,
    )
    assert link.input_value().startswith("http")
    assert window.violations() == []

    page = opens(desk, window, "sharing", study / "Raw & scans")
    expect(outside.locator("li")).to_contain_text(["Jo, Basel"])
    expect(link).to_have_count(0)
    outside.get_by_role("button", name="End the code Jo, Basel").click()
    page.get_by_role("dialog").get_by_role("button", name="End").click()
    expect(outside.locator("li")).to_have_count(0)
    assert desk.mb_sync.json("code", "list")[0]["state"] == "revoked"


def test_an_old_version_of_a_file_comes_back_and_the_one_of_now_stays_a_version(
    study: Path, desk: Desk, browser: Browser
) -> None:
    file = study / "Raw & scans" / "a.txt"
    file.write_text("second, longer")
    desk.mb_sync.done("wait")
    window = Window(browser)
    page = opens(desk, window, "versions", file)
    expect(page.get_by_role("heading", level=1)).to_have_text("Versions of a.txt")
    lines = page.locator(".items li")
    expect(lines).to_have_count(2)
    expect(lines.first).to_contain_text("now")
    expect(lines.first).to_contain_text("laptop")
    assert window.violations() == []
    lines.last.get_by_role("button").press("Enter")
    expect(page.locator(".told")).to_contain_text("is back")
    expect(lines).to_have_count(3)
    desk.mb_sync.done("wait")
    assert file.read_text() == "first"
    assert [one["size"] for one in desk.mb_sync.json("revs", str(file))] == [5, 14, 5]

    page = opens(desk, window, "activity")
    page.get_by_role("link", name="Versions of a.txt").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Versions of a.txt")


def test_what_is_not_followed_or_not_named_is_said(
    study: Path, desk: Desk, browser: Browser, tmp_path: Path
) -> None:
    for words in (("versions",), ("home", str(study))):
        refused = desk.mb_sync("settings", *words, "--no-browser")
        assert (refused.returncode, "Say a PATH" in refused.stderr) == (2, True)
    page = opens(desk, Window(browser), "sharing", tmp_path / "elsewhere")
    expect(page.get_by_role("alert")).to_contain_text("in no followed folder")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page = opens(desk, Window(browser), "sharing", study)
    expect(page.get_by_role("region", name="People of this server")).to_be_visible()
    page.get_by_role("link", name="Folders").click()
    page.get_by_role("link", name="Share Study").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Share Study")
