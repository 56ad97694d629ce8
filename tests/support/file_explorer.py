"""A desktop with Files (Nautilus) on it: a real X server, session bus and explorer.

with a_file_explorer(folder, shown, variables) as explorer:
    explorer.until(lambda: explorer.colour_at("scan.dcm", GREEN), "it is synced")
    explorer.click("scan.dcm", "MB-Sync", "Versions…")

Owns: what stands in the window and its menus, as a screen reader is told it (AT-SPI); the colours in a part of the
screen; clicks.
"""

# No `from __future__ import annotations`: tests.support.panel says why.
import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from PIL import Image

from tests.support.forks import environment
from tests.support.panel import NOTICES, _Notices, a_session_bus
from tests.support.screen import a_screen, picture, xdotool

WIDTH, HEIGHT = 1_000, 640
LIMIT_SECONDS = 150.0
ACCESSIBLE = "org.a11y.atspi.Accessible"
ROOT = ("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root")
FOCUSED, SENSITIVE = 12, 24  # bits of the state
MENU_ITEM, CELL = "menu item", "grid cell"

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Seen:
    """One thing in a window, whether it can be used, and whether a key goes to it.  box: of a menu it is of no use."""

    role: str
    name: str
    box: tuple[int, int, int, int]  # left, top, width, height
    enabled: bool
    focused: bool

    @property
    def middle(self) -> tuple[int, int]:
        left, top, width, height = self.box
        return left + width // 2, top + height // 2


