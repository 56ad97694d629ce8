"""The overview: how things are, and what may be done about it."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Window
from tests.support.computers import until
from tests.support.desk import Desk
from tests.support.server import RunningServer


@pytest.fixture
def here(desk: Desk, server: RunningServer, user: str) -> Desk:
    desk.sign_in(server, user)
    return desk


def test_syncing_is_started_paused_for_a_time_and_resumed(here: Desk, browser: Browser) -> None:
    folder = here.follow("/Home/Study", "Study")
    window = Window(browser)
    page = window.page
    here.opens(window, heading="Overview")
    state = page.locator(".state .big")
    expect(state).to_have_text("MB-Sync is not running")
    assert window.violations() == []
    page.get_by_role("button", name="Start syncing").click()
    expect(state).to_have_text("All synced")

    page.get_by_label("Pause…").select_option("for 1 hour")
    expect(state).to_have_text("Paused")
    ends = here.mb_sync.json("status")["paused_until"]
    assert 3_500 < ends - time.time() <= 3_600
    expect(page.get_by_role("status")).to_have_text("Paused")  # whoever listens hears it
    assert window.violations() == []
    (folder / "notes.txt").write_text("one")
    page.get_by_role("button", name="Go on").click()
    expect(state).to_have_text("All synced")
    expect(page.locator(".folder .facts")).to_contain_text("1 file")
    page.get_by_role("button", name="Sync now").press("Enter")
    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()
    page.get_by_role("button", name="Open Study").click()
    until(lambda: here.opened() == [str(folder)], "the folder is opened")
    assert window.violations() == []

    here.mb_sync.done("pause", "--for", "90s")  # the command says the same
    assert 0 < here.mb_sync.json("status")["paused_until"] - time.time() <= 90
    here.mb_sync.done("resume")
    assert window.complaints == []


def test_the_page_outlives_the_client_and_the_client_the_page(here: Desk, browser: Browser) -> None:
    here.follow("/Home/Study", "Study")
    here.mb_sync.done("start")
    window = Window(browser)
    here.opens(window, heading="Overview")
    here.mb_sync.done("stop")
    state = window.page.locator(".state .big")
    expect(state).to_have_text("MB-Sync is not running")
    here.mb_sync.done("start")
    expect(state).to_have_text("All synced")
    here.end_page()
    here.shows(window, "The page is not served any more")
    assert window.violations() == []
    assert here.mb_sync.json("status")["running"]


def test_a_sign_in_that_has_ended_is_made_again_in_two_steps(
    here: Desk, server: RunningServer, user: str, browser: Browser
) -> None:
    here.follow("/Home/Study", "Study")
    here.mb_sync.done("start")
    (here.mb_sync.home / "token").write_text("mb1_of-yesterday")
    here.mb_sync.done("stop")
    here.mb_sync.done("start")
    window = Window(browser)
    page = window.page
    here.opens(window, heading="Overview")
    page.get_by_role("link", name="Sign in again").click()
    here.shows(window, "Where are your data?")
    expect(page.get_by_label("Address of the server")).to_have_value(server.url)
    page.get_by_role("button", name="Continue").click()
    here.shows(window, "Sign in")
    expect(page.get_by_label("Name", exact=True)).to_have_value(user)
    page.get_by_label("Password").fill("a long enough passphrase")
    page.keyboard.press("Enter")
    here.shows(window, "Overview")
    expect(page.locator(".state .big")).to_have_text("All synced")
