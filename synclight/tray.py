"""MB-SyncLight's icon in the tray: what it says, its menu and notices, what a click does.

Owns: the words and the order of the menu, starting and ending the process that works in this home.
May import: the standard library, protocol, synclight.{home,window,words}, and of sync_client lock, own_program,
screens, showing, speaking and tray.

It reads what that process writes for `list`, so neither needs the other to answer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from protocol.errors import LocalProblem
from protocol.names import shown
from sync_client import screens
from sync_client.lock import holder, is_held
from sync_client.own_program import own_environment, own_program
from sync_client.showing import nearest, show
from sync_client.speaking import Say, language_of, speaker
from sync_client.tray.menu import (
    MAX_LABEL,
    MAX_LISTED,
    SEPARATOR,
    Action,
    Ask,
    Face,
    Item,
    Open,
    Page,
    Quit,
    Start,
    spoken_face,
)
from sync_client.tray.notices import Notice, spoken
from sync_client.tray.program import Look
from synclight.home import LightHome
from synclight.words import answer_of

Answer = dict[str, Any]  # one folder of `list --json`

WORST_FIRST = ("error", "attention", "offline", "starting", "syncing", "synced")
TITLES = screens.WORDS | {"synced": "All that is shared is here", "error": "Not receiving"}
STOP_SECONDS = 30.0


# ---- what it says ----------------------------------------------------------------------------------------


def face_of(answers: Sequence[Answer], *, running: bool) -> Face:
    """Icon, words and menu.  running: whether a process works in the home."""
    live = [one for one in answers if one["state"] != "ended"]
    states = {"error" if one["state"] == "ended" else str(one["state"]) for one in answers}
    state = next((one for one in WORST_FIRST if one in states), "starting")
    if not answers or (live and not running):
        state = "offline"
    title, detail = _words(answers, live, state, running=running)
    return Face(state, title, detail, tuple(_menu(answers, live, title, detail, running=running)))


def spoken_answers(answers: Sequence[Answer], say: Say) -> list[Answer]:
    """What the process itself says stands inside our lines."""
    return [
        one
        | {
            "words": say(one["words"]),
            "problems": [each | {"message": say(each["message"])} for each in one["problems"]],
        }
        for one in answers
    ]


def _words(
    answers: Sequence[Answer], live: Sequence[Answer], state: str, *, running: bool
) -> tuple[str, str]:
    if not answers:
        return "No folder is followed yet", ""
    if not live:
        return "Nothing is shared with you any more", _short(answers[-1]["words"])
    if not running:
        return "MB-SyncLight is not running", ""
    if state in ("synced", "syncing", "starting"):
        files = screens.count_of(sum(one["files"] for one in live), "file")
        return TITLES[state], f"{files} in {screens.count_of(len(live), 'folder')}"
    worst = next(one for one in answers if one["state"] in (state, "ended"))
    return TITLES[state], _short(f"{_name(worst)}: {worst['words']}")


def _menu(
    answers: Sequence[Answer], live: Sequence[Answer], title: str, detail: str, *, running: bool
) -> Iterator[Item]:
    yield Item(title)
    if detail:
        yield Item(detail)
    asking = [item for one in answers for item in _asking(one)]
    if asking:
        yield SEPARATOR
        yield from asking
    if answers:
        yield SEPARATOR
        yield from _folders(answers)
    yield SEPARATOR
    if live and not running:
        yield Item("Start MB-SyncLight", Start())
    yield Item("Receive a folder…", Page())
    yield Item("Quit MB-SyncLight", Quit())


def _asking(one: Answer) -> Iterator[Item]:
    """What waits for a person, or could not be done."""
    folder = (("folder", one["folder"]),)
    if one["state"] == "ended":
        yield Item(
            f"{_name(one)} has ended",
            items=(
                Item(_short(one["words"])),
                SEPARATOR,
                Item("Show the folder", Open(one["folder"])),
                Item("Forget it (every file stays)", Ask("remove", folder)),
            ),
        )
        return
    problems = [problem for problem in one["problems"] if problem["code"] != "guard"]
    if len(problems) < len(one["problems"]):
        yield Item(
            f"Many changes wait for you in {_name(one)}",
            items=(
                Item("Show the folder", Open(one["folder"])),
                SEPARATOR,
                Item("Go on: they go to the local trash", Ask("apply", folder)),
            ),
        )
    if problems:
        listed = [
            Item(
                _short(f"{shown(os.path.basename(problem['path']))}: {problem['message']}"),
                Open(os.path.join(one["folder"], problem["path"]), inside=True) if problem["path"] else None,
            )
            for problem in problems[:MAX_LISTED]
        ]
        if len(problems) > MAX_LISTED:
            listed.append(Item(f"{len(problems) - MAX_LISTED:,} more: mb-synclight list"))
        yield Item(
            f"{screens.count_of(len(problems), 'file')} in trouble in {_name(one)}", items=tuple(listed)
        )


def _folders(answers: Sequence[Answer]) -> Iterator[Item]:
    if len(answers) == 1:
        yield Item(f"Open {_name(answers[0])}", Open(answers[0]["folder"]))
    else:
        yield Item("Open folder", items=tuple(Item(_name(one), Open(one["folder"])) for one in answers))


def _name(one: Answer) -> str:
    return shown(os.path.basename(one["folder"].rstrip("/\\")) or one["folder"])


def _short(text: str) -> str:
    text = shown(" ".join(text.split()))
    return text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1].rstrip() + "…"


# ---- what is news ----------------------------------------------------------------------------------------


def notices(before: Sequence[Answer] | None, after: Sequence[Answer], quiet: dict[str, int]) -> list[Notice]:
    """What is new since the look before; at the first look only what has ended or waits.

    quiet: the files of each folder when all of it was there last, and changed here to what it is now.
    """
    was = {one["folder"]: one for one in before or ()}
    found = []
    for one in after:
        earlier = was.get(one["folder"])
        if one["state"] == "ended" and (earlier is None or earlier["state"] != "ended"):
            found.append(Notice(f"{_name(one)} has ended", shown(one["words"]), one["folder"], urgent=True))
        if _waits(one) and not (earlier and _waits(earlier)):
            text = "They would delete or rewrite many files here. Decide in the tray's menu."
            found.append(
                Notice(f"Many changes wait in {_name(one)}", text, f"guard {one['folder']}", urgent=True)
            )
        if one["state"] in ("synced", "attention"):
            arrived = one["files"] - quiet.get(one["folder"], one["files"])
            quiet[one["folder"]] = one["files"]
            if arrived > 0:
                by = f"Shared by {shown(one['shared_by'])}." if one["shared_by"] else ""
                title = f"{screens.count_of(arrived, 'file')} arrived in {_name(one)}"
                found.append(Notice(title, by, f"arrived {one['folder']}"))
    return found


def _waits(one: Answer) -> bool:
    return any(problem["code"] == "guard" for problem in one["problems"])


# ---- the program behind the icon -------------------------------------------------------------------------


class MbSyncLight:
    """The process that works in one home, if any does."""

    id = "mb-synclight"
    title = "MB-SyncLight"
    in_a_terminal = "mb-synclight list"

    def __init__(self, home: LightHome) -> None:
        self._home = home
        self._seen: list[Answer] | None = None
        self._quiet: dict[str, int] = {}
        self._say = speaker(language_of(os.environ))

    def look(self) -> Look:
        running = is_held(self._home.lock)
        before, self._seen = self._seen, [answer_of(one, running=running) for one in self._home.follows()]
        told = notices(before, self._seen, self._quiet)
        face = spoken_face(face_of(spoken_answers(self._seen, self._say), running=running), self._say)
        return Look(
            face, tuple(spoken(one, self._say) for one in told), busy=face.state in ("starting", "syncing")
        )

    def act(self, action: Action) -> None:
        match action:
            case Open(path=path, inside=inside):
                show(nearest(Path(path), inside=inside))
            case Ask(do=do, arguments=(("folder", folder),)):
                self._run(do, str(folder))
            case Page():
                from synclight.window import window_address  # noqa: PLC0415 - it is made of this module

                show(window_address(self._home))
            case Start():
                self.start()
            case Quit():
                self._stop()

    def start(self) -> None:
        """In the background, for all folders that it follows."""
        subprocess.Popen(  # noqa: S603 - this program itself
            [*own_program("synclight"), "--home", str(self._home.path)],
            env=own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self._home.path,
        )

    def _run(self, command: str, folder: str) -> None:
        """One of our commands, as a person would type it."""
        words = [*own_program("synclight"), command, "--home", str(self._home.path), folder]
        ran = subprocess.run(words, env=own_environment(), capture_output=True, text=True, check=False)  # noqa: S603 - as above
        if ran.returncode:
            said = (
                ran.stderr.strip().removeprefix("mb-synclight: ") or f"{command} ended with {ran.returncode}"
            )
            raise LocalProblem(said.rstrip("."), hint="`mb-synclight list` says how it stands.")

    def _stop(self) -> None:
        if not is_held(self._home.lock):
            return
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(holder(self._home.lock)), signal.SIGTERM)
        ends = time.monotonic() + STOP_SECONDS
        while is_held(self._home.lock):
            if time.monotonic() > ends:
                raise LocalProblem(
                    f"MB-SyncLight (process {holder(self._home.lock)}) does not end",
                    hint="Nothing is lost by ending it.",
                )
            time.sleep(0.05)
