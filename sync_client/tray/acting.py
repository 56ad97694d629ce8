"""What a click does.

Owns: which of our programs or the desktop's does it.
May import: protocol.errors, control, home, notice_choice, showing, settings.opening, commands.running, menu.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from sync_client.commands.running import start_background, stop_running
from sync_client.control import ask
from sync_client.home import ClientHome
from sync_client.notice_choice import read_choice, save_choice
from sync_client.settings.opening import page_address
from sync_client.showing import nearest, show
from sync_client.tray.menu import Action, Ask, Open, Page, Quit, Snooze, Start


def act(home: ClientHome, action: Action) -> None:
    """Do it; blocks until it is done.  Raises MedicalBlocksError."""
    match action:
        case Open(path=path, inside=inside):
            show(nearest(Path(path), inside=inside))
        case Page(place=place):
            show(page_address(home, place))
        case Ask(do=do, arguments=arguments):
            ask(home.path, do, seconds=None, **dict(arguments))
        case Snooze(seconds=seconds):
            now = time.time()
            save_choice(home, replace(read_choice(home), snooze_until=now + seconds), now=now)
        case Start():
            start_background(home)
        case Quit():
            stop_running(home)