@dataclass
class FileExplorer:
    variables: dict[str, str]
    folder: Path = field(repr=False)
    process: subprocess.Popen[bytes] = field(repr=False)

    # ---- what is seen ------------------------------------------------------------------------------------

    def picture(self) -> Image.Image:
        return picture(self.variables["DISPLAY"])

    def shown(self, *roles: str) -> list[Seen]:
        """All of these kinds that can be seen now."""
        [bus] = Path(self.variables["XDG_RUNTIME_DIR"]).glob("at-spi/bus_*")  # named after the screen
        return asyncio.run(_shown(f"unix:path={bus}", roles))

    def cells(self) -> list[str]:
        return sorted(one.name for one in self.shown(CELL))

    def has(self, name: str, colour: Colour) -> bool:
        """Whether the file shows something of just this colour: its emblem does, no other part of the window."""
        cell = next((one for one in self.shown(CELL) if one.name == name), None)
        if cell is None:
            return False
        left, top, width, height = cell.box
        around = (left, top, left + width + 10, top + height)  # an emblem juts out of its cell's corner
        pixels = self.picture().crop(around).tobytes()
        found = [at for at in range(0, len(pixels), 3) if pixels[at : at + 3] == bytes(colour)]
        return len(found) >= 8

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + LIMIT_SECONDS
        while True:
            try:
                if is_so():
                    return
            except (OSError, AssertionError, EOFError, ValueError):  # it is opening still
                assert self.process.poll() is None, (self.folder / "explorer.log").read_text()
            if time.monotonic() > ends:
                self.picture().save(self.folder / "never.png")
                raise AssertionError(f"never came true: {what}; see {self.folder / 'never.png'}")
            time.sleep(0.1)

    # ---- what is done ------------------------------------------------------------------------------------

    def open_menu(self, name: str, *labels: str) -> list[Seen]:
        """The menu of this file, or with "" of the folder; below these labels.  Its lines, which stay open."""
        self.until(self._is_closed, "no menu is open any more")
        place = (WIDTH // 2 + 200, HEIGHT // 2 + 100)
        if name:
            place = next(one for one in self.shown(CELL) if one.name == name).middle
        self.until(lambda: self._opens(place), "a menu")
        for label in labels:
            self._go_to(label)
            self._xdotool("key", "Right")
        return self.shown(MENU_ITEM)

    def click(self, name: str, *labels: str) -> None:
        self.open_menu(name, *labels[:-1])
        self._go_to(labels[-1])
        self._xdotool("key", "Return")

    def _opens(self, place: tuple[int, int]) -> bool:
        """A click beside a menu that is still open closes it, and no more: it is tried once more then."""
        self._xdotool("key", "Escape")
        self._xdotool("mousemove", *place, "click", 3)
        time.sleep(0.3)
        self._xdotool("key", "Down")
        time.sleep(0.2)
        return any(one.focused for one in self.shown(MENU_ITEM))

    def _is_closed(self) -> bool:
        """A menu that was closed is told of still; the keys go elsewhere then."""
        self._xdotool("key", "Escape")
        time.sleep(0.2)
        return not any(one.focused for one in self.shown(MENU_ITEM))

    def _go_to(self, label: str) -> None:
        """By the keyboard: where a line of a menu stands on the screen is not told."""

        def is_there() -> bool:
            if any(one.focused and one.name.startswith(label) for one in self.shown(MENU_ITEM)):
                return True
            self._xdotool("key", "Down")
            time.sleep(0.1)
            return False

        self.until(is_there, f"{label} in the menu")

    def clipboard(self) -> str:
        ran = subprocess.run(
            ["xclip", "-o", "-selection", "clipboard"],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return ran.stdout

    def _xdotool(self, *words: str | int) -> None:
        xdotool(self.variables, *words)

    def _environment(self) -> dict[str, str]:
        return environment() | self.variables


@contextmanager
def a_file_explorer(base: Path, shown: Path, variables: dict[str, str]) -> Iterator[FileExplorer]:
    """base: for what the desktop keeps.  shown: the folder whose window is open.  variables: HOME and the like."""
    runtime = base / "runtime"
    runtime.mkdir(mode=0o700)
    with a_screen(WIDTH, HEIGHT) as display:
        ours = variables | {
            "DISPLAY": display,
            "XDG_RUNTIME_DIR": str(runtime),
            "GSETTINGS_BACKEND": "memory",
        }
        with a_session_bus(base, ours) as address:  # it starts services of its own, for this person
            ours |= {
                "DBUS_SESSION_BUS_ADDRESS": address,
                "GDK_BACKEND": "x11",
                "GSK_RENDERER": "cairo",
                "LANG": "C.UTF-8",
            }
            with (base / "explorer.log").open("wb") as log:
                process = subprocess.Popen(
                    ["nautilus", str(shown)],
                    env=environment() | ours,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            try:
                yield FileExplorer(ours, base, process)
            finally:
                process.terminate()
                process.wait(60)


@contextmanager
def notices_of(explorer: FileExplorer) -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """What the desktop is asked to tell, while the block runs."""
    loop = asyncio.new_event_loop()
    notices = _Notices()

    async def begin() -> MessageBus:
        bus = await MessageBus(bus_address=explorer.variables["DBUS_SESSION_BUS_ADDRESS"]).connect()
        bus.export("/org/freedesktop/Notifications", notices)
        await bus.request_name(NOTICES)
        return bus

    bus = loop.run_until_complete(begin())

    def told() -> list[tuple[str, str]]:
        loop.run_until_complete(asyncio.sleep(0.05))
        return notices.told

    try:
        yield told
    finally:
        bus.disconnect()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


# ---- what a screen reader is told ------------------------------------------------------------------------


async def _shown(address: str, roles: tuple[str, ...]) -> list[Seen]:
    bus = await MessageBus(bus_address=address).connect()
    try:
        found: list[Seen] = []
        await _walk(bus, *ROOT, roles, found)
        return found
    finally:
        bus.disconnect()


async def _walk(bus: MessageBus, service: str, path: str, roles: tuple[str, ...], found: list[Seen]) -> None:
    """Depth first, in the order in which things stand.  What goes away meanwhile is not there."""
    answer = await _asked(bus, service, path, ACCESSIBLE, "GetRoleName")
    if answer is None:
        return
    if answer[0] in roles:
        name = await _asked(
            bus, service, path, "org.freedesktop.DBus.Properties", "Get", "ss", [ACCESSIBLE, "Name"]
        )
        box = await _asked(bus, service, path, "org.a11y.atspi.Component", "GetExtents", "u", [0])
        state = await _asked(bus, service, path, ACCESSIBLE, "GetState")
        if name and box and state:
            flags = state[0][0]
            enabled, focused = bool(flags & 1 << SENSITIVE), bool(flags & 1 << FOCUSED)
            found.append(Seen(answer[0], str(name[0].value), tuple(box[0]), enabled=enabled, focused=focused))
    children = await _asked(bus, service, path, ACCESSIBLE, "GetChildren")
    for child in children[0] if children else ():
        await _walk(bus, *child, roles, found)


async def _asked(
    bus: MessageBus, service: str, path: str, interface: str, member: str, signature: str = "", body: Any = ()
) -> list[Any] | None:
    reply = await bus.call(
        Message(
            destination=service,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
    )
    return list(reply.body) if reply is not None and reply.message_type is MessageType.METHOD_RETURN else None
