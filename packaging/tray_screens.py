"""`make screenshots`: both icons in a panel that people use, each state and the menus, into docs/screens/.

    python packaging/tray_screens.py docs/screens

A real server, real clients, Xfce's panel, a mouse.  All names and files in them are made up.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image, ImageDraw, ImageFont

from sync_client import screens
from tests.support.codes import CodeMaker
from tests.support.computers import Computer, until
from tests.support.forks import environment
from tests.support.light import MbSyncLight
from tests.support.panel import a_tray
from tests.support.real_panel import ICON, WIDTH, RealPanel, a_real_panel
from tests.support.server import RunningServer
from tests.support.tray_story import stands_still

PROGRAMS = Path(sys.executable).parent
USER = "ana"
COLOURS = 128
LARGER = 2  # an icon in a panel is small
MANY = 140
SHOWN = ("synced", "syncing", "paused", "offline", "attention", "error", "starting")
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


class States:
    """Each state as it stands in a light panel and in a dark one."""

    def __init__(self, panel: RealPanel) -> None:
        self._panel = panel
        self._taken: dict[str, dict[bool, Image.Image]] = {}

    async def take(self, state: str) -> None:
        self._taken[state] = {}
        for dark in (False, True):
            await set_dark(self._panel, dark=dark)
            left, top, right, bottom = await self._panel.until_seen(state)
            around = (left - 7, top - 4, right + 7, bottom + 4)
            self._taken[state][dark] = self._panel.picture().crop(around)

    def picture(self) -> Image.Image:
        row = (ICON + 8) * LARGER
        whole = Image.new("RGB", (640, row * len(SHOWN)), "white")
        draw, font = ImageDraw.Draw(whole), ImageFont.truetype(FONT, 22)
        for number, state in enumerate(SHOWN):
            for at, dark in ((0, False), (1, True)):
                one = self._taken[state][dark]
                larger = one.resize((one.width * LARGER, one.height * LARGER), Image.Resampling.NEAREST)
                whole.paste(larger, (at * larger.width, number * row))
            draw.text(
                (2 * larger.width + 24, number * row + row // 2),
                screens.WORDS[state],
                "#1f2328",
                font,
                anchor="lm",
            )
        return whole


async def set_dark(panel: RealPanel, *, dark: bool) -> None:
    words = ["xfconf-query", "-c", "xfce4-panel", "-p", "/panels/dark-mode", "-s", str(dark).lower()]
    await asyncio.to_thread(subprocess.run, words, env=environment() | panel.variables, check=True)
    await asyncio.sleep(0.8)


def save(image: Image.Image, folder: Path, name: str) -> None:
    image.quantize(COLOURS).save(folder / f"{name}.png", optimize=True)
    print(folder / f"{name}.png")


async def menu(panel: RealPanel, folder: Path, name: str, *labels: str) -> None:
    """The panel's end with the menu open, as large as it is."""
    box, _ = await panel.open_menu()
    left, bottom = box[0], box[3]
    for number in range(len(labels)):
        panel.close_menu()
        await asyncio.sleep(0.3)
        box, _ = await panel.open_menu(*labels[: number + 1])
        left, bottom = min(left, box[0]), max(bottom, box[3])
    picture = panel.picture().crop((left - 12, 0, WIDTH, bottom + 12))
    panel.close_menu()
    await asyncio.sleep(0.3)
    save(picture, folder, name)


def a_study(computer: Computer) -> None:
    for number in range(1, 13):
        computer.write(f"Cohort A/scan_{number:03}.dcm", bytes([number]) * 40_000)
    for name in ("protocol.md", "measurements.csv"):
        computer.write(name, b"as agreed\n" * 90)
    for number in range(MANY):
        computer.write(f"Pilot/slice_{number:03}.dcm", f"slice {number}".encode())
    computer.once()


