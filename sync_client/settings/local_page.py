"""A page for the person at this computer: a small web server on the loopback address, for nobody else.

Owns: its routes and headers, the files of the page, how a question of the page becomes a call, when the server ends.
May import: aiohttp, protocol.errors, sync_client.{control,control_server,lock}, gate, peers.  MB-SyncLight's window is
made of it too, so nothing that the base install lacks.

    GET  /                 the page; also /NAME.css, /NAME.js, /strings/LANGUAGE.json
    POST /ask/session      {"token": …} → a session, once
    POST /ask/NAME         a JSON object → {"ok": true, "value": …} or {"ok": false, "error": code, "message": …}

Whoever wants a page asks `open` of the socket in FOLDER, which only the owner of this account may enter.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from aiohttp import web

from protocol.errors import BadRequest, MedicalBlocksError
from sync_client.control import Json
from sync_client.control_server import ControlServer
from sync_client.settings.gate import SESSION_HEADER, Gate, TurnedAway, check_headers
from sync_client.settings.peers import is_of_this_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_BODY_BYTES = 256 * 1024
LOOK_SECONDS = 1.0
GRACE_SECONDS = 0.5  # for answers on their way out when the server ends

Question = Callable[[dict[str, Json]], Awaitable[Json]]

_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class LocalPage:
    """The routes.  front: the HTML file that `/` shows.  questions: what the page may ask, by name."""

    def __init__(self, front: str, questions: Mapping[str, Question], gate: Gate) -> None:
        self._front = front
        self._questions = questions
        self._gate = gate
        self._origin = ""
        self._known: WeakKeyDictionary[asyncio.BaseTransport, bool] = WeakKeyDictionary()
        self._files = _page_files()
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/", self._show_front)
        app.router.add_get("/{file:.+}", self._show_file)
        app.router.add_post("/ask/session", self._enter)
        app.router.add_post("/ask/{name}", self._ask)
        self._app = app

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Its origin, while the block runs."""
        runner = web.AppRunner(
            self._app, handler_cancellation=True, access_log=None, shutdown_timeout=GRACE_SECONDS
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            self._origin = f"http://{HOST}:{runner.addresses[0][1]}"
            yield self._origin
        finally:
            await runner.cleanup()

    def address(self, place: str) -> str:
        """What a browser is given, to be used once.  place: the part of the page that is shown first."""
        return f"{self._origin}/#{self._gate.hand_out()}/{place}"

    # ---- the door ------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            if not await self._is_of_this_user(request):
                raise TurnedAway("user")
            check_headers(request.method, request.path, request.headers, origin=self._origin)
            answer = await handler(request)
        except TurnedAway as why:
            log.warning("page: turned away a request (%s)", why)
            answer = web.json_response({"ok": False, "error": str(why)}, status=403)
        except web.HTTPException as error:
            answer = web.json_response({"ok": False, "error": "no-such-page"}, status=error.status)
        answer.headers.update(_HEADERS)
        return answer

    async def _is_of_this_user(self, request: web.Request) -> bool:
        """Asked once of each connection."""
        transport = request.transport
        if transport is None:
            return False
        if transport not in self._known:
            here, there = (transport.get_extra_info(end) for end in ("sockname", "peername"))
            self._known[transport] = await asyncio.to_thread(is_of_this_user, here[:2], there[:2])
        return self._known[transport]

    # ---- the page ------------------------------------------------------------------------------------------

    async def _show_front(self, _: web.Request) -> web.Response:
        return self._file(self._front)

    async def _show_file(self, request: web.Request) -> web.Response:
        return self._file(request.match_info["file"])

    def _file(self, name: str) -> web.Response:
        text = self._files.get(name)
        if text is None:
            raise web.HTTPNotFound
        kind = _KINDS[Path(name).suffix]
        return web.Response(text=text, content_type=kind, charset="utf-8")

    # ---- its questions -------------------------------------------------------------------------------------

    async def _enter(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return web.json_response(
            {"ok": True, "value": {"session": self._gate.enter(str(body.get("token", "")))}}
        )

    async def _ask(self, request: web.Request) -> web.Response:
        session = request.headers.get(SESSION_HEADER)
        self._gate.admit(session)
        name = request.match_info["name"]
        if name == "leave":
            self._gate.leave(session)
            return web.json_response({"ok": True, "value": {}})
        question = self._questions.get(name)
        if question is None:
            raise web.HTTPNotFound
        body = await _body(request)
        try:
            return web.json_response({"ok": True, "value": await question(body)})
        except MedicalBlocksError as error:
            return web.json_response({"ok": False, "error": error.code, "message": str(error)})
        except Exception as error:
            # The edge of the program: a fault in one answer must reach the page and not end the server.
            log.exception("page: %s failed", name)
            words = f"`{name}` met a fault ({type(error).__name__}). See log/."
            return web.json_response({"ok": False, "error": "internal", "message": words})


async def _body(request: web.Request) -> dict[str, Any]:
    """Raises TurnedAway: it is no JSON object."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise TurnedAway("body") from error
    if not isinstance(body, dict):
        raise TurnedAway("body")
    return body


def _page_files() -> dict[str, str]:
    """All of them, by the path below `/`: nothing else can ever be asked for."""
    folder = files("sync_client.settings").joinpath("pages")
    found: dict[str, str] = {}
    for one in folder.iterdir():
        if one.is_dir():
            found |= {f"{one.name}/{each.name}": each.read_text("utf-8") for each in one.iterdir()}
        elif Path(one.name).suffix in _KINDS:
            found[one.name] = one.read_text("utf-8")
    return found


async def serve(page: LocalPage, gate: Gate, folder: Path, *, first_seconds: float) -> None:
    """Answer until nobody has the page open any more.

    folder: where whoever wants a page finds us; its lock is held by the caller.  first_seconds: for the first to come.
    """

    async def handle(do: str, arguments: dict[str, Json]) -> Json:
        if do != "open":
            raise BadRequest(f"There is no `{do}` here", hint="Ask it of the client itself.")
        return {"url": page.address(str(arguments.get("place", "")))}

    async with page.served(), ControlServer(folder, handle):
        await asyncio.sleep(first_seconds)
        while not gate.is_deserted():  # noqa: ASYNC110 - what ends a session is the clock
            await asyncio.sleep(LOOK_SECONDS)
