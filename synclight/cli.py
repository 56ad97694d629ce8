"""`mb-synclight`: the first look at the command line.

Owns: which words mean what, how an error becomes a sentence and an exit code.
May import: the standard library, protocol.errors, synclight.{completion,hiding}; the commands when one was chosen.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from protocol.errors import MedicalBlocksError
from synclight.completion import SHELLS, script
from synclight.hiding import is_hidden, replace_self

DONE, ERROR, USAGE, ITEMS_IN_ERROR = 0, 1, 2, 3
INTERRUPTED = 130  # as shells count Ctrl-C

_EXIT_CODES = "Exit codes: 0 done · 1 error · 2 usage · 3 some files differ, or could not be fetched"
_ABOUT = """\
Receive a shared folder with a sync code, and keep receiving what changes.  Nothing you do to your copy goes back, and
nothing of yours in the folder is overwritten or deleted.

  mb-synclight - ~/Study            asks for the code or link on standard input
  mb-synclight @code.txt ~/Study    reads it from a file
  mb-synclight --window             the same in your browser: paste the link, choose the place, start
  mb-synclight                      goes on with the folders it follows

Other commands: list · verify FOLDER · apply FOLDER · remove FOLDER · tray · autostart on|off
  · completion bash|zsh|fish   (each has --help)"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # a name that this terminal cannot write is no reason to fail
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # both are TextIOWrappers here
    try:
        return _run(given)
    except MedicalBlocksError as error:
        from protocol.names import shown  # noqa: PLC0415 - not needed where all goes well
        from synclight.words import in_our_words  # noqa: PLC0415 - as above

        print(f"mb-synclight: {shown(in_our_words(str(error)))}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `mb-synclight list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _run(given: list[str]) -> int:
    word = next((one for one in _without_home(given) if not one.startswith("-") or one == "-"), "")
    if word == "completion":
        return _print_completion(given)
    if word in _PARSERS:
        asked = _PARSERS[word]().parse_args(given)
        from synclight import desktop  # noqa: PLC0415 - `--help` need load neither this

        if word in desktop.COMMANDS:
            return desktop.COMMANDS[word](asked)
        from synclight.commands import COMMANDS  # noqa: PLC0415 - nor the engine

        return COMMANDS[word](asked)
    asked = _follow_parser().parse_args(given)
    if asked.window:
        if asked.code is not None:
            _follow_parser().error("paste the link in the window")
        from synclight.desktop import window  # noqa: PLC0415 - as above

        return window(asked)
    if (asked.code is None) != (asked.folder is None):
        _follow_parser().error("name the folder as well: mb-synclight CODE FOLDER")
    if asked.code is not None and not is_hidden(asked.code):
        return replace_self(given, asked.code)
    if asked.pin is not None and not asked.pin.startswith("@"):
        _follow_parser().error("a PIN is never an argument: give --pin @FILE, or leave it out to be asked")
    from synclight.commands import follow  # noqa: PLC0415 - as above

    return follow(asked)


def _without_home(given: list[str]) -> list[str]:
    for at, one in enumerate(given):
        if one == "--home":
            return given[:at] + given[at + 2 :]
    return given


class _Parser(argparse.ArgumentParser):
    """Its errors are ours: a wrong word gives 2, and says how to go on."""

    def error(self, message: str) -> NoReturn:
        print(f"mb-synclight: {message}\nSee `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(USAGE)


class _Version(argparse.Action):
    """Looked up when it is asked for: that takes longer than the rest of a quick answer."""

    def __call__(self, *_: object) -> NoReturn:
        from importlib.metadata import version  # noqa: PLC0415 - as above

        print(f"mb-synclight, version {version('medical-blocks')}")
        raise SystemExit(DONE)


def _parser(name: str, about: str, example: str) -> _Parser:
    parser = _Parser(
        prog=f"mb-synclight {name}".strip(),
        description=about,
        epilog=f"Example: {example}\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--home", metavar="DIR", help="where MB-SyncLight keeps its state")
    if name:
        parser.add_argument("command", choices=[name], help=argparse.SUPPRESS)
    return parser


def _follow_parser() -> _Parser:
    parser = _parser("", _ABOUT, "echo 'https://files.example.org/s#…' | mb-synclight - ~/Study --once")
    parser.add_argument("code", metavar="CODE", nargs="?", help="the link or the code: - or @FILE")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="where the files are to lie")
    parser.add_argument("--once", action="store_true", help="end when everything is here")
    parser.add_argument("--server", metavar="URL", help="of a code that is no link")
    parser.add_argument("--ca", metavar="FILE", type=Path, help="believe this authority alone: a PEM file")
    parser.add_argument(
        "--proxy", metavar="URL", help="the proxy on the way, http://[NAME:PASSWORD@]HOST:PORT"
    )
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="FOLDER belonged to another client, which is no more; if it lives after all, it stops there",
    )
    parser.add_argument("--pin", metavar="@FILE", help="a file with the PIN; without it you are asked")
    parser.add_argument(
        "--window", action="store_true", help="paste the link and choose the place in your browser"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="with --window: print its address, which works once"
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="with --once: how it ended, on standard output")
    return parser


