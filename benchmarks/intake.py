"""How fast an intake is worked through, and what it costs: `python -m benchmarks.intake`.

Owns: this one measurement, through a real server and a real client.  May import: numpy, tests.

The slices are in the intake before the rule is switched on; the clock runs from there until the last one is published.
CPU seconds and memory are those of the server and of its workers with the forks that do the jobs, read from /proc.
Meanwhile somebody else drops single images, one every few seconds: how long each took, from when it lay in their folder
until it was out of the intake, is told at the end.
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
from typing import Any

import numpy as np

from tests.support.computers import Computer
from tests.support.dicom_studies import an_image, file_bytes
from tests.support.server import RunningServer

TICK = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.5
SINGLE_SECONDS = 3.0  # between two single images


_OF_THE_RULE = "jobs.rule IN (SELECT id FROM rules WHERE block = 'deidentify')"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.intake", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--slices", type=int, default=500, help="how many images (default: 500)")
    parser.add_argument("--side", type=int, default=256, help="rows and columns of each (default: 256)")
    parser.add_argument("--singles", type=int, default=0, help="single images meanwhile (default: none)")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, RunningServer(Path(folder) / "data") as server:
        _fill(server, Path(folder), asked.slices, asked.side)
        office = _office(server, Path(folder)) if asked.singles else None
        rule = _rule(server)
        _said(server, "rule", "enable", rule["rule"])
        before = _used(server.pid)
        began = time.monotonic()
        dropped: list[int] = []
        print("seconds  published  server MiB  workers MiB")
        while (done := _published(server)) < asked.slices:
            time.sleep(LOOK_SECONDS)
            now = _used(server.pid)
            is_time = time.monotonic() - began > SINGLE_SECONDS * (len(dropped) + 1)
            if office is not None and is_time and len(dropped) < asked.singles:
                dropped.append(time.time_ns() // 1_000_000)
                office.write(f"one {len(dropped)}.dcm", _a_slice(asked.side, 1_000_000 + len(dropped)))
            print(
                f"{time.monotonic() - began:7.1f}  {done:9}  {now['server'][1]:10.0f}  {now['workers'][1]:11.0f}"
            )
        seconds = time.monotonic() - began
        now = _used(server.pid)
        print(f"{asked.slices} slices in {seconds:.1f} s: {asked.slices / seconds:.0f} a second")
        for who in ("server", "workers"):
            used = now[who][0] - before[who][0]
            print(f"{who}: {used:.1f} CPU s, {used / asked.slices * 1_000:.1f} ms a slice")
        if office is not None:
            office.stop()
            for began_ms, (arrived_ms, out_ms) in zip(dropped, _singles(server), strict=True):
                on_way, inside = (arrived_ms - began_ms) / 1_000, (out_ms - arrived_ms) / 1_000
                print(f"a single image: at the server after {on_way:.2f} s, out {inside:.2f} s later")


def _fill(server: RunningServer, folder: Path, slices: int, side: int) -> None:
    _said(server, "project", "create", "Nerves", "--template", "imaging")
    server.add_user("cli")
    _said(server, "project", "grant", "Nerves", "user:cli", "--role", "clinician")
    rule = _rule(server)
    _said(server, "rule", "disable", rule["rule"])
    clinic = Computer(folder, "clinic")
    clinic.login(server, "cli")
    clinic.follow("/Projects/Nerves/Intake")
    for number in range(slices):
        clinic.write(f"Zweistein/{number}.dcm", _a_slice(side, number))
    clinic.once()


def _rule(server: RunningServer) -> dict[str, Any]:
    """Of the two of an intake the one that lets files out."""
    rules: list[dict[str, Any]] = json.loads(_said(server, "rule", "list", "--json"))
    return next(rule for rule in rules if rule["block"] == "deidentify")


def _a_slice(side: int, number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 4_096, (side, side), dtype=np.uint16).tobytes()
    image = an_image(
        SOPInstanceUID=f"1.2.826.0.1.99.1.1.{number}",
        InstanceNumber=number,
        Rows=side,
        Columns=side,
        PixelData=pixels,
    )
    return file_bytes(image)


def _office(server: RunningServer, folder: Path) -> Computer:
    """Of somebody else, who drops single images; its client is at work."""
    server.add_user("doc")
    _said(server, "project", "grant", "Nerves", "user:doc", "--role", "clinician")
    office = Computer(folder, "office")
    office.login(server, "doc")
    office.follow("/Projects/Nerves/Intake")
    office.start_working()
    office.wait()
    return office


def _singles(server: RunningServer) -> list[tuple[int, int]]:
    """When each single image was committed and when its job ended, the first one first."""
    query = (
        "SELECT committed_at_ms, ended_at_ms FROM jobs JOIN versions USING (node, epoch, number)"
        f" JOIN nodes ON nodes.id = jobs.node WHERE nodes.name LIKE 'one %' AND {_OF_THE_RULE} ORDER BY committed_at_ms"
    )
    with closing(sqlite3.connect(f"file:{server.data / 'server.db'}?mode=ro", uri=True)) as database:
        return [(arrived, out) for arrived, out in database.execute(query)]


def _published(server: RunningServer) -> int:
    """Asked of the table itself: a command would take half a second of the processor that is measured."""
    with closing(sqlite3.connect(f"file:{server.data / 'server.db'}?mode=ro", uri=True)) as database:
        [count] = database.execute(
            f"SELECT count(*) FROM jobs WHERE state = 'published' AND {_OF_THE_RULE}"
        ).fetchone()
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
