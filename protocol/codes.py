"""Sync codes as people pass them on: the secret, its text, the link that holds it.

Owns: their text forms, and the check that finds a typing error without asking a server.
May import: the standard library, protocol.

A secret is 128 random bits.  Its text is 26 symbols of Crockford's base32 and a check symbol of the same alphabet, in
groups of four.  The check symbol makes a sum over the field of 32 elements zero, in which each place has a weight of
its own: any one wrong symbol shows, and any two that changed places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NewType

from protocol.errors import MistypedCode
from protocol.server_address import server_address
from protocol.trust import read_fingerprint

CodeSecret = NewType("CodeSecret", bytes)  # 16 bytes

SECRET_BYTES = 16
LINK_PATH = "/s"
_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_VALUES = {symbol: value for value, symbol in enumerate(_SYMBOLS)}
_DATA_SYMBOLS = 26  # 130 bits, of which the first two are zero
_FIELD = 0b100101  # x^5 + x^2 + 1, in which x has the order 31: more than there are places
_MISREAD = str.maketrans("OIL", "011", "- \t\r\n\u2010\u2011\u2012\u2013\u2014\u00a0")
_HINT = (
    f"It has {_DATA_SYMBOLS + 1} letters and digits; compare it with what you were given, or copy it whole."
)


@dataclass(frozen=True, slots=True)
class SyncLink:
    """A code and where it is redeemed.

    server: its address as `server_address` gives it.  fingerprint: of the authority to pin, 64 hexadecimal digits; ""
    where the system's authorities vouch for the server.
    """

    server: str
    secret: CodeSecret = field(repr=False)
    fingerprint: str = ""

    @property
    def text(self) -> str:
        """What is passed on.  All behind # stays in the browser: no server, proxy or log sees it."""
        pin = f".{self.fingerprint}" if self.fingerprint else ""
        return f"{self.server}{LINK_PATH}#{code_text(self.secret)}{pin}"


def code_text(secret: CodeSecret) -> str:
    """`XXXX-XXXX-…`, 27 symbols."""
    value = int.from_bytes(secret)
    values = [value >> 5 * place & 31 for place in reversed(range(_DATA_SYMBOLS))]
    symbols = "".join(_SYMBOLS[one] for one in [*values, _sum([*values, 0])])
    return "-".join(symbols[at : at + 4] for at in range(0, len(symbols), 4))


def parse_code(text: str) -> CodeSecret:
    """The secret that a person typed or pasted: any case, hyphens and blanks anywhere, O for 0 and I or L for 1.

    Raises MistypedCode: it is no code, or has a typing error.
    """
    symbols = text[:200].upper().translate(_MISREAD)
    if len(symbols) != _DATA_SYMBOLS + 1 or not set(symbols) <= set(_SYMBOLS):
        raise MistypedCode("This is not a sync code", hint=_HINT)
    values = [_VALUES[symbol] for symbol in symbols]
    if _sum(values) or values[0] >> 3:
        raise MistypedCode("The sync code has a typing error", hint=_HINT)
    value = 0
    for one in values[:-1]:
        value = value << 5 | one
    return CodeSecret(value.to_bytes(SECRET_BYTES))


def parse_link(text: str) -> SyncLink:
    """The whole link, `https://host[:port]/s#CODE` or `…#CODE.FINGERPRINT`.

    Raises MistypedCode: it is no such link, or its code has a typing error.
    Raises LocalProblem: the code would cross a network in the clear.
    """
    address, mark, inside = text.strip().partition("#")
    code, dot, digits = inside.partition(".")
    address = address.rstrip("/")
    if not mark or not address.endswith(LINK_PATH) or (dot and not re.fullmatch(r"[0-9a-fA-F]{64}", digits)):
        raise MistypedCode(
            "This is not a sync link", hint="It looks like https://host/s#XXXX-XXXX-…; copy the whole of it."
        )
    secret = parse_code(code)
    server = server_address(address.removesuffix(LINK_PATH))
    return SyncLink(server, secret, read_fingerprint(digits) if dot else "")


def is_link(text: str) -> bool:
    """Rather than a bare code, for which the server must be known by another way."""
    return "://" in text or "#" in text


def _sum(values: list[int]) -> int:
    """Σ values[n] · x^(places after n), in the field of 32 elements."""
    total = 0
    for value in values:
        total <<= 1
        if total & 32:
            total ^= _FIELD
        total ^= value
    return total
