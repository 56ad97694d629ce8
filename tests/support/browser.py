"""A real Chromium for tests of pages, and axe's rules for whoever reads, hears or types their way through one.

Chromium is the system's (Debian: chromium).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from shutil import which
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
WAIT_MS = 30_000  # a loaded machine may be slow; a wait ends at its event
QUIET = (
    "--no-sandbox",  # Chromium has none as root, and the page is ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium() -> str:
    program = which("chromium")
    assert program, "these tests need Chromium: apt-get install chromium"
    return program


@contextmanager
def a_browser(*more: str) -> Iterator[Browser]:
    """more: words for its command line."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=[*QUIET, *more], timeout=120_000
        )
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """A person's window; everything that it asks for and complains of is kept."""

    def __init__(self, browser: Browser, *, locale: str = "en-GB", **how: Any) -> None:
        self.context: BrowserContext = browser.new_context(
            locale=locale, timezone_id="Europe/Zurich", reduced_motion="reduce", **how
        )
        self.context.set_default_timeout(WAIT_MS)
        self.page: Page = self.context.new_page()
        self.asked: list[Request] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda one: self.asked.append(one))
        self.page.on("console", self._complained)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _complained(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def violations(self) -> list[str]:
        """What axe finds, in the light and in the dark."""
        found: list[str] = []
        if self.page.viewport_size and self.page.viewport_size["width"] <= 320:
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            found += [f"{wide} pixels wide"] if wide > 320 else []  # reflow: no scrolling aside
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            if not self.page.evaluate("() => 'axe' in window"):
                self.page.evaluate(AXE)
            told = self.page.evaluate(
                "rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES
            )
            assert len(told["passes"]) > 5, "axe looked at nothing"
            found += [
                f"{scheme}: {one['id']} at {[(spot['html'], spot['any'][:1]) for spot in one['nodes']]}"
                for one in told["violations"]
                + [one for one in told["incomplete"] if _is_unknown_contrast(one)]
            ]
        return found


def _is_unknown_contrast(one: dict[str, Any]) -> bool:
    """axe takes the page below a dialog for a part of its ground, and what stands below a list that scrolls for
    something on its last line: those alone are no reason to look again."""
    keys = {spot["any"][0]["data"]["messageKey"] for spot in one["nodes"] if one["id"] == "color-contrast"}
    return bool(keys - {"elmPartiallyObscuring", "elmPartiallyObscured"})
