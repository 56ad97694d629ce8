"""`make demo`: one server, a researcher, somebody who sees nothing of it, somebody outside, and a clinic.

Owns: the beginning, the end, and that nothing is left running.  May import: the demo's own modules.

Without --once it keeps everything running until Ctrl-C, so that the folders can be played with; with --once
it ends by itself, with 0 only if every claim on the screen held.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

import cohort
import intake
import labels
import story
from people import Cast, cast_in, shown
from programs import DemoFailed
from screen import Screen

FOLDER = Path(__file__).resolve().parents[2] / "demo-data"


def main() -> int:
    arguments = _arguments()
    screen = Screen()
    lock = _only_one(FOLDER)
    if lock is None:
        print(f"Another demo runs in {shown(FOLDER)}. Stop it with Ctrl-C first.", file=sys.stderr)
        return 1
    cast = cast_in(FOLDER)
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # SIGINT too: a shell's background jobs begin with it ignored
        signal.signal(number, _as_interrupt)
    try:
        _start_clean(FOLDER, cast)
        with tempfile.TemporaryDirectory(prefix="medical-blocks-demo-") as scratch:
            _tell(cast, screen, Path(scratch))
        if not arguments.once:
            _keep_running(cast, screen)
    except DemoFailed as failure:
        print(f"\nThe demo stopped: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        for collaborator in cast.collaborators():
            collaborator.stop_quietly()
        for computer in cast.computers():
            computer.stop_quietly()
        cast.server.stop()
        lock.close()
    if screen.failures:
        print(f"\n{len(screen.failures)} of the claims above did not hold:", file=sys.stderr)
        for claim in screen.failures:  # again, for who sees only the end of a log
            print(f"  {claim}", file=sys.stderr)
        return 1
    screen.heading(
        "Everything held. All programs are stopped." if arguments.once else "All programs are stopped."
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make demo", description="One server, two computers, real DICOM files."
    )
    parser.add_argument("--once", action="store_true", help="end after the last check, with its exit code")
    return parser.parse_args()


def _tell(cast: Cast, screen: Screen, scratch: Path) -> None:
    screen.title(
        "Medical-Blocks: files that stay equal on two computers",
        "Real DICOM files from pydicom's collection; everything stays on this machine.",
    )
    story.set_up(cast, screen)
    layout = story.studies_arrive(cast, screen, scratch)
    story.both_work(cast, screen, layout)
    story.apart_and_back(cast, screen, layout)
    story.ben_sees_nothing(cast, screen)
    story.a_code_for_clara(cast, screen)
    intake.a_clinic_joins(cast, screen)
    identified = intake.studies_are_deidentified(cast, screen, scratch)
    intake.what_waits_is_judged(cast, screen, identified)
    labels.what_the_files_show(cast, screen, identified)
    cohort.a_cohort_fills_itself(cast, screen, identified)
    story.how_it_stands(cast, screen)


def _keep_running(cast: Cast, screen: Screen) -> None:
    screen.heading("Now try it: everything keeps running")
    screen.fact("change files", f"in {shown(cast.laptop.folder)} or {shown(cast.workstation.folder)}")
    screen.fact(
        "de-identify",
        f"drop files into {shown(cast.clinic.folder)}",
        f"they appear in {shown(cast.adas_data)}",
    )
    home = shown(cast.laptop.home)
    screen.fact("ask", f"{shown(Path(sys.executable).parent / 'mb-sync')} --home {home} status")
    screen.fact("stop", "Ctrl-C")
    while True:
        signal.pause()


def _only_one(folder: Path) -> TextIOWrapper | None:
    """Hold `folder` for this demo; None if another one does.  The system lets go when the process ends."""
    folder.mkdir(exist_ok=True)
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _start_clean(folder: Path, cast: Cast) -> None:
    """Away with what an earlier demo left, its clients too if it was killed."""
    for computer in cast.computers():
        computer.stop_quietly()
    for path in folder.iterdir():
        if path.name != ".lock":
            shutil.rmtree(path)
    (folder / "state").mkdir()


def _as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
    os._exit(1)  # whoever read our lines has gone
