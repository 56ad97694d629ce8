"""`mb-sync explorer`: MB-Sync in the file explorer.

Owns: the command.  May import: click, protocol.errors, autostart, doctor.looking, explorer, home, words.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sync_client import screens
from sync_client.autostart import own_command
from sync_client.commands.desktop import WITHOUT_ICON
from sync_client.commands.words import as_json, command, notice, pass_home, tell
from sync_client.doctor.looking import followed
from sync_client.explorer.switching import Here, Switch, explorers_here
from sync_client.home import ClientHome


def switch_of(home: ClientHome) -> Switch:
    return Switch(home.path, own_command(WITHOUT_ICON, home.path), has_pages=True)


@command("explorer", "mb-sync explorer on")
@click.argument("wanted", type=click.Choice(["on", "off", "status"]))
@as_json
@pass_home
def explorer(home: ClientHome, wanted: str, *, as_json: bool) -> None:
    """Show in the file explorer what is synced, with a menu; the followed folders in its places, with an icon.

    For Files (Nautilus), Nemo and Caja, for you alone. `off` takes all of it away again.
    """
    switch = switch_of(home)
    folders = [one.local for one in followed(home)[0]]
    if wanted == "on":
        found = switch.turn_on(folders)
        for here in found:
            _advise(here)
        names = ", ".join(here.explorer.title for here in found) or sys.platform
        tell(
            {"explorer": True, "in": [here.explorer.name for here in found]},
            f"On: {names}.",
            json_wanted=as_json,
        )
    elif wanted == "off":
        switch.turn_off(folders)
        tell({"explorer": False}, "MB-Sync is not in the file explorer any more.", json_wanted=as_json)
    else:
        tell(
            {
                "explorer": switch.is_on(),
                "current": switch.is_current(),
                "here": {here.explorer.name: here.runs_extensions for here in explorers_here()},
            },
            "\n".join(_status(switch)),
            json_wanted=as_json,
        )


def _advise(here: Here) -> None:
    name = here.explorer.name
    if not here.runs_extensions:
        notice(f"{here.explorer.title} needs one package more, `{name}-python` or `python3-{name}` by name.")
    notice(f"Open it again to see it: {name} -q")


def _status(switch: Switch) -> list[str]:
    if not switch.is_on():
        return ["MB-Sync is not in the file explorer: mb-sync explorer on"]
    lines = ["MB-Sync is in the file explorer."]
    if not switch.is_current():
        lines.append("It is of another version of MB-Sync: say `mb-sync explorer on` once more.")
    missing = [here.explorer.name for here in explorers_here() if not here.runs_extensions]
    lines += [f"{name}: the package `{name}-python` or `python3-{name}` is missing." for name in missing]
    return lines


def followed_now(home: ClientHome, local: str, *, gone: bool = False) -> None:
    """A folder came or went: its place and its icon with it.  What the desktop cannot do is no failure of ours."""
    switch = switch_of(home)
    try:
        (switch.followed_no_more if gone else switch.followed)(Path(local))
    except Exception as error:  # the folder is followed all the same
        notice(f"The file explorer could not be told ({type(error).__name__}): {screens.path(local)}")


COMMANDS = (explorer,)
