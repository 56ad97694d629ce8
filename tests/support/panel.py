"""A desktop's panel and notice area, as far as a program's icon can tell: the D-Bus names, and nothing on a screen.

with a_session_bus(folder) as address:
    async with Panel(address) as panel:
        await panel.until(lambda: panel.titles() ...)

Owns: the watcher of StatusNotifierItem, the reading of an item and its menu, the notices it was sent; a tray's program
beside it.
"""

# No `from __future__ import annotations`: dbus-fast reads the annotations of its methods.
import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from dbus_fast import Message, MessageType, PropertyAccess, Variant, unpack_variants
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusDict, DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property

from tests.support.forks import environment

WATCHER = "org.kde.StatusNotifierWatcher"
NOTICES = "org.freedesktop.Notifications"
LIMIT_SECONDS = 150.0

Names = Annotated[list[str], DBusSignature("as")]


@contextmanager
def a_session_bus(folder: Path, variables: Mapping[str, str] | None = None) -> Iterator[str]:
    """A bus of our own; its address.  variables: what else the services that it starts have in their environment."""
    address = f"unix:path={folder}/bus"
    process = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address={address}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | dict(variables or {}),
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(60)


class _Watcher(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(WATCHER)
        self.items: list[str] = []

    @dbus_method()
    def RegisterStatusNotifierItem(self, service: DBusStr) -> None:  # noqa: N802 - the standard's name
        self.items.append(service)

    @dbus_property(PropertyAccess.READ)
    def IsStatusNotifierHostRegistered(self) -> DBusBool:  # noqa: N802 - as above
        return True


class _Notices(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(NOTICES)
        self.told: list[tuple[str, str]] = []

    @dbus_method()
    def Notify(  # noqa: N802 - the standard's
        self,
        app: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        summary: DBusStr,
        body: DBusStr,
        actions: Names,
        hints: DBusDict,
        expires: DBusInt32,
    ) -> DBusUInt32:
        self.told.append((summary, body))
        return replaces or len(self.told)


@dataclass
class Line:
    """One line of a menu as the panel reads it."""

    number: int
    label: str
    enabled: bool
    below: list["Line"] = field(default_factory=list)


class Panel:
    """Sees one icon at a time: the one that registered last.

    offered, clicked: each line that does something, with those above it, that stood in the menu or was clicked.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self.offered: set[str] = set()
        self.clicked: set[str] = set()

    async def appear(self) -> None:
        self.watcher, self.notices = _Watcher(), _Notices()
        self.bus = await MessageBus(bus_address=self._address).connect()
        self.bus.export("/StatusNotifierWatcher", self.watcher)
        self.bus.export("/org/freedesktop/Notifications", self.notices)
        await self.bus.request_name(WATCHER)
        await self.bus.request_name(NOTICES)

    def vanish(self) -> None:
        """As a panel that is restarted: all it knew is forgotten."""
        self.bus.disconnect()

    async def icon(self) -> dict[str, Any]:
        """The item's properties by their names."""
        [found] = await self._call(
            "/StatusNotifierItem",
            "org.freedesktop.DBus.Properties",
            "GetAll",
            "s",
            ["org.kde.StatusNotifierItem"],
        )
        return dict(unpack_variants(found))

    async def menu(self) -> list[Line]:
        """As it is when somebody opens it."""
        await self._call("/MenuBar", "com.canonical.dbusmenu", "AboutToShow", "i", [0])
        _, layout = await self._call("/MenuBar", "com.canonical.dbusmenu", "GetLayout", "iias", [0, -1, []])
        lines = _line(unpack_variants(layout)).below
        self.offered.update(_that_act(lines))
        return lines

    async def labels(self) -> list[str]:
        return [line.label for line in await self.menu()]

    async def click(self, *labels: str) -> None:
        """The line under these, each named by how it begins."""
        below, above = await self.menu(), []
        for label in labels:
            line = next((line for line in below if line.label.startswith(label)), None)
            assert line is not None, f"no {label!r} among {[line.label for line in below]}"
            below = line.below
            above.append(line.label)
        assert line.enabled, f"{line.label!r} only tells"
        self.clicked.add(" ▸ ".join(above))
        data = [line.number, "clicked", Variant("s", ""), 0]
        await self._call("/MenuBar", "com.canonical.dbusmenu", "Event", "isvu", data)

    async def until(self, is_so: Callable[[dict[str, Any], list[str]], bool], what: str) -> None:
        """Look at icon and menu until it is so."""
        ends = asyncio.get_running_loop().time() + LIMIT_SECONDS
        icon: dict[str, Any] = {}
        labels: list[str] = []
        while True:
            if self.watcher.items:
                labels, icon = await self.labels(), await self.icon()
                if is_so(icon, labels):
                    return
            if asyncio.get_running_loop().time() > ends:
                raise AssertionError(f"never came true: {what}: {icon.get('ToolTip')} {labels}")
            await asyncio.sleep(0.1)

    async def until_told(self, beginning: str) -> str:
        """The text of the notice whose title begins so."""
        ends = asyncio.get_running_loop().time() + LIMIT_SECONDS
        while True:
            for title, text in self.notices.told:
                if title.startswith(beginning):
                    return text
            if asyncio.get_running_loop().time() > ends:
                raise AssertionError(f"never told: {beginning}; only {self.notices.told}")
            await asyncio.sleep(0.1)

    async def _call(
        self, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> list[Any]:
        reply = await self.bus.call(
            Message(
                destination=self.watcher.items[-1],
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=body,
            )
        )
        assert reply is not None
        assert reply.message_type is MessageType.METHOD_RETURN, reply.body
        return list(reply.body)


@asynccontextmanager
async def a_panel(address: str) -> AsyncIterator[Panel]:
    panel = Panel(address)
    await panel.appear()
    try:
        yield panel
    finally:
        panel.vanish()


def _line(layout: list[Any]) -> Line:
    number, told, below = layout
    return Line(
        number,
        str(told.get("label", "")).replace("__", "_"),
        bool(told.get("enabled", True)) and not below,
        [_line(one) for one in below],
    )


def _that_act(lines: Sequence[Line], above: str = "") -> Iterator[str]:
    for line in lines:
        if line.below:
            yield from _that_act(line.below, f"{above}{line.label} ▸ ")
        elif line.enabled and line.label:
            yield above + line.label


@contextmanager
def a_tray(command: Sequence[str | Path], address: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The program of an icon as the desktop starts it.  What it opens is written down in `folder`, not shown."""
    opener = folder / "xdg-open"
    opener.write_text(f'#!/bin/sh\necho "$1" >> {folder}/opened\n')
    opener.chmod(0o755)
    process = subprocess.Popen(
        command,
        env=environment()
        | {"DBUS_SESSION_BUS_ADDRESS": address, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)
