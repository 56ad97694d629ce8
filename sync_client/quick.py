"""The commands that only ask the running client: answered before a heavy library could even be imported.

Owns: status, filestatus, wait, pause, resume, activity, and the list of conflicts.
May import: the standard library, protocol.errors, home, control, screens, lock.  A test counts the modules.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.errors import BadRequest
from sync_client import screens
from sync_client.control import NotRunning, TimeIsUp, ask
from sync_client.home import ClientHome, NotSignedInHere, read_identity
from sync_client.lock import is_held

DONE, ERROR, USAGE, ITEMS_IN_ERROR, TIME_IS_UP, NOT_RUNNING = range(6)

Asked = argparse.Namespace
STATUS_SECONDS = 5.0
KINDS = ("changes", "reads", "rights", "denials")  # of activity


@dataclass(frozen=True, slots=True)
class Quick:
    """One command.  codes: what its exit codes mean, for --help."""

    sentence: str
    example: str
    codes: str
    run: Callable[[ClientHome, Asked], int]
    arguments: Callable[[argparse.ArgumentParser], object] = lambda _: None


def run(name: str, arguments: Sequence[str], home: ClientHome) -> int:
    """Run the quick command `name`; the exit code."""
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"mb-sync {name}",
        description=command.sentence,
        epilog=f"Example:\n  {command.example}\n\nExit codes: {command.codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    return command.run(home, parser.parse_args(arguments))


def show(value: Any, screen: str, *, as_json: bool) -> None:
    print(json.dumps(value) if as_json else screen)


# ---- status ----------------------------------------------------------------------------------------------


def status_of(home: ClientHome) -> dict[str, Any]:
    """What the running client says of itself, or what can be said without one."""
    try:
        answer: dict[str, Any] = ask(home.path, "status", seconds=STATUS_SECONDS)
    except NotRunning:
        return _at_rest(home)
    except TimeIsUp:
        return _at_rest(home) | {
            "state": "error",
            "running": True,
            "words": "MB-Sync runs but does not answer. Stop it with `mb-sync stop` and start it again.",
        }
    return {"running": True} | answer


def _at_rest(home: ClientHome) -> dict[str, Any]:
    who = read_identity(home)
    words = str(NotRunning())
    if who.server is None:
        words = str(NotSignedInHere())
    elif is_held(home.lock):
        words = "MB-Sync is starting, or another `mb-sync` command is at work. Ask again in a moment."
    return {
        "state": "offline",
        "running": False,
        "words": words,
        "server": who.server,
        "user": who.user,
        "device": who.device_name,
        "folders": [],
        "conflicts": 0,
        "traffic": {"sent_bytes": 0, "received_bytes": 0},
        "progress": None,
        "notes": [],
        "retention": "",
    }


def _status(home: ClientHome, asked: Asked) -> int:
    status = status_of(home)
    paint = screens.painter(colours=not asked.json and screens.has_colours())
    show(status, screens.status_screen(status, paint), as_json=asked.json)
    return DONE


# ---- the others ------------------------------------------------------------------------------------------


def _filestatus_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a file or folder")


def absolute(path: str) -> str:
    """Whole, with its folder's links followed, not its own: a link is a file of the user's like any other."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _filestatus(home: ClientHome, asked: Asked) -> int:
    items = ask(home.path, "filestatus", paths=[absolute(path) for path in asked.paths])
    paint = screens.painter(colours=not asked.json and screens.has_colours())
    show(items, screens.files_screen(items, paint), as_json=asked.json)
    return ITEMS_IN_ERROR if any(item["state"] == "error" for item in items) else DONE


def _wait_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", metavar="S", type=_seconds, help="give up after S seconds (default: never)"
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return value


def _wait(home: ClientHome, asked: Asked) -> int:
    answer = ask(home.path, "wait", seconds=asked.timeout)
    status = {"running": True} | answer["status"]
    if asked.json:
        print(json.dumps(status))
    elif not answer["synced"]:
        print(screens.status_screen(status, screens.painter(colours=screens.has_colours())))
    return DONE if answer["synced"] else ITEMS_IN_ERROR


def _folder_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="that followed folder alone")


def _pause_arguments(parser: argparse.ArgumentParser) -> None:
    _folder_argument(parser)
    parser.add_argument(
        "--for", dest="seconds", metavar="T", type=_duration, help="go on by itself after 30m, 2h, 1d, 90s"
    )


