"""The window of MB-SyncLight in a real browser: from a link to files in one step, and what becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from sync_client.lock import holder
from tests.support.browser import Window, a_browser
from tests.support.codes import CodeMaker
from tests.support.computers import Computer, until
from tests.support.server import RunningServer


def apart(act: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """In a thread without the browser's event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act, *given, **more).result()


NARROW = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as running:
        yield running


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[Computer]:
    """Whoever shares."""
    with RunningServer(tmp_path / "server") as server:
        server.add_user("ada")
        computer = Computer(tmp_path, "lab")
        computer.login(server, "ada")
        computer.follow("/Home")
        computer.write("Knee study/scan.dcm", b"DICM" * 500)
        computer.once()
        yield computer


class Jo:
    """Somebody outside, with nothing but the program."""

    def __init__(self, base: Path) -> None:
        self.home, self.mine = base / "light", base / "mine"
        self.mine.mkdir()

    def address(self) -> str:
        ran = subprocess.run(
            [
                Path(sys.executable).with_name("mb-synclight"),
                "--home",
                str(self.home),
                "--window",
                "--no-browser",
            ],
            env=os.environ | {"HOME": str(self.mine)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def opens(self, window: Window) -> None:
        window.page.goto("about:blank")
        window.page.goto(self.address())
        expect(window.page.get_by_role("heading", level=1)).to_have_text("Shared with you")

    def end(self) -> None:
        for lock in (self.home / "window" / "lock", self.home / "lock"):
            with suppress(OSError, ValueError):
                os.kill(int(holder(lock)), signal.SIGTERM)


@pytest.fixture
def jo(tmp_path: Path) -> Iterator[Jo]:
    found = Jo(tmp_path)
    try:
        yield found
    finally:
        found.end()


def test_a_link_becomes_files_in_one_step_and_ends_with_a_word(
    ada: Computer, jo: Jo, browser: Browser
) -> None:
    codes = CodeMaker(ada)
    code = apart(codes.make, "/Home/Knee study", pin=True, label="for Jo")
    window = Window(browser, viewport=NARROW)
    page = window.page
    jo.opens(window)
    assert window.violations() == []
    go = page.get_by_role("button", name="Start receiving")
    go.click()
    expect(page.locator(".wrong:not(:empty)")).to_have_text("Fill this in.")
    page.get_by_label("The link you were given").fill("https://files.example.org/s#AAAA")
    go.click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    assert window.violations() == []

    page.get_by_label("The link you were given").fill(code.link)
    folder = jo.mine / "Received here"
    page.get_by_label("Where shall it lie?").fill(str(folder))
    go.click()
    expect(page.get_by_label("PIN")).to_be_focused()
    assert window.violations() == []
    page.get_by_label("PIN").fill(code.pin)
    page.keyboard.press("Enter")
    card = page.get_by_role("region", name="Received here")
    expect(card).to_contain_text("All that is shared is here")
    expect(card).to_contain_text("Shared by ada")
    assert (folder / "scan.dcm").read_bytes() == b"DICM" * 500
    assert window.violations() == []

    ada.write("Knee study/later.txt", b"later")
    ada.once()
    until((folder / "later.txt").exists, "what comes later comes too")
    apart(codes.revoke, code)
    expect(card).to_contain_text("The sync code was revoked")
    assert window.violations() == []
    card.get_by_role("button", name="Forget Received here").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop following").click()
    expect(card).to_have_count(0)
    assert (folder / "scan.dcm").exists()
    assert window.complaints == []


def test_a_computer_that_has_to_be_let_in_waits_in_words(ada: Computer, jo: Jo, browser: Browser) -> None:
    codes = CodeMaker(ada)
    code = apart(codes.make, "/Home/Knee study", approve=True)
    window = Window(browser, viewport=NARROW)
    page = window.page
    jo.opens(window)
    page.get_by_label("The link you were given").fill(code.link)
    page.get_by_label("Where shall it lie?").fill(str(jo.mine / "Waiting"))
    page.get_by_role("button", name="Start receiving").click()
    expect(page.get_by_text("this waits until then")).to_be_visible()
    assert window.violations() == []
    apart(codes.let_in, code)
    expect(page.get_by_role("region", name="Waiting")).to_contain_text("All that is shared is here")
    assert (jo.mine / "Waiting" / "scan.dcm").exists()
    assert window.complaints == []
