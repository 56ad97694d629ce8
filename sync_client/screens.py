"""What people see in the terminal: one quiet screen per question.

Owns: the words, marks, numbers and times of the screens, as functions from an answer to text.
May import: the standard library, protocol.names (for `shown`).
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from protocol.names import shown

Json = Any

MARKS = {  # told apart by shape: colour only helps
    "synced": "✓",
    "syncing": "↻",
    "paused": "‖",
    "offline": "○",
    "attention": "!",
    "error": "✗",
    "starting": "…",
    "excluded": "–",
    "unknown": "?",
    "folder": "▸",
}
WORDS = {
    "synced": "All synced",
    "syncing": "Syncing",
    "paused": "Paused",
    "offline": "Offline",
    "attention": "Needs your attention",
    "error": "Not syncing",
    "starting": "Starting",
}
_COLOURS = {
    "synced": "32",
    "syncing": "36",
    "attention": "33",
    "error": "31",
    "paused": "2",
    "offline": "2",
    "starting": "2",
}
_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3_600, 86_400
MAX_PROBLEMS_SHOWN = 10  # per folder; --json lists them all

Paint = Callable[[str, str], str]


def painter(*, colours: bool) -> Paint:
    """paint(text, state or "dim" or "bold"): the text, coloured if `colours`."""
    codes = {**_COLOURS, "dim": "2", "bold": "1"}

    def paint(text: str, how: str) -> str:
        return f"\x1b[{codes[how]}m{text}\x1b[0m" if colours and how in codes else text

    return paint


def has_colours() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


# ---- numbers and times -----------------------------------------------------------------------------------


def size(count: int) -> str:
    """1023 B, 1.2 kB, 34 MB: three figures are enough for people."""
    if count < 1_000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1_000
        if value < 999.5 or unit == "TB":
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
    raise AssertionError


def count_of(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def ago(moment: object, now: float) -> str:
    """ "2 min ago".  moment: seconds, milliseconds or ISO text; what is none of these is shown as it is."""
    seconds = _seconds(moment)
    if seconds is None:
        return str(moment or "")
    past = now - seconds
    if past < 5 * _SECOND:
        return "just now"
    for limit, unit, word in ((_MINUTE, 1, "s"), (_HOUR, _MINUTE, "min"), (_DAY, _HOUR, "h")):
        if past < limit:
            return f"{int(past // unit)} {word} ago"
    if past < 2 * _DAY:
        return "yesterday"
    if past < 30 * _DAY:
        return f"{int(past // _DAY)} days ago"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d")


def _seconds(moment: object) -> float | None:
    if isinstance(moment, str):
        try:
            return datetime.fromisoformat(moment).timestamp()
        except ValueError:
            return None
    if isinstance(moment, int | float):
        return moment / 1_000 if moment > 1e11 else float(moment)
    return None


def path(text: str) -> str:
    """A path as people write it, with whatever would play tricks on a terminal escaped."""
    own = os.path.expanduser("~")
    if own not in {"/", "~"} and (text == own or text.startswith(own + os.sep)):
        text = "~" + text[len(own) :]
    return "/".join(shown(name) for name in text.split("/"))


def table(rows: Iterable[tuple[str, ...]], *, indent: str = "  ") -> list[str]:
    """Rows in aligned columns; the last one is left ragged."""
    rows = list(rows)
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        (
            indent
            + "   ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        ).rstrip()
        for row in rows
    ]


# ---- screens ---------------------------------------------------------------------------------------------


def status_screen(status: Json, paint: Paint) -> str:
    state = status["state"]
    head = paint(f"{MARKS.get(state, '?')} {status.get('words') or WORDS.get(state, state)}", state)
    lines = [head]
    if status.get("user"):
        lines.append(
            paint(f"  {status['user']} on {status.get('device', '')} · {status.get('server', '')}", "dim")
        )
    if status.get("folders"):
        lines += ["", *_folders(status["folders"], paint)]
    elif status.get("running", True) and state not in ("starting", "error"):
        lines += ["", "  No folder is followed yet. Add one: mb-sync add /Home/NAME FOLDER"]
    if progress := status.get("progress"):
        lines += ["", "  " + progress_line(progress)]
    if notices := status.get("notices"):
        lines += ["", *(line for notice in notices for line in _notice(notice, paint))]
    notes = [shown(note) for note in status.get("notes", [])]
    if conflicts := status.get("conflicts"):
        notes.append(f"{count_of(conflicts, 'conflict')} to decide: mb-sync conflicts")
    if retention := status.get("retention"):
        notes.extend(retention.splitlines())
    traffic = status.get("traffic") or {}
    if any(traffic.values()):
        notes.append(
            f"{size(traffic['sent_bytes'])} sent, {size(traffic['received_bytes'])} received since the start."
        )
    if any((limits := status.get("limits") or {}).get(way) for way in ("up", "down")):
        notes.append(limits_words(limits))
    if until := status.get("paused_until"):
        notes.append(f"Paused for {long_time(max(0, until - time.time()))} more.")
    if notes:
        lines += ["", *(paint(f"  {note}", "dim") for note in notes)]
    return "\n".join(lines)


def _notice(notice: Json, paint: Paint) -> list[str]:
    """What waits is marked like what needs attention; the rest is only told."""
    mark = paint("!", "attention") if notice["waits"] else "·"
    when = f" · {ago(notice['at'], time.time())}" if notice["at"] else ""
    follows = f"      {notice['command']}" if notice["command"] else ""
    return [f"  {mark} {notice['words']}{paint(when, 'dim')}", *filter(None, [paint(follows, "dim")])]


def _folders(folders: list[Json], paint: Paint) -> list[str]:
    rows = table(
        (path(folder["local"]), shown_remote(folder["remote"]), _folder_words(folder)) for folder in folders
    )
    lines = []
    for folder, row in zip(folders, rows, strict=True):
        lines.append(f"  {paint(MARKS.get(folder['state'], '?'), folder['state'])} {row.lstrip()}")
        problems = folder.get("problems", [])
        for problem in problems[:MAX_PROBLEMS_SHOWN]:
            where = f"{path(problem['path'])}: " if problem["path"] else ""
            again = _again(problem.get("next_try_seconds"))
            lines.append(f"      {paint('!', 'attention')} {where}{shown(problem['message'])}{again}")
        if len(problems) > MAX_PROBLEMS_SHOWN:
            lines.append(f"      … and {len(problems) - MAX_PROBLEMS_SHOWN:,} more: mb-sync status --json")
    return lines


def _again(seconds: float | None) -> str:
    return "" if seconds is None else f" Next try in {long_time(seconds)}."


def _folder_words(folder: Json) -> str:
    words = [f"{count_of(folder['files'], 'file')}, {size(folder['bytes'])}"]
    if folder["waiting"]:
        words.append(f"{folder['waiting']:,} waiting")
    if folder.get("read_only"):
        words.append("read only")
    if (scan := folder.get("scan")) and scan["wished_seconds"] is not None:
        words.append(scan_words(scan))
    if own := folder.get("own_files"):
        words.append(f"{count_of(own, 'file')} of your own, on this computer only")
    if quota := folder.get("quota"):
        words.append(f"{size(quota['free_bytes'])} of {size(quota['quota_bytes'])} left on the server")
    if folder["state"] in ("offline", "paused", "starting"):
        words.append(shown(folder["words"]))
    return " · ".join(words)


def shown_remote(text: str) -> str:
    return "/".join(shown(name) for name in text.split("/"))


def progress_line(progress: Json) -> str:
    rate = progress.get("bytes_per_second") or 0
    line = (
        f"{progress['done_files']:,} of {count_of(progress['total_files'], 'file')},"
        f" {size(progress['done_bytes'])} of {size(progress['total_bytes'])}"
    )
    if rate <= 0:
        return line
    left = max(0, progress["total_bytes"] - progress["done_bytes"]) / rate
    return f"{line}, {size(int(rate))}/s, {long_time(left)} left"


def long_time(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{int(seconds) + 1} s"
    return f"{int(seconds / _MINUTE)} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def files_screen(items: list[Json], paint: Paint) -> str:
    rows = table((item["state"], path(item["path"]), shown(item.get("reason") or "")) for item in items)
    return "\n".join(
        f"{paint(MARKS.get(item['state'], '?'), item['state'])} {row.lstrip()}"
        for item, row in zip(items, rows, strict=True)
    )


def author_words(change: Json) -> str:
    """ "ben on lab-2", "you on workstation"; "" where nobody is told."""
    if not change.get("user"):
        return ""
    return f"{'you' if change['you'] else shown(change['user'])} on {shown(change['device'])}"


def by_whom(changes: Iterable[Json]) -> str:
    """ " by ben", " by you on workstation", " by ben and 2 others"; "" where nobody is told of one of them."""
    changes = list(changes)
    names = list(dict.fromkeys("you" if one.get("you") else shown(one.get("user", "")) for one in changes))
    if not names or "" in names:
        return ""
    if names == ["you"]:
        devices = {one["device"] for one in changes}
        return f" by you on {shown(devices.pop())}" if len(devices) == 1 else " by you"
    if len(names) > 2:
        return f" by {names[0]} and {len(names) - 1:,} others"
    return f" by {' and '.join(names)}"


def activity_screen(items: list[Json]) -> str:
    if not items:
        return "Nothing has happened yet."
    now = time.time()
    arrows = {"up": "↑", "down": "↓"}
    return "\n".join(
        table(
            (
                (
                    ago(item["at"], now),
                    f"{arrows.get(item.get('direction', ''), ' ')} {item['action']}",
                    size(item["bytes"]) if item.get("bytes") else "",
                    author_words(item),
                    path(item["path"]),
                )
                for item in items
            ),
            indent="",
        )
    )


_DEEDS = {
    "import": "added",
    "change": "changed",
    "move": "moved or renamed",
    "delete": "deleted",
    "restore": "restored",
    "copy": "copied",
    "put-back": "put back",
    "resolve": "decided a conflict",
    "read": "synced from the server",
    "find": "searched",
    "download": "downloaded",
    "look": "looked at what was held back",
    "release": "released",
    "reject": "rejected",
    "retry": "had tried again",
    "label": "labelled",
    "cohort": "made or ended a cohort",
    "share": "shared",
    "unshare": "ended sharing",
    "code": "sync code",
    "ask": "asked for",
}


def deeds_screen(items: list[Json]) -> str:
    if not items:
        return "Nobody did anything there that you may see."
    now = time.time()
    return "\n".join(
        table(
            (
                (
                    ago(item["at"], now),
                    shown(item["who"]) or "the server",
                    shown(item["device"]),
                    _deed_words(item),
                )
                for item in items
            ),
            indent="",
        )
    )


def _deed_words(item: Json) -> str:
    """ "38 added in /Projects/Nerves/Cohort A"; "shared /Home/Study: reader to user:ben"."""
    what, where = _DEEDS.get(item["did"], item["did"]), shown_remote(item["path"])
    if item["count"] > 1:
        words = f"{item['count']:,} {what}" + (f" in {where}" if where else "")
    else:
        words = f"{what} {where}".rstrip()
    if item["detail"]:
        words += f": {shown(item['detail'])}"
    return words if item["result"] == "done" else f"{words} (refused: {shown(item['result'])})"


def conflicts_screen(items: list[Json], paint: Paint) -> str:
    if not items:
        return "No conflicts."
    now = time.time()
    lines = []
    for item in items:
        known_as = paint(f"conflict {item['id']}", "dim")
        lines.append(f"{paint('!', 'attention')} {path(item['original'])}   {known_as}")
        lines += table(
            [
                ("mine", path(os.path.basename(item["path"])), _version_words(item["mine"], now)),
                ("theirs", path(os.path.basename(item["original"])), _version_words(item["theirs"], now)),
            ],
            indent="    ",
        )
    lines += ["", "Decide with: mb-sync conflicts resolve ID --keep mine|theirs|both (or --all)"]
    return "\n".join(lines)


def decided_screen(items: list[Json]) -> str:
    if not items:
        return "No conflicts."
    lines = []
    for item in items:
        done = "not decided" if item.get("failed") else f"kept {item['keep']}"
        lines += [f"{path(item['original'])}: {done}.", f"  {item['words']}"]
    return "\n".join(lines)


def guard_screen(items: list[Json]) -> str:
    if not items:
        return "Nothing waits for a decision."
    now = time.time()
    lines = []
    for item in items:
        lines.append(f"! {path(item['folder'])}   {ago(item['since'], now)}")
        lines.append(f"    {shown(item['message'])}")
        lines += [f"      {shown(name)}" for name in item["sample"]]
        if item["count"] > len(item["sample"]):
            lines.append(f"      … of {item['count']:,}: mb-sync guard list")
    return "\n".join(lines)


def guard_list_screen(found: list[Json]) -> str:
    """One path a line, whole, so that other programs can search in it."""
    if not found:
        return "Nothing waits for a decision."
    return "\n".join(
        "   ".join(filter(None, [path(os.path.join(one["folder"], item["path"])), author_words(item)]))
        for one in found
        for item in one["items"]
    )


def _version_words(version: Json, now: float) -> str:
    is_folder = version.get("folder")
    words = ["a folder"] if is_folder else [size(version["size"]), f"edited {ago(version['mtime'], now)}"]
    if version.get("user"):
        words.append(f"by {shown(str(version['user']))} on {shown(str(version['device']))}")
    return ", ".join(words)


def limits_words(limits: Json) -> str:
    """limits: as engine.limits has them."""
    parts = [
        f"{size(limits[way])}/s {words}"
        for way, words in (("up", "up"), ("down", "down"))
        if limits.get(way) is not None
    ]
    if not parts:
        return "No limit."
    hours = ""
    if limits.get("begins") is not None:
        clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in (limits["begins"], limits["ends"])]
        hours = f", from {clock[0]} to {clock[1]}"
    return f"At most {', '.join(parts)}{hours}: mb-sync limit."


def scan_screen(items: list[Json]) -> str:
    if not items:
        return "No folder is followed yet. Add one: mb-sync add /Home/NAME FOLDER"
    return "\n".join(table(((path(one["local"]), scan_words(one["scan"])) for one in items), indent=""))


def scan_words(scan: Json) -> str:
    """ "looked at every 5 min, as you chose"."""
    words = f"looked at every {_span(scan['every_seconds'])}"
    if scan["wished_seconds"] is None:
        return words
    slower = scan["every_seconds"] > scan["wished_seconds"]
    return (
        f"{words}: you chose {_span(scan['wished_seconds'])}, it takes long"
        if slower
        else f"{words}, as you chose"
    )


def _span(seconds: float) -> str:
    for unit, word in ((_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {word}"
    return f"{seconds:.0f} s"


def limits_screen(limits: Json) -> str:
    above = limits.get("new_folders")
    asks = (
        "New folders come without asking"
        if above is None
        else f"New folders above {size(above)} wait for you"
    )
    return f"{limits_words(limits)}\n{asks}: mb-sync limit --new-folders."


def _large(item: Json) -> str:
    return "has grown large: the rest waits for you" if item.get("grown") else "new and large: waits for you"


def excluded_screen(items: list[Json]) -> str:
    if not items:
        return "Nothing is excluded."
    rows = [
        path(item["path"] or f"{item['folder']}: deleted on the server by now")
        + (
            f"   {_large(item)} ({count_of(item['files'], 'file')}, {size(item['bytes'])})"
            if item.get("waits")
            else ""
        )
        for item in items
    ]
    return "\n".join([*rows, "", "Bring one back with: mb-sync exclude PATH --remove"])


def revs_screen(items: list[Json], paint: Paint) -> str:
    if not items:
        return "The server holds no version of this file yet."
    now = time.time()
    rows = table(
        (
            (
                str(item["rev"]),
                size(item.get("size", 0)),
                ago(item.get("at"), now),
                f"{shown(str(item.get('user', '')))} on {shown(str(item.get('device', '')))}",
                paint("current", "synced") if item.get("current") else "",
            )
            for item in items
        ),
        indent="",
    )
    return "\n".join([*rows, "", "Bring one back with: mb-sync restore PATH --rev N"])


_WHY = {  # of the local trash; what the server says is in words already
    "replaced": "replaced by a newer version",
    "removed": "deleted elsewhere",
    "recovered": "left by a crash",
}


def trash_screen(items: list[Json]) -> str:
    if not items:
        return "The trash is empty."
    now = time.time()
    rows = table(
        (
            (
                str(item["id"]),
                str(item.get("where", "")),
                size(item.get("size") or 0),
                f"{_WHY.get(item['why'], shown(item['why']))} {ago(item.get('at'), now)}",
                path(item.get("path") or ""),
            )
            for item in items
        ),
        indent="",
    )
    return "\n".join([*rows, "", "Bring one back with: mb-sync trash restore ID"])


def listing_screen(items: list[Json]) -> str:
    if not items:
        return "The folder is empty."
    now = time.time()
    return "\n".join(
        table(
            (
                (
                    "" if item["kind"] == "folder" else size(item["size"]),
                    ago(item["mtime"], now) if item.get("mtime") else "",
                    shown(item["name"]) + ("/" if item["kind"] == "folder" else ""),
                )
                for item in items
            ),
            indent="",
        )
    )


def who_screen(items: list[Json], remote: str) -> str:
    """Below each that was given something on this very folder: the line that ends it."""
    if not items:
        return "Nobody can see it."
    rows = table(
        (
            (
                shown(item["who"]),
                item["role"],
                "" if item["here"] else f"from {shown_remote(item['on']) or 'a folder above'}",
                ", ".join(shown(name) for name in item["people"]),
            )
            for item in items
        ),
        indent="",
    )
    lines = ["Who can see this now:"]
    for item, row in zip(items, rows, strict=True):
        lines.append(row)
        if item["removable"]:
            words = f"{shlex.quote(shown_remote(remote))} --with {shlex.quote(shown(item['who']))}"
            lines.append(f"    end it: mb-sync share {words} --remove")
    return "\n".join(lines)
