"""What the explorer draws on a file and offers for it.

Owns: the emblem of each state, the menu, its words.  Pure: the same marks, the same menu.
May import: the standard library, book.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .book import Mark

EMBLEMS = {
    "synced": "mb-sync-synced",
    "syncing": "mb-sync-syncing",
    "starting": "mb-sync-syncing",
    "unknown": "mb-sync-syncing",  # in a followed folder: the client has not seen it yet
    "error": "mb-sync-problem",
    "attention": "mb-sync-problem",
    "excluded": "mb-sync-excluded",
    "paused": "mb-sync-waiting",
    "offline": "mb-sync-waiting",
}
WORDS = {
    "mb-sync-synced": "Synced",
    "mb-sync-syncing": "Syncing",
    "mb-sync-problem": "Cannot be synced",
    "mb-sync-excluded": "Not synced: excluded",
    "mb-sync-waiting": "Waiting",
}
MOST_REASON = 70  # signs of one line of a menu
MOST_EXCLUDED = 12  # lines of a menu


@dataclass(frozen=True)
class Entry:
    """One line of the menu.  action: what a click does, None where it only tells; entries: a menu below it."""

    name: str
    label: str
    action: Any = None
    entries: tuple[Entry, ...] = field(default=())


# ---- actions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CopyCode:
    remote: str


@dataclass(frozen=True)
class Ask:
    """A question to the client; `done` is told when it is answered."""

    do: str
    arguments: tuple[tuple[str, Any], ...]
    done: str


@dataclass(frozen=True)
class Page:
    """The page of MB-Sync in the browser, at this place; "" for its beginning.  path: of which file it is."""

    place: str
    path: str = ""


# ---- the two questions of an explorer ----------------------------------------------------------------------


def emblem_of(mark: Mark | None) -> str | None:
    """None: it is none of ours, or nothing is known of it."""
    if mark is None or mark["remote"] is None:
        return None
    return EMBLEMS.get(str(mark["state"]))


def menu_of(mark: Mark | None, *, is_folder: bool, has_pages: bool) -> tuple[Entry, ...]:
    """For one file or folder.  has_pages: this MB-Sync has a page to open in the browser."""
    emblem = emblem_of(mark)
    if mark is None or emblem is None:
        return ()
    path, remote = str(mark["path"]), str(mark["remote"])
    entries = [Entry("state", _state(emblem, str(mark["reason"])))]
    if mark["conflict"]:
        entries.append(_conflict(str(mark["conflict"])))
    is_there = mark["state"] not in ("unknown", "excluded")
    if is_folder and is_there and remote.count("/") > 1:  # of a whole home there is no code
        entries.append(Entry("code", "Copy a sync code (link)", CopyCode(remote)))
    if has_pages and is_there:
        if is_folder and remote.count("/") > 1:
            entries.append(Entry("share", "Share…", Page("sharing", path)))
        elif not is_folder:
            entries.append(Entry("versions", "Versions…", Page("versions", path)))
    entries += _keeping(mark, path)
    if has_pages:
        place = "conflicts" if mark["conflict"] else "problems" if emblem == "mb-sync-problem" else ""
        entries.append(Entry("pages", "Open MB-Sync in the browser", Page(place)))
    return tuple(entries)


def _state(emblem: str, reason: str) -> str:
    words = WORDS[emblem]
    if not reason:
        return words
    text = f"{words}: {' '.join(reason.split())}"
    return text if len(text) <= MOST_REASON else text[: MOST_REASON - 1].rstrip() + "…"


def _conflict(number: str) -> Entry:
    def keep(which: str, label: str, done: str) -> Entry:
        return Entry(f"keep-{which}", label, Ask("resolve", (("id", number), ("keep", which)), done))

    return Entry(
        "conflict",
        "Decide the conflict",
        None,
        (
            keep(
                "mine",
                "Keep the copy that stands beside (mine)",
                "The copy that stood beside is the file now.",
            ),
            keep("theirs", "Keep the file under its name (theirs)", "The file under its name stays."),
            keep("both", "Keep both as two files", "Both stay, as two ordinary files."),
        ),
    )


def _keeping(mark: Mark, path: str) -> list[Entry]:
    found = []
    away: Sequence[str] = mark["excluded"]
    if away:
        found.append(
            Entry(
                "keep",
                "Always keep on this computer",
                None,
                tuple(
                    Entry(
                        f"keep-{number}",
                        name,
                        Ask(
                            "exclude",
                            (("path", os.path.join(path, name)), ("remove", True)),
                            f"{name} comes back.",
                        ),
                    )
                    for number, name in enumerate(away[:MOST_EXCLUDED])
                ),
            )
        )
    if mark["state"] == "synced" and not mark["top"]:
        name = os.path.basename(path)
        done = f"{name} is on the server and not on this computer any more."
        found.append(Entry("exclude", "Keep it off this computer", Ask("exclude", (("path", path),), done)))
    return found
