"""A folder by MB-SyncLight beside the same folder by MB-Sync: `python -m benchmarks.light`.

Owns: this one comparison, in turns, through a real server.  May import: benchmarks, tests.

Each download begins with an empty home and an empty folder.  The clock runs over `mb-sync once` (sign-in and `add` are
not counted) and over `mb-synclight … --once` (the code is redeemed on the way); CPU seconds are those of the program.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads import Scale, sessions
from tests.support.computers import Computer
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

LIMIT_SECONDS = 900
USER = "ada"


@dataclass(frozen=True, slots=True)
class Took:
    """seconds: by the clock.  cpu_seconds: user and system, of the program alone."""

    seconds: float
    cpu_seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.light", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1 for a quick look")
    parser.add_argument("--rounds", type=int, default=3, help="of each, in turns (default: 3)")
    asked = parser.parse_args(arguments)
    workloads = [
        one
        for session in sessions(Scale(asked.scale))
        for one in session.workloads
        if one.key in ("W1", "W2")
    ]
    with tempfile.TemporaryDirectory() as text:
        for workload in workloads:
            base = Path(text) / workload.key
            source = base / "aside"
            (base / "a" / "folder").mkdir(parents=True)
            source.mkdir()
            with RunningServer(base / "data") as server:
                server.add_user(USER, PASSWORD)
                a = Computer(base, "a")
                workload.prepare(a.folder, source)()
                a.login(server, USER)
                a.follow("/Home/Study", create=True)
                a.once()
                print(f"{workload.key}: {workload.words}")
                _compare(server, a.mb_sync, base, asked.rounds)


def _compare(server: RunningServer, ada: MbSync, base: Path, rounds: int) -> None:
    taken: dict[str, list[Took]] = {"mb-sync": [], "mb-synclight": []}
    for number in range(rounds):
        code = ada.json("code", "create", "/Home/Study")
        computer = Computer(base, f"b{number}")
        computer.login(server, USER)
        computer.follow("/Home/Study")
        taken["mb-sync"].append(_run("mb-sync", "--home", str(computer.mb_sync.home), "once"))
        home, folder = base / f"light{number}", base / f"received{number}"
        line = ("mb-synclight", "--home", str(home), "-", str(folder), "--once")
        taken["mb-synclight"].append(_run(*line, stdin=code["link"]))
    for program, runs in taken.items():
        seconds, cpu = min(one.seconds for one in runs), min(one.cpu_seconds for one in runs)
        print(f"  {program:13} {seconds:6.2f} s   {cpu:6.2f} CPU s   (best of {rounds})")
    pairs = zip(taken["mb-synclight"], taken["mb-sync"], strict=True)
    ratios = [(light.seconds / sync.seconds, light.cpu_seconds / sync.cpu_seconds) for light, sync in pairs]
    clock, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"  MB-SyncLight beside MB-Sync, median of the pairs: {clock:.2f} x by the clock, {cpu:.2f} x CPU")


def _run(program: str, *arguments: str, stdin: str = "") -> Took:
    before, began = os.times(), time.monotonic()
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    seconds, after = time.monotonic() - began, os.times()
    if done.returncode:
        raise SystemExit(f"{program} ended with {done.returncode}: {done.stdout}{done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(seconds, cpu)


if __name__ == "__main__":
    main()
