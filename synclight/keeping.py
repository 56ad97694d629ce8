"""One code and its folder: an engine that brings down what is shared, until the code ends.

Owns: opening the engine, what becomes of its faults, when a code has ended and why, the state that `list` shows.
May import: asyncio, protocol, engine, synclight.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from protocol.errors import CodeExpired, CodeRevoked, LocalProblem, MedicalBlocksError, NotSignedIn
from protocol.names import shown
from sync_client import screens
from sync_client.engine.database import state_trouble
from sync_client.engine.engine import Engine
from sync_client.engine.rebuilding import set_aside_if_damaged
from synclight.home import Follow, Shared, State
from synclight.progress import Teller
from synclight.words import day, in_our_words

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.3
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 300.0
STEADY_SECONDS = 60.0  # an engine that ran this long is well: its next fault is a first one


class Keeper:
    """Whoever runs it holds the lock of the home."""

    def __init__(self, follow: Follow, teller: Teller) -> None:
        self._follow = follow
        self._teller = teller
        self._token = ""
        self._shown: object = None
        self._failing: list[dict[str, str]] = []

    async def keep(self) -> None:
        """Follow until the code has ended; after a fault say so, wait longer each time, and begin anew."""
        faults = 0
        while not self._follow.shared.ended:
            began = time.monotonic()
            try:
                async with self._opened() as engine:
                    await self._run(engine)
                faults = 0
            except Exception as error:  # the edge of the program: whatever it was, it is said and we go on
                faults = 1 if time.monotonic() - began > STEADY_SECONDS else faults + 1
                set_aside_if_damaged(self._follow.path, _cause(error))
                if not self._has_ended(_cause(error)):
                    self._say_trouble(_cause(error))
                    await asyncio.sleep(min(FIRST_RETRY_SECONDS * 2 ** (faults - 1), LAST_RETRY_SECONDS))

    async def once(self) -> bool:
        """Until nothing is left to do.  False: items are in error.  Raises what stands in the way of all."""
        try:
            async with self._opened() as engine:
                synced = await engine.once(self._tell_status)
                if await self._apply_if_asked(engine):
                    synced = await engine.once(self._tell_status)
                if engine.signed_out is not None:
                    raise engine.signed_out
                self._show(engine.status())
                return synced
        except NotSignedIn as error:
            self._has_ended(error)
            raise
        except sqlite3.Error as error:
            set_aside_if_damaged(self._follow.path, error)
            raise LocalProblem(in_our_words(state_trouble(error).what), hint="Check the disk.") from error

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Engine]:
        account = self._follow.account()
        self._token = account.token
        engine = await Engine.open(self._follow.path, account)
        try:
            if not engine.syncs:
                await _begin(engine, self._follow.shared)
            yield engine
        finally:
            await engine.close()

    async def _run(self, engine: Engine) -> None:
        """Until the code has ended."""
        work = asyncio.create_task(engine.run(), name="sync")
        try:
            while True:
                await asyncio.wait([work], timeout=LOOK_SECONDS)
                if work.done():
                    return await work
                self._look(engine)
                if engine.signed_out is not None:
                    raise engine.signed_out
                await self._apply_if_asked(engine)
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def _apply_if_asked(self, engine: Engine) -> bool:
        """Go on with the mass change that waits.  A yes holds for what waits now, not for what may come later."""
        if not self._follow.is_asked("apply") or not all(sync.is_at_rest for sync in engine.syncs.values()):
            return False
        waiting = engine.guards()
        for one in waiting:
            await engine.decide_guard(Path(one["folder"]), apply=True)
        self._follow.answered("apply")
        return bool(waiting)

    # ---- how it stands -------------------------------------------------------------------------------------

    def _look(self, engine: Engine) -> None:
        """Asked often, so the engine's long answer is made only when something happened."""
        [sync] = engine.syncs.values()
        now = (
            sync.rounds_begun,
            sync.rounds_ended,
            sync.is_at_rest,
            str(sync.stopped),
            str(engine.offline),
            sync.has_problems,
            sync.progress and (sync.progress.done_files, sync.progress.done_bytes),
        )
        if now != self._shown:
            self._shown = now
            self._show(engine.status())

    def _tell_status(self, status: dict[str, Any]) -> None:
        if status["progress"]:
            self._teller.progress(status["progress"])

    def _show(self, status: dict[str, Any]) -> None:
        self._tell_status(status)
        [folder] = status["folders"]
        where = screens.path(folder["local"])
        words = in_our_words(folder["words"] if folder["state"] == "error" else _words(folder, status))
        problems = [
            {"path": str(one["path"]), "code": str(one["code"]), "message": in_our_words(str(one["message"]))}
            for one in folder["problems"]
            if one["path"] or folder["state"] != "error"  # else it is what the folder's own words say
        ]
        state = State(
            state=folder["state"],
            words=words,
            files=folder["files"],
            bytes=folder["bytes"],
            own_files=folder["own_files"],
            problems=problems,
            at_ms=time.time_ns() // 1_000_000,
        )
        self._follow.save_state(state)
        if folder["state"] in ("synced", "attention", "error", "offline"):
            mark = screens.MARKS[folder["state"]]
            what = f"{screens.count_of(folder['files'], 'file')}, {screens.size(folder['bytes'])}"
            tail = words if folder["state"] in ("error", "offline") else f"{words} ({what})"
            self._teller.say_once(where, f"{mark} {where}: {shown(tail)}")
        if problems != self._failing:
            self._failing = problems
            for problem in problems[: screens.MAX_PROBLEMS_SHOWN]:
                self._teller.say(f"  ! {screens.path(problem['path'])}: {shown(problem['message'])}")

    def _say_trouble(self, error: BaseException) -> None:
        match error:
            case MedicalBlocksError():
                words = in_our_words(str(error))
                log.error("follow stopped code=%s", error.code)
            case sqlite3.Error():
                words = in_our_words(str(state_trouble(error)))
                log.error("state.db failed code=%s", error.sqlite_errorname)
            case _:
                words = f"MB-SyncLight met a fault ({type(error).__name__}) and tries again by itself."
                log.error("met a fault", exc_info=error)
        where = screens.path(self._follow.shared.folder)
        before = self._follow.state
        self._follow.save_state(State(state="error", words=words, files=before.files, bytes=before.bytes))
        self._teller.say_once(where, f"{screens.MARKS['error']} {where}: {shown(words)}")

    def _has_ended(self, error: BaseException) -> bool:
        """Whether the server takes the token no more; then that is written down and said, but for a newer token's."""
        if not isinstance(error, NotSignedIn):
            return False
        if self._follow.account().token != self._token:  # redeemed anew meanwhile: that one goes on
            return True
        shared = self._follow.shared
        why = why_ended(error, shared, now_ms=time.time_ns() // 1_000_000)
        self._follow.end(why)
        where = screens.path(shared.folder)
        self._teller.say(f"{screens.MARKS['error']} {where}: {shown(why)} Your files stay where they are.")
        return True


def _words(folder: dict[str, Any], status: dict[str, Any]) -> str:
    match folder["state"]:
        case "synced":
            return "All that is shared is here"
        case "attention":
            return "All but what is listed is here"
        case "syncing" | "starting":
            return "On its way"
        case _:
            return str(status["words"])


def why_ended(error: NotSignedIn, shared: Shared, *, now_ms: int) -> str:
    """In one sentence, for whoever held the code."""
    by = shared.shared_by or "whoever shared it"
    is_over = shared.expires_at_ms is not None and now_ms >= shared.expires_at_ms
    if shared.expires_at_ms is not None and (isinstance(error, CodeExpired) or is_over):
        return f"The sync code expired on {day(shared.expires_at_ms)}. Ask {by} for a new one."
    if isinstance(error, CodeRevoked):
        return f"The sync code was revoked. Ask {by} for a new one."
    return f"This computer was signed out of the sync code. Redeem it again, or ask {by} for a new one."


async def _begin(engine: Engine, shared: Shared) -> None:
    """Follow what the code opened.  Raises NotSignedIn, LocalProblem: it is not there."""
    views = [view for view in (await engine.api.views()).views if view.view == shared.view]
    if not views:
        raise LocalProblem(
            f"{shared.name} is not shared any more, or was deleted on the server",
            hint=f"Ask {shared.shared_by or 'whoever shared it'}.",
        )
    await engine.add_folder(views[0].name, Path(shared.folder), create=False)


def _cause(error: BaseException) -> BaseException:
    """The first error inside a task group's: the others were cancelled because of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
