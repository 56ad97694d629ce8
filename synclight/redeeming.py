"""A code becomes a folder that is followed.

Owns: where a code is redeemed and whom that server is believed by, the PIN, waiting to be let in, what is kept of it.
May import: asyncio, protocol, sync_client.pinning, synclight.

No secret leaves before the server was proven: its address is https (or this computer), its certificate one that this
computer knows, or of the authority whose fingerprint the link carries.
"""

from __future__ import annotations

import asyncio
import getpass
import socket
import sys
from pathlib import Path

from msgspec import structs

from protocol.codes import SyncLink, code_text, is_link, parse_code, parse_link
from protocol.errors import (
    BadRequest,
    CodeWaiting,
    LocalProblem,
    NotTrusted,
    PinNeeded,
    TooManyTries,
)
from protocol.http import ServerApi
from protocol.names import safe_device_name
from protocol.server_address import server_address
from protocol.sharing import Redeem, Redeemed
from protocol.trust import Trust, proxy_address
from sync_client.pinning import PATIENCE, pinned, read_authority
from synclight.home import Follow, LightHome, Shared
from synclight.progress import Teller
from synclight.running import forget

ASK_AGAIN_SECONDS = 3.0  # where somebody has to let this computer in
MAX_PINS = 3  # a person is asked so often


def read_code(text: str, server: str | None) -> SyncLink:
    """The link, or the bare code and the server it is for.  Raises MistypedCode, BadRequest, LocalProblem."""
    if is_link(text):
        link = parse_link(text)
        if server is not None and server_address(server) != link.server:
            raise BadRequest(
                f"The link is for {link.server}, and --server names another one", hint="Leave --server out."
            )
        return link
    secret = parse_code(text)
    if server is None:
        raise BadRequest(
            "A code alone does not say where it is for", hint="Paste the whole link, or name --server URL."
        )
    return SyncLink(server_address(server), secret)


def given_trust(ca: Path | None, proxy: str | None) -> Trust:
    """What `--ca` and `--proxy` say.  Raises LocalProblem, BadRequest."""
    return Trust(
        authority=read_authority(ca) if ca is not None else "", proxy=proxy_address(proxy) if proxy else ""
    )


async def redeem(
    home: LightHome, link: SyncLink, folder: Path, *, way: Trust, pin: str | None, teller: Teller
) -> Follow:
    """Follow in `folder` what the code opens; redeemed again, it goes on where it was.

    folder: real and free, or followed by this code already.  pin: None: a person is asked if there is one.
    way: what a person said of the proxy and of whom to believe.
    """
    trust = await _trust(link, way)
    device_name = safe_device_name(socket.gethostname().split(".")[0])
    request = Redeem(code=code_text(link.secret), device=home.device(), device_name=device_name, pin=pin)
    async with ServerApi(link.server, trust=trust, patience=PATIENCE) as api:
        redeemed = await _let_in(api, request, teller)
    shared = Shared(
        folder=str(folder),
        server=link.server,
        view=redeemed.view,
        name=redeemed.name,
        device=redeemed.device,
        device_name=device_name,
        authority=trust.authority,
        proxy=trust.proxy,
        label=redeemed.label,
        shared_by=redeemed.shared_by,
        expires_at_ms=redeemed.expires_at_ms,
    )
    return _kept(home, shared, redeemed.token)


async def _trust(link: SyncLink, way: Trust) -> Trust:
    """way: with an authority that a person named, the link's own fingerprint is not asked for."""
    if link.fingerprint and not way.authority and link.server.startswith("https:"):
        return await pinned(link.server, way, link.fingerprint)
    return way


async def _let_in(api: ServerApi, request: Redeem, teller: Teller) -> Redeemed:
    """Ask until the code opens, or never will."""
    asked = 0
    while True:
        try:
            return await api.redeem(request)
        except CodeWaiting:
            teller.say_once(
                "waiting",
                "The code is right. Whoever shared the folder has to let this computer in; this waits until then.",
            )
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        except TooManyTries as error:
            if teller.said("waiting") is None:
                raise
            await asyncio.sleep(max(ASK_AGAIN_SECONDS, error.retry_after_seconds))
        except PinNeeded as error:
            if (request.pin is not None and asked == 0) or asked == MAX_PINS or not sys.stdin.isatty():
                raise LocalProblem(
                    error.what.rstrip("."),
                    hint="Ask whoever shared the folder for its PIN, and give it with --pin @FILE.",
                ) from error
            asked += 1
            typed = await asyncio.to_thread(getpass.getpass, "PIN of this code: ")
            request = structs.replace(request, pin=typed)
        except NotTrusted as error:
            raise NotTrusted(
                error.what,
                hint="Nothing was sent. Ask whoever shared the folder for the whole link: it names the server's own"
                " authority; or give the certificate of its authority with --ca FILE.",
            ) from error


def _kept(home: LightHome, shared: Shared, token: str) -> Follow:
    """The record of it: a new one, or that of the same folder made fresh.

    Raises LocalProblem: the code opens what is followed elsewhere, or the folder holds something else.
    """
    same = next((one for one in home.follows() if _is_same(one.shared, shared)), None)
    if same is None:
        if (other := home.following(Path(shared.folder))) is not None:
            if not other.shared.ended:
                raise LocalProblem(
                    f"{shared.folder} follows {other.shared.name} already", hint="Choose another folder."
                )
            forget(other)  # equal files are recognised, others kept
        return home.add(shared, token)
    folder = same.shared.folder
    same.save(
        structs.replace(shared, folder=folder), token
    )  # the server gave this device a new token, wherever it is used
    if folder != shared.folder:
        raise LocalProblem(
            f"What this code opens is followed in {folder} already",
            hint=f"To have it elsewhere, say `mb-synclight remove {folder}` first.",
        )
    return same


def _is_same(one: Shared, other: Shared) -> bool:
    return (one.server, one.view) == (other.server, other.view)
