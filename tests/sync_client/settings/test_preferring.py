"""What a person sets on the page really counts: folders, speed, notices, starting, rules, the way to the server."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from sync_client.home import ClientHome
from sync_client.notice_choice import Level, read_choice
from tests.support.browser import Window
from tests.support.computers import until
from tests.support.desk import Desk
from tests.support.server import RunningServer

NARROW = {"width": 320, "height": 640}


@pytest.fixture
def here(desk: Desk, server: RunningServer, user: str) -> Desk:
    """A study that is followed and synced."""
    desk.sign_in(server, user)
    folder = desk.follow("/Home/Study", "Study")
    for path, size in {
        "notes.txt": 900,
        "raw/a.dcm": 40_000,
        "raw/deep/b.dcm": 60_000,
        "clean/c.dcm": 7_000,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"0" * size)
    desk.mb_sync.done("once")
    desk.mb_sync.done("start")
    return desk


def test_a_folder_leaves_this_computer_and_comes_back_and_is_followed_no_more(
    here: Desk, browser: Browser
) -> None:
    folder = here.mine / "Study"
    window = Window(browser, viewport=NARROW)
    page = window.page
    here.opens(window, "folders", heading="Folders")
    page.get_by_text("Choose what is on this computer").click()
    raw = page.get_by_role("treeitem", name="raw")
    expect(raw).to_contain_text("100 kB")
    expect(raw).to_have_attribute("aria-checked", "true")
    expect(page.get_by_role("treeitem", name="notes.txt")).to_contain_text("900 bytes")
    raw.focus()
    page.keyboard.press("ArrowRight")
    deep = page.get_by_role("treeitem", name="deep")
    expect(deep).to_contain_text("60 kB")
    assert window.violations() == []

    raw.focus()
    page.keyboard.press(" ")
    expect(raw).to_have_attribute("aria-checked", "false")
    until(lambda: not (folder / "raw").exists(), "it leaves this computer")
    assert [one["path"] for one in here.mb_sync.json("exclude", "list")] == [str(folder / "raw")]
    expect(deep).to_have_attribute("aria-disabled", "true")
    assert window.violations() == []
    page.keyboard.press("Enter")
    expect(raw).to_have_attribute("aria-checked", "true")
    until((folder / "raw/deep/b.dcm").exists, "it comes back")

    # what is not on the server yet stays, and it is said why
    (folder / "clean" / "bad\udcff.dcm").write_bytes(b"its name is no text, so it is only here")
    here.mb_sync.comes_to("attention")
    page.get_by_role("treeitem", name="clean").locator(".name").first.click()
    expect(page.get_by_role("alert")).to_contain_text("not on the server yet")
    expect(page.get_by_role("treeitem", name="clean")).to_have_attribute("aria-checked", "true")
    assert window.violations() == []

    page.get_by_role("button", name="Stop following Study").click()
    assert window.violations() == []
    page.get_by_role("dialog").get_by_role("button", name="Stop following").click()
    expect(page.get_by_text("No folder is followed yet.")).to_be_visible()
    assert (folder / "notes.txt").exists()
    assert here.mb_sync.json("status")["folders"] == []
    assert window.complaints == []


def test_each_setting_counts_at_once(here: Desk, browser: Browser, tmp_path: Path) -> None:
    window = Window(browser, viewport=NARROW)
    page = window.page
    here.opens(window, "settings", heading="Settings")
    speed = page.get_by_role("region", name="Speed")
    expect(speed.get_by_role("button", name="Save")).to_be_visible()
    expect(page.get_by_role("region", name="Notices").get_by_role("radio", name="All")).to_be_checked()
    assert window.violations() == []

    speed.get_by_label("Send at most").fill("3")
    speed.get_by_role("button", name="Save").click()
    expect(speed.get_by_role("alert")).to_contain_text("20 or more")
    assert window.violations() == []
    speed.get_by_label("Send at most").fill("500")
    speed.get_by_label("Only from").fill("08:00")
    speed.get_by_role("button", name="Save").click()
    expect(speed.get_by_role("alert")).to_contain_text("both hours")
    speed.get_by_label("to", exact=True).fill("18:30")
    speed.get_by_role("button", name="Save").click()
    expect(speed.get_by_text("Saved.")).to_be_visible()
    limits = here.mb_sync.json("limit")
    assert (limits["up"], limits["down"], limits["begins"], limits["ends"]) == (500_000, None, 480, 1_110)

    home = ClientHome(here.mb_sync.home)
    notices = page.get_by_role("region", name="Notices")
    notices.get_by_role("radio", name="Only what needs me").check()
    until(lambda: read_choice(home).level is Level.IMPORTANT, "it is kept")
    notices.get_by_role("button", name="for 4 hours").click()
    expect(notices.get_by_text("Quiet until")).to_be_visible()
    assert not read_choice(home).wants(urgent=True, now=read_choice(home).snooze_until - 1)
    notices.get_by_role("button", name="Tell me again").click()
    expect(notices.get_by_role("button", name="for 4 hours")).to_be_visible()
    assert read_choice(home).wants(urgent=True, now=0)
    assert not read_choice(home).wants(urgent=False, now=0)

    box = page.get_by_label("Start at login")
    box.check()
    entry = here.mine / ".config" / "autostart" / "mb-sync.desktop"
    until(entry.exists, "it starts at login")
    box.uncheck()
    until(lambda: not entry.exists(), "it does not any more")

    rules = page.get_by_role("region", name="What is not synced")
    text = rules.get_by_label("Rules in .mbignore")
    expect(text).to_have_value("")
    text.fill("*.log\n")
    rules.get_by_role("button", name="Save").click()
    expect(rules.get_by_text("Saved.")).to_be_visible()
    mbignore = here.mine / "Study" / ".mbignore"
    assert mbignore.read_text() == "*.log\n"
    rules.get_by_label("Is a file synced?").fill("raw/scan.log")
    rules.get_by_role("button", name="Ask").click()
    expect(rules.get_by_role("status")).to_contain_text("Not synced.")
    expect(rules.get_by_role("status")).to_contain_text("line 1: *.log")
    mbignore.write_text("*.tmp\n")  # somebody else, meanwhile
    text.fill("*.bak\n")
    rules.get_by_role("button", name="Save").click()
    expect(rules.get_by_role("alert")).to_contain_text("changed meanwhile")
    assert mbignore.read_text() == "*.tmp\n"

    network = page.get_by_role("region", name="Account and network")
    expect(network).to_contain_text("in a file that only you may read")
    network.get_by_text("Change proxy or certificate").click()
    network.get_by_label("Proxy").fill("ftp://nowhere")
    network.get_by_role("button", name="Try and save").click()
    expect(network.get_by_role("alert")).to_contain_text("not the address of a proxy")
    assert window.violations() == []

    shown_help = page.get_by_role("region", name="Help")
    shown_help.get_by_role("button", name="Look for problems").click()
    expect(shown_help.locator(".findings li .words").first).to_be_visible()
    shown_help.get_by_role("button", name="Make a report").click()
    expect(page.get_by_role("dialog")).to_contain_text("doctor.json")
    assert window.violations() == []
    with page.expect_download() as coming:
        page.get_by_role("dialog").get_by_role("button", name="Save it").click()
    coming.value.save_as(tmp_path / "report.zip")
    with zipfile.ZipFile(tmp_path / "report.zip") as report:
        assert json.loads(report.read("doctor.json"))
        assert str(here.mine) not in "".join(report.read(name).decode() for name in report.namelist())
    assert window.complaints == []


def test_how_often_a_folder_is_looked_at_is_chosen_on_the_page_and_in_the_terminal(
    here: Desk, browser: Browser
) -> None:
    folder = here.mine / "Study"
    window = Window(browser, viewport=NARROW)
    page = window.page
    here.opens(window, "folders", heading="Folders")
    page.get_by_text("How often it is looked at").press("Enter")
    choice = page.get_by_label("Look at the whole folder")
    expect(choice).to_have_value("")
    assert window.violations() == []
    choice.focus()
    choice.select_option("every 5 minutes")
    until(lambda: here.mb_sync.json("scan")[0]["scan"]["wished_seconds"] == 300, "it is so")
    expect(choice).to_be_focused()
    assert "looked at every 5 min, as you chose" in here.mb_sync.done("status")
    assert here.mb_sync("scan", folder, "--every", "5s").returncode == 1
    assert here.mb_sync("scan", folder, "--every", "often").returncode == 2
    assert here.mb_sync("scan", "--every", "5m").returncode == 2
    assert "every 2 h" in here.mb_sync.done("scan", folder, "--every", "2h")
    expect(choice).to_have_value("7200")
    expect(choice.locator("option:checked")).to_have_text("every 2 hours")
    choice.select_option("as usual")
    until(lambda: here.mb_sync.json("scan")[0]["scan"]["wished_seconds"] is None, "it is as usual")
    assert "every 15 min" in here.mb_sync.done("scan")
    assert window.violations() == []
    assert window.complaints == []
