"""A desktop with a panel that people use (Xfce's): the icon as it is drawn there, its menu under a mouse.

with a_real_panel(folder, dark=True) as panel, a_tray(command, panel.address, folder):
    await panel.until_seen("synced")
    await panel.click_at("Pause syncing", "for 1 hour")

Owns: the settings of the panel, which picture its icon is, where the lines of an open menu stand.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace

from dbus_fast import unpack_variants
from dbus_fast.aio import MessageBus
from PIL import Image, ImageChops, ImageStat

from sync_client.tray import icons
from tests.support.forks import environment
from tests.support.panel import LIMIT_SECONDS, WATCHER, Line, Panel, a_session_bus
from tests.support.screen import a_screen, picture, xdotool

WIDTH, HEIGHT = 1_100, 560
BAR, ICON = 30, 22  # pixels: the panel's height, and that of an icon in it
ALIKE = 7.0  # of 255, at most, on average: the panel rounds colours in its own way
TEXT = 40  # of 255: what differs more from the ground of a menu is text, a line across differs less

Box = tuple[int, int, int, int]  # left, top, right, bottom

_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="{dark}"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="{bar}"/>
      <property name="icon-size" type="uint" value="{icon}"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/>
        <value type="int" value="2"/>
        <value type="int" value="3"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-2" type="string" value="systray"/>
    <property name="plugin-3" type="string" value="separator">
      <property name="style" type="uint" value="0"/>
    </property>
  </property>
</channel>
"""


