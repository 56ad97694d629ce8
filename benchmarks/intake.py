"""How fast an intake is worked through, and what it costs: `python -m benchmarks.intake`.

Owns: this one measurement, through a real server and a real client.  May import: numpy, tests.

The slices are in the intake before the rule is switched on; the clock runs from there until the last one is published.
CPU seconds and memory are those of the server and of its workers with the forks that do the jobs, read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from tests.support.computers import Computer
from tests.support.dicom_studies import an_image, file_bytes
from tests.support.server import RunningServer

TICK = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.intake", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--slices", type=int, default=500, help="how many images (default: 500)")
    parser.add_argument("--side", type=int, default=256, help="rows and columns of each (default: 256)")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, RunningServer(Path(folder) / "data") as server:
        _fill(server, Path(folder), asked.slices, asked.side)
        [rule] = json.loads(_said(server, "rule", "list", "--json"))
        _said(server, "rule", "enable", rule["rule"])
        before = _used(server.pid)
        began = time.monotonic()
        print("seconds  published  server MiB  workers MiB")
        while (done := _published(server)) < asked.slices:
            time.sleep(LOOK_SECONDS)
            now = _used(server.pid)
            print(
                f"{time.monotonic() - began:7.1f}  {done:9}  {now['server'][1]:10.0f}  {now['workers'][1]:11.0f}"
            )
        seconds = time.monotonic() - began
        now = _used(server.pid)
        print(f"{asked.slices} slices in {seconds:.1f} s: {asked.slices / seconds:.0f} a second")
        for who in ("server", "workers"):
            used = now[who][0] - before[who][0]
            print(f"{who}: {used:.1f} CPU s, {used / asked.slices * 1_000:.1f} ms a slice")


def _fill(server: RunningServer, folder: Path, slices: int, side: int) -> None:
    _said(server, "project", "create", "Nerves", "--template", "imaging")
    server.add_user("cli")
    _said(server, "project", "grant", "Nerves", "user:cli", "--role", "clinician")
    [rule] = json.loads(_said(server, "rule", "list", "--json"))
    _said(server, "rule", "disable", rule["rule"])
    clinic = Computer(folder, "clinic")
    clinic.login(server, "cli")
    clinic.follow("/Projects/Nerves/Intake")
    noise = np.random.default_rng(1)
    for number in range(slices):
        pixels = noise.integers(0, 4_096, (side, side), dtype=np.uint16).tobytes()
        image = an_image(
            SOPInstanceUID=f"1.2.826.0.1.99.1.1.{number}",
            InstanceNumber=number,
            Rows=side,
            Columns=side,
            PixelData=pixels,
        )
        clinic.write(f"Zweistein/{number}.dcm", file_bytes(image))
    clinic.once()


def _published(server: RunningServer) -> int:
    """Asked of the table itself: a command would take half a second of the processor that is measured."""
    with closing(sqlite3.connect(f"file:{server.data / 'server.db'}?mode=ro", uri=True)) as database:
        [count] = database.execute("SELECT count(*) FROM jobs WHERE state = 'published'").fetchone()
    return int(count)


def _said(server: RunningServer, *words: str) -> str:
    done = server.command(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _used(server: int) -> dict[str, tuple[float, float]]:
    """CPU seconds, and MiB in memory, of the server and of all that it started."""
    below = [pid for child in _children(server) for pid in (child, *_children(child))]
    workers = [_one(pid) for pid in below]
    return {
        "server": _one(server),
        "workers": (sum(one[0] for one in workers), sum(one[1] for one in workers)),
    }


def _one(pid: int) -> tuple[float, float]:
    """With what its children used that are gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        pss = sum(int(line.split()[1]) for line in status if line.startswith("Pss:"))
        own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
        gone = (
            children if fields[1] != str(os.getpid()) else 0
        )  # of the server its workers are counted anyway
        return (own + gone) / TICK, pss / 1_024
    return 0.0, 0.0


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        threads = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for thread in threads for child in thread.read_text().split()]
    return []


if __name__ == "__main__":
    main()
