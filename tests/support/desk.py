"""Somebody at a computer with MB-Sync: a client home, a folder of their own, the page in a browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, Locator, expect

from sync_client.lock import holder
from tests.support.browser import Window
from tests.support.computers import until
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer


class Desk:
    """mine: what `~` is to them.  Whatever is opened on the desktop is written down."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.mine = base / "mine"
        self.mine.mkdir(parents=True)
        opener = base / "bin" / "xdg-open"
        opener.parent.mkdir()
        opener.write_text(f'#!/bin/sh\necho "$1" >> {base}/opened\n')
        opener.chmod(0o755)
        path = f"{opener.parent}{os.pathsep}{os.environ['PATH']}"
        self.mb_sync = MbSync(
            base / "home", variables=(("HOME", str(self.mine)), ("PATH", path)), as_installed=True
        )

    def sign_in(self, server: RunningServer, user: str) -> None:
        self.mb_sync.login(server.url, user, PASSWORD)

    def follow(self, remote: str, name: str) -> Path:
        folder = self.mine / name
        self.mb_sync.done("add", remote, folder, "--create")
        return folder

    def address(self, *place: str) -> str:
        return self.mb_sync.done("settings", *place, "--no-browser").strip()

    def opens(self, window: Window, *place: str, heading: str) -> None:
        window.page.goto("about:blank")
        window.page.goto(self.address(*place))
        self.shows(window, heading)

    @staticmethod
    def shows(window: Window, heading: str) -> None:
        expect(window.page.get_by_role("heading", level=1)).to_contain_text(heading)

    def opened(self) -> list[str]:
        written = self.base / "opened"
        return written.read_text().splitlines() if written.exists() else []

    def end(self) -> None:
        self.mb_sync("stop")
        self.end_page()

    def end_page(self) -> None:
        """The process that serves it."""
        with suppress(ProcessLookupError, ValueError, FileNotFoundError):
            os.kill(int(holder(self.mb_sync.home / "settings" / "lock")), signal.SIGTERM)


@contextmanager
def a_desk(base: Path) -> Iterator[Desk]:
    desk = Desk(base)
    try:
        yield desk
    finally:
        desk.end()


def a_window(browser: Browser, **how: object) -> Window:
    return Window(browser, **how)  # type: ignore[arg-type]


def ticked(item: Locator) -> str | None:
    return item.get_attribute("aria-checked")


__all__ = ["Desk", "a_desk", "a_window", "ticked", "until"]
