"""What the server tells this person.

Owns: the words and the command for each; asking for them.  May import: protocol.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from protocol.http import ServerApi
from protocol.names import shown
from protocol.notices import Notice

AGAIN_SECONDS = 120.0


class Heard:
    """notices: as they were told last."""

    def __init__(self, api: ServerApi) -> None:
        self.notices: Sequence[Notice] = ()
        self._api = api

    async def ask(self) -> None:
        """Raises MedicalBlocksError: what was told before stays; a server of an older version has none."""
        self.notices = tuple((await self._api.notices()).notices)


def answer(notice: Notice) -> dict[str, Any]:
    """JSON-ready; `words` is a sentence without its full stop."""
    return {
        "kind": notice.kind,
        "folder": notice.folder,
        "code": notice.code,
        "device": str(notice.device or ""),
        "count": notice.count,
        "at": notice.at_ms,
        "waits": notice.kind != "code",
        "words": words(notice),
        "command": command(notice),
    }


def words(notice: Notice) -> str:
    folder = shown(notice.folder)
    files = "1 file" if notice.count == 1 else f"{notice.count:,} files"
    if notice.kind == "review":
        return f"{files} in {folder} wait{'s' if notice.count == 1 else ''} for a review"
    if notice.kind == "failed":
        return f"{files} in {folder} could not be worked on"
    device = f"{shown(notice.device_name)} ({shown(notice.address)})"
    label = f", {shown(notice.label)}" if notice.label else ""
    code = f"sync code {notice.code}{label}" + (f", for {folder}" if folder else "")
    if notice.kind == "device":
        return f"{device} waits to be let in by {code}"
    return f"{device} used {code}, for the first time"


def command(notice: Notice) -> str:
    """What can be done about it; "" for a kind that a newer server tells of."""
    folder = shlex.quote(notice.folder)
    return {
        "review": f"mb-sync quarantine list {folder}",
        "failed": f"mb-sync job list {folder} --state failed",
        "device": f"mb-sync code approve {notice.code} {notice.device}",
        "code": f"mb-sync code revoke {notice.code}",
    }.get(notice.kind, "")