def _duration(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
    return _seconds(text[:-1]) * units[text[-1]] if text[-1:] in units else _seconds(text)


def _followed(asked: Asked) -> str | None:
    return None if asked.folder is None else os.path.realpath(os.path.expanduser(asked.folder))


def _pause(home: ClientHome, asked: Asked) -> int:
    folder = _followed(asked)
    ask(home.path, "pause", paused=True, folder=folder, for_seconds=asked.seconds)
    again = "mb-sync resume" if folder is None else f"mb-sync resume {screens.path(folder)}"
    words = f"Paused. Go on with: {again}"
    if asked.seconds is not None:
        words = f"Paused for {screens.long_time(asked.seconds)}. Go on before with: {again}"
    show({"paused": True, "folder": folder, "seconds": asked.seconds}, words, as_json=asked.json)
    return DONE


def _resume(home: ClientHome, asked: Asked) -> int:
    folder = _followed(asked)
    ask(home.path, "pause", paused=False, folder=folder)
    show({"paused": False, "folder": folder}, "Syncing again.", as_json=asked.json)
    return DONE


def _activity_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "where",
        metavar="REMOTE|LOCAL",
        nargs="?",
        help="what everybody did there, as the server tells it; left out: what this computer synced",
    )
    parser.add_argument("--limit", metavar="N", type=int, default=20, help="how many lines (default: 20)")
    parser.add_argument("--kind", choices=KINDS, help="of what everybody did; all but changes is for owners")


def _activity(home: ClientHome, asked: Asked) -> int:
    if asked.limit < 1:
        raise BadRequest(f"--limit {asked.limit} shows nothing", hint="Give a number of 1 or more.")
    if asked.where is not None:
        from sync_client.commands.deeds import deeds_at  # noqa: PLC0415 - the HTTP client behind it: not for `status`

        deeds = deeds_at(home, asked.where, limit=asked.limit, kind=asked.kind or "")
        show(deeds, screens.deeds_screen(deeds), as_json=asked.json)
        return DONE
    if asked.kind:
        raise BadRequest(
            "--kind asks for what everybody did", hint="Say where: mb-sync activity /Home/Study."
        )
    items = ask(home.path, "activity", limit=asked.limit)
    show(items, screens.activity_screen(items), as_json=asked.json)
    return DONE


def _conflicts(home: ClientHome, asked: Asked) -> int:
    items = ask(home.path, "conflicts")
    paint = screens.painter(colours=not asked.json and screens.has_colours())
    show(items, screens.conflicts_screen(items, paint), as_json=asked.json)
    return DONE


_USUAL = "0 done · 1 error · 2 usage · 5 MB-Sync is not running"

COMMANDS: dict[str, Quick] = {
    "status": Quick(
        "Show whether all is synced, and what is in the way.",
        "mb-sync status --json",
        "0 whatever the state is · 1 error · 2 usage",
        _status,
    ),
    "filestatus": Quick(
        "Show the state of single files and folders.",
        "mb-sync filestatus ~/Research/scan.dcm",
        "0 done · 1 error · 2 usage · 3 one of them is in error · 5 MB-Sync is not running",
        _filestatus,
        _filestatus_arguments,
    ),
    "wait": Quick(
        "Look afresh at both sides; return when they are equal.",
        "mb-sync wait --timeout 60",
        "0 all synced · 1 error · 2 usage · 3 items in error · 4 time is up · 5 MB-Sync is not running",
        _wait,
        _wait_arguments,
    ),
    "pause": Quick(
        "Stop syncing until `mb-sync resume`, also after a restart.",
        "mb-sync pause ~/Study --for 2h",
        _USUAL,
        _pause,
        _pause_arguments,
    ),
    "resume": Quick("Go on after `mb-sync pause`.", "mb-sync resume", _USUAL, _resume, _folder_argument),
    "activity": Quick(
        "List what this computer synced last, or with REMOTE or LOCAL who did what there; the newest first.",
        "mb-sync activity /Projects/Nerves --limit 50",
        _USUAL,
        _activity,
        _activity_arguments,
    ),
    "conflicts": Quick(
        "List files edited on two sides at once; `conflicts resolve` decides.",
        "mb-sync conflicts --json",
        _USUAL,
        _conflicts,
    ),
}
