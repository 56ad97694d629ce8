"""Where the token of this computer is kept: the system's keyring, a file of our own, or a file that was given.

Owns: the choice, the keyring behind a limit of time, which keyrings are believed.
May import: the standard library, protocol.errors; keyring where one is asked (0.4 s that no quick command pays).

A keyring may hang (locked, with nobody there to unlock it) and may belong to a session that this process is not of:
each call has its limit, and what cannot be reached is said in a sentence.  Only keyrings that keep a secret are taken:
a package that somebody installed for something else may offer one that writes plain text.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from protocol.errors import LocalProblem

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

TOKEN_FILE = "MB_SYNC_TOKEN_FILE"  # noqa: S105 - a variable of the environment, not what is in it
SERVICE = "mb-sync"
BELIEVED = frozenset(
    {"SecretService", "libsecret", "kwallet", "macOS", "Windows"}
)  # modules of keyring.backends
KEYRING_SECONDS = 30.0  # somebody may have to type the password of the keyring
MAX_TOKEN_BYTES = 1_024  # it stands in a header of every request

T = TypeVar("T")


class Kept(StrEnum):
    """As config.toml says it; it says nothing where the client is older than the choice."""

    KEYRING = "keyring"
    FILE = "file"
    GIVEN = "given"  # a file that somebody else looks after


class KeyringUnreachable(LocalProblem):
    """There is one with the token in it, and it does not answer this process."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The sign-in of this computer lies in the system's keyring, which cannot be read here ({why})",
            hint="Unlock it, or start MB-Sync from your desktop. For a computer without one sign in again with"
            " `mb-sync login … --no-keyring`.",
        )


# ---- the keyring -----------------------------------------------------------------------------------------


def find_keyring() -> KeyringBackend | None:
    """The best one of this system that keeps a secret; None: there is none, or this process is of no session."""
    return _in_time(_best, None)


def _best() -> KeyringBackend | None:
    from keyring.backend import get_all_keyring  # noqa: PLC0415 - see above

    those = [one for one in get_all_keyring() if is_believed(type(one).__module__) and one.priority > 0]
    return max(those, key=lambda one: one.priority, default=None)


def is_believed(module: str) -> bool:
    package, _, name = module.rpartition(".")
    return package == "keyring.backends" and name in BELIEVED


def keep_in(keyring: KeyringBackend, device: str, token: str) -> bool:
    """Whether it is in there now, read back."""

    def work() -> bool:
        keyring.set_password(SERVICE, device, token)
        return keyring.get_password(SERVICE, device) == token

    return _in_time(work, otherwise=False)


def read_from_keyring(device: str) -> str | None:
    """None: it does not hold one.  Raises KeyringUnreachable."""
    keyring = find_keyring()
    if keyring is None:
        raise KeyringUnreachable("no keyring answers")
    return _or_say(lambda: keyring.get_password(SERVICE, device))


def forget_in_keyring(device: str) -> bool:
    """Whether it is not in there any more."""
    from keyring.errors import PasswordDeleteError  # noqa: PLC0415 - see above

    keyring = find_keyring()
    if keyring is None:
        return False

    def work() -> bool:
        try:
            keyring.delete_password(SERVICE, device)
        except PasswordDeleteError:  # it held none
            return keyring.get_password(SERVICE, device) is None
        return True

    return _in_time(work, otherwise=False)


def name_of(keyring: KeyringBackend) -> str:
    names = {
        "SecretService": "the desktop's keyring",
        "libsecret": "the desktop's keyring",
        "kwallet": "KWallet",
        "macOS": "the macOS keychain",
        "Windows": "the Windows Credential Manager",
    }
    return names[type(keyring).__module__.rpartition(".")[2]]


def _in_time(work: Callable[[], T], otherwise: T) -> T:
    """What `work` gives; `otherwise` if it raises or takes too long."""
    try:
        return _or_say(work)
    except KeyringUnreachable:
        return otherwise


def _or_say(work: Callable[[], T]) -> T:
    """In a thread, which ends with the process if it hangs.  Raises KeyringUnreachable."""
    done: list[T] = []
    failed: list[str] = []

    def outer() -> None:
        try:
            done.append(work())
        except Exception as error:  # keyrings raise what the library below them raises
            failed.append(type(error).__name__)

    thread = threading.Thread(target=outer, name="keyring", daemon=True)
    thread.start()
    thread.join(KEYRING_SECONDS)
    if not done:
        raise KeyringUnreachable(failed[0] if failed else f"no answer within {KEYRING_SECONDS:.0f} s")
    return done[0]


# ---- files -----------------------------------------------------------------------------------------------


def given_file(configured: str) -> Path | None:
    """The file that was given: by the environment, else at sign-in (as config.toml has it, "" for none)."""
    place = os.environ.get(TOKEN_FILE, "").strip() or configured
    return Path(place).expanduser().absolute() if place else None


def read_given(file: Path) -> str:
    """Raises LocalProblem."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise LocalProblem(
            f"The token file {file} cannot be read ({error.strerror})",
            hint=f"It was given with --token-file or {TOKEN_FILE}.",
        ) from error
    token = checked_token(text)
    if token is None:
        raise LocalProblem(f"There is no token in {file}", hint="It holds the token alone, as one line.")
    return token


def checked_token(text: bytes) -> str | None:
    """None: that can be no token."""
    try:
        token = text.decode("ascii").strip()
    except UnicodeDecodeError:
        return None
    is_one = token.isalnum() or re.fullmatch(r"[\w~+/=.-]+", token, re.ASCII) is not None
    return token if is_one and len(token) <= MAX_TOKEN_BYTES else None
