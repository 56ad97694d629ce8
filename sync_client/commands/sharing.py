"""`mb-sync share` and `who`.

Owns: sharing a remote folder, as a person asks for it.  May import: click, protocol, home, operations, reach, folders.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import NotFound
from sync_client import screens
from sync_client.commands.folders import view_of
from sync_client.commands.reach import server_api
from sync_client.commands.words import as_json, command, pass_home, tell
from sync_client.home import ClientHome, read_account
from sync_client.operations import parse_remote

if TYPE_CHECKING:
    from uuid import UUID

    from protocol.http import ServerApi
    from protocol.messages import View
    from protocol.sharing import WhoSees
    from sync_client.engine.account import Account

ROLES = ("owner", "editor", "reader", "metadata")


@command("share", "mb-sync share /Home/Study --with user:ben --role reader")
@click.argument("remote")
@click.option("--with", "who", required=True, metavar="WHO", help="user:NAME, team:NAME or project:NAME.")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    help="editor: read and write; reader: read; metadata: names only; owner: on a project.",
)
@click.option("--remove", is_flag=True, help="End it. Copies on their computers stay there.")
@as_json
@pass_home
def share(home: ClientHome, remote: str, *, who: str, role: str | None, remove: bool, as_json: bool) -> None:
    """Share a folder on the server with somebody, or end that; it holds within a second.

    They find it as /Shared/NAME. Whoever had another role on this folder has the new one instead.
    """
    if remove == (role is not None):
        raise click.UsageError("Say either --role ROLE, or --remove.")
    account, asked = read_account(home), parse_remote(remote)
    if remove:
        seen = asyncio.run(take_back(account, asked, who))
        words = f"{who} has nothing of their own on {asked} any more."
    else:
        assert role is not None
        seen = asyncio.run(give(account, asked, who, role))
        words = (
            f"{who} is {role} of {asked} and all below it. Undo: mb-sync share {asked} --with {who} --remove"
        )
    tell(
        rows_of(seen),
        f"{screens.shown_remote(words)}\n\n{screens.who_screen(rows_of(seen), asked)}",
        json_wanted=as_json,
    )


@command("who", "mb-sync who /Home/Study")
@click.argument("remote")
@as_json
@pass_home
def who(home: ClientHome, remote: str, *, as_json: bool) -> None:
    """List who can see a folder on the server now, where that came from, and how to end it."""
    asked = parse_remote(remote)
    rows = rows_of(asyncio.run(who_sees(read_account(home), asked)))
    tell(rows, screens.who_screen(rows, asked), json_wanted=as_json)


def rows_of(seen: WhoSees) -> list[dict[str, Any]]:
    return [
        {
            "who": seer.who,
            "role": seer.role,
            "here": seer.here,
            "on": seer.on,
            "people": seer.people,
            "removable": seer.here and seer.principal is not None,
        }
        for seer in seen.seers
    ]


async def who_sees(account: Account, remote: str) -> WhoSees:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, node = await remote_folder(api, remote)
        return await api.who_sees(view.view, node)


async def give(account: Account, remote: str, who: str, role: str) -> WhoSees:
    from protocol.sharing import Share  # noqa: PLC0415 - msgspec: the --help of all commands reads this file

    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, node = await remote_folder(api, remote)
        return await api.share(view.view, node, Share(who=who, role=role))


async def take_back(account: Account, remote: str, who: str) -> WhoSees:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, node = await remote_folder(api, remote)
        for seer in (await api.who_sees(view.view, node)).seers:
            if seer.here and seer.principal is not None and seer.who.casefold() == who.casefold():
                return await api.unshare(view.view, node, seer.principal)
    raise NotFound(
        f"{who} was given nothing on {remote} itself",
        hint="`mb-sync who` shows on which folder; end it there.",
    )


async def remote_folder(api: ServerApi, remote: str) -> tuple[View, UUID]:
    """The view that it lies in, and its node.  Raises NotFound."""
    view, inside = view_of((await api.views()).views, remote)
    return view, (await api.listing(view.view, inside)).node


COMMANDS = (share, who)
