"""In German the page says all of it in German: what the program itself says, too, and just as the tray does."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from sync_client.speaking import speaker
from tests.support.browser import Window
from tests.support.computers import until
from tests.support.desk import Desk
from tests.support.server import RunningServer
from tests.sync_client.test_speaking import CATALOGUE, PUT_TOGETHER

MORE = [
    "Of /Home/S you may see names only, not the files. Ask its owner for the right to read.",
    "The folder /data/Study is not there (No such file or directory)",
    "1,204 items need your attention",
    "/a/What is. This is a file. Choose a folder, or a name that is free.",
    "Something that no catalogue holds.",
    "",
]


def test_the_page_says_what_the_program_says_in_german_and_as_the_tray_does(
    desk: Desk, server: RunningServer, user: str, browser: Browser
) -> None:
    desk.sign_in(server, user)
    folder = desk.follow("/Home/Study", "Study")
    (folder / "raw").mkdir()
    (folder / "raw" / "bad\udcff.dcm").write_bytes(b"name is no text")
    (folder / ".mbignore").write_text("*.log\n")
    desk.mb_sync.done("start")
    until(lambda: desk.mb_sync.json("status")["state"] == "attention", "the name was seen")
    window = Window(browser, locale="de-DE")
    page = window.page
    desk.opens(window, "problems", heading="Probleme")
    item = page.locator(".items li")
    expect(item).to_contain_text("wird nicht synchronisiert: der Name ist kein Text")
    assert page.locator("main [lang=en]").count() == 0

    sentences = [*filter(None, PUT_TOGETHER.values()), *CATALOGUE["sentences"], *MORE]
    told = page.evaluate(
        "async (sentences) => { const { translated } = await import('./sentences.js');"
        " return sentences.map((one) => translated(one) ?? one); }",
        sentences,
    )
    say = speaker("de")
    assert told == [say(one) for one in sentences]

    page.goto(page.url.split("#")[0] + "#/settings")
    page.get_by_label("Wird eine Datei synchronisiert?").fill("raw/a.log")
    page.get_by_role("button", name="Fragen").click()
    expect(page.get_by_text("Nicht synchronisiert wegen .mbignore, Zeile 1: *.log")).to_be_visible()
    page.get_by_role("button", name="Nach Problemen suchen").click()
    expect(page.locator(".findings")).to_contain_text("antwortet (medical-blocks")
    assert page.locator("main .findings [lang=en]").all_inner_texts() == []
    assert window.violations() == []

    folder.rename(folder.with_name("away"))
    page.goto(page.url.split("#")[0] + "#/home")
    expect(page.locator(".folder .wrong")).to_contain_text(
        "ist nicht da (nicht vorhanden). Hängen Sie ihn ein"
    )
    assert page.locator("main [lang=en]").count() == 0
    assert window.violations() == []
    assert window.complaints == []