async def mb_sync(base: Path, folder: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(RunningServer(base / "server"))
        server.add_user(USER)
        lab, laptop = Computer(base, "lab-2"), Computer(base, "laptop")
        laptop.folder = base / "Knee study"
        for one in (lab, laptop):
            one.login(server, USER)
            one.follow("/Home/Knee study", create=one is lab)
        a_study(lab)
        laptop.start_working()
        laptop.wait()
        (base / "desk").mkdir()
        async with a_real_panel(base / "desk", dark=False) as panel:
            command = [PROGRAMS / "mb-sync", "--home", laptop.mb_sync.home, "tray"]
            stack.enter_context(a_tray(command, panel.address, base))
            states = States(panel)
            await _states(states, panel, folder, laptop, server)
            await _trouble(states, panel, folder, laptop, lab)
            save(states.picture(), folder, "tray-states")
        laptop.stop()


async def _states(
    states: States, panel: RealPanel, folder: Path, laptop: Computer, server: RunningServer
) -> None:
    await states.take("synced")
    await set_dark(panel, dark=False)
    await menu(panel, folder, "tray-synced", "Pause syncing")
    laptop.mb_sync.done("limit", "--up", "20K")
    laptop.write("large.dcm", os.urandom(600_000))
    await states.take("syncing")
    await menu(panel, folder, "tray-syncing-dark", "Recent changes")
    laptop.mb_sync.done("limit", "--off")
    await panel.until_seen("synced")
    laptop.mb_sync.done("pause", "--for", "4h")
    await states.take("paused")
    laptop.mb_sync.done("resume")
    await panel.until_seen("synced")
    server.stop()
    await states.take("offline")
    server.restart()
    await panel.until_seen("synced")
    laptop.stop()
    with stands_still(server.pid):
        laptop.start()
        await states.take("starting")
    await panel.until_seen("synced")
    elsewhere = laptop.folder.with_name("on another disk")
    laptop.folder.rename(elsewhere)
    laptop.mb_sync("wait", "--timeout", "20")
    await states.take("error")
    elsewhere.rename(laptop.folder)
    laptop.wait()
    await panel.until_seen("synced")


async def _trouble(states: States, panel: RealPanel, folder: Path, laptop: Computer, lab: Computer) -> None:
    lab.once()
    laptop.mb_sync.done("pause")
    for name in ("protocol.md", "measurements.csv"):
        lab.write(name, b"as agreed, and once more\n" * 50)
        laptop.write(name, b"with my remarks\n" * 42)
    lab.once()
    laptop.mb_sync.done("resume")
    laptop.wait()
    laptop.write("Cohort A/figure\udcfc.tif", b"a name of another age")
    laptop.at("Pilot").rename(laptop.folder.with_name("taken away"))
    until(lambda: bool(laptop.mb_sync.json("guard")), "it asks")
    await states.take("attention")
    await menu(panel, folder, "tray-attention-dark", "2 conflicts to decide", "protocol.md")
    await set_dark(panel, dark=False)
    await menu(panel, folder, "tray-attention", f"{MANY + 1} deletions wait for you")


async def mb_synclight(base: Path, folder: Path) -> None:
    light, places = MbSyncLight(base / "light"), [base / "Knee study", base / "Controls"]
    with RunningServer(base / "server") as server:
        server.add_user(USER)
        lab = Computer(base, "lab-2")
        lab.login(server, USER)
        lab.follow("/Home")
        maker = CodeMaker(lab)
        for place in places:
            lab.write(f"{place.name}/scan.dcm", b"picture")
            lab.once()
            code = await asyncio.to_thread(maker.make, f"/Home/{place.name}")
            light("-", place, "--once", stdin=code.link)
        (base / "desk").mkdir()
        async with a_real_panel(base / "desk", dark=False) as panel:
            with a_tray(light.command("tray"), panel.address, base):
                await panel.until_seen("synced")
                await menu(panel, folder, "light-tray", "Open folder")
                await asyncio.to_thread(maker.revoke, code)
                await panel.until_seen("error")
                await menu(panel, folder, "light-tray-ended", "Controls has ended")
                await panel.click_at("Quit MB-SyncLight")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    stories: tuple[tuple[str, Callable[..., object]], ...] = (("mb-sync", mb_sync), ("light", mb_synclight))
    for name, story in stories:
        with tempfile.TemporaryDirectory(prefix=name) as base:
            asyncio.run(story(Path(base), asked.folder))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
