"""What a reviewer fetched to look at, so that nothing else is released.

Owns: `looked-at.json` in the client home: of each job the digest of the output that was fetched last.
May import: the standard library, home.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from sync_client.home import ClientHome

MOST = 1_000  # the oldest are forgotten: they are fetched again before they are released
NAME = "looked-at.json"


def digest_seen(home: ClientHome, job: int) -> str:
    """Of the output that was fetched, in hex; "" if none was."""
    return _read(home).get(str(job), "")


def note_seen(home: ClientHome, job: int, digest: str) -> None:
    """It was fetched, whole, just now."""
    seen = _read(home)
    seen.pop(str(job), None)
    kept = dict([*seen.items(), (str(job), digest)][-MOST:])
    beside = home.path / f"{NAME}.new"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        json.dump(kept, file)
    beside.replace(home.path / NAME)


def _read(home: ClientHome) -> dict[str, str]:
    with suppress(OSError, ValueError):
        found = json.loads((home.path / NAME).read_text("ascii"))
        if isinstance(found, dict) and all(isinstance(digest, str) for digest in found.values()):
            return found
    return {}
