"""What the icon in the tray says, and its menu: made from what the running client answers.

Owns: the words and the order of the menu, what a click asks for.  No clock, socket or desktop: same answers, same menu.
May import: the standard library, protocol.names, sync_client.{screens,speaking}.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from protocol.names import shown
from sync_client import screens
from sync_client.speaking import Say, as_it_is

Json = Any

MAX_LISTED = 8  # of changes, conflicts, problems each: a menu is no list
MAX_LABEL = 60  # signs; desktops cut longer ones, where it pleases them
PAUSES = (("for 1 hour", 3_600), ("for 4 hours", 4 * 3_600), ("for 24 hours", 86_400))


# ---- what a click asks for -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Show a file or folder as the desktop does; inside: the folder that holds it, where it may be gone."""

    path: str
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Put a question to the running client; what it answers is not shown, errors are."""

    do: str
    arguments: tuple[tuple[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Open the local page at this place: one of `settings.opening.PLACES`."""

    place: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Start the client."""


@dataclass(frozen=True, slots=True)
class Quit:
    """End the client and this icon."""


@dataclass(frozen=True, slots=True)
class Snooze:
    """No notices for so long."""

    seconds: float


Action = Open | Ask | Page | Start | Snooze | Quit


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the menu.  Without action and items it only tells; without a label it is a line drawn across."""

    label: str = ""
    action: Action | None = None
    items: tuple[Item, ...] = ()

    @property
    def is_separator(self) -> bool:
        return not self.label


SEPARATOR = Item()


@dataclass(frozen=True, slots=True)
class Seen:
    """The client's answers of one moment, as they came from its socket."""

    status: Json
    activity: tuple[Json, ...] = ()
    conflicts: tuple[Json, ...] = ()
    guards: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Face:
    """The tray at one moment.  state: one of `screens.WORDS`.  title, detail: what pointing at the icon shows."""

    state: str
    title: str
    detail: str
    menu: tuple[Item, ...] = field(repr=False)


def face_of(seen: Seen, say: Say = as_it_is) -> Face:
    """Icon, words and menu.  say: a sentence or a line of ours, in the language of this person."""
    status = _spoken(seen.status, say)
    detail = _detail(status)
    menu = tuple(_menu(replace(seen, status=status), detail))
    return spoken_face(Face(status["state"], _title(status), detail, menu), say)


def spoken_face(face: Face, say: Say) -> Face:
    """Each line in the language of this person, and as long as a menu has room for."""
    menu = tuple(_finished(item, say) for item in face.menu)
    return Face(face.state, say(face.title), _cut_off(say(face.detail)), menu)


def _spoken(status: Json, say: Say) -> Json:
    """What the client says itself stands inside our lines."""
    return status | {
        "words": say(status["words"]),
        "notices": [one | {"words": say(one["words"])} for one in status.get("notices", [])],
        "folders": [
            one
            | {
                "words": say(one["words"]),
                "problems": [each | {"message": say(each["message"])} for each in one["problems"]],
            }
            for one in status["folders"]
        ],
    }


def _finished(item: Item, say: Say) -> Item:
    items = tuple(_finished(one, say) for one in item.items)
    return Item(_cut_off(say(item.label)), item.action, items)


def _title(status: Json) -> str:
    if not status["running"]:
        return "MB-Sync is not running"
    return str(screens.WORDS[status["state"]])


def _detail(status: Json) -> str:
    """One line more than the state."""
    if progress := status.get("progress"):
        return screens.progress_line(progress)
    if status["state"] in ("error", "offline", "attention") and status["running"]:
        return str(status["words"])
    files = sum(folder["files"] for folder in status["folders"])
    if status["folders"]:
        return f"{screens.count_of(files, 'file')} in {screens.count_of(len(status['folders']), 'folder')}"
    return "No folder is followed yet" if status["running"] and status["state"] != "starting" else ""


def _menu(seen: Seen, detail: str) -> Iterator[Item]:
    status = seen.status
    yield Item(_title(status))
    if detail:
        yield Item(detail)
    if not status["running"]:
        yield SEPARATOR
        if status.get("server"):
            yield Item("Start MB-Sync", Start())
        else:
            yield Item("Set up MB-Sync…", Page())
        yield Item("Quit", Quit())
        return
    asking = [
        *_guards(seen.guards),
        *_large_folders(status),
        *_conflicts(status, seen.conflicts),
        *_problems(status),
    ]
    asking += _notices(status)
    if asking:
        yield SEPARATOR
        yield from asking
    yield SEPARATOR
    yield from _folders(status)
    if seen.activity:
        changes = (*_changes(seen.activity), SEPARATOR, Item("Show all…", Page("activity")))
        yield Item("Recent changes", items=changes)
    yield SEPARATOR
    yield Item("Sync now", Ask("wait"))
    yield from _pausing(status)
    yield SEPARATOR
    yield Item("No notices for 1 hour", Snooze(3_600))
    yield Item("Open MB-Sync in the browser", Page("home"))
    yield Item("Settings…", Page("settings"))
    yield Item("Quit MB-Sync", Quit())


def _guards(guards: tuple[Json, ...]) -> Iterator[Item]:
    """A mass change that waits for a person."""
    for guard in guards:
        where = (("folder", guard["folder"]),)
        yield Item(
            guard_words(guard),
            items=(
                Item("Show the folder", Open(guard["folder"])),
                SEPARATOR,
                Item("Go on: it was meant", Ask("guard-decide", (*where, ("apply", True)))),
                Item("Put everything back", Ask("guard-decide", (*where, ("apply", False)))),
            ),
        )


