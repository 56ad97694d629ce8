"""What is worth interrupting a person for.

Owns: which change from one look to the next is told, in which words, grouped.  Pure.
May import: the standard library, protocol.names, sync_client.screens, menu.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from protocol.names import shown
from sync_client import screens
from sync_client.speaking import Say
from sync_client.tray.menu import LARGE_FOLDER, Seen, guard_words, large_folders

MOST_CHANGES = 1_000  # are remembered by the client: with so many, there were perhaps more


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


def spoken(notice: Notice, say: Say) -> Notice:
    """In the language of this person."""
    return replace(notice, title=say(notice.title), text=say(notice.text))


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
    names = ", ".join(_conflict_words(one) for one in after.conflicts[:3])
    return [
        Notice(
            f"{screens.count_of(count, 'conflict')} to decide",
            f"{names + ': b' if names else 'B'}oth versions are kept. Decide in the tray's menu.",
            "conflicts",
        )
    ]


def _conflict_words(conflict: Any) -> str:
    """ "notes.txt (ana and ben)"."""
    name = shown(os.path.basename(conflict["original"]))
    who = [shown(str(conflict[side].get("user") or "")) for side in ("mine", "theirs")]
    return f"{name} ({' and '.join(dict.fromkeys(who))})" if all(who) and who[0] != who[1] else name


def _large_folders(before: Seen | None, after: Seen) -> list[Notice]:
    known = {where for where, _ in large_folders(before.status)} if before else set()
    return [
        Notice(
            f"{shown(os.path.basename(where))} is large and waits",
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


_DONE = {"added": "added to", "changed": "changed in", "deleted": "deleted from"}
MOST_FOLDERS = 3  # with a notice each; more folders are told in one


def _arrived(quiet: Seen, after: Seen) -> list[Notice]:
    """Folder by folder, with those who did it.  What was edited or deleted is news if somebody else did it."""
    if not is_quiet(after):
        return []
    last = latest(quiet)
    new = [one for one in after.activity if one["at"] > last and one["direction"] == "down" and _is_news(one)]
    folders = {os.path.dirname(change["path"]) for change in new}
    new = [change for change in new if change["path"] not in folders]  # what lies in them is the news
    if not new:
        return []
    more = " or more" if len(after.activity) >= MOST_CHANGES else ""
    by_folder: dict[str, list[Any]] = {}
    for change in new:
        by_folder.setdefault(os.path.dirname(change["path"]), []).append(change)
    if len(by_folder) > MOST_FOLDERS:
        names = ", ".join(shown(os.path.basename(folder)) for folder in list(by_folder)[:3])
        title = f"{len(new):,}{more} changes in {len(by_folder):,} folders{screens.by_whom(new)}"
        return [Notice(title, f"{names} and {len(by_folder) - 3:,} more", "arrived")]
    return [_in_one_folder(folder, changes, more) for folder, changes in by_folder.items()]


def _is_news(change: Any) -> bool:
    if change["action"] == "added":
        return True
    return change["action"] in _DONE and bool(change.get("user")) and not change["you"]


def _in_one_folder(folder: str, changes: list[Any], more: str) -> Notice:
    """ "38 files added to Cohort A by ben"."""
    actions = {change["action"] for change in changes}
    count = screens.count_of(len(changes), "file").replace(" file", f"{more} file", 1)
    done = _DONE[actions.pop()] if len(actions) == 1 else "added, changed or deleted in"
    names = ", ".join(shown(os.path.basename(change["path"])) for change in changes[:3])
    others = f" and {len(changes) - 3:,} more" if len(changes) > 3 else ""
    title = f"{count} {done} {shown(os.path.basename(folder))}{screens.by_whom(changes)}"
    return Notice(title, f"{names}{others}", f"arrived {folder}")


def latest(seen: Seen) -> int:
    """When the newest of its changes was."""
    return max((change["at"] for change in seen.activity), default=0)
