"""MB-Sync behind its icon: the running client of one home.

Owns: what was seen last, which decides what is news.
May import: the standard library, home, notice_choice, speaking, tray.
"""

from __future__ import annotations

import os
import time

from sync_client.home import ClientHome
from sync_client.notice_choice import read_choice
from sync_client.speaking import language_of, speaker
from sync_client.tray.acting import act
from sync_client.tray.looking import look
from sync_client.tray.menu import Action, Seen, face_of
from sync_client.tray.notices import is_quiet, notices, spoken
from sync_client.tray.program import Look


class MbSync:
    """The client of one home."""

    id = "mb-sync"
    title = "MB-Sync"
    in_a_terminal = "mb-sync status"

    def __init__(self, home: ClientHome) -> None:
        self._home = home
        self._seen: Seen | None = None
        self._quiet: Seen | None = None  # when all was synced last
        self._say = speaker(language_of(os.environ))

    def look(self) -> Look:
        before, seen = self._seen, look(self._home, self._seen, quiet=self._quiet)
        told = notices(before, seen, quiet=self._quiet)
        self._seen = seen
        if is_quiet(seen):
            self._quiet = seen
        choice, now = read_choice(self._home), time.time()
        wanted = tuple(spoken(one, self._say) for one in told if choice.wants(urgent=one.urgent, now=now))
        return Look(face_of(seen, self._say), wanted, busy=seen.status["state"] in ("syncing", "starting"))

    def act(self, action: Action) -> None:
        act(self._home, action)
