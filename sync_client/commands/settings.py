"""`mb-sync settings`: the page on which all of this is clicked.

Owns: the command, and the process of the page server.
May import: click, protocol.errors, home, lock, logs, settings, showing, words.
"""

from __future__ import annotations

import asyncio

import click

from sync_client.commands.words import command, notice, pass_home
from sync_client.home import ClientHome
from sync_client.lock import only_one
from sync_client.logs import log_to
from sync_client.settings.opening import OF_A_FILE, PLACES, page_address, page_folder, place_of
from sync_client.showing import show

FIRST_SECONDS = 10.0  # whoever started the page server asks it for an address by then
LOG_NAME = "settings.log"


@command("settings", "mb-sync settings versions ~/Study/notes.txt")
@click.argument(
    "place", type=click.Choice([place for place in (*PLACES, *OF_A_FILE) if place]), required=False
)
@click.argument("path", required=False)
@click.option("--no-browser", is_flag=True, help="Print the address in place of opening it; it works once.")
@click.option("--serve", is_flag=True, hidden=True)
@pass_home
def settings(home: ClientHome, place: str | None, path: str | None, *, no_browser: bool, serve: bool) -> None:
    """Open the page of MB-Sync in your browser: first steps, folders, activity, conflicts, problems, settings.

    `sharing PATH` shows who sees a folder and makes links to it, `versions PATH` what the server keeps of a file.
    It is served on this computer for you alone. Its address works once, within two minutes.
    """
    if serve:
        _serve(home)
        return
    if (place in OF_A_FILE) is (path is None):
        raise click.UsageError(f"Say a PATH with {' or '.join(OF_A_FILE)}, and with nothing else.")
    address = page_address(home, place_of(place or "", path))
    if no_browser:
        click.echo(address)
        return
    show(address)
    notice("The page opens in your browser.")


def _serve(home: ClientHome) -> None:
    from sync_client.settings.gate import Gate  # noqa: PLC0415 - aiohttp and all behind it: not for an address
    from sync_client.settings.local_page import LocalPage, serve  # noqa: PLC0415 - as above
    from sync_client.settings.questions import MbSyncPage  # noqa: PLC0415 - as above

    folder = page_folder(home)
    with only_one(folder / "lock"):
        log_to(home.log, on_screen=False, name=LOG_NAME)
        gate = Gate()
        page = LocalPage("mb-sync.html", MbSyncPage(home).questions(), gate)
        asyncio.run(serve(page, gate, folder, first_seconds=FIRST_SECONDS))


COMMANDS = (settings,)
