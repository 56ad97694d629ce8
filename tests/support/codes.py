"""Sync codes for tests, made and ended through the server's own resources."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp

from protocol.codes import SyncLink, parse_code
from protocol.http import ServerApi
from protocol.sharing import CodeMade, Codes, NewCode, SyncCode
from sync_client.home import ClientHome, read_account
from tests.support.computers import Computer
from tests.support.service import Caller


@dataclass(frozen=True)
class GivenCode:
    link: str
    name: str
    pin: str


@dataclass(frozen=True)
class CodeMaker:
    """Whoever is signed in on this computer."""

    computer: Computer

    def make(self, remote: str, **asked: Any) -> GivenCode:
        """remote: of a folder in their home."""

        async def made() -> CodeMade:
            account = read_account(ClientHome(self.computer.mb_sync.home))
            async with ServerApi(account.server, account.token, trust=account.trust) as api:
                [home] = [view for view in (await api.views()).views if view.kind == "home"]
                node = (await api.listing(home.view, remote.removeprefix("/Home"))).node
            path = f"/views/{home.view}/nodes/{node}/codes"
            found: CodeMade = await self._ask("POST", path, answer=CodeMade, body=NewCode(**asked))
            return found

        code = asyncio.run(made())
        link = SyncLink(self._server, parse_code(code.secret), code.fingerprint)
        return GivenCode(link.text, code.code, code.pin)

    def revoke(self, code: GivenCode) -> None:
        asyncio.run(self._ask("DELETE", f"/codes/{code.name}"))

    def let_in(self, code: GivenCode) -> None:
        """Every device that waits."""
        for device in self.listed(code).devices:
            if device.waiting:
                asyncio.run(self._ask("PUT", f"/codes/{code.name}/devices/{device.device}"))

    def listed(self, code: GivenCode) -> SyncCode:
        codes: Codes = asyncio.run(self._ask("GET", "/codes", answer=Codes))
        [found] = [one for one in codes.codes if one.code == code.name]
        return found

    @property
    def _server(self) -> str:
        return read_account(ClientHome(self.computer.mb_sync.home)).server

    async def _ask(self, method: str, path: str, *, answer: Any = None, body: object = None) -> Any:
        account = read_account(ClientHome(self.computer.mb_sync.home))
        context = account.trust.context() if account.server.startswith("https:") else True
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), auto_decompress=False
        ) as client:
            caller = Caller(account.server, client, token=account.token)
            if answer is not None:
                return await caller.ask(method, path, answer=answer, body=body)
            status, said, _ = await caller.raw(method, path, body=body)
            assert status < 300, said
            return None
