"""What `mb-sync doctor` says of one thing: how it is, and what to do.

Owns: the findings and the judgement behind each, from numbers and words that were looked up elsewhere.  Pure.
May import: the standard library, sync_client.screens, engine.file_systems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sync_client import screens
from sync_client.engine.file_systems import NETWORK_KINDS

MB, GB = 1_000_000, 1_000_000_000
LEAST_ROOM_BYTES = 100 * MB  # below, nothing can be worked with
LITTLE_ROOM_BYTES = GB
CLOCK_SECONDS = 10.0  # what nobody minds; a `Date` has whole seconds and travels a while
CLOCK_LIMIT_SECONDS = 86_400.0  # beyond it certificates are not believed any more
WATCHES_SHARE = 0.9  # other programs watch too


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


MARKS = {Level.OK: "✓", Level.WARNING: "!", Level.ERROR: "✗"}

Fact = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Finding:
    """check: which of the checks, a word that programs may rely on.  words: for the person at this computer, names
    and paths among them.  hint: what they can do.  facts: numbers and codes, nothing that names anybody: all that a
    support bundle takes along."""

    check: str
    level: Level
    words: str
    hint: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)


def ok(check: str, words: str, **facts: Fact) -> Finding:
    return Finding(check, Level.OK, words, "", facts)


def warning(check: str, words: str, hint: str, **facts: Fact) -> Finding:
    return Finding(check, Level.WARNING, words, hint, facts)


def error(check: str, words: str, hint: str, **facts: Fact) -> Finding:
    return Finding(check, Level.ERROR, words, hint, facts)


# ---- the judgements --------------------------------------------------------------------------------------


def clock(ahead_seconds: float) -> Finding:
    """ahead_seconds: how far this computer's clock is before the server's; negative: behind."""
    away, seconds = abs(ahead_seconds), round(ahead_seconds)
    if away <= CLOCK_SECONDS:
        return ok("clock", "The clocks of this computer and the server agree", ahead_seconds=seconds)
    side = "ahead of" if ahead_seconds > 0 else "behind"
    words = f"This computer's clock is {screens.long_time(away)} {side} the server's"
    hint = "Have the system set its clock by the network; the dates of your files come from it."
    if away <= CLOCK_LIMIT_SECONDS:
        return warning("clock", words, hint, ahead_seconds=seconds)
    return error(
        "clock", words, f"{hint} With such a difference certificates are refused.", ahead_seconds=seconds
    )


def watches(limit: int, folders: int, *, counted_all: bool) -> Finding:
    """limit: of watches a user (inotify).  folders: that MB-Sync has to watch.  counted_all: not only so many."""
    many = f"{'' if counted_all else 'more than '}{screens.count_of(folders, 'folder')}"
    if folders <= limit * WATCHES_SHARE and counted_all:
        words = f"The system allows {limit:,} watches, MB-Sync needs {many}"
        return ok("watches", words, limit=limit, folders=folders)
    return warning(
        "watches",
        f"The system allows {limit:,} watches, and there are {many} to watch",
        "Changes are found by scanning instead, every minute or as `mb-sync scan` says. An administrator can allow"
        f" more: sysctl fs.inotify.max_user_watches={max(524_288, 2 * folders)}",
        limit=limit,
        folders=folders,
    )


def room(check: str, place: str, free_bytes: int, **facts: Fact) -> Finding:
    """place: as people call it."""
    words = f"{screens.size(free_bytes)} are free for {place}"
    if free_bytes >= LITTLE_ROOM_BYTES:
        return ok(check, words, free_bytes=free_bytes, **facts)
    hint = "Make room; `mb-sync trash empty` frees what the server holds as well."
    if free_bytes >= LEAST_ROOM_BYTES:
        return warning(check, words, hint, free_bytes=free_bytes, **facts)
    return error(check, words, hint, free_bytes=free_bytes, **facts)


def file_system(place: str, kind: str, **facts: Fact) -> Finding:
    """Of a followed folder.  kind: as the kernel names it; "": it cannot be told."""
    if kind in NETWORK_KINDS:
        return warning(
            "file-system",
            f"{place} lies on a network file system ({kind})",
            "What other computers change there is not told to this one: a scan finds it, every minute or as you say"
            " with `mb-sync scan`, less often where that takes long. Let one computer alone follow it.",
            kind=kind,
            **facts,
        )
    return ok(
        "file-system", f"{place} lies on this computer{f' ({kind})' if kind else ''}", kind=kind, **facts
    )


def home_file_system(place: str, kind: str) -> Finding:
    """Of the client home: its database wants locks that work, and a disk that keeps what it was told to."""
    if kind in NETWORK_KINDS:
        return warning(
            "home",
            f"The client home {place} lies on a network file system ({kind})",
            "Put it on a disk of this computer: set MB_SYNC_HOME, or give --home, before `mb-sync login`.",
            kind=kind,
        )
    return ok("home", f"The client home is {place}", kind=kind)


# ---- the screen ------------------------------------------------------------------------------------------


def answer(findings: list[Finding]) -> dict[str, object]:
    """For --json."""
    return {
        "ok": not has_errors(findings),
        "checks": [
            {"check": one.check, "result": one.level.value, "message": one.words, "hint": one.hint}
            for one in findings
        ],
    }


def has_errors(findings: list[Finding]) -> bool:
    return any(one.level is Level.ERROR for one in findings)


def screen(findings: list[Finding], paint: screens.Paint) -> str:
    colours = {Level.OK: "synced", Level.WARNING: "attention", Level.ERROR: "error"}
    lines = []
    for one in findings:
        lines.append(f"{paint(MARKS[one.level], colours[one.level])} {one.words}")
        if one.hint:
            lines.append(paint(f"    {one.hint}", "dim"))
    errors = sum(one.level is Level.ERROR for one in findings)
    warnings = sum(one.level is Level.WARNING for one in findings)
    counts = []
    if errors:
        counts.append(f"{screens.count_of(errors, 'error')} to put right")
    if warnings:
        counts.append(f"{screens.count_of(warnings, 'thing')} to know")
    lines += [
        "",
        f"{' and '.join(counts)[:1].upper()}{' and '.join(counts)[1:]}." if counts else "All is well.",
    ]
    return "\n".join(lines)
