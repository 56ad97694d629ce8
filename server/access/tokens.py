"""Tokens, as devices carry them.

Owns: how one is made, and what is kept of it.  May import: the standard library.

A token is 256 random bits; only its SHA-256 is kept.
"""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "mbt_"  # noqa: S105 - how a token begins, so that scanners for secrets know one
TOKEN_BYTES = 32


def fresh_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
