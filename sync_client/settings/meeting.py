"""The first steps of a person: which server, is it the right one, who are you.

Owns: what the page's first two steps come to; that no password is taken before somebody vouches for the server.
May import: protocol, sync_client.{control,home,pinning}, engine.account, commands.{reach,running}.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import replace

from protocol.errors import BadRequest, LocalProblem, NotTrusted
from protocol.messages import Login
from protocol.names import safe_device_name
from protocol.server_address import server_address
from protocol.trust import Trust, fingerprint, proxy_address, read_fingerprint, shown_fingerprint
from sync_client.commands.reach import server_api
from sync_client.commands.running import start_background
from sync_client.control import Json, NotRunning, ask
from sync_client.engine.account import Account
from sync_client.home import (
    ClientHome,
    fresh_device,
    keep_account,
    read_identity,
    read_trust,
)
from sync_client.pinning import greeted, offered_authority, pinned
from sync_client.settings.asked import text_of


class Meeting:
    """From the address of a server to a computer that is signed in."""

    def __init__(self, home: ClientHome) -> None:
        self._home = home
        self._met: tuple[str, Trust] | None = None  # who was vouched for; a password goes nowhere else

    async def greet(self, asked: dict[str, Json]) -> Json:
        """Is there a server of ours, and does somebody vouch for it?

        With `fingerprint`: it is believed if its own authority has this one.  The answer's `fingerprint` is to be
        compared by the person; "" where the server is believed already.
        """
        server = server_address(_with_scheme(text_of(asked, "server")))
        trust = self._way(server, asked)
        digits = text_of(asked, "fingerprint", "")
        shown = ""
        if digits:
            trust = await pinned(server, replace(trust, authority=""), read_fingerprint(digits))
        else:
            try:
                await greeted(server, trust)
            except NotTrusted:
                if trust.authority:
                    raise
                shown = shown_fingerprint(fingerprint(await offered_authority(server, trust)))
        self._met = None if shown else (server, trust)
        return {"server": server, "fingerprint": shown, "device": self._device_name()}

    def _way(self, server: str, asked: dict[str, Json]) -> Trust:
        """What the person said of it, else what this computer believed of the same server so far."""
        known = read_identity(self._home)
        before = read_trust(self._home, known) if known.server == server else Trust()
        proxy, authority = text_of(asked, "proxy", "").strip(), text_of(asked, "authority", "").strip()
        if authority:
            fingerprint(authority)  # it is a certificate
        return Trust(
            authority=authority or before.authority,
            proxy=proxy_address(proxy) if proxy else before.proxy,
        )

    def _device_name(self) -> str:
        return read_identity(self._home).device_name or safe_device_name(socket.gethostname().split(".")[0])

    async def sign_in(self, asked: dict[str, Json]) -> Json:
        """Sign in to the server that was met last; syncing starts.  Raises WrongPassword and others."""
        if self._met is None:
            raise BadRequest("No server was chosen yet", hint="Begin with its address.")
        server, trust = self._met
        user, password = text_of(asked, "user").strip(), text_of(asked, "password")
        if not user or not password:
            raise BadRequest("Name or password is missing", hint="Fill in both.")
        known = read_identity(self._home)
        if known.server is not None and (known.server, known.user) != (server, user):
            raise LocalProblem(
                f"{known.user} is signed in to {known.server} already",
                hint="Sign out with `mb-sync logout` first.",
            )
        device = known.device or fresh_device()
        name = safe_device_name(text_of(asked, "device", "").strip() or self._device_name())
        request = Login(user=user, password=password, device=device, device_name=name)
        async with server_api(server, trust=trust) as api:
            signed_in = await api.login(request)
        self._home.make()
        account = Account(server, signed_in.user, signed_in.token, device, name, trust)
        kept = await asyncio.to_thread(keep_account, self._home, account)
        await asyncio.to_thread(self._begin)
        return {"server": server, "user": signed_in.user, "device": name, "kept": kept.value}

    def _begin(self) -> None:
        with suppress(NotRunning):
            ask(self._home.path, "reload")
            return
        start_background(self._home)


def _with_scheme(text: str) -> str:
    """People write `files.example.org`; what goes over a network is always https."""
    return text.strip() if "://" in text else f"https://{text.strip()}"
