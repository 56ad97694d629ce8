"""What was synced last, and who did it: on the page, in the terminal."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.browser import Window
from tests.support.computers import Computer
from tests.support.desk import Desk
from tests.support.server import RunningServer


def test_what_others_did_stands_with_their_names_much_of_it_in_one_line(
    desk: Desk, server: RunningServer, user: str, browser: Browser, tmp_path: Path
) -> None:
    server.add_user(ben := f"{user}-ben")
    desk.sign_in(server, user)
    folder = desk.follow("/Home/Study", "Study")
    (folder / "mine.txt").write_text("mine")
    desk.mb_sync.done("once")
    desk.mb_sync.done("share", "/Home/Study", "--with", f"user:{ben}", "--role", "editor")
    other = Computer(tmp_path, "lab-2")
    other.login(server, ben)
    other.follow("/Shared/Study")
    for number in range(5):
        other.write(f"{number}.dcm", b"%d" % number)
    other.once()
    desk.mb_sync.done("start")
    desk.mb_sync.done("wait")
    changes = desk.mb_sync.json("activity")
    assert [(one["user"], one["device"], one["you"]) for one in changes[:5]] == [(ben, "lab-2", False)] * 5
    assert "user" not in changes[5]
    assert f"{ben} on lab-2   ~/Study/4.dcm" in desk.mb_sync.done("activity")

    window = Window(browser, locale="de-DE", viewport={"width": 320, "height": 640})
    page = window.page
    desk.opens(window, "activity", heading="Verlauf")
    group, own = page.locator(".changes > li").all()
    expect(group).to_contain_text("5 Dateien")
    expect(group).to_contain_text(f"von {ben} auf lab-2")
    expect(own).to_contain_text("hier hinzugefügt")
    group.locator("summary").press("Enter")
    expect(group.get_by_role("button", name="3.dcm")).to_be_visible()
    assert window.violations() == []
    assert window.complaints == []
