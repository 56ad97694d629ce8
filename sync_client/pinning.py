"""A server with an authority of its own: is it the one whose fingerprint a person was told?

Owns: asking a server for its authority, comparing it, proving that the server speaks for it; one that a file names.
May import: protocol.

A server hands its authority to whoever asks.  What makes it true is the fingerprint, which came by another way.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from protocol.errors import LocalProblem, NotTrusted
from protocol.http import ServerApi
from protocol.messages import Hello
from protocol.patience import Patience
from protocol.trust import MAX_AUTHORITY_BYTES, Trust, fingerprint, shown_fingerprint

PATIENCE = Patience(tries=3, total_seconds=15.0)  # somebody sits there and looks at it


async def greeted(server: str, trust: Trust) -> Hello:
    """Who answers there, if it is a server of ours and `trust` believes it."""
    async with ServerApi(server, trust=trust, patience=PATIENCE) as api:
        return await api.hello()


async def offered_authority(server: str, trust: Trust) -> str:
    """The authority that whoever answers there hands out.  Raises NotTrusted: none."""
    hello = await greeted(server, Trust(proxy=trust.proxy, is_blind=True))
    if not hello.authority or len(hello.authority) > MAX_AUTHORITY_BYTES:
        raise NotTrusted(
            f"No authority that this computer knows vouches for {server}, and it has none of its own",
            hint="Ask its operator for the certificate of its authority, and give it with --ca FILE.",
        )
    return hello.authority


async def pinned(server: str, trust: Trust, wanted: str) -> Trust:
    """`trust` with the authority of this fingerprint, and the server showed that it speaks for it.

    Raises NotTrusted: it offers another one, or its certificate is not of that authority.
    """
    offered = await offered_authority(server, trust)
    if fingerprint(offered) != wanted:
        raise NotTrusted(
            f"{server} shows another authority than the one with this fingerprint:"
            f" {shown_fingerprint(fingerprint(offered))}",
            hint="Somebody may stand between. Compare with what `mb-server tls` shows on the server itself.",
        )
    believed = replace(trust, authority=offered)
    await greeted(server, believed)
    return believed


def read_authority(file: Path) -> str:
    """The PEM text of `--ca FILE`.  Raises LocalProblem, BadRequest."""
    try:
        text = file.read_bytes()[:MAX_AUTHORITY_BYTES].decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalProblem(f"{file} cannot be read ({error})", hint="Name a PEM file with --ca.") from error
    fingerprint(text)
    return text