class RealPanel(Panel):
    """It watches for icons itself; the menu's words are read beside it, to know which line is which."""

    def __init__(self, address: str, variables: dict[str, str]) -> None:
        super().__init__(address)
        self.address = address
        self.variables = variables

    async def appear(self) -> None:
        self.bus = await MessageBus(bus_address=self.address).connect()
        self.watcher = SimpleNamespace(items=[WATCHER])  # type: ignore[assignment]  # until an icon is there

    # ---- what is seen ------------------------------------------------------------------------------------

    def picture(self) -> Image.Image:
        return picture(self.variables["DISPLAY"])

    def seen(self) -> tuple[str, Box] | None:
        """Which state the icon in the panel shows, by the shape that is drawn there, and where it stands."""
        bar = self.picture().crop((WIDTH // 2, 0, WIDTH, BAR))
        ground = bar.getpixel((5, BAR // 2))
        inked = ImageChops.difference(bar, Image.new("RGB", bar.size, ground)).convert("L")
        found = inked.crop((0, 2, bar.width, BAR - 2)).point(lambda grey: 255 * (grey > TEXT)).getbbox()
        if found is None:
            return None
        places = [
            (left, top)
            for left in range(max(0, found[0] - 4), min(found[0] + 5, bar.width - ICON + 1))
            for top in range(BAR - ICON + 1)
        ]
        if not places:  # the panel itself is being drawn
            return None
        likeness, state, (left, top) = min(
            (_difference(_drawn(state, ground), bar, place), state, place)  # type: ignore[arg-type]
            for state in icons.STATES
            for place in places
        )
        if likeness > ALIKE:
            return None
        left += WIDTH // 2
        return state, (left, top, left + ICON, top + ICON)

    async def until_seen(self, state: str) -> Box:
        """Where it is."""
        return await self._until_seen(state)

    async def _until_seen(self, *states: str) -> Box:
        """In one of these; in any, without them."""
        ends = asyncio.get_running_loop().time() + LIMIT_SECONDS
        while (found := self.seen()) is None or found[0] not in (states or icons.STATES):
            assert asyncio.get_running_loop().time() < ends, f"never seen: {states}, but {found}"
            await asyncio.sleep(0.1)
        return found[1]

    # ---- what is done ------------------------------------------------------------------------------------

    async def open_menu(self, *labels: str) -> tuple[Box, list[Line]]:
        """By a click on the icon, and by pointing at each of the labels: where the last menu stands, and its lines."""
        self._mouse((0, HEIGHT - 2, 2, HEIGHT))  # an icon that it points at is lit
        icon = await self._until_seen()
        before = self.picture()
        self._mouse(icon, "click", 1)
        box = await self._appears(before, BAR)
        lines = await self._words()
        for label in labels:
            before = self.picture()
            line = self._line(box, lines, label)
            self._mouse(line)
            box = await self._appears(before, line[1] - 4, beside=box)
            lines = next(one for one in lines if one.label.startswith(label)).below
        return box, lines

    async def click_at(self, *labels: str) -> None:
        """Open the menu; then the line under these, by the mouse."""
        box, lines = await self.open_menu(*labels[:-1])
        self._mouse(self._line(box, lines, labels[-1]), "click", 1)

    def close_menu(self) -> None:
        xdotool(self.variables, "key", "Escape", "key", "Escape")

    async def _words(self) -> list[Line]:
        [items] = await self._get("RegisteredStatusNotifierItems")
        self.watcher.items = [str(items[-1]).partition("/")[0]]
        return await self.menu()

    async def _get(self, name: str) -> list[list[str]]:
        self.watcher.items = [WATCHER]
        found = await self._call(
            "/StatusNotifierWatcher", "org.freedesktop.DBus.Properties", "Get", "ss", [WATCHER, name]
        )
        return list(unpack_variants(found))

    async def _appears(self, before: Image.Image, top: int, beside: Box | None = None) -> Box:
        """Where something was drawn below `top` since, and stands still.  beside: of the menu that was there."""
        ends = asyncio.get_running_loop().time() + LIMIT_SECONDS
        last = None
        while True:
            await asyncio.sleep(0.15)
            assert asyncio.get_running_loop().time() < ends, "no menu"
            changed = ImageChops.difference(before, self.picture())
            if beside is not None:  # a line in it is lit, which is no menu
                changed.paste((0, 0, 0), beside)
            changed.paste((0, 0, 0), (0, 0, WIDTH, top))
            box = changed.getbbox()
            if box is not None and box == last and box[2] - box[0] > 60:
                return box
            last = box

    def _line(self, box: Box, lines: list[Line], label: str) -> Box:
        """Where it stands: of the n-th line with words in it, the n-th run of rows with text."""
        named = [one.label for one in lines if one.label]
        wanted = next(number for number, one in enumerate(named) if one.startswith(label))
        menu = self.picture().crop((box[0] + 4, box[1] + 2, box[2] - 4, box[3] - 2)).convert("L")
        ground = max(menu.getcolors(menu.width * menu.height) or [])[1]
        inked = [
            any(abs(pixel - ground) > TEXT for pixel in menu.crop((0, row, menu.width, row + 1)).tobytes())
            for row in range(menu.height)
        ]
        runs = _runs(inked)
        assert len(runs) == len(named), f"{len(runs)} lines are drawn, {named} are told"
        first, last = runs[wanted]
        return box[0], box[1] + 2 + first, box[2], box[1] + 2 + last

    def _mouse(self, box: Box, *more: str | int) -> None:
        xdotool(self.variables, "mousemove", (box[0] + box[2]) // 2, (box[1] + box[3]) // 2, *more)


def _drawn(state: str, ground: tuple[int, int, int]) -> Image.Image:
    """The icon as it is to look there, in shades of grey: colour tells nothing."""
    under = Image.new("RGBA", (ICON, ICON), (*ground, 255))
    under.alpha_composite(Image.frombytes("RGBA", (ICON, ICON), icons.rgba(state, ICON)))
    return under.convert("L")


def _difference(drawn: Image.Image, bar: Image.Image, place: tuple[int, int]) -> float:
    left, top = place
    there = bar.crop((left, top, left + ICON, top + ICON)).convert("L")
    return float(ImageStat.Stat(ImageChops.difference(drawn, there)).mean[0])


def _runs(inked: list[bool]) -> list[tuple[int, int]]:
    """Rows that belong together: the gap below a letter's dot is none between lines."""
    found: list[tuple[int, int]] = []
    for row, is_inked in enumerate(inked):
        if not is_inked:
            continue
        if found and row - found[-1][1] <= 4:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return found


@asynccontextmanager
async def a_real_panel(base: Path, *, dark: bool) -> AsyncIterator[RealPanel]:
    """base: for what the desktop keeps."""
    with _a_desktop(base, dark=dark) as variables:
        panel = RealPanel(variables["DBUS_SESSION_BUS_ADDRESS"], variables)
        await panel.appear()
        try:
            yield panel
        finally:
            panel.vanish()


@contextmanager
def _a_desktop(base: Path, *, dark: bool) -> Iterator[dict[str, str]]:
    """What its programs have in their environment."""
    runtime, settings = base / "runtime", base / "config/xfce4/xfconf/xfce-perchannel-xml"
    runtime.mkdir(mode=0o700)
    settings.mkdir(parents=True)
    words = _SETTINGS.format(dark=str(dark).lower(), bar=BAR, icon=ICON)
    (settings / "xfce4-panel.xml").write_text(words)
    with a_screen(WIDTH, HEIGHT) as display:
        variables = {
            "DISPLAY": display,
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(base / "config"),
            "XDG_CACHE_HOME": str(base / "cache"),
            "HOME": str(base),
            "GDK_BACKEND": "x11",
            "NO_AT_BRIDGE": "1",
            "LANG": "C.UTF-8",
        }
        with a_session_bus(base, variables) as address, (base / "panel.log").open("wb") as log:
            variables["DBUS_SESSION_BUS_ADDRESS"] = address
            process = subprocess.Popen(
                ["xfce4-panel", "--disable-wm-check"],
                env=environment() | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                yield variables
            finally:
                process.terminate()
                process.wait(60)
