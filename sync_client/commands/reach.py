"""What a command reaches out to: the client that runs, else an engine of its own; or the server itself.

Owns: which of them it is, how long a person is kept waiting for a server, or for a client that begins or ends.
May import: protocol, engine, control, home, lock, operations.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from protocol.errors import LocalProblem
from sync_client.control import Json, NotRunning, ask, is_running
from sync_client.home import ClientHome, read_account, require_sign_in
from sync_client.lock import HomeInUse, only_one
from sync_client.operations import perform

if TYPE_CHECKING:
    from protocol.http import ServerApi
    from protocol.trust import Trust
    from sync_client.engine.engine import Engine

STARTING_SECONDS = 5.0  # a client that holds the lock and does not answer yet is given this long
ENDING_SECONDS = 10.0  # and this long one that does not answer any more
LOOK_SECONDS = 0.03

SERVER_TRIES = 3  # somebody sits there and looks at it
SERVER_SECONDS = 15.0


def reach(home: ClientHome, do: str, **arguments: Json) -> Json:
    """The answer to `do`, from the running client if there is one.  Raises MedicalBlocksError."""
    require_sign_in(home)
    ends = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            return ask(home.path, do, seconds=None, **arguments)
        except NotRunning:
            pass
        try:
            with only_one(home.lock):
                return asyncio.run(_alone(home, do, arguments))
        except HomeInUse:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


@contextmanager
def alone_in(home: ClientHome) -> Iterator[None]:
    """Hold the home while the block runs.  Raises HomeInUse if a client answers there.

    Who holds the lock and does not answer is about to end (a process that was killed may keep it for a moment, until
    the system has ended its last thread), or only looks whether it is held: that is waited for.
    """
    ends = time.monotonic() + ENDING_SECONDS
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(only_one(home.lock))
                break
            except HomeInUse:
                if is_running(home.path) or time.monotonic() > ends:
                    raise
            time.sleep(LOOK_SECONDS)
        yield


async def _alone(home: ClientHome, do: str, arguments: dict[str, Json]) -> Json:
    async with opened_engine(home) as engine:
        return await perform(engine, do, arguments)


@asynccontextmanager
async def opened_engine(home: ClientHome) -> AsyncIterator[Engine]:
    """The engine of a home whose lock the caller holds."""
    from sync_client.engine.database import state_trouble  # noqa: PLC0415 - as below
    from sync_client.engine.engine import Engine  # noqa: PLC0415 - not needed where a client runs
    from sync_client.engine.rebuilding import set_aside_if_damaged  # noqa: PLC0415 - as below

    engine = await Engine.open(home.path, read_account(home))
    try:
        try:
            yield engine
        finally:
            await engine.close()
    except sqlite3.Error as error:
        if set_aside_if_damaged(home.path, error):
            raise LocalProblem(
                "MB-Sync's own records (state.db) were damaged and are set aside",
                hint="Say it once more: they are made anew, and nothing is deleted or sent twice.",
            ) from error
        raise state_trouble(error) from error


def server_api(server: str, token: str | None = None, *, trust: Trust | None = None) -> ServerApi:
    """The server, for a question of a person who waits for the answer."""
    from protocol.http import ServerApi  # noqa: PLC0415 - 0.3 s that most commands need not pay
    from protocol.patience import Patience  # noqa: PLC0415 - as above
    from protocol.trust import Trust  # noqa: PLC0415 - as above

    patience = Patience(tries=SERVER_TRIES, total_seconds=SERVER_SECONDS)
    return ServerApi(server, token, patience=patience, trust=trust or Trust())