_MASS = {  # `what` of a guard, for one and for many
    "deleted-here": ("deletion", "deletions"),
    "deleted-there": ("deletion on the server", "deletions on the server"),
    "rewritten-here": ("rewritten file", "rewritten files"),
    "rewritten-there": ("file rewritten on the server", "files rewritten on the server"),
}


def guard_words(guard: Json) -> str:
    """ "214 deletions wait for you in Study"."""
    count = screens.count_of(guard["count"], *_MASS[guard["what"]])
    return f"{count} wait{'s' if guard['count'] == 1 else ''} for you in {_name(guard['folder'])}"


LARGE_FOLDER, GUARD = "large-folder", "guard"  # the codes of what waits, among the problems of a folder


def large_folders(status: Json) -> list[tuple[str, str]]:
    """What is large, new or grown, and waits for a person: where it would lie on this disk, and the words about it."""
    return [
        (os.path.join(folder["local"], problem["path"]), str(problem["message"]))
        for folder in status["folders"]
        for problem in folder["problems"]
        if problem.get("code") == LARGE_FOLDER
    ]


def _large_folders(status: Json) -> Iterator[Item]:
    for where, message in large_folders(status)[:MAX_LISTED]:
        yield Item(
            f"{_name(where)} is large and waits",
            items=(
                Item(shown(message)),
                SEPARATOR,
                Item("Have it on this computer", Ask("exclude", (("path", where), ("remove", True)))),
                Item("Keep it off this computer", Ask("exclude", (("path", where),))),
            ),
        )


def _conflicts(status: Json, conflicts: tuple[Json, ...]) -> Iterator[Item]:
    count = status["conflicts"]
    if not count:
        return
    listed = [
        Item(
            _name(conflict["original"]),
            items=(
                Item("Show both files", Open(conflict["path"], inside=True)),
                SEPARATOR,
                *(
                    Item(label, Ask("resolve", (("id", conflict["id"]), ("keep", keep))))
                    for label, keep in (
                        (_version("Keep mine", conflict["mine"]), "mine"),
                        (_version("Keep theirs", conflict["theirs"]), "theirs"),
                        ("Keep both", "both"),
                    )
                ),
            ),
        )
        for conflict in conflicts[:MAX_LISTED]
    ]
    yield Item(
        f"{screens.count_of(count, 'conflict')} to decide",
        items=tuple(_cut(listed, count, Page("conflicts"))),
    )


def _version(label: str, version: Json) -> str:
    facts = ["a folder" if version.get("folder") else screens.size(version["size"])]
    if who := version.get("user"):
        facts.append(shown(str(who)))
    return f"{label} ({', '.join(facts)})"


def _notices(status: Json) -> Iterator[Item]:
    """What the server tells this person, each with the command that answers it."""
    told = status.get("notices", [])
    if len(told) == 1:
        yield Item(told[0]["words"], items=(Item(told[0]["command"]),))
    elif told:
        listed = [Item(one["words"], items=(Item(one["command"]),)) for one in told[:MAX_LISTED]]
        yield Item(f"{len(told):,} notices", items=tuple(_cut(listed, len(told), Page("home"))))


def _problems(status: Json) -> Iterator[Item]:
    problems = [
        (folder["local"], problem)
        for folder in status["folders"]
        for problem in folder["problems"]
        if problem.get("code") not in (LARGE_FOLDER, GUARD)  # each has a line of its own
    ]
    if not problems:
        return
    listed = [
        Item(
            f"{_name(problem['path'])}: {shown(problem['message'])}",
            Open(os.path.join(local, problem["path"]), inside=True) if problem["path"] else None,
        )
        for local, problem in problems[:MAX_LISTED]
    ]
    yield Item(
        f"{screens.count_of(len(problems), 'item')} in trouble",
        items=tuple(_cut(listed, len(problems), Page("problems"))),
    )


def _cut(listed: list[Item], count: int, page: Page) -> Iterator[Item]:
    """page: where the others are listed too."""
    yield from listed
    if count > len(listed):
        yield Item(f"{count - len(listed):,} more…" if listed else "Show them…", page)


def _folders(status: Json) -> Iterator[Item]:
    folders = status["folders"]
    if len(folders) == 1:
        yield Item(f"Open {_name(folders[0]['local'])}", Open(folders[0]["local"]))
    elif folders:
        yield Item(
            "Open folder",
            items=tuple(
                Item(f"{_name(folder['local'])} {_folder_words(folder)}", Open(folder["local"]))
                for folder in folders
            ),
        )
    else:
        yield Item("Choose folders…", Page("first"))


def _folder_words(folder: Json) -> str:
    """Beside its name; an ended or broken folder says why."""
    return f"({shown(folder['words'])})" if folder["state"] not in ("synced", "attention") else ""


def _changes(activity: tuple[Json, ...]) -> Iterator[Item]:
    arrows = {"up": "↑", "down": "↓"}
    for change in activity[:MAX_LISTED]:
        arrow = arrows.get(change.get("direction", ""), " ")
        label = f"{arrow} {_name(change['path'])} ({change['action']}{screens.by_whom([change])})"
        yield Item(label, Open(change["path"], inside=True))


def _pausing(status: Json) -> Iterator[Item]:
    if status["state"] == "paused":
        yield Item("Resume syncing", Ask("pause", (("paused", False),)))
        return
    yield Item(
        "Pause syncing",
        items=(
            *(
                Item(words, Ask("pause", (("paused", True), ("for_seconds", seconds))))
                for words, seconds in PAUSES
            ),
            Item("until I resume it", Ask("pause", (("paused", True),))),
        ),
    )


def _name(path: str) -> str:
    return shown(os.path.basename(path.rstrip("/\\")) or path)


def _cut_off(text: str) -> str:
    """As much as a menu has room for; where a sentence ends in a hint, what happened comes first anyway."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1].rstrip() + "…"
