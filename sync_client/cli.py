"""`mb-sync`: the first look at the command line.

Owns: the choice between the quick commands and the others, how an error becomes a sentence and an exit code.
May import: the standard library, protocol.errors, quick; sync_client.commands only for what is not quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from protocol.errors import MedicalBlocksError, NotSignedIn
from sync_client import quick
from sync_client.control import NotRunning, TimeIsUp
from sync_client.home import SIGN_IN_AGAIN, find_home

INTERRUPTED = 130  # as shells count Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # a name that this terminal cannot write is no reason to fail
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # both are TextIOWrappers here
    try:
        asked_home, rest = split_home(given)
        if rest and is_quick(rest):
            return quick.run(rest[0], rest[1:], find_home(asked_home))
        from sync_client.commands.group import run_heavy  # noqa: PLC0415 - click and all behind it: not for `status`

        return run_heavy(given)
    except MedicalBlocksError as error:
        words = SIGN_IN_AGAIN if isinstance(error, NotSignedIn) else str(error)
        print(f"mb-sync: {words}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `mb-sync activity | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return quick.DONE


def split_home(arguments: list[str]) -> tuple[str | None, list[str]]:
    """`--home DIR` before the command, and the rest."""
    if len(arguments) >= 2 and arguments[0] == "--home":
        return arguments[1], arguments[2:]
    if arguments and arguments[0].startswith("--home="):
        return arguments[0].removeprefix("--home="), arguments[1:]
    return None, arguments


def is_quick(rest: list[str]) -> bool:
    return rest[0] in quick.COMMANDS and rest[:2] != ["conflicts", "resolve"]


def exit_code(error: MedicalBlocksError) -> int:
    match error:
        case NotRunning():
            return quick.NOT_RUNNING
        case TimeIsUp():
            return quick.TIME_IS_UP
        case _:
            return quick.ERROR


if __name__ == "__main__":
    sys.exit(main())
