"""The running client: an engine that is kept alive, and the socket that answers for it.

Owns: start and end of both, what `status` says while there is no engine, the back-off after a fault.
May import: the standard library, protocol, engine, changes, control, control_server, home,
operations.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from protocol.errors import BadRequest, MedicalBlocksError, NotSignedIn, Unavailable
from sync_client.changes import Changes
from sync_client.control import Json
from sync_client.control_server import ControlServer
from sync_client.home import (
    SIGN_IN_AGAIN,
    ClientHome,
    NotSignedInHere,
    move_token_to_keyring,
    read_account,
    read_identity,
)
from sync_client.operations import perform

if TYPE_CHECKING:
    from sync_client.engine.account import Account
    from sync_client.engine.engine import Engine

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 300.0
MAX_WATCH_SECONDS = 50.0
WATCH_LOOK_SECONDS = 0.25
RENEW_SECONDS = 2.0  # while too much is on its way to name it
STARTING_SECONDS = 3.0
STEADY_SECONDS = 60.0  # an engine that ran this long is well: its next fault is a first one


class Daemon:
    """Works in `home` until it is told to stop.  Whoever runs it holds the lock of the home."""

    def __init__(self, home: ClientHome) -> None:
        self._home = home
        self._engine: Engine | None = None
        self._trouble: str | None = None  # why there is no engine; None: it is being opened
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._changes = Changes(time.time_ns() // 1_000_000)
        self._known = asyncio.Event()  # set while there is an engine, or a reason why not

    async def run(self) -> None:
        """Answer and sync until `stop`, SIGTERM or SIGINT."""
        self._listen_to_signals()
        async with ControlServer(self._home.path, self.handle), asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep_engine(), name="engine")
            log.info("started pid=%d", os.getpid())
            await self._stop.wait()
            keeper.cancel()
        log.info("stopped pid=%d", os.getpid())

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, self._stop.set)
            except NotImplementedError:  # Windows: Ctrl-C ends asyncio.run, `mb-sync stop` asks by the socket
                return

    # ---- questions ---------------------------------------------------------------------------------------

    async def handle(self, do: str, arguments: dict[str, Json]) -> Json:
        """The answer to one question of a command."""
        match do:
            case "ping":
                return {"pid": os.getpid()}
            case "stop":
                self._stop.set()
                return {"pid": os.getpid()}
            case "reload":
                self._reload.set()
                return {"pid": os.getpid()}
            case "status":
                return self._status() | {"pid": os.getpid()}
            case "wait":
                self._hurry()
                await self._known.wait()  # its caller sets the limit
            case _:
                await self._engine_on_its_way()
        if self._engine is None:
            raise Unavailable(
                "MB-Sync cannot do that now", hint=self._trouble or "It is starting: try again in a moment."
            )
        return await (self._watch(arguments) if do == "watch" else perform(self._engine, do, arguments))

    async def _watch(self, arguments: dict[str, Json]) -> Json:
        """Answer when the state of a file has changed after the number that is given, or when time is up.

        The engine is looked at only while somebody waits.
        """
        from sync_client.engine.marks import picture  # noqa: PLC0415 - with the engine

        after, seconds = arguments.get("after", 0), arguments.get("for_seconds", MAX_WATCH_SECONDS)
        if not isinstance(after, int) or not isinstance(seconds, int | float):
            raise BadRequest("'after' and 'for_seconds' are numbers", hint="See docs/explorer.md.")
        loop = asyncio.get_running_loop()
        began = loop.time()
        ends = began + max(0.0, min(seconds, MAX_WATCH_SECONDS))
        while True:
            self._changes.take(
                picture(self._engine) if self._engine else None, renew=loop.time() - began > RENEW_SECONDS
            )
            if self._changes.number != after or loop.time() >= ends:
                changed = self._changes.since(after)
                return {
                    "change": self._changes.number,
                    "paths": None if changed is None else sorted(changed),
                    "folders": [] if self._engine is None else self._followed(self._engine),
                }
            await asyncio.sleep(WATCH_LOOK_SECONDS)

    def _followed(self, engine: Engine) -> Json:
        return [
            {"local": str(sync.folder.local), "remote": sync.folder.remote} for sync in engine.syncs.values()
        ]

    def _hurry(self) -> None:
        """Whoever waits wants the next try now, not when it is due."""
        if self._engine is None and self._trouble is not None:
            self._known.clear()
            self._reload.set()

    async def _engine_on_its_way(self) -> None:
        """It is opened within a second: whoever asks just after the start is not sent away."""
        if self._engine is None and self._trouble is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(STARTING_SECONDS):
                    await self._known.wait()

    def _status(self) -> dict[str, Json]:
        if self._engine is not None:
            status: dict[str, Json] = self._engine.status()
            return status
        who = read_identity(self._home)
        return {
            "state": "starting" if self._trouble is None else "error",
            "words": self._trouble or "Starting",
            "server": who.server,
            "user": who.user,
            "device": who.device_name,
            "folders": [],
            "conflicts": 0,
            "traffic": {"sent_bytes": 0, "received_bytes": 0},
            "progress": None,
            "notes": [],
            "retention": "",
        }

    # ---- the engine --------------------------------------------------------------------------------------

    async def _keep_engine(self) -> None:
        """Run an engine; after a fault say so, wait longer each time, and run a fresh one."""
        faults = 0
        while True:
            began = time.monotonic()
            try:
                await self._run_engine()
            except (
                Exception
            ) as error:  # the edge of the program: whatever it was, status tells it and we go on
                faults = 1 if time.monotonic() - began > STEADY_SECONDS else faults + 1
                cause = _cause(error)
                self._trouble = self._explained(cause)
                self._set_aside_if_damaged(cause)
                self._known.set()
            else:
                faults = 0
                self._trouble = None
                self._known.clear()
            if faults:
                await self._pause_after(faults)
            self._reload.clear()

    async def _run_engine(self) -> None:
        """Until it fails, or until a new sign-in asks for another one."""
        engine_class = _engine_class()
        # In a thread: a keyring may wait for somebody to unlock it, and `status` is answered meanwhile.
        account = await asyncio.to_thread(self._account)
        engine = await engine_class.open(self._home.path, account)
        self._engine, self._trouble = engine, None
        self._known.set()
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(engine.run(), name="sync")
                again = group.create_task(self._reload.wait(), name="reload")
                await asyncio.wait({work, again}, return_when=asyncio.FIRST_COMPLETED)
                work.cancel()
                again.cancel()
        finally:
            self._engine = None
            self._known.clear()  # before the next await: a `wait` that comes now waits for the next engine
            await engine.close()

    def _account(self) -> Account:
        if move_token_to_keyring(self._home):
            log.info("the token lies in the keyring now")
        return read_account(self._home)

    def _explained(self, error: Exception) -> str:
        match error:
            case NotSignedIn() | NotSignedInHere():
                log.error("engine: not signed in")
                return SIGN_IN_AGAIN
            case MedicalBlocksError():
                log.error("engine: stopped code=%s", error.code)
                return str(error)
            case sqlite3.Error():
                from sync_client.engine.database import state_trouble  # noqa: PLC0415 - with the engine

                log.error("engine: state.db failed code=%s", error.sqlite_errorname)
                return str(state_trouble(error))
            case _:
                log.error("engine: met a fault", exc_info=error)
                return (
                    f"MB-Sync met a fault ({type(error).__name__}) and tries again by itself. If this stays,"
                    f" restart it and show {self._home.log} to whoever looks after the server."
                )

    def _set_aside_if_damaged(self, error: Exception) -> None:
        """The engine that met it is closed by now; the next one begins anew."""
        if isinstance(error, sqlite3.DatabaseError):
            from sync_client.engine.rebuilding import set_aside_if_damaged  # noqa: PLC0415 - with the engine

            set_aside_if_damaged(self._home.path, error)

    async def _pause_after(self, faults: int) -> None:
        seconds = min(FIRST_RETRY_SECONDS * 2 ** min(faults - 1, 20), LAST_RETRY_SECONDS)
        log.info("engine: next try seconds=%.0f", seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._reload.wait()
        except TimeoutError:
            return


@functools.cache
def _engine_class() -> type[Engine]:
    """Takes half a second, so the socket answers before it.  What was imported stays: no search for garbage has to
    walk through it (a tenth of a second each time)."""
    from sync_client.engine.engine import Engine  # noqa: PLC0415 - see above

    gc.freeze()
    return Engine


def _cause(error: Exception) -> Exception:
    """The first error inside a task group's: the others were cancelled because of it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
