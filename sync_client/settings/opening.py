"""The way to the page: its server is found, or started, and asked for an address.

Owns: the process of the page server, one per home.
May import: protocol.errors, sync_client.{autostart,control,home,own_program,quick}.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from protocol.errors import LocalProblem
from sync_client.autostart import Program, own_command
from sync_client.control import NotRunning, ask
from sync_client.home import ClientHome
from sync_client.own_program import own_environment
from sync_client.quick import absolute

START_SECONDS = 30.0
LOOK_SECONDS = 0.03
PLACES = ("", "first", "home", "folders", "activity", "conflicts", "problems", "settings")
OF_A_FILE = ("sharing", "versions")  # of one folder, of one file
_PROGRAM = Program("mb-sync", "MB-Sync", "", "sync_client")


def place_of(place: str, path: str | None) -> str:
    """As the page knows it.  path: of this computer, where the place is one of OF_A_FILE."""
    return place if path is None else f"{place}/{quote(absolute(os.path.expanduser(path)), safe='')}"


def page_folder(home: ClientHome) -> Path:
    """Where the page server is found: the control socket of its own."""
    return home.path / "settings"


def page_address(home: ClientHome, place: str) -> str:
    """An address that opens the page once, within two minutes.  Raises LocalProblem."""
    home.make()
    command = [*own_command(_PROGRAM, home.path), "settings", "--serve"]
    return address_from(page_folder(home), command, place, said=home.log / "settings.txt")


def address_from(folder: Path, command: Sequence[str], place: str, *, said: Path) -> str:
    """command: what starts the server if none answers in `folder`.  said: where its last words go."""
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        return _asked(folder, place)
    except NotRunning:
        pass
    with said.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this program itself
            command,
            env=own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
        )
    ends = time.monotonic() + START_SECONDS
    while True:
        is_over = process.poll() is not None or time.monotonic() > ends
        try:  # also when it has ended: it gives way to another one, and that one answers
            return _asked(folder, place)
        except NotRunning:
            if is_over:
                break
        time.sleep(LOOK_SECONDS)
    words = said.read_text("utf-8", "replace").strip().splitlines()
    raise LocalProblem("The page cannot be shown", hint=words[-1] if words else f"Look into {said.parent}.")


def _asked(folder: Path, place: str) -> str:
    return str(ask(folder, "open", place=place)["url"])