def _list_parser() -> _Parser:
    parser = _parser("list", "The folders it follows, and how they stand.", "mb-synclight list --json")
    parser.add_argument("--json", action="store_true", help="a list of objects on standard output")
    return parser


def _verify_parser() -> _Parser:
    parser = _parser(
        "verify",
        "Read every file again and hold it against what the server has.  The checksums of those that are the same\n"
        "are written as `sha256sum -c` reads them, from inside the folder.",
        "mb-synclight verify ~/Study --checksums study.sha256",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--checksums", metavar="FILE", help="write the list there (default: standard output)")
    parser.add_argument("--json", action="store_true", help="how each file stands, on standard output")
    return parser


def _apply_parser() -> _Parser:
    about = (
        "Go on with what waits since it would delete or rewrite many files here; they go to the local trash."
    )
    parser = _parser("apply", about, "mb-synclight apply ~/Study")
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    return parser


def _remove_parser() -> _Parser:
    parser = _parser("remove", "Stop following a folder.  No file is deleted.", "mb-synclight remove ~/Study")
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    return parser


def _autostart_parser() -> _Parser:
    about = "Start at login, with the icon where what draws it is installed, or not any more."
    parser = _parser("autostart", about, "mb-synclight autostart on")
    parser.add_argument("wanted", choices=["on", "off"])
    parser.add_argument(
        "--no-tray", action="store_true", help="without the icon: for a computer without a screen"
    )
    return parser


def _tray_parser() -> _Parser:
    about = "Show an icon in the tray, and receive; its menu opens folders and decides what waits."
    parser = _parser("tray", about, "mb-synclight tray")
    parser.add_argument("--quiet", action="store_true", help="no notices, only the icon")
    return parser


def _completion_parser() -> _Parser:
    about = "Print what makes your shell complete mb-synclight with the Tab key, for its start-up file."
    parser = _parser("completion", about, 'eval "$(mb-synclight completion bash)"')
    parser.add_argument("shell", choices=SHELLS)
    return parser


def _print_completion(given: list[str]) -> int:
    asked = _completion_parser().parse_args(given)
    parsers = [_follow_parser(), *(make() for make in _PARSERS.values())]
    options = {option for parser in parsers for option in parser._option_string_actions}
    print(script(asked.shell, [*_PARSERS, "completion"], options), end="")
    return DONE


_PARSERS: dict[str, Callable[[], _Parser]] = {
    "list": _list_parser,
    "verify": _verify_parser,
    "apply": _apply_parser,
    "remove": _remove_parser,
    "autostart": _autostart_parser,
    "tray": _tray_parser,
}
