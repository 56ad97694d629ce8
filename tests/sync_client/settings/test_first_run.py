"""The first steps, in a real browser: from nothing to a synced file, by whoever reads, hears or types."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.browser import Window
from tests.support.computers import Computer, until
from tests.support.desk import Desk
from tests.support.server import PASSWORD, RunningServer


def a_study(server: RunningServer, user: str, base: Path) -> Computer:
    """What they have on the server already, from another computer."""
    other = Computer(base, "workstation")
    other.login(server, user)
    other.follow("/Home")
    other.write("Study/notes.txt", b"first")
    other.write("Study/raw/scan.dcm", b"DICM" * 1_000)
    other.write("Old/much.bin", b"0" * 100_000)
    other.once()
    return other


def test_four_steps_lead_to_the_first_synced_file_and_what_is_not_wanted_never_comes(
    server: RunningServer, user: str, desk: Desk, browser: Browser, tmp_path: Path
) -> None:
    other = a_study(server, user, tmp_path)
    window = Window(browser, viewport={"width": 320, "height": 640})
    page, looked = window.page, []

    def looks() -> None:
        assert window.violations() == []
        looked.append(page.title())

    desk.opens(window, heading="Where are your data?")
    looks()
    address = page.get_by_label("Address of the server")
    for typed, said in {
        "": "Fill this in.",
        "two words": "holds no spaces",
        "http://files.example.org": "in the clear",
        "http://127.0.0.1:1": "cannot be reached",
    }.items():
        address.fill(typed)
        page.get_by_role("button", name="Continue").click()
        expect(page.locator(".wrong:not(:empty)")).to_contain_text(said)
        assert window.violations() == []
    assert not (desk.mb_sync.home / "config.toml").exists()
    address.fill(server.url)
    address.press("Enter")

    desk.shows(window, "Sign in")
    looks()
    page.get_by_label("Name", exact=True).fill(user)
    page.get_by_label("Password").fill("wrong")
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("password")
    assert window.violations() == []
    page.get_by_role("button", name="Show").click()
    assert page.get_by_label("Password").get_attribute("type") == "text"
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("This computer is called").fill("desk")
    page.get_by_label("This computer is called").press("Enter")

    # all of it, but for one folder; with the keyboard
    desk.shows(window, "What do you want here?")
    home = page.get_by_role("treeitem", name="My files")
    expect(home).to_have_attribute("aria-checked", "true")
    looks()
    home.focus()
    page.keyboard.press("ArrowRight")
    old = page.get_by_role("treeitem", name="Old")
    expect(old).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(old).to_be_focused()
    page.keyboard.press(" ")
    expect(old).to_have_attribute("aria-checked", "false")
    expect(home).to_have_attribute("aria-checked", "mixed")
    page.keyboard.press("s")
    expect(page.get_by_role("treeitem", name="Study")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(home).to_be_focused()
    assert window.violations() == []
    page.get_by_role("button", name="Continue").click()

    desk.shows(window, "Where shall it lie?")
    place = page.get_by_label("My files, without 1 folder in it")
    expect(place).to_have_value("~/Medical-Blocks/My files")
    (desk.mine / "file").write_text("not a folder")
    place.fill(str(desk.mine / "file"))
    expect(page.locator(".wrong:not(:empty)")).to_contain_text("is a file")
    looks()
    (desk.mine / "Research" / "deep").mkdir(parents=True)
    page.get_by_role("button", name="Choose a place for My files").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Research").click()
    expect(dialog.get_by_role("button", name="deep")).to_be_visible()
    assert window.violations() == []
    dialog.get_by_label("Name of a new folder").fill("Mine")
    dialog.get_by_role("button", name="Take this one").click()
    folder = desk.mine / "Research" / "Mine"
    expect(place).to_have_value(str(folder))
    expect(page.get_by_text("A new folder.")).to_be_visible()
    page.get_by_role("button", name="Start syncing").click()

    desk.shows(window, "Everything is here")
    assert (folder / "Study/notes.txt").read_bytes() == b"first"
    assert (folder / "Study/raw/scan.dcm").is_file()
    assert not (folder / "Old").exists()
    looks()
    page.get_by_role("button", name="Open Mine").click()
    until(lambda: desk.opened() == [str(folder)], "the folder is opened")
    page.get_by_role("button", name="Go to the overview").click()
    desk.shows(window, "Overview")
    looks()

    other.write("Study/later.txt", b"second")
    other.once()
    until((folder / "Study/later.txt").exists, "what comes later comes too")
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_role("button", name="later.txt")).to_be_visible()
    looks()
    assert len(looked) == 7
    assert window.complaints == []
    for one in window.asked:
        assert one.url.startswith(("http://127.0.0.1:", "about:blank")), one.url
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_a_server_with_an_authority_of_its_own_is_compared_before_a_password_is_asked_for(
    desk: Desk, browser: Browser, tmp_path: Path
) -> None:
    with RunningServer(tmp_path / "data", options=("--tls", "auto")) as server:
        server.add_user("ana")
        window = Window(browser)
        page = window.page
        desk.opens(window, heading="Where are your data?")
        page.get_by_label("Address of the server").fill(server.url)
        page.keyboard.press("Enter")
        desk.shows(window, "Is this your server?")
        assert window.violations() == []
        told = server.command("tls").stdout
        shown = page.locator(".fingerprint").inner_text().split()
        assert "".join(shown) in told.replace(" ", "").replace(":", "").lower()
        page.get_by_role("button", name="Back").click()
        desk.shows(window, "Where are your data?")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="It is the same").click()
        desk.shows(window, "Sign in")
        page.get_by_label("Name", exact=True).fill("ana")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        desk.shows(window, "What do you want here?")
        assert (desk.mb_sync.home / "authority.pem").is_file()


def test_german_is_spoken_to_whoever_reads_german_and_can_be_chosen(
    server: RunningServer, desk: Desk, browser: Browser
) -> None:
    window = Window(browser, locale="de-CH")
    desk.opens(window, heading="Wo liegen Ihre Daten?")
    assert window.page.evaluate("document.documentElement.lang") == "de"
    assert window.violations() == []
    window.page.get_by_label("Sprache").select_option("en")
    desk.shows(window, "Where are your data?")
    window.page.reload()
    desk.shows(window, "Where are your data?")
    assert window.complaints == []
