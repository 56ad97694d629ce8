"""`make screenshots`: the pages of MB-Sync as people see them, from a real server and real clients, into docs/screens/.

    python packaging/screens.py docs/screens          the pictures of the docs
    python packaging/screens.py FOLDER --all          every page, also dark, narrow and in German: to be looked at

All names and files in them are made up.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from sync_client.lock import holder
from tests.support.browser import Window, a_browser
from tests.support.codes import CodeMaker
from tests.support.computers import Computer
from tests.support.desk import Desk, a_desk
from tests.support.server import PASSWORD, RunningServer

PROGRAMS = Path(sys.executable).parent
USER = "ana"
WIDE, NARROW = {"width": 960, "height": 640}, {"width": 320, "height": 700}
COLOURS = 128  # a page needs no more, and the file is a third
DARK = ("conflicts",)  # shown in the dark in the docs: one is enough to tell

OF_A_FILE = {"sharing": "Knee study", "versions": "Knee study/protocol.md"}


class Camera:
    """every: each picture also in the dark, narrow and in German."""

    def __init__(self, folder: Path, *, every: bool) -> None:
        self._folder = folder
        self._every = every
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, page: Page, name: str) -> None:
        self._shot(page, name, dark=name in DARK and not self._every)
        if self._every:
            self._shot(page, f"{name}-dark", dark=True)
            page.set_viewport_size(NARROW)  # type: ignore[arg-type]
            self._shot(page, f"{name}-narrow")
            page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    def _shot(self, page: Page, name: str, *, dark: bool = False) -> None:
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.wait_for_timeout(250)
        image = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        image.quantize(COLOURS).save(self._folder / f"{name}.png", optimize=True)
        print(self._folder / f"{name}.png")


def a_study(computer: Computer) -> None:
    """What lies on the server, from the computer in the lab."""
    for cohort, count in (("Cohort A", 14), ("Cohort B", 9)):
        for number in range(1, count + 1):
            computer.write(f"Knee study/{cohort}/scan_{number:03}.dcm", bytes([number]) * 120_000)
    computer.write("Knee study/protocol.md", b"# Protocol\n" * 900)
    computer.write("Knee study/measurements.csv", b"id,angle,force\n" + b"1,90,12.5\n" * 400)
    computer.write("Raw recordings/session-01.edf", b"0" * 2_400_000)
    computer.write("Manuscript/draft.txt", b"Draft\n" * 300)
    computer.once()


@contextmanager
def the_rig(folder: Path) -> Iterator[tuple[RunningServer, Desk, Computer]]:
    with RunningServer(folder / "server") as server, a_desk(folder / "desk") as desk:
        server.add_user(USER)
        lab = Computer(folder, "lab-2")
        lab.login(server, USER)
        lab.follow("/Home")
        a_study(lab)
        yield server, desk, lab


def first_steps(desk: Desk, server: RunningServer, page: Page, camera: Camera) -> Path:
    """The folder that is followed at their end."""
    words = {"address": "#app input[type=url]", "go": "button[type=submit]"}
    page.wait_for_selector(words["address"])
    page.fill(words["address"], "files.example.org")
    camera.take(page, "first-1-server")
    page.fill(words["address"], server.url)
    page.click(words["go"])
    page.wait_for_selector("input[autocomplete=username]")
    page.fill("input[autocomplete=username]", USER)
    page.fill("input[type=password]", PASSWORD)
    page.fill("input >> nth=-1", "laptop")
    camera.take(page, "first-2-sign-in")
    page.click(words["go"])
    tree = page.locator("[role=treeitem]")
    tree.first.wait_for()
    tree.first.focus()
    page.keyboard.press("ArrowRight")
    page.locator("[role=treeitem]", has_text="Raw recordings").last.click()
    page.locator("[role=treeitem]", has_text="Knee study").last.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    camera.take(page, "first-3-folders")
    page.click(words["go"])
    page.wait_for_selector(".with input")
    page.fill(".with input", "~/Research")
    page.wait_for_timeout(700)
    camera.take(page, "first-4-place")
    page.click(words["go"])
    page.wait_for_selector(".finish .is-synced")
    camera.take(page, "first-5-done")
    return desk.mine / "Research"


def trouble(desk: Desk, lab: Computer, folder: Path) -> None:
    """Conflicts, a mass delete, an item that cannot be synced."""
    desk.mb_sync.done("wait", "--timeout", "60")
    desk.mb_sync.done("pause")
    for name, text in (
        ("protocol.md", b"# Protocol, as agreed\n" * 500),
        ("measurements.csv", b"id,angle\n" * 300),
    ):
        lab.write(f"Knee study/{name}", text)
    for number in range(1, 141):
        lab.write(f"Pilot/slice_{number:03}.dcm", bytes([number]) * 900)
    lab.once()
    (folder / "Knee study/protocol.md").write_text("# Protocol\nwith my remarks\n" * 420)
    (folder / "Knee study/measurements.csv").write_text("id,angle,force,side\n" * 410)
    desk.mb_sync.done("resume")
    desk.mb_sync("wait", "--timeout", "60")
    lab.delete("Pilot")
    lab.once()
    while lab.mb_sync.json("guard"):
        lab.mb_sync.done("guard", "apply")
        lab.once()
    (folder / "Manuscript" / "figure\udcfc.tif").write_bytes(b"name of another age")
    desk.mb_sync("wait", "--timeout", "60")
    ends = time.monotonic() + 60
    while not desk.mb_sync.json("guard") and time.monotonic() < ends:
        time.sleep(0.2)


def part(page: Page, name: str, wait: str) -> None:
    page.evaluate(f"location.hash = '#/{name}'")
    expect(page.locator(wait).first).to_be_visible()


def shoot(browser: Browser, folder: Path, camera: Camera, locale: str) -> None:
    with the_rig(folder) as (server, desk, lab):
        window = Window(browser, locale=locale, viewport=WIDE)
        page = window.page
        page.goto(desk.address())
        followed = first_steps(desk, server, page, camera)
        page.click("[data-key=overview]")
        expect(page.locator(".card.folder").first).to_be_visible()
        camera.take(page, "overview")
        trouble(desk, lab, followed)
        for name, wait, act in PARTS:
            part(page, name, wait)
            if act is not None:
                act(page)
            camera.take(page, name)
        server.add_user("ben")
        lab.mb_sync.done("share", "/Home/Knee study", "--with", "user:ben", "--role", "reader")
        lab.mb_sync.done("code", "create", "/Home/Knee study", "--label", "Jo, Basel")
        for name, path in OF_A_FILE.items():
            page.goto("about:blank")
            page.goto(desk.address(name, str(followed / path)))
            expect(page.locator(".items li").first).to_be_visible()
            camera.take(page, name)
        assert window.complaints == [], window.complaints


def receiving(browser: Browser, folder: Path, camera: Camera, locale: str) -> None:
    """MB-SyncLight's window, with a folder that was received."""
    with the_rig(folder) as (_, desk, lab), ThreadPoolExecutor(1) as apart:  # beside the browser's event loop
        link = apart.submit(CodeMaker(lab).make, "/Home/Knee study", label="Jo, Basel").result().link
        light = folder / "light"
        command = [str(PROGRAMS / "mb-synclight"), "--home", str(light), "--window", "--no-browser"]
        ran = subprocess.run(  # noqa: S603 - our own program
            command, env=os.environ | {"HOME": str(desk.mine)}, capture_output=True, text=True, check=True
        )
        window = Window(browser, locale=locale, viewport=WIDE)
        page = window.page
        page.goto(ran.stdout.strip())
        page.wait_for_selector("form")
        page.fill("input >> nth=0", link)
        page.click("button[type=submit]")
        page.wait_for_selector(".is-synced")
        camera.take(page, "light")
        for lock in (light / "window" / "lock", light / "lock"):
            os.kill(int(holder(lock)), signal.SIGTERM)


def open_list(page: Page) -> None:
    page.click(".sample summary")
    page.wait_for_selector(".long-list li")


def open_tree(page: Page) -> None:
    page.click(".choose summary")
    page.locator("[role=treeitem]", has_text="Knee study").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[role=treeitem][aria-level='2']")


PARTS: tuple[tuple[str, str, Callable[[Page], Any] | None], ...] = (
    ("conflicts", ".conflict", None),
    ("problems", ".guard", open_list),
    ("activity", ".changes", None),
    ("folders", ".followed", open_tree),
    ("settings", "input[type=radio]", None),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="also in the dark, narrow, and in German")
    asked = parser.parse_args()
    with a_browser() as browser, tempfile.TemporaryDirectory() as folder:
        camera = Camera(asked.folder, every=asked.all)
        shoot(browser, Path(folder) / "en", camera, "en-GB")
        receiving(browser, Path(folder) / "light", camera, "en-GB")
        if asked.all:
            german = Camera(asked.folder / "de", every=False)
            shoot(browser, Path(folder) / "de", german, "de-DE")
            receiving(browser, Path(folder) / "light-de", german, "de-DE")


if __name__ == "__main__":
    main()
