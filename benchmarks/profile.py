"""Where the CPU goes: `python -m benchmarks.profile W2` counts the CPU seconds of the server and of both clients.

Owns: that count, and where in the code it was spent.  May import: the standard library, benchmarks.

    python -m benchmarks.profile W2 --scale 0.25 --rounds 3
    python -m benchmarks.profile W2 --sample folder-for-samples

On a machine that does other things as well, seconds by the clock say little; CPU seconds, taken several times and
compared by their minimum, do.  They are counted from the change in A until all three processes have come to rest.
--sample asks py-spy (`pip install py-spy`) where the processes are meanwhile; its own work disturbs the count.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ours import Ours
from benchmarks.peers import LIMIT_SECONDS, PeerError, peak_memory
from benchmarks.run import ROOT, arrived
from benchmarks.workloads import Scale, Session, Workload, sessions, sizes_below

TICKS = os.sysconf("SC_CLK_TCK")
AT_REST_SECONDS = 1.5  # without a tick of any process: longer than a client gathers what the watcher says
SAMPLES_A_SECOND = 400
SHOWN_PLACES = 40
WAITING = ("_worker (", "EpollSelector.select (", "InotifyWatcher._run (")  # for work, and not for the CPU


@dataclass(frozen=True, slots=True)
class Spent:
    """By one process, in one run."""

    user: float
    system: float
    peak_bytes: int


def main() -> int:
    asked = _arguments()
    found = _session_of(asked.workload, Scale(asked.scale))
    if found is None:
        print(f"There is no workload {asked.workload}.", file=sys.stderr)
        return 2
    session, workload = found
    print(f"{workload.key}: {workload.words}")
    rounds: list[tuple[float, dict[str, Spent]]] = []
    try:
        for turn in range(asked.rounds):
            seconds, spent = _run(session, workload, asked.folder / str(turn), asked.sample)
            rounds.append((seconds, spent))
            print(f"  {_line(seconds, spent)}", flush=True)
    finally:
        shutil.rmtree(asked.folder, ignore_errors=True)
    if asked.rounds > 1:
        best = {name: min((spent[name] for _, spent in rounds), key=_total) for name in rounds[0][1]}
        print(f"  {_line(min(seconds for seconds, _ in rounds), best)}  (least of each)")
    if asked.sample is not None:
        for path in sorted(asked.sample.glob("*.folded")):
            _show_samples(path)
    return 0


def _session_of(key: str, scale: Scale) -> tuple[Session, Workload] | None:
    for session in sessions(scale):
        for at, workload in enumerate(session.workloads):
            if workload.key == key:
                return Session(session.workloads[:at], session.before), workload
    return None


def _run(
    session: Session, workload: Workload, place: Path, sample: Path | None
) -> tuple[float, dict[str, Spent]]:
    a, b, home, aside = (place / name for name in ("a", "b", "home", "aside"))
    for folder in (a, b, home, aside):
        folder.mkdir(parents=True)
    ours = Ours(a, b, home)
    try:
        ours.start()
        for earlier in (*session.before, *session.workloads):
            earlier.prepare(a, aside)()
            arrived(ours, earlier)
            ours.look_afresh()
        pids = ours.pids()
        _rest(pids)
        change = workload.prepare(a, aside)
        before, watching = _times(pids), _begin_sampling(pids, sample)
        began = time.perf_counter()
        change()
        if workload.key == "W6":
            ours.look_afresh()
        arrived(ours, workload)
        seconds = time.perf_counter() - began
        for one in watching:
            one.send_signal(signal.SIGINT)  # as it is told by hand to end and write down what it saw
            one.wait(timeout=LIMIT_SECONDS)
        _rest(pids)
        after = _times(pids)
        if sizes_below(a / workload.top) != sizes_below(b / workload.top):
            raise PeerError(f"after {workload.key} A and B differ")
        return seconds, {name: _spent(before[name], after[name], pid) for name, pid in pids.items()}
    finally:
        ours.stop()


def _times(pids: dict[str, int]) -> dict[str, tuple[float, float]]:
    """User and system seconds of each process with all its threads, so far."""
    found: dict[str, tuple[float, float]] = {}
    for name, pid in pids.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found[name] = (int(fields[11]) / TICKS, int(fields[12]) / TICKS)
    return found


def _spent(before: tuple[float, float], after: tuple[float, float], pid: int) -> Spent:
    return Spent(after[0] - before[0], after[1] - before[1], peak_memory(pid))


def _rest(pids: dict[str, int]) -> None:
    """Until no process has done anything for a while."""
    until, last, quiet_since = time.monotonic() + LIMIT_SECONDS, _times(pids), time.monotonic()
    while time.monotonic() - quiet_since < AT_REST_SECONDS:
        time.sleep(0.1)
        now = _times(pids)
        if any(sum(now[name]) - sum(last[name]) > 1 / TICKS for name in pids):
            last, quiet_since = now, time.monotonic()
        if time.monotonic() > until:
            raise PeerError("The processes do not come to rest")


def _line(seconds: float, spent: dict[str, Spent]) -> str:
    each = "  ".join(
        f"{name} {one.user:5.2f} + {one.system:4.2f} s, {one.peak_bytes >> 20:3} MiB"
        for name, one in spent.items()
    )
    return f"{seconds:6.2f} s   {each}   all {sum(map(_total, spent.values())):5.2f} CPU s"


def _total(spent: Spent) -> float:
    return spent.user + spent.system


# ---- samples ---------------------------------------------------------------------------------------------


def _begin_sampling(pids: dict[str, int], folder: Path | None) -> list[subprocess.Popen[bytes]]:
    if folder is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    asking = [
        subprocess.Popen(
            [
                *(
                    "py-spy",
                    "record",
                    "--pid",
                    str(pid),
                    "--nonblocking",
                    "--gil",
                    "--rate",
                    str(SAMPLES_A_SECOND),
                ),
                *("--format", "raw", "--output", str(folder / f"{name.replace(' ', '-')}.folded")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, pid in pids.items()
    ]
    time.sleep(2)
    return asking


def _show_samples(path: Path) -> None:
    """The functions that held the CPU themselves, and those that did with all they called."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        places = [place.rpartition(":")[0] + ")" for place in stack.split(";")]
        if places[-1].startswith(WAITING):
            continue
        total += int(count)
        alone[places[-1]] += int(count)
        for place in set(places):
            within[place] += int(count)
    print(f"\n{path.stem}: {total} samples; % alone, then % with what is called")
    for (one, own), (other, all_) in zip(
        alone.most_common(SHOWN_PLACES), within.most_common(SHOWN_PLACES), strict=False
    ):
        print(f"  {100 * own / total:5.1f} {one:<70} {100 * all_ / total:5.1f} {other}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("workload", metavar="W2")
    parser.add_argument("--rounds", type=int, default=3, help="the least of each process counts (default: 3)")
    parser.add_argument("--scale", type=float, default=0.25, help="of the workload (default: a quarter)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "bench-data" / "profile", help="where; emptied afterwards"
    )
    parser.add_argument(
        "--sample", type=Path, metavar="FOLDER", help="ask py-spy, and keep its samples there"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
