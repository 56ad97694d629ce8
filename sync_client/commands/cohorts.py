"""`mb-sync cohort`: folders that fill themselves with what fits a query.

Owns: these commands and their words.
May import: click, protocol, home, screens, finding, folders, places, reach, words.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import NotFound
from protocol.names import name_key, shown
from sync_client import screens
from sync_client.commands.finding import query_of, searched_views
from sync_client.commands.folders import view_of
from sync_client.commands.places import remote_at
from sync_client.commands.reach import server_api
from sync_client.commands.words import as_json, help_end, notice, pass_home, tell
from sync_client.home import ClientHome, read_account

if TYPE_CHECKING:
    from protocol.catalog import Cohort
    from protocol.http import ServerApi
    from protocol.messages import View
    from sync_client.engine.account import Account

_EXAMPLE = "mb-sync cohort create Wrists --in /Projects/Nerves/Cohorts region=wrist sequence=T2"
_name = click.argument("name")
_STATES = {
    "open": "",
    "stopped": "stopped: its maker may not write there any more, or its folder is in the trash",
    "gone": "its folder is in the trash",
    "full": "full: more fits than it may hold, or there is no room",
}
Listed = list[tuple["View", "Cohort"]]


@click.group("cohort", epilog=help_end(_EXAMPLE))
def cohort_group() -> None:
    """Folders that fill themselves with what fits a search, and can be synced and shared as any other."""


@cohort_group.command("create", epilog=help_end(_EXAMPLE))
@_name
@click.option(
    "--in", "where", required=True, metavar="REMOTE", help="The folder it is made in; made if missing."
)
@click.argument("query", metavar="KEY=VALUE…", nargs=-1, required=True)
@as_json
@pass_home
def create(home: ClientHome, name: str, where: str, query: tuple[str, ...], *, as_json: bool) -> None:
    """Make the folder NAME that holds the files that fit, as `mb-sync find` finds them in that project.

    It follows them: a new version of a file, one that fits no more, one that is withdrawn. They take no room on the
    server beside the first, and count as files of the folder. What people put into it, or edit there, is left alone.
    """
    made = asyncio.run(_made(read_account(home), remote_at(home, where), name, query_of(query)))
    view, one = made
    path = _path(view, one)
    words = f"{screens.shown_remote(path)} fills itself with: {shown(one.query)}"
    tell(_facts(view, one), words, json_wanted=as_json)
    if not as_json:
        notice(f"Undo: mb-sync cohort remove {one.cohort.hex[-8:]}")


@cohort_group.command("list", epilog=help_end("mb-sync cohort list"))
@as_json
@pass_home
def cohort_list(home: ClientHome, *, as_json: bool) -> None:
    """List the cohorts that you may see."""
    found = asyncio.run(_all(read_account(home)))
    words = "\n".join(screens.table((_row(view, one) for view, one in found), indent=""))
    tell([_facts(*one) for one in found], words or "There are no cohorts.", json_wanted=as_json)


@cohort_group.command("show", epilog=help_end("mb-sync cohort show Wrists"))
@_name
@as_json
@pass_home
def show(home: ClientHome, name: str, *, as_json: bool) -> None:
    """Show one cohort, by its name or the digits that `cohort list` shows."""
    view, one = asyncio.run(_one(read_account(home), name))
    lines = [
        *screens.table([_row(view, one)], indent=""),
        f"          {shown(one.query)}",
        *([f"          made by {shown(one.who)}"] if one.who else []),
        *([f"          {_STATES[one.state]}"] if _STATES.get(one.state) else []),
    ]
    tell(_facts(view, one), "\n".join(lines), json_wanted=as_json)


@cohort_group.command("remove", epilog=help_end("mb-sync cohort remove Wrists"))
@_name
@as_json
@pass_home
def remove(home: ClientHome, name: str, *, as_json: bool) -> None:
    """End a cohort: its folder fills no more, and what lies in it stays."""
    view, one = asyncio.run(_removed(read_account(home), name))
    words = f"{screens.shown_remote(_path(view, one))} fills no more. Its files stay; delete the folder if you want."
    tell(_facts(view, one), words, json_wanted=as_json)


# ---- at the server -----------------------------------------------------------------------------------------


async def _made(account: Account, remote: str, name: str, query: str) -> tuple[View, Cohort]:
    from protocol.catalog import NewCohort  # noqa: PLC0415 - msgspec: the --help of all commands reads this file

    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, inside = view_of((await api.views()).views, remote)
        path = [*(part for part in inside.split("/") if part), name]
        return view, await api.make_cohort(view.view, NewCohort(path=path, query=query))


async def _all(account: Account) -> Listed:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        return await _listed(api)


async def _listed(api: ServerApi) -> Listed:
    """Each once: a folder that is shared may lie in a project that one is in."""
    found: dict[Any, tuple[View, Cohort]] = {}
    for view in searched_views((await api.views()).views, None):
        for one in (await api.cohorts(view.view)).cohorts:
            found.setdefault(one.cohort, (view, one))
    return list(found.values())


async def _found(api: ServerApi, name: str) -> tuple[View, Cohort]:
    """Raises NotFound."""
    for view, one in await _listed(api):
        if name.casefold() in (one.cohort.hex[-8:], str(one.cohort)) or name_key(one.name) == name_key(name):
            return view, one
    raise NotFound(
        f"There is no cohort {name[:60]} for you", hint="`mb-sync cohort list` shows what there is."
    )


async def _one(account: Account, name: str) -> tuple[View, Cohort]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        return await _found(api, name)


async def _removed(account: Account, name: str) -> tuple[View, Cohort]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, one = await _found(api, name)
        await api.remove_cohort(view.view, one.cohort)
        return view, one


# ---- what a person sees ------------------------------------------------------------------------------------


def _path(view: View, one: Cohort) -> str:
    return f"{view.name}{one.path}".rstrip("/")


def _row(view: View, one: Cohort) -> tuple[str, ...]:
    state = "" if one.state == "open" else f"({one.state})"
    return (
        one.cohort.hex[-8:],
        shown(one.name),
        screens.count_of(one.files, "file"),
        f"{screens.shown_remote(_path(view, one))} {state}".rstrip(),
    )


def _facts(view: View, one: Cohort) -> dict[str, Any]:
    return {
        "cohort": one.cohort.hex[-8:],
        "name": one.name,
        "path": _path(view, one),
        "query": one.query,
        "files": one.files,
        "state": one.state,
        "who": one.who or None,
        "made_at_ms": one.made_at_ms,
    }


COMMANDS = (cohort_group,)
