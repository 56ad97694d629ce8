"""What there is to choose from: folders of the server, and what of a followed one is on this computer.

Owns: one level of each at a time, so that a page shows at once what it is asked for.
May import: protocol, sync_client.{control,home,operations,quick}, commands.{folders,reach}, asked.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from protocol.errors import LocalProblem
from protocol.messages import Kind
from sync_client.commands.folders import view_of
from sync_client.commands.reach import server_api
from sync_client.control import Json, ask
from sync_client.home import ClientHome, read_account
from sync_client.operations import parse_remote
from sync_client.quick import status_of
from sync_client.settings.asked import text_of
from sync_client.settings.local_places import MAX_SHOWN
from sync_client.settings.tree_sizes import size_there, sizes_here


class Choosing:
    def __init__(self, home: ClientHome) -> None:
        self._home = home

    async def remote(self, asked: dict[str, Json]) -> Json:
        """The folders and files of a remote folder; of "/" all that this person may see."""
        path = text_of(asked, "path")
        account = await asyncio.to_thread(read_account, self._home)  # a keyring may ask its owner
        async with server_api(account.server, account.token, trust=account.trust) as api:
            views = (await api.views()).views
            if path == "/":
                return {
                    "items": [
                        {
                            "name": view.name.rpartition("/")[2],
                            "path": view.name,
                            "kind": view.kind,
                            "node": str(view.root),
                            "size": view.used_bytes,
                            "may_read": "read" in view.rights,
                            "may_write": "write" in view.rights,
                        }
                        for view in views
                    ],
                    "more": False,
                }
            view, inside = view_of(views, parse_remote(path))
            items, after = [], ""
            while True:
                page = await api.listing(view.view, inside, after)
                items += page.items
                after = page.next
                if not after or len(items) >= MAX_SHOWN:
                    break
        shown = [
            {
                "name": item.name,
                "path": f"{path}/{item.name}",
                "kind": "folder" if item.kind is Kind.FOLDER else "file",
                "node": str(item.node),
                "size": item.size,
            }
            for item in items[:MAX_SHOWN]
        ]
        shown.sort(key=lambda one: (one["kind"] != "folder", str(one["name"]).casefold()))
        return {"items": shown, "more": bool(after) or len(items) > MAX_SHOWN}

    async def size(self, asked: dict[str, Json]) -> Json:
        """How much lies in a remote folder; it may be more than that where `whole` is false."""
        path = parse_remote(text_of(asked, "path"))
        account = await asyncio.to_thread(read_account, self._home)
        async with server_api(account.server, account.token, trust=account.trust) as api:
            view, inside = view_of((await api.views()).views, path)
            found = await size_there(api, view.view, inside)
        return {"files": found.files, "bytes": found.size_bytes, "whole": found.is_whole}

    async def followed(self, asked: dict[str, Json]) -> Json:
        """One level of a followed folder: what of it is on this computer, what is excluded, and how large it is."""
        local, inside = text_of(asked, "folder"), text_of(asked, "path")
        folder = next((one for one in status_of(self._home)["folders"] if one["local"] == local), None)
        if folder is None:
            raise LocalProblem(f"{local} is no followed folder", hint="Load the page again.")
        remote = folder["remote"] + (f"/{inside}" if inside else "")
        listed = await self.remote({"path": remote})
        excluded = {
            one["node"]: one
            for one in await asyncio.to_thread(ask, self._home.path, "exclude")
            if one["folder"] == local and not one["grown"]  # of which some is here
        }
        parent = UUID(text_of(asked, "node")) if inside else None
        here = await asyncio.to_thread(sizes_here, self._home, local, parent)
        for item in listed["items"]:
            item["path"] = f"{inside}/{item['name']}" if inside else item["name"]
            item["excluded"] = item["node"] in excluded
            size = here.get(UUID(item["node"]))
            if item["kind"] == "folder":
                item["size"] = size.size_bytes if size else None
            if (waiting := excluded.get(item["node"])) is not None:
                item["size"] = waiting.get("bytes") or (None if item["kind"] == "folder" else item["size"])
        return listed
