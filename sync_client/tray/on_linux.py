"""The tray on a Linux desktop: look, show, tell; do what is clicked.

Owns: the loop, its pace, notices over D-Bus.
May import: dbus-fast, protocol.errors, speaking, icons, menu, notices, program, status_notifier.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from typing import Any

from dbus_fast import Variant
from dbus_fast.aio import MessageBus

from protocol.errors import MedicalBlocksError
from sync_client.speaking import language_of, speaker
from sync_client.tray import icons
from sync_client.tray.menu import Action, Quit
from sync_client.tray.notices import Notice, spoken
from sync_client.tray.program import Program
from sync_client.tray.status_notifier import TrayIcon, call

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
BUSY_LOOK_SECONDS = 0.5  # somebody may watch the numbers
NOTICES, NOTICES_PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
NORMAL, CRITICAL = 1, 2  # urgency of a notice (Desktop Notifications 1.2)


class Tray:
    """Shows the program until somebody quits.  tells: whether notices are wanted."""

    def __init__(self, program: Program, *, tells: bool) -> None:
        self._program = program
        self._tells = tells
        self._ends = asyncio.Event()
        self._again = asyncio.Event()  # look now: something was clicked, or the menu opens
        self._shown = asyncio.Event()  # since it was cleared, the icon was changed to what a look saw
        self._failed: Notice | None = None  # a click, to be told with the next look
        self._notices: dict[str, int] = {}  # what it is about → the number that the desktop gave it

    async def run(self) -> None:
        """Raises NoPanel."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ends.set)
        seen = await asyncio.to_thread(self._program.look)
        icon = await TrayIcon.open(self._program.id, seen.face, self._clicked, self._refresh)
        try:
            while not self._ends.is_set():
                icon.change(seen.face)
                self._shown.set()
                await self._tell(icon.bus, seen.notices)
                await self._pause(BUSY_LOOK_SECONDS if seen.busy else LOOK_SECONDS)
                seen = await asyncio.to_thread(self._program.look)
        finally:
            icon.close()

    async def _pause(self, seconds: float) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._ends, self._again)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        self._again.clear()

    async def _refresh(self) -> None:
        self._shown.clear()
        self._again.set()
        await self._shown.wait()

    async def _clicked(self, action: Action) -> None:
        try:
            await asyncio.to_thread(self._program.act, action)
        except MedicalBlocksError as error:
            log.warning("tray: a click failed code=%s", error.code)
            say = speaker(language_of(os.environ))
            self._failed = spoken(Notice("That did not work", str(error), "click"), say)
            self._again.set()
            return
        if isinstance(action, Quit):
            self._ends.set()
        self._again.set()

    async def _tell(self, bus: MessageBus, found: Sequence[Notice]) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            await self._notify(bus, failed)
        for notice in found if self._tells else ():
            await self._notify(bus, notice)

    async def _notify(self, bus: MessageBus, notice: Notice) -> None:
        size = 48
        pixels: list[Any] = [
            size,
            size,
            size * 4,
            True,
            8,
            4,
            icons.rgba("attention" if notice.urgent else "synced", size),
        ]
        hints = {
            "urgency": Variant("y", CRITICAL if notice.urgent else NORMAL),
            "image-data": Variant("(iiibiiay)", pixels),
        }
        body: list[Any] = [
            self._program.title,
            self._notices.get(notice.about, 0),
            "",
            notice.title,
            notice.text,
            [],
            hints,
            -1,
        ]
        numbered = await call(bus, NOTICES, NOTICES_PATH, "Notify", "susssasa{sv}i", body)
        if numbered is None:
            log.info("tray: this desktop shows no notices")
        else:
            self._notices[notice.about] = numbered[0]
