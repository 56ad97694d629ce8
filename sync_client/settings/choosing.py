"""What there is to choose from: folders of the server, and places on this computer.

Owns: one level of each at a time, so that a page shows at once what it is asked for; whether a place will do.
May import: protocol, sync_client.{control,home,operations,quick}, commands.{folders,reach}, asked.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from uuid import UUID

from protocol.errors import LocalProblem
from protocol.messages import Kind
from sync_client.commands.folders import view_of
from sync_client.commands.reach import server_api
from sync_client.control import Json, ask
from sync_client.home import ClientHome, read_account
from sync_client.operations import check_local, parse_remote
from sync_client.quick import status_of
from sync_client.settings.asked import path_of, text_of
from sync_client.settings.tree_sizes import size_there, sizes_here

MAX_SHOWN = 2_000  # of one folder: nobody chooses from more
MAX_COUNTED = 1_000
USUAL = "Medical-Blocks"  # in a person's own folder


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
            if one["folder"] == local
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

    async def place(self, asked: dict[str, Json]) -> Json:
        """Whether a folder of this computer will do, before anything is done.  Raises LocalProblem: it will not."""
        return await asyncio.to_thread(self._place, path_of(asked, "local"))

    def _place(self, local: Path) -> Json:
        followed = [Path(folder["local"]) for folder in status_of(self._home)["folders"]]
        real = check_local(local, followed, self._home.path)
        standing = next(folder for folder in (real, *real.parents) if folder.exists())
        try:
            inside = [one for _, one in zip(range(MAX_COUNTED), real.iterdir(), strict=False)]
        except FileNotFoundError:
            inside = []
        except OSError as error:
            raise LocalProblem(
                f"{real} cannot be read ({error.strerror})", hint="Choose another folder."
            ) from error
        return {
            "local": str(real),
            "exists": real.exists(),
            "items": len(inside),
            "free_bytes": shutil.disk_usage(standing).free,
        }

    async def local(self, asked: dict[str, Json]) -> Json:
        """The folders in a folder of this computer; "" is where a person's folders usually go."""
        text = text_of(asked, "path")
        return await asyncio.to_thread(_folders_in, path_of(asked, "path") if text else Path.home())

    async def usual(self, _: dict[str, Json]) -> Json:
        return {"local": str(Path.home() / USUAL), "own": str(Path.home()), "separator": os.sep}


def _folders_in(path: Path) -> Json:
    """Hidden ones are left out."""
    try:
        with os.scandir(path) as found:
            names = sorted(
                (one.name for one in found if not one.name.startswith(".") and one.is_dir()), key=str.casefold
            )
    except OSError as error:
        raise LocalProblem(
            f"{path} cannot be read ({error.strerror})", hint="Choose another folder."
        ) from error
    texts = [name for name in names if name.isprintable()][:MAX_SHOWN]
    return {
        "path": str(path),
        "parent": None if path == path.parent else str(path.parent),
        "folders": [{"name": name, "path": str(path / name)} for name in texts],
    }
