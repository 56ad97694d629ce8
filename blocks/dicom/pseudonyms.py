"""Other names for the same things: one project key, always the same answer, no way back.

Owns: pseudonyms of patients, UIDs, dates' offsets, all made by HMAC-SHA-256 with the key of a project.
May import: the standard library, protocol.errors.

Nothing is stored: whoever holds the key gets the same values on every computer and in every block; whoever does not
cannot go back, nor try out names.
"""

from __future__ import annotations

import base64
import hmac
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from protocol.errors import Refused

KEY_BYTES = 32
SHORTEST_SHIFT_DAYS, LONGEST_SHIFT_DAYS = 366, 1_096  # one to three years back

# Of the standard itself, or of a registry: they name kinds of things, never a patient's
_STANDARD_UID = re.compile(r"1\.2\.840\.10008\.[0-9.]+")


class Pseudonyms:
    """The answers under one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise Refused("The project's key is too short", hint=f"It needs {KEY_BYTES} random bytes.")
        self._key = key
        self.uid = lru_cache(maxsize=65_536)(self._uid)
        self.days_back = lru_cache(maxsize=4_096)(self._days_back)
        self.patient = lru_cache(maxsize=4_096)(self._patient)

    def _patient(self, identity: str) -> str:
        """`P` and 12 letters and digits: 60 bits."""
        return "P" + self.word(f"patient {identity}", length=12)

    def word(self, text: str, *, length: int) -> str:
        """A short word for any text, of capital letters and digits."""
        return base64.b32encode(self._digest("word", text)).decode()[:length]

    def _uid(self, uid: str) -> str:
        """2.25 and a UUID (version 8) as one number: PS3.5 Annex B.2."""
        if _STANDARD_UID.fullmatch(uid):
            return uid
        number = int.from_bytes(self._digest("uid", uid)[:16], "big")
        number = number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
        return f"2.25.{number}"

    def _days_back(self, identity: str) -> int:
        """How many whole days all dates of one patient move into the past."""
        span = LONGEST_SHIFT_DAYS - SHORTEST_SHIFT_DAYS + 1
        return SHORTEST_SHIFT_DAYS + int.from_bytes(self._digest("days", identity)[:8], "big") % span

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(
            self._key, f"medical-blocks 1 {purpose}\0{text}".encode("utf-8", "replace"), "sha256"
        )


def read_key(path: Path) -> Pseudonyms:
    """The key in a file: its bytes, as they are.  The message never shows any of them."""
    try:
        return Pseudonyms(path.read_bytes())
    except OSError as error:
        raise Refused("The project's key cannot be read", hint="The job must bring it.") from error


def identity(patient_id: str, name: str, birth_date: str, study: str) -> str:
    """What makes two files those of one patient: the id; without one the name and birth date; else the study.

    Spaces, case and the way accents are written make no difference.
    """
    if _plain(patient_id):
        return "id " + _plain(patient_id)
    if _plain(name):
        return f"name {_plain(name)} {birth_date.strip()}"
    return "study " + study.strip()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("^", " ").split())
