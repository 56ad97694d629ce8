"""Meeting a server for the first time: is it one of ours, and who vouches for it?

Owns: that no password is asked for before somebody vouches for the server.
May import: click, protocol, pinning, words.

A server with an authority of its own hands it to whoever asks.  What makes it true is the fingerprint: a person
compares it with what the operator told them by another way.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import click

from protocol.errors import LocalProblem, NotTrusted
from protocol.trust import (
    Trust,
    proxy_address,
    read_fingerprint,
    shown_fingerprint,
)
from protocol.trust import (
    fingerprint as fingerprint_of,
)
from sync_client.commands.words import notice
from sync_client.pinning import greeted, offered_authority, pinned, read_authority


def introduced(
    server: str, before: Trust | None, *, fingerprint: str | None, ca: Path | None, proxy: str | None
) -> Trust:
    """Whom to believe for `server` from now on; it answered, and it is one of ours.

    before: what this computer believed for the same server so far.
    Raises NotTrusted: nobody vouches for it.  Raises LocalProblem, Unavailable: there is no server of ours.
    """
    wanted = None if fingerprint is None else read_fingerprint(fingerprint)
    way = proxy_address(proxy) if proxy else before.proxy if before else ""
    trust = Trust(authority=read_authority(ca) if ca else before.authority if before else "", proxy=way)
    if wanted is not None and ca is None:
        return asyncio.run(pinned(server, replace(trust, authority=""), wanted))
    try:
        asyncio.run(greeted(server, trust))
    except NotTrusted:
        if trust.authority or not sys.stdin.isatty():
            if trust.authority:
                raise
            raise _unknown(server, asyncio.run(offered_authority(server, trust))) from None
    else:
        return trust
    offered = asyncio.run(offered_authority(server, trust))
    digits = fingerprint_of(offered)
    notice(f"{server} has an authority of its own, with the fingerprint\n\n    {shown_fingerprint(digits)}\n")
    if not click.confirm("Is it the one that its operator told you?", default=False, err=True):
        raise LocalProblem(
            "Nobody was signed in, and no password was sent",
            hint="Ask the operator of the server for what `mb-server tls` shows.",
        )
    return asyncio.run(pinned(server, trust, digits))


def _unknown(server: str, offered: str) -> NotTrusted:
    return NotTrusted(
        f"No authority that this computer knows vouches for {server}. It has one of its own, with the fingerprint"
        f" {shown_fingerprint(fingerprint_of(offered))}",
        hint="If the server's operator told you the same, sign in again with --fingerprint and these digits.",
    )
