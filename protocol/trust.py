"""Whom a client believes when it speaks TLS, and by which way it goes.

Owns: the TLS context of a client, the fingerprint of an authority.
May import: the standard library, truststore, protocol.

Without an authority of its own a client believes what the system believes.  With one, pinned at sign-in, it believes
that one alone: a certificate of any other, however well known, is refused before a secret is sent.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from protocol.errors import BadRequest

if TYPE_CHECKING:
    import ssl

MAX_AUTHORITY_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Trust:
    """authority: PEM of one or more certificates, or "" for those of the system.

    proxy: the address of a proxy, perhaps with a name and a password, or "" for the one that the environment names.
    is_blind: any certificate passes; only to ask a server who it is, never with a secret.
    """

    authority: str = ""
    proxy: str = field(default="", repr=False)  # a password may stand in it
    is_blind: bool = False

    def context(self) -> ssl.SSLContext:
        """Raises BadRequest: the authority is no certificate."""
        import ssl  # noqa: PLC0415 - a quick command reads an account and speaks to nobody

        if self.is_blind:
            blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            blind.check_hostname = False
            blind.verify_mode = ssl.CERT_NONE
            return blind
        if not self.authority:
            import truststore  # noqa: PLC0415 - as above

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cadata=self.authority)
        except (ssl.SSLError, ValueError) as error:
            raise BadRequest("This is no certificate of an authority", hint="Give a PEM file.") from error
        return context


def fingerprint(authority: str) -> str:
    """SHA-256 of the first certificate, 64 hexadecimal digits.  Raises BadRequest: there is none."""
    found = re.search(r"-----BEGIN CERTIFICATE-----([\sA-Za-z0-9+/=]+)-----END CERTIFICATE-----", authority)
    try:
        der = binascii.a2b_base64(found.group(1)) if found else b""
    except binascii.Error:
        der = b""
    if not der:
        raise BadRequest("This is no certificate of an authority", hint="Give a PEM file.")
    return hashlib.sha256(der).hexdigest()


def shown_fingerprint(digits: str) -> str:
    """In groups of four, as people compare it."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def read_fingerprint(text: str) -> str:
    """What a person typed or pasted, with whatever between the groups.  Raises BadRequest."""
    digits = re.sub(r"[\s:\-]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise BadRequest(
            "This is no fingerprint of a server", hint="`mb-server tls` shows it: 64 digits 0-9 and a-f."
        )
    return digits


def proxy_address(text: str) -> str:
    """Raises BadRequest: it is not the address of a proxy."""
    try:
        parts = urlsplit(text.strip())
        is_good = parts.scheme == "http" and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_good = False
    if not is_good:
        raise BadRequest(
            "This is not the address of a proxy",
            hint="Give it like http://proxy.example.org:3128, with NAME:PASSWORD@ before the host if it asks for them.",
        )
    return text.strip()
