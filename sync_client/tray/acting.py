"""What a click does.

Owns: opening files as the desktop does, starting and ending the client.
May import: the standard library, protocol.errors, control, home, commands.running, menu.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from protocol.errors import LocalProblem
from sync_client.commands.running import start_background, stop_running
from sync_client.control import ask
from sync_client.home import ClientHome
from sync_client.tray.menu import Action, Ask, Open, Quit, Start


def act(home: ClientHome, action: Action) -> None:
    """Do it; blocks until it is done.  Raises MedicalBlocksError."""
    match action:
        case Open(path=path, inside=inside):
            _open(target(Path(path), inside=inside))
        case Ask(do=do, arguments=arguments):
            ask(home.path, do, seconds=None, **dict(arguments))
        case Start():
            start_background(home)
        case Quit():
            stop_running(home)


def target(path: Path, *, inside: bool) -> Path:
    """What can be shown: the file, or the nearest folder above it that is there."""
    if inside and path.is_dir() is False:
        path = path.parent
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def opener(platform: str, path: Path) -> list[str]:
    """The command that shows a file as a double click would.  platform: as `sys.platform` says, not Windows."""
    return ["open" if platform == "darwin" else "xdg-open", str(path)]


def _open(path: Path) -> None:
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606 - as a double click
        return
    try:
        subprocess.Popen(  # noqa: S603 - a fixed program and one absolute path
            opener(sys.platform, path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise LocalProblem(
            f"{path} cannot be shown ({error.strerror})",
            hint="Open it in your file manager; `xdg-utils` would do it.",
        ) from error
