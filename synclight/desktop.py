"""The commands of `mb-synclight` that only show how things stand: the list, the icon, the window, the start at login.

Owns: the process of the icon, one per home; what starts at login.
May import: the standard library, protocol.errors, synclight.{home,tray,words}, and of sync_client autostart, lock,
screens, showing and tray.  No engine: an icon is there all day, and a list is asked for often.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from protocol.errors import LocalProblem
from sync_client import autostart as at_login
from sync_client import screens
from sync_client.lock import HomeInUse, is_held, only_one
from sync_client.showing import show as show_on_desktop
from sync_client.tray.program import show
from synclight.cli import DONE
from synclight.home import LightHome, find_home
from synclight.tray import MbSyncLight
from synclight.words import answer_of, list_screen

MB_SYNCLIGHT = at_login.Program(
    "mb-synclight", "MB-SyncLight", "MB-SyncLight keeps shared folders up to date", "synclight"
)


def show_list(asked: argparse.Namespace) -> int:
    home = find_home(asked.home)
    running = is_held(home.lock)
    answers = [answer_of(one, running=running) for one in home.follows()]
    if asked.json:
        print(json.dumps(answers))
    elif answers:
        print(list_screen(answers, screens.painter(colours=screens.has_colours())))
    else:
        print("No folder is followed yet. Begin with: mb-synclight - FOLDER", file=sys.stderr)
    return DONE


def tray(asked: argparse.Namespace) -> int:
    home = find_home(asked.home)
    if not has_icon():
        raise LocalProblem(
            "What draws the icon is not installed", hint="`mb-synclight list` says the same in a terminal."
        )
    home.make()
    try:
        with only_one(home.path / "tray.lock"):
            program = MbSyncLight(home)
            if any(not one.shared.ended for one in home.follows()) and not is_held(home.lock):
                program.start()
            show(program, tells=not asked.quiet)
    except HomeInUse as error:
        raise LocalProblem(
            "The tray icon is there already", hint="Look at the edge of the screen."
        ) from error
    return DONE


def window(asked: argparse.Namespace) -> int:
    """`mb-synclight --window`."""
    from synclight.window import serve_window, window_address  # noqa: PLC0415 - the web server behind it

    home = find_home(asked.home)
    if asked.serve:
        serve_window(home)
        return DONE
    address = window_address(home)
    if asked.no_browser:
        print(address)
    else:
        show_on_desktop(address)
        print("The window opens in your browser.", file=sys.stderr)
    return DONE


def has_icon() -> bool:
    """Whether the library that shows one is there: the base install does without."""
    return find_spec("dbus_fast" if sys.platform == "linux" else "pystray") is not None


def autostart(asked: argparse.Namespace) -> int:
    home = find_home(asked.home)
    if asked.wanted == "on":
        with_icon = has_icon() and not asked.no_tray
        _end_autostart(home)  # the other way, if that was chosen before
        print(
            f"MB-SyncLight starts at login: {at_login.turn_on(_at_login(home, with_icon=with_icon))}",
            file=sys.stderr,
        )
    else:
        _end_autostart(home)
        print("MB-SyncLight does not start at login any more.", file=sys.stderr)
    return DONE


def _end_autostart(home: LightHome) -> None:
    for with_icon in (True, False):
        at_login.turn_off(_at_login(home, with_icon=with_icon))


def _at_login(home: LightHome, *, with_icon: bool) -> at_login.StartFile | at_login.RunValue:
    command = at_login.own_command(MB_SYNCLIGHT, home.path)
    return at_login.start_at_login(
        replace(MB_SYNCLIGHT, has_window=with_icon),
        sys.platform,
        [command[0], *command[1:-2], "tray", *command[-2:]] if with_icon else command,
        home=Path.home(),
        variables=os.environ,
        has_systemd=Path("/run/systemd/system").is_dir(),
    )


COMMANDS = {"list": show_list, "autostart": autostart, "tray": tray}
