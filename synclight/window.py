"""MB-SyncLight's window: paste the link, choose the place, start; how the folders stand.  A page like MB-Sync's.

Owns: what the page may ask, the process that serves it.
May import: asyncio, protocol, synclight, sync_client.{lock,logs,own_program,showing}, sync_client.settings (what of
it needs no more than the base install).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from protocol.errors import BadRequest, LocalProblem, MedicalBlocksError, PinNeeded
from protocol.trust import Trust, fingerprint, proxy_address
from sync_client.engine.claiming import refuse_others
from sync_client.lock import is_held, only_one
from sync_client.logs import log_to
from sync_client.operations import check_local
from sync_client.own_program import own_program
from sync_client.settings.asked import path_of, text_of
from sync_client.settings.gate import Gate
from sync_client.settings.local_page import LocalPage, Question, serve
from sync_client.settings.local_places import LocalPlaces
from sync_client.settings.opening import address_from
from sync_client.showing import nearest, show
from sync_client.tray.menu import Ask
from synclight.home import Follow, LightHome
from synclight.progress import Teller
from synclight.redeeming import read_code, redeem
from synclight.tray import MbSyncLight
from synclight.words import answer_of

FIRST_SECONDS = 10.0  # whoever started the page server asks it for an address by then
AT_ONCE_SECONDS = 3.0  # a code that takes longer waits for somebody to let this computer in
LOG_NAME = "window.log"


def window_folder(home: LightHome) -> Path:
    return home.path / "window"


def window_address(home: LightHome) -> str:
    """An address that opens the window once.  Raises LocalProblem."""
    home.make()
    command = [*own_program("synclight"), "--home", str(home.path), "--window", "--serve"]
    return address_from(window_folder(home), command, "", said=home.log / "window.txt")


def serve_window(home: LightHome) -> None:
    """Until nobody has it open any more."""
    folder = window_folder(home)
    with only_one(folder / "lock"):
        log_to(home.log, on_screen=False, name=LOG_NAME)
        gate = Gate()
        page = LocalPage("mb-synclight.html", Window(home).questions(), gate)
        asyncio.run(serve(page, gate, folder, first_seconds=FIRST_SECONDS))


class Window:
    def __init__(self, home: LightHome) -> None:
        self._home = home
        self._program = MbSyncLight(home)
        self._places = LocalPlaces(home.path, self._followed)
        self._redeeming: asyncio.Task[Follow] | None = None

    def questions(self) -> Mapping[str, Question]:
        return {
            "now": self.now,
            "usual": self._places.usual,
            "local": self._places.local,
            "place": self._places.place,
            "follow": self.follow,
            "start": self.start,
            "apply": self.apply,
            "remove": self.remove,
            "show": self.show,
        }

    def _followed(self) -> list[Path]:
        return [one.folder for one in self._home.follows() if not one.shared.ended]

    async def now(self, _: dict[str, Any]) -> Any:
        """How the folders stand; waits: a code waits for whoever shared the folder; wrong: what became of it."""
        answer = await asyncio.to_thread(self._now)
        wrong = None
        if self._redeeming is not None and self._redeeming.done():
            try:
                await self._take_up(self._redeeming)
            except MedicalBlocksError as error:
                wrong = {"error": error.code, "message": str(error)}
            answer = await asyncio.to_thread(self._now)
        return answer | {"waits": self._redeeming is not None, "wrong": wrong}

    def _now(self) -> dict[str, Any]:
        running = is_held(self._home.lock)
        folders = [answer_of(one, running=running) for one in self._home.follows()]
        return {"folders": folders, "running": running, "own": str(Path.home())}

    # ---- a code ---------------------------------------------------------------------------------------------

    async def follow(self, asked: dict[str, Any]) -> Any:
        """Redeem a link in a place.  waits: whoever shared the folder lets in each computer.  Raises PinNeeded."""
        if self._redeeming is not None:
            raise LocalProblem("Another link waits already", hint="Wait for it, or close this window.")
        link = read_code(text_of(asked, "link").strip(), None)
        local = await asyncio.to_thread(self._checked, path_of(asked, "local"))
        pin = text_of(asked, "pin", "").strip() or None
        way = _way(asked)
        self._redeeming = asyncio.create_task(
            redeem(self._home, link, local, way=way, pin=pin, teller=Teller()), name="redeem"
        )
        await asyncio.wait([self._redeeming], timeout=AT_ONCE_SECONDS)
        if not self._redeeming.done():
            return {"waits": True}
        await self._take_up(self._redeeming)
        return {"waits": False}

    def _checked(self, local: Path) -> Path:
        self._home.make()
        others = [folder for folder in self._followed() if folder != local.resolve()]
        real = check_local(local, others, self._home.path)
        refuse_others(real, self._home.device())
        return real

    async def _take_up(self, redeeming: asyncio.Task[Follow]) -> None:
        """It is over, one way or the other; what was opened is followed from now on."""
        self._redeeming = None
        try:
            redeeming.result()
        except LocalProblem as error:
            if isinstance(error.__cause__, PinNeeded):  # the page asks for it
                raise error.__cause__ from error
            raise
        await self.start({})

    async def start(self, _: dict[str, Any]) -> Any:
        if not is_held(self._home.lock):
            await asyncio.to_thread(self._program.start)
        return {}

    # ---- a folder -------------------------------------------------------------------------------------------

    async def apply(self, asked: dict[str, Any]) -> Any:
        return await self._said("apply", asked)

    async def remove(self, asked: dict[str, Any]) -> Any:
        return await self._said("remove", asked)

    async def _said(self, do: str, asked: dict[str, Any]) -> Any:
        folder = str(self._one(path_of(asked, "folder")))
        await asyncio.to_thread(self._program.act, Ask(do, (("folder", folder),)))
        return {}

    async def show(self, asked: dict[str, Any]) -> Any:
        await asyncio.to_thread(show, nearest(self._one(path_of(asked, "path")), inside=True))
        return {}

    def _one(self, folder: Path) -> Path:
        if not any(one.shared.folder == str(folder) for one in self._home.follows()):
            raise LocalProblem(f"{folder} is not followed", hint="Load the page again.")
        return folder


def _way(asked: dict[str, Any]) -> Trust:
    proxy, authority = text_of(asked, "proxy", "").strip(), text_of(asked, "authority", "").strip()
    if authority:
        with suppress(UnicodeError):
            fingerprint(authority)  # it is a certificate
    if len(authority) > 256 * 1024:
        raise BadRequest("This is no certificate of an authority", hint="Give a PEM file.")
    return Trust(authority=authority, proxy=proxy_address(proxy) if proxy else "")
