"""`mb-sync tray` and `autostart`: MB-Sync on a desktop.

Owns: the process of the icon, one per home; what starts at login.
May import: click, protocol.errors, autostart, home, lock, logs, tray, words.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from protocol.errors import LocalProblem, MedicalBlocksError
from sync_client import autostart as at_login
from sync_client.commands.running import start_background
from sync_client.commands.words import as_json, command, notice, pass_home, tell
from sync_client.control import is_running
from sync_client.home import ClientHome, read_identity
from sync_client.lock import HomeInUse, only_one

MB_SYNC = at_login.Program(
    "mb-sync", "MB-Sync", "MB-Sync keeps folders equal with the server", "sync_client", has_window=True
)
WITHOUT_ICON = at_login.Program(
    "mb-sync", "MB-Sync", "MB-Sync keeps folders equal with the server", "sync_client"
)


@command("tray", "mb-sync tray")
@click.option("--quiet", is_flag=True, help="No notices, only the icon.")
@pass_home
def tray(home: ClientHome, *, quiet: bool) -> None:
    """Show an icon in the tray, and start syncing; its menu does the rest."""
    home.make()
    try:
        with only_one(home.path / "tray.lock"):
            if read_identity(home).server is not None and not is_running(home.path):
                _start(home)
            from sync_client.tray.mb_sync import MbSync  # noqa: PLC0415 - not for `autostart`
            from sync_client.tray.program import show  # noqa: PLC0415 - as above

            show(MbSync(home), tells=not quiet)
    except HomeInUse as error:
        raise LocalProblem(
            "The tray icon is there already", hint="Look at the edge of the screen."
        ) from error


def _start(home: ClientHome) -> None:
    try:
        start_background(home)
    except MedicalBlocksError as error:  # the icon shows the same, and goes on trying is not its work
        notice(str(error))


@command("autostart", "mb-sync autostart on")
@click.argument("wanted", type=click.Choice(["on", "off"]))
@click.option("--no-tray", is_flag=True, help="Without the icon: for a computer without a screen.")
@as_json
@pass_home
def autostart(home: ClientHome, wanted: str, *, no_tray: bool, as_json: bool) -> None:
    """Start MB-Sync at login with its tray icon, or not any more."""
    where = start_at_login(home, wanted=wanted == "on", with_icon=not no_tray)
    if wanted == "on":
        tell({"autostart": True, "path": where}, f"MB-Sync starts at login: {where}", json_wanted=as_json)
    else:
        tell({"autostart": False}, "MB-Sync does not start at login any more.", json_wanted=as_json)


def start_at_login(home: ClientHome, *, wanted: bool, with_icon: bool = True) -> str:
    """Where it stands now; "" if it is not wanted.  Raises LocalProblem."""
    if wanted:
        return at_login.turn_on(_at_login(home, with_icon=with_icon))
    for either in (True, False):  # whichever it was
        at_login.turn_off(_at_login(home, with_icon=either))
    return ""


def starts_at_login(home: ClientHome) -> bool:
    """With its icon or without."""
    return any(at_login.is_on(_at_login(home, with_icon=with_icon)) for with_icon in (True, False))


def _at_login(home: ClientHome, *, with_icon: bool) -> at_login.StartFile | at_login.RunValue:
    program = MB_SYNC if with_icon else WITHOUT_ICON
    return at_login.start_at_login(
        program,
        sys.platform,
        [*at_login.own_command(program, home.path), *(["tray"] if with_icon else ["run", "--background"])],
        home=Path.home(),
        variables=os.environ,
        has_systemd=Path("/run/systemd/system").is_dir(),
    )


COMMANDS = (tray, autostart)
