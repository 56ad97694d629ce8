"""Who did what in a folder, as the server tells it.

Owns: which remote folder is meant, pages of its activity until there are enough.
May import: protocol, home, operations, sync_client.commands.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from protocol.errors import NotFound
from sync_client.commands.folders import view_of
from sync_client.commands.reach import reach, server_api
from sync_client.home import ClientHome, read_account
from sync_client.operations import ROOTS, parse_remote

if TYPE_CHECKING:
    from protocol.resources import Deed
    from sync_client.engine.account import Account

PAGE = 200
MAX_PAGES = 100  # where nearly all that is in the log is about what may not be seen, enough was asked then


def deeds_at(home: ClientHome, where: str, *, limit: int, kind: str) -> list[dict[str, Any]]:
    """where: a remote folder, or a followed one of this computer or a path in it.  The latest first."""
    account = read_account(home)
    remote = parse_remote(where) if _is_remote(where) else _remote_of(home, where)
    return asyncio.run(_deeds(account, remote, limit=limit, kind=kind))


def _is_remote(where: str) -> bool:
    return where.startswith(tuple(f"/{root}/" for root in ROOTS)) or where == "/Home"


def _remote_of(home: ClientHome, where: str) -> str:
    """Raises NotFound: it lies in no followed folder."""
    local = os.path.realpath(os.path.expanduser(where))
    for folder in reach(home, "status")["folders"]:
        followed = os.path.realpath(folder["local"])
        if local == followed or local.startswith(followed + os.sep):
            inside = local[len(followed) :].replace(os.sep, "/")
            return str(folder["remote"]) + inside
    raise NotFound(
        "This is no remote folder, and in no followed folder",
        hint="Write /Home/…, /Projects/NAME/… or /Shared/NAME/…, or a path in a folder of `mb-sync status`.",
    )


async def _deeds(account: Account, remote: str, *, limit: int, kind: str) -> list[dict[str, Any]]:
    found: list[Deed] = []
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, inside = view_of((await api.views()).views, remote)
        node = (await api.listing(view.view, inside)).node if inside != "/" else None
        before = ""
        for _ in range(MAX_PAGES):
            asked = min(PAGE, limit - len(found))
            page = await api.activity(view.view, before=before, limit=asked, kind=kind, node=node)
            found += page.items
            before = page.next
            if not before or len(found) >= limit:
                break
    return [_shown(deed, view.name) for deed in found]


def _shown(deed: Deed, view: str) -> dict[str, Any]:
    return {
        "at": deed.at_ms / 1_000,
        "since": deed.since_ms / 1_000,
        "who": deed.who,
        "device": deed.device,
        "did": deed.did,
        "path": (view + deed.path).rstrip("/") if deed.path else "",
        "count": deed.count,
        "result": deed.result,
        "detail": deed.detail,
    }
