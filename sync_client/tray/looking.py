"""What the tray knows of the running client: its answers, asked for every few seconds.

Owns: which questions are asked when.  May import: the standard library, protocol.errors, quick, control, home, menu,
notices.
"""

from __future__ import annotations

from protocol.errors import MedicalBlocksError
from sync_client.control import Json, ask
from sync_client.home import ClientHome
from sync_client.quick import status_of
from sync_client.tray.menu import Seen
from sync_client.tray.notices import MOST_CHANGES, latest

ACTIVITY = 50  # changes, at each look
ANSWER_SECONDS = 20.0  # of `conflicts`, which may ask the server who wrote what


def look(home: ClientHome, before: Seen | None, *, quiet: Seen | None) -> Seen:
    """As it is now; blocks for as long as the client takes.  Whatever cannot be asked is left out.

    quiet: when all was synced last; what came since is asked for as a whole, to be counted.
    """
    status = status_of(home)
    if not status["running"] or status["state"] == "starting":
        return Seen(status)
    activity = _asked(home, "activity", limit=ACTIVITY)
    if quiet is not None and len(activity) == ACTIVITY and activity[-1]["at"] > latest(quiet):
        activity = _asked(home, "activity", limit=MOST_CHANGES)
    return Seen(
        status,
        activity=activity,
        conflicts=_conflicts(home, status, before),
        guards=_asked(home, "guard") if status["state"] != "synced" else (),
    )


def _conflicts(home: ClientHome, status: Json, before: Seen | None) -> tuple[Json, ...]:
    """Their authors are asked of the server, so not without need."""
    if not status["conflicts"]:
        return ()
    if before is not None and before.conflicts and before.status["conflicts"] == status["conflicts"]:
        return before.conflicts
    return _asked(home, "conflicts")


def _asked(home: ClientHome, do: str, **arguments: Json) -> tuple[Json, ...]:
    try:
        return tuple(ask(home.path, do, seconds=ANSWER_SECONDS, **arguments))
    except MedicalBlocksError:  # it ended or began just now: the next look is near
        return ()
