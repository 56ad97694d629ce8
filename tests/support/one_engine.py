"""An engine of one computer, in the test's own event loop, against a real server behind a proxy.

The fixture `setting` of tests/sync_client/engine/conftest.py makes one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from protocol.http import ServerApi
from protocol.ids import DeviceId
from protocol.messages import Changes
from sync_client.engine.account import Account
from sync_client.engine.database import StateDatabase
from sync_client.engine.engine import Engine
from tests.support.service import Caller, ServiceUnderTest, a_service
from tests.support.uploads import IMPATIENT
from tests.support.watching_proxy import WatchingProxy, a_watching_proxy

SOON_SECONDS = 40.0  # a long poll would hold for 50; a busy machine takes its time


@dataclass
class Setting:
    """A server, a proxy before it, and the account of one computer behind the proxy."""

    server: ServiceUnderTest
    proxy: WatchingProxy
    other: Caller  # of the same user, on another computer
    account: Account
    base: Path

    @asynccontextmanager
    async def engine(self, account: Account | None = None) -> AsyncIterator[Engine]:
        """As `Engine.open` makes it, but for the patience."""
        engine = await Engine.open(self.base / "home", account or self.account)
        await engine.api.__aexit__(None, None, None)
        who = engine.account
        engine.state.close()
        async with ServerApi(who.server, who.token, patience=IMPATIENT) as api:
            engine = Engine(StateDatabase(self.base / "home" / "state.db"), who, api)
            try:
                yield engine
            finally:
                await engine.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Engine]:
        async with self.engine() as engine:
            work = asyncio.create_task(engine.run(), name="engine")
            try:
                yield engine
            finally:
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work

    async def follow(self, engine: Engine, name: str) -> Path:
        local = self.base / name
        await engine.add_folder(f"/Home/{name}", local, create=True)
        return local

    async def again(self) -> Account:
        """Signed in once more, as a new device."""
        caller = await self.server.sign_in("ada")
        assert caller.signed_in is not None
        device = DeviceId(caller.signed_in.device)
        return Account(self.proxy.url, "ada", caller.signed_in.token, device, "laptop")

    async def head(self) -> str:
        """Where the feed of the home ends now."""
        assert self.other.view is not None
        async with ServerApi(self.server.url, self.other.token) as api:
            cursor = ""
            while True:
                page = await api.changes(self.other.view.view, cursor)
                assert isinstance(page, Changes)
                cursor = page.cursor
                if not page.more:
                    return cursor

    async def on_server(self, path: str) -> dict[str, tuple[UUID, int]]:
        """Name → node and size of what the server holds there."""
        async with ServerApi(self.server.url, self.other.token) as api:
            assert self.other.view is not None
            listing = await api.listing(self.other.view.view, path)
        return {item.name: (item.node, item.size) for item in listing.items}


@asynccontextmanager
async def a_setting(base: Path) -> AsyncIterator[Setting]:
    async with (
        a_service(base / "server", users=("ada",)) as server,
        a_watching_proxy(server.url) as proxy,
    ):
        (base / "home").mkdir()
        made = Setting(server, proxy, await server.sign_in("ada"), None, base)  # type: ignore[arg-type]  # next line
        made.account = await made.again()
        yield made


async def soon(is_so: Callable[[], bool], seconds: float = SOON_SECONDS) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)


def shown(engine: Engine) -> dict[str, str]:
    """Path → code of what `status` lists."""
    return {
        problem["path"]: problem["code"]
        for folder in engine.status()["folders"]
        for problem in folder["problems"]
    }


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".mb-sync"}
