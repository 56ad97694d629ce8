"""`mb-sync add`, `remove` and `ls`.

Owns: which folders are followed, as a person asks for it.
May import: click, protocol, home, operations, reach.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import NotFound
from sync_client import screens
from sync_client.commands.reach import reach, server_api
from sync_client.commands.words import as_json, command, notice, pass_home, tell
from sync_client.control import is_running
from sync_client.home import ClientHome, read_account
from sync_client.operations import parse_remote

if TYPE_CHECKING:
    from protocol.messages import View
    from protocol.resources import Listed
    from sync_client.engine.account import Account


@command("add", "mb-sync add /Home/Study ~/Study --create")
@click.argument("remote")
@click.argument("local")
@click.option("--create", is_flag=True, help="Make REMOTE on the server if it is not there.")
@click.option(
    "--take-over",
    is_flag=True,
    help="LOCAL belonged to a client that is no more: follow it here. If that one lives after all, it stops there.",
)
@as_json
@pass_home
def add(home: ClientHome, remote: str, local: str, *, create: bool, take_over: bool, as_json: bool) -> None:
    """Follow REMOTE in the folder LOCAL: keep them equal.

    LOCAL is made if it is missing. What lies in it already stays: equal files agree, the others go up. What another
    client follows, of another account for instance, is refused.
    """
    made = reach(
        home,
        "add",
        remote=parse_remote(remote),
        local=_whole(local),
        create=create,
        take_over=take_over,
        client_home=str(home.path.resolve()),
    )
    _tell_explorer(home, made["local"])
    tell(made, f"{made['remote']} is followed in {screens.path(made['local'])}.", json_wanted=as_json)
    if not is_running(home.path):
        notice("Start syncing with `mb-sync start`.")


@command("remove", "mb-sync remove ~/Study")
@click.argument("local")
@as_json
@pass_home
def remove(home: ClientHome, local: str, *, as_json: bool) -> None:
    """Stop following the folder LOCAL. Nothing is deleted, here or on the server."""
    folder = os.path.realpath(_whole(local))
    reach(home, "remove", local=folder)
    _tell_explorer(home, folder, gone=True)
    tell(
        {"local": folder},
        f"{screens.path(folder)} is not followed any more. Its files stay.",
        json_wanted=as_json,
    )


@command("ls", "mb-sync ls /Home/Study")
@click.argument("remote")
@as_json
@pass_home
def ls(home: ClientHome, remote: str, *, as_json: bool) -> None:
    """List a folder on the server; / lists where you may go."""
    account = read_account(home)
    asked = "/" if remote == "/" else parse_remote(remote)
    items = asyncio.run(_listed(account, asked))
    tell(items, screens.listing_screen(items), json_wanted=as_json)


def _tell_explorer(home: ClientHome, local: str, *, gone: bool = False) -> None:
    from sync_client.commands.explorer import followed_now  # noqa: PLC0415 - it imports what asks a server, too

    followed_now(home, local, gone=gone)


def _whole(local: str) -> str:
    return os.path.abspath(os.path.expanduser(local))


async def _listed(account: Account, remote: str) -> list[dict[str, Any]]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        views = (await api.views()).views
        if remote == "/":
            return [{"name": view.name, "kind": "folder", "size": view.used_bytes} for view in views]
        view, inside = view_of(views, remote)
        items: list[Listed] = []
        after = ""
        while True:
            page = await api.listing(view.view, inside, after)
            items += page.items
            after = page.next
            if not after:
                break
    return [
        {
            "name": item.name,
            "kind": str(item.kind),
            "size": item.size,
            "mtime": item.mtime_ns / 1e9,
            "node": str(item.node),
        }
        for item in items
    ]


def view_of(views: list[View], remote: str) -> tuple[View, str]:
    """The view that `remote` lies in, and the path inside it ("/": the view itself).  Raises NotFound."""
    for view in sorted(views, key=lambda each: len(each.name), reverse=True):
        if remote == view.name or remote.startswith(view.name + "/"):
            return view, remote[len(view.name) :] or "/"
    raise NotFound(f"There is no {remote} for you", hint="`mb-sync ls /` lists what there is.")


COMMANDS = (add, remove, ls)
