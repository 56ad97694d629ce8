"""What a person decides on the page: conflicts, mass changes, items in trouble."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Window
from tests.support.computers import Computer, until
from tests.support.desk import Desk
from tests.support.server import RunningServer

MANY = 120  # fewer would be everyday work
NARROW = {"width": 320, "height": 640}


@pytest.fixture
def here(desk: Desk, server: RunningServer, user: str) -> Desk:
    desk.sign_in(server, user)
    desk.follow("/Home/Study", "Study")
    return desk


@pytest.fixture
def other(here: Desk, server: RunningServer, user: str, tmp_path: Path) -> Computer:
    """The same person's other computer."""
    found = Computer(tmp_path, "workstation")
    found.login(server, user)
    found.follow("/Home/Study")
    return found


def edited_on_both_sides(here: Desk, other: Computer, *names: str) -> Path:
    folder = here.mine / "Study"
    for name in names:
        (folder / name).write_text("first")
    here.mb_sync.done("once")
    other.once()
    for name in names:
        other.write(name, b"theirs")
    other.once()
    for name in names:
        (folder / name).write_text("mine, longer")
    here.mb_sync("once")
    here.mb_sync.done("start")
    return folder


def test_both_versions_of_a_conflict_are_compared_and_decided_and_what_gave_way_comes_back(
    here: Desk, other: Computer, user: str, browser: Browser
) -> None:
    folder = edited_on_both_sides(here, other, "a.txt", "b.txt", "c.txt", "d.txt")
    window = Window(browser)
    page = window.page
    here.opens(window, "conflicts", heading="Conflicts")
    cards = page.locator(".conflict")
    expect(cards).to_have_count(4)
    a = page.get_by_role("region", name="a.txt")
    mine, theirs = a.locator(".side").all()
    for side, size, device in ((mine, "12 bytes", "laptop"), (theirs, "6 bytes", "workstation")):
        for fact in (size, device, user):
            expect(side).to_contain_text(fact)
    expect(a.locator(".chip")).to_have_count(1)  # one was edited later
    assert window.violations() == []
    page.set_viewport_size(NARROW)
    assert window.violations() == []

    page.get_by_role("button", name="Keep theirs: a.txt").press("Enter")
    expect(page.locator(".told")).to_contain_text("a.txt stays as it is")
    expect(cards).to_have_count(3)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert (folder / "a.txt").read_text() == "theirs"
    assert [path.name for path in folder.glob("a (conflict*")] == []
    page.get_by_role("button", name="Bring it back").click()
    expect(page.locator(".told")).to_contain_text("It is back")
    assert [path.read_text() for path in folder.glob("a (conflict*")] == ["mine, longer"]

    page.get_by_role("button", name="Keep mine: b.txt").click()
    expect(page.locator(".told")).to_contain_text("b.txt is yours now")
    assert (folder / "b.txt").read_text() == "mine, longer"
    page.get_by_role("button", name="Bring it back").click()
    expect(page.locator(".told")).to_contain_text("It is back")
    assert [path.read_text() for path in folder.glob("b (conflict*")] == ["theirs"]

    page.get_by_role("button", name="Keep both in all conflicts").click()
    assert window.violations() == []
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(cards).to_have_count(2)
    page.get_by_role("button", name="Keep both in all conflicts").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep both").click()
    expect(page.get_by_text("No file was edited on two sides.")).to_be_visible()
    assert len(list(folder.glob("c*.txt"))) == len(list(folder.glob("d*.txt"))) == 2
    assert window.violations() == []
    assert here.mb_sync.json("conflicts") == []
    assert window.complaints == []


@pytest.mark.parametrize("answer", ["restore", "apply"])
def test_a_mass_delete_waits_for_an_answer_and_gets_it(
    here: Desk, other: Computer, browser: Browser, answer: str
) -> None:
    for number in range(MANY):
        other.write(f"series/{number:03}.dcm", b"%d" % number)
    other.once()
    here.mb_sync.done("once")
    other.delete("series")
    other.once()
    while other.mb_sync.json("guard"):
        other.mb_sync.done("guard", "apply")
        other.once()
    here.mb_sync.done("start")
    series = here.mine / "Study" / "series"
    window = Window(browser, viewport=NARROW)
    page = window.page
    here.opens(window, heading="Overview")
    page.get_by_role("link", name="changes wait until you decide").click()
    here.shows(window, "Problems")
    guard = page.get_by_role("region", name="121 deletions on the server wait")
    expect(guard).to_contain_text("100 %")
    guard.get_by_text("Show all of them").press("Enter")
    lines = guard.locator(".long-list li")
    expect(guard.get_by_role("status")).to_have_text("121 items.")
    expect(lines).to_have_count(100)
    expect(lines.first).to_contain_text("folder")
    expect(lines.nth(1)).to_contain_text("series/000.dcm")
    assert window.violations() == []
    guard.get_by_role("button", name="Show more").press("Enter")
    expect(lines).to_have_count(121)
    expect(guard.locator(".long-list")).to_be_focused()
    guard.get_by_label("Search in the list").fill("SERIES/11")
    expect(guard.get_by_role("status")).to_have_text("10 of 121")
    expect(lines).to_have_count(10)
    expect(lines.last).to_contain_text("series/119.dcm")
    chosen = {"restore": "Put everything back", "apply": "Go on: it was meant"}[answer]
    guard.get_by_role("button", name=chosen).click()
    assert window.violations() == []
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert len(here.mb_sync.json("guard")) == 1
    guard.get_by_role("button", name=chosen).click()
    page.get_by_role("dialog").get_by_role("button", name=chosen).click()
    expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    assert window.violations() == []
    if answer == "restore":
        other.once()
        assert len(list(series.iterdir())) == MANY
        until(lambda: other.once()["synced"] and other.at("series").is_dir(), "they are back everywhere")
    else:
        until(lambda: not series.exists(), "they go here too")
    assert window.complaints == []


def test_an_item_in_trouble_is_named_with_the_reason_and_tried_again(here: Desk, browser: Browser) -> None:
    folder = here.mine / "Study"
    (folder / "raw").mkdir()
    (folder / "link").symlink_to("/nowhere/else")
    (folder / "raw" / "bad\udcff.dcm").write_bytes(b"name is no text")
    here.mb_sync.done("start")
    window = Window(browser, viewport=NARROW)
    page = window.page
    here.opens(window, "problems", heading="Problems")
    items = page.locator(".items li")
    expect(items).to_have_count(1)
    expect(items.first).to_contain_text("is not synced")
    expect(page.get_by_role("link", name="Problems")).to_contain_text("1")
    assert window.violations() == []
    page.get_by_role("button", name="Try all again").click()
    expect(page.get_by_role("status")).to_have_text("Some items still cannot be synced")
    items.first.get_by_role("button").click()
    until(lambda: here.opened() == [str(folder / "raw")], "its folder is shown")
    (folder / "raw" / "bad\udcff.dcm").unlink()
    expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    assert window.violations() == []
    assert window.complaints == []
