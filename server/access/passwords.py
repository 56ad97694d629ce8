"""Passwords: which are taken, how they are kept, how one is tried.

Owns: Argon2id and its cost, the pool that bounds it, the rules for new passwords.
May import: cryptography, protocol.

A hash costs 19 MiB and about 30 ms on purpose.  It is tried in a pool of two threads with a bounded queue, so
that a flood of log-ins can neither stop the server nor fill its memory.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from protocol.errors import BadRequest, Unavailable

MIN_CHARACTERS, MAX_CHARACTERS = 8, 128
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
SALT_BYTES, HASH_BYTES = 16, 32
THREADS, QUEUE = 2, 32

# The first that anyone tries, of eight characters and more (shorter ones are refused anyway).
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
    password password1 password12 password123 passw0rd 12345678 123456789 1234567890 0123456789
    87654321 11111111 00000000 88888888 12341234 11223344 qwertyui qwertyuiop qwerty123 qwertz123
    1q2w3e4r 1q2w3e4r5t 1qaz2wsx asdfghjk asdfghjkl zxcvbnm1 iloveyou sunshine princess football
    baseball superman starwars whatever trustno1 computer internet hospital medicine research
    changeme letmein1 welcome1 welcome123 administrator admin123 passwort passwort1 motdepasse
    abcd1234 abc12345 abcdefgh aaaaaaaa
    """,
    )
)


def check_password(password: str) -> None:
    """Raises BadRequest: too short, too long, or among the first that anyone would try."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise BadRequest(
            f"The password has {len(password)} characters",
            hint=f"Choose one of {MIN_CHARACTERS} to {MAX_CHARACTERS}; a few words in a row are good.",
        )
    if password.casefold() in _COMMON or len(set(password)) == 1:
        raise BadRequest(
            "This password is one of the first that anyone would try", hint="Choose another one."
        )


def hash_password(password: str) -> str:
    """A new hash as PHC text; blocks for about 30 ms.  The rules are `check_password`'s."""
    made = Argon2id(
        salt=secrets.token_bytes(SALT_BYTES),
        length=HASH_BYTES,
        iterations=PASSES,
        lanes=LANES,
        memory_cost=MEMORY_KIB,
    ).derive_phc_encoded(_bytes(password))
    assert isinstance(made, str)
    return made


class Passwords:
    """The pool in which passwords are tried."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._under_way = 0
        self._nobodys = _hash_of_nothing()

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether they belong together.  None (no such user) takes just as long, and is False.

        Raises Unavailable: too many wait already.
        """
        if self._under_way >= THREADS + QUEUE:
            raise Unavailable("Too many people are signing in at once", hint="Try again in a minute.")
        self._under_way += 1
        try:
            fits = await asyncio.get_running_loop().run_in_executor(
                self._pool, _fits, password, password_hash or self._nobodys
            )
        finally:
            self._under_way -= 1
        return fits and password_hash is not None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _fits(password: str, password_hash: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(_bytes(password), password_hash)
    except InvalidKey:
        return False
    return True


def _bytes(password: str) -> bytes:
    """One person's keyboard sends é as one character, another's as two."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _hash_of_nothing() -> str:
    """PHC text of the usual cost that no password fits."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (SALT_BYTES, HASH_BYTES)
    )
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"
