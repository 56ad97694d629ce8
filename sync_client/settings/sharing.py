"""Who sees a folder, sync codes for it, and the versions of a file: what a person asks of one file or folder.

Owns: the answers of the pages `sharing` and `versions`, for a path of this computer.
May import: protocol, sync_client.{control,home}, commands.{codes,places,reach,sharing}, asked.
"""

from __future__ import annotations

import asyncio

from protocol.errors import BadRequest
from sync_client.commands import codes, sharing
from sync_client.commands.places import node_at, remote_at
from sync_client.commands.reach import server_api
from sync_client.control import Json, ask
from sync_client.home import ClientHome, read_account
from sync_client.settings.asked import number_of, path_of, text_of

ANSWER_SECONDS = 60.0
MAX_DAYS, MAX_DEVICES, MAX_LABEL = 366, 1_000, 200
DAY_SECONDS = 86_400
SHARE = "share"  # the right, as the server names it


class Sharing:
    def __init__(self, home: ClientHome) -> None:
        self._home = home

    # ---- a folder --------------------------------------------------------------------------------------------

    async def shared(self, asked: dict[str, Json]) -> Json:
        """Who sees the folder now; of the asker's own codes for it all that is known of them."""
        remote = await self._remote(asked)
        account = await asyncio.to_thread(read_account, self._home)
        async with server_api(account.server, account.token, trust=account.trust) as api:
            view, _ = await node_at(api, remote)
            may_share = SHARE in view.rights
            every = (await api.codes()).codes if may_share else []
        seers = sharing.rows_of(await sharing.who_sees(account, remote)) if may_share else []
        here = {f"code:{one.code}": one for one in every}
        own = [here[one["who"]] for one in seers if one["here"] and one["who"] in here]
        return {
            "path": text_of(asked, "path"),
            "remote": remote,
            "may_share": may_share,
            "is_whole": remote.count("/") < 2,  # of a whole home there is neither a share nor a code
            "seers": [one for one in seers if not (one["here"] and one["who"] in here)],
            "codes": [codes.facts_of(one) for one in own],
        }

    async def share(self, asked: dict[str, Json]) -> Json:
        """who: "user:NAME", "team:NAME" or "project:NAME"; the role they had there before ends."""
        remote, who, role = await self._remote(asked), text_of(asked, "who"), text_of(asked, "role")
        if role not in sharing.ROLES:
            raise BadRequest("There is no such role", hint="Load the page again.")
        account = await asyncio.to_thread(read_account, self._home)
        return sharing.rows_of(await sharing.give(account, remote, who, role))

    async def unshare(self, asked: dict[str, Json]) -> Json:
        remote, who = await self._remote(asked), text_of(asked, "who")
        account = await asyncio.to_thread(read_account, self._home)
        return sharing.rows_of(await sharing.take_back(account, remote, who))

    async def make_code(self, asked: dict[str, Json]) -> Json:
        """The link is told this once."""
        from protocol.sharing import NewCode  # noqa: PLC0415 - msgspec: an address is printed without it

        label = text_of(asked, "label", "").strip()
        if len(label) > MAX_LABEL:
            raise BadRequest(f"A note has at most {MAX_LABEL} characters", hint="Write less.")
        wanted = NewCode(
            label=label,
            seconds=number_of(asked, "days", least=1, most=MAX_DAYS) * DAY_SECONDS,
            devices=number_of(asked, "devices", least=1, most=MAX_DEVICES),
            pin=bool(asked.get("pin")),
            browse=bool(asked.get("browse")),
        )
        remote = await self._remote(asked)
        account = await asyncio.to_thread(read_account, self._home)
        made = await codes.make_code(account, remote, wanted)
        return {
            "link": codes.link_of(account, made),
            "code": made.code,
            "pin": made.pin,
            "expires_at_ms": made.expires_at_ms,
            "devices": made.devices,
        }

    async def revoke_code(self, asked: dict[str, Json]) -> Json:
        account = await asyncio.to_thread(read_account, self._home)
        await codes.end_code(account, text_of(asked, "code"))
        return {}

    # ---- a file ----------------------------------------------------------------------------------------------

    async def versions(self, asked: dict[str, Json]) -> Json:
        """The newest first."""
        path = path_of(asked, "path")
        return {
            "path": str(path),
            "versions": await asyncio.to_thread(
                ask, self._home.path, "revs", seconds=ANSWER_SECONDS, path=str(path)
            ),
        }

    async def restore_version(self, asked: dict[str, Json]) -> Json:
        """to: a new file there, in place of the file itself."""
        path = path_of(asked, "path")
        to = str(path_of(asked, "to")) if asked.get("to") is not None else None
        return await asyncio.to_thread(
            ask,
            self._home.path,
            "restore",
            seconds=ANSWER_SECONDS,
            path=str(path),
            rev=text_of(asked, "rev"),
            to=to,
        )

    async def _remote(self, asked: dict[str, Json]) -> str:
        """Of a path here, or remote already."""
        return await asyncio.to_thread(remote_at, self._home, text_of(asked, "path"))
