"""Who did what in a folder, as the server tells it.

Owns: which remote folder is meant, pages of its activity until there are enough.
May import: protocol, home, sync_client.commands.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sync_client.commands.folders import view_of
from sync_client.commands.places import remote_at
from sync_client.commands.reach import server_api
from sync_client.home import ClientHome, read_account

if TYPE_CHECKING:
    from protocol.resources import Deed
    from sync_client.engine.account import Account

PAGE = 200
MAX_PAGES = 100  # where nearly all that is in the log is about what may not be seen, enough was asked then


def deeds_at(home: ClientHome, where: str, *, limit: int, kind: str) -> list[dict[str, Any]]:
    """where: a remote folder, or a followed one of this computer or a path in it.  The latest first."""
    account = read_account(home)
    return asyncio.run(_deeds(account, remote_at(home, where), limit=limit, kind=kind))


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
