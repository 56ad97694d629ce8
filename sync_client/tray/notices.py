"""What is worth interrupting a person for.

Owns: which change from one look to the next is told, in which words, grouped.  Pure.
May import: the standard library, protocol.names, sync_client.screens, menu.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from protocol.names import shown
from sync_client import screens
from sync_client.tray.menu import LARGE_FOLDER, Seen, guard_words, large_folders


@dataclass(frozen=True, slots=True)
class Notice:
    """urgent: it stays until it is read.  about: a later notice about the same takes its place."""

    title: str
    text: str
    about: str
    urgent: bool = False


def notices(before: Seen | None, after: Seen, *, quiet: Seen | None) -> list[Notice]:
    """What is new since the look before; at the first look only what waits for a decision.

    quiet: what was seen when all was synced last; files that came since are told together, when it is so again.
    """
    found = [*_guards(before, after), *_conflicts(before, after), *_stopped(before, after)]
    found += [*_large_folders(before, after), *_told(before, after)]
    if before is not None:
        found += _problems(before, after)
    if quiet is not None:
        found += _arrived(quiet, after)
    return found


def is_quiet(seen: Seen) -> bool:
    return bool(seen.status["state"] in ("synced", "attention"))


def _guards(before: Seen | None, after: Seen) -> list[Notice]:
    known = {guard["folder"] for guard in before.guards} if before else set()
    return [
        Notice(guard_words(guard), f"{guard['message']} Decide in the tray's menu.", "guard", urgent=True)
        for guard in after.guards
        if guard["folder"] not in known
    ]


def _conflicts(before: Seen | None, after: Seen) -> list[Notice]:
    was, count = (before.status["conflicts"] if before else 0), after.status["conflicts"]
    if count <= was:
        return []
    names = ", ".join(shown(os.path.basename(one["original"])) for one in after.conflicts[:3])
    return [
        Notice(
            f"{screens.count_of(count, 'conflict')} to decide",
            f"{names + ': b' if names else 'B'}oth versions are kept. Decide in the tray's menu.",
            "conflicts",
        )
    ]


def _large_folders(before: Seen | None, after: Seen) -> list[Notice]:
    known = {where for where, _ in large_folders(before.status)} if before else set()
    return [
        Notice(
            f"{shown(os.path.basename(where))} is new and large",
            f"{shown(message.partition('. ')[0])}: decide in the tray's menu.",
            f"large {where}",
            urgent=True,
        )
        for where, message in large_folders(after.status)
        if where not in known
    ]


def _told(before: Seen | None, after: Seen) -> list[Notice]:
    """By the server.  One more file is no news; at the first look neither is what waits for nobody."""

    def told(seen: Seen) -> dict[tuple[str, ...], Any]:
        return {
            (one["kind"], one["folder"], one["code"], one["device"]): one
            for one in seen.status.get("notices", [])
        }

    was = told(before) if before else {}
    new = [one for key, one in told(after).items() if key not in was and (before or one["waits"])]
    if not new:
        return []
    if len(new) == 1:
        return [Notice(shown(new[0]["words"]), new[0]["command"], "told", urgent=new[0]["waits"])]
    text = ". ".join(shown(one["words"]) for one in new[:3])
    more = f", and {len(new) - 3:,} more" if len(new) > 3 else ""
    return [Notice(f"{len(new):,} notices from the server", f"{text}{more}.", "told", urgent=True)]


def _stopped(before: Seen | None, after: Seen) -> list[Notice]:
    """Syncing itself has ended, here or in one folder."""
    found = []
    if _fails(after) and not (before and _fails(before)):
        found.append(Notice("MB-Sync does not sync", shown(after.status["words"]), "state", urgent=True))
    was = _failing_folders(before) if before else {}
    found += [
        Notice(
            f"{shown(os.path.basename(local))} does not sync", shown(words), f"folder {local}", urgent=True
        )
        for local, words in _failing_folders(after).items()
        if local not in was and not _fails(after)
    ]
    return found


def _fails(seen: Seen) -> bool:
    """As a whole: nothing of it is one folder's."""
    return (
        seen.status["running"]
        and seen.status["state"] == "error"
        and (not seen.status["folders"] or all(one["state"] == "error" for one in seen.status["folders"]))
    )


def _failing_folders(seen: Seen) -> dict[str, str]:
    return {one["local"]: one["words"] for one in seen.status["folders"] if one["state"] == "error"}


def _problems(before: Seen, after: Seen) -> list[Notice]:
    def known(seen: Seen) -> dict[str, str]:
        return {
            problem["path"]: problem["message"]
            for folder in seen.status["folders"]
            for problem in folder["problems"]
            if problem.get("code") != LARGE_FOLDER
        }

    was, now = known(before), known(after)
    new = [path for path in now if path not in was]
    if not new:
        return []
    text = now[new[0]] if len(new) == 1 else "The tray's menu lists them; all others go on."
    title = (
        f"{shown(os.path.basename(new[0]))} cannot be synced"
        if len(new) == 1
        else f"{len(new):,} items cannot be synced"
    )
    return [Notice(title, shown(text), "problems")]


def _arrived(quiet: Seen, after: Seen) -> list[Notice]:
    if not is_quiet(after):
        return []
    last = max((change["at"] for change in quiet.activity), default=0)
    added = [
        change
        for change in after.activity
        if change["at"] > last and change["direction"] == "down" and change["action"] == "added"
    ]
    folders = {os.path.dirname(change["path"]) for change in added}
    new = [change for change in added if change["path"] not in folders]  # what lies in them is the news
    if not new:
        return []
    folder = os.path.basename(os.path.dirname(new[0]["path"]))
    many = f"{len(new):,}{' or more' if len(new) == len(after.activity) > 1 else ''} files arrived"
    names = ", ".join(shown(os.path.basename(change["path"])) for change in new[:3])
    more = f" and {len(new) - 3:,} more" if len(new) > 3 else ""
    title = f"{many if len(new) > 1 else 'A file arrived'} in {shown(folder)}"
    return [Notice(title, f"{names}{more}", "arrived")]
