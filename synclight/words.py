"""What MB-SyncLight says: the same things as the engine, in the words of its own commands.

Owns: which command a sentence names, the screen of `list`.
May import: protocol, synclight.home, sync_client.screens.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from protocol.names import shown
from sync_client import screens
from synclight.home import Follow

# What the engine's sentences name → what one types here.  The longer ones first.
_COMMANDS = (
    (
        "Run `mb-sync remove`, then `mb-sync add … --take-over`",
        "Run `mb-synclight remove FOLDER` and redeem the code again with --take-over",
    ),
    ("say `mb-sync add … --take-over`", "redeem the code again with --take-over"),
    ("See `mb-sync guard`, then `mb-sync guard apply`", "Say `mb-synclight apply FOLDER`"),
    (" or `mb-sync guard restore` to undo it", "; until then these files stay"),
    ("`mb-sync remove` and `mb-sync add` again", "`mb-synclight remove FOLDER` and redeem the code again"),
    ("Restart with `mb-sync stop` and `mb-sync start`", "Restart MB-SyncLight"),
    (
        " Restore it from the trash, or run `mb-sync remove`.",
        " If it is over, run `mb-synclight remove FOLDER`.",
    ),
    ("`mb-sync status` shows with what", "`mb-synclight list` shows it"),
    ("`mb-sync remove`", "`mb-synclight remove FOLDER`"),
    (
        " Ask its operator for the fingerprint that `mb-server tls` shows, and sign in again with --fingerprint.",
        " Ask whoever shared the folder for a new link.",
    ),
    ("MB-Sync met", "MB-SyncLight met"),
    ("MB-Sync's own records", "MB-SyncLight's own records"),
)


def in_our_words(text: str) -> str:
    for engine, ours in _COMMANDS:
        text = text.replace(engine, ours)
    return text


def day(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1_000).astimezone().strftime("%Y-%m-%d %H:%M")


def answer_of(follow: Follow, *, running: bool) -> dict[str, Any]:
    """One folder of `list --json`."""
    shared, state = follow.shared, follow.state
    return {
        "folder": shared.folder,
        "server": shared.server,
        "name": shared.name,
        "label": shared.label,
        "shared_by": shared.shared_by,
        "expires_at_ms": shared.expires_at_ms,
        "state": "ended" if shared.ended else state.state,
        "words": shared.ended or state.words,
        "ended_at_ms": shared.ended_at_ms or None,
        "running": running and not shared.ended,
        "files": state.files,
        "bytes": state.bytes,
        "own_files": state.own_files,
        "problems": state.problems,
        "looked_at_ms": state.at_ms or None,
    }


def list_screen(answers: list[dict[str, Any]], paint: screens.Paint) -> str:
    lines: list[str] = []
    for one in answers:
        state = "error" if one["state"] == "ended" else one["state"]
        mark = paint(screens.MARKS.get(state, "?"), state)
        what = f"{screens.count_of(one['files'], 'file')}, {screens.size(one['bytes'])}"
        lines.append(f"{mark} {screens.path(one['folder'])}   {what}")
        by = f" by {shown(one['shared_by'])}" if one["shared_by"] else ""
        name = shown(one["label"] or one["name"])
        until = f" · until {day(one['expires_at_ms'])}" if one["expires_at_ms"] else ""
        lines.append(paint(f"    {name}, shared{by} on {one['server']}{until}", "dim"))
        ended = f" ({day(one['ended_at_ms'])})" if one["ended_at_ms"] else ""
        idle = "" if one["running"] or one["state"] == "ended" else f" {_when(one['looked_at_ms'])}"
        lines.append(f"    {shown(one['words'])}{ended}{idle}")
        if one["own_files"]:
            lines.append(f"    {screens.count_of(one['own_files'], 'file')} of your own beside it")
        lines += [
            f"    {paint('!', 'attention')} {screens.path(problem['path'])}: {shown(problem['message'])}"
            for problem in one["problems"][: screens.MAX_PROBLEMS_SHOWN]
            if problem["path"]
        ]
    return "\n".join(lines)


def _when(looked_at_ms: int | None) -> str:
    if looked_at_ms is None:
        return "(not running: `mb-synclight` goes on)"
    return f"({screens.ago(looked_at_ms, time.time())}; not running: `mb-synclight` goes on)"
