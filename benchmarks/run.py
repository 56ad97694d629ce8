"""`make bench`: ours and the peers that are installed, over the same folders, round by round.

Owns: the order of the runs, the clock, and the proof that B really equals A.
May import: the standard library, benchmarks.

    python -m benchmarks.run --only W2,W5 --peers ours,unison --rounds 1

Rounds are interleaved, so that a busy minute of the machine hits every peer; the minimum counts.  Folders of
small files stay until the end: after many deletions ext4 makes new files several times slower, and the next peer
would be measured by that.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ours import Ours
from benchmarks.peers import LIMIT_SECONDS, Copy, Peer, PeerError, Rclone, Rsync, Unison, peak_memory
from benchmarks.report import Figures, Measured, as_markdown, write_into
from benchmarks.syncthing import Syncthing
from benchmarks.workloads import Scale, Session, Workload, sessions, sizes_below, unlike

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
PEERS: tuple[type[Peer], ...] = (Ours, Rsync, Unison, Syncthing, Rclone, Copy)
ONLY_NEW = {"W1", "W2", "W3"}  # where a plain copy does the same work as the others
FULL_ROUND_BYTES = 20 * 2**30


def main() -> int:
    arguments = _arguments()
    peers = [peer for peer in PEERS if _wanted(peer, arguments.peers)]
    missing = [peer.name for peer in peers if not peer.installed()]
    peers = [peer for peer in peers if peer.installed()]
    if missing:
        print(f"Not installed, so left out: {', '.join(missing)}", file=sys.stderr)
    if problem := _no_room(arguments.folder, arguments.rounds, arguments.scale):
        print(problem, file=sys.stderr)
        return 1
    chosen = _chosen(sessions(Scale(arguments.scale)), arguments.only)
    words = {workload.key: workload.words for session in chosen for workload in session.workloads}
    figures = Figures(
        [peer.name for peer in peers], dict(sorted(words.items())), arguments.rounds, arguments.scale
    )
    shutil.rmtree(arguments.folder, ignore_errors=True)
    try:
        for turn in range(arguments.rounds):
            for number, session in enumerate(chosen):
                for peer in (*peers[turn % len(peers) :], *peers[: turn % len(peers)]):
                    place = arguments.folder / f"{turn}-{number}-{peer.__name__.lower()}"
                    _run(peer, session, place, figures)
                    if session.large:
                        shutil.rmtree(place)
    finally:
        print(f"\n{as_markdown(figures)}\n")
        if not arguments.keep:
            shutil.rmtree(arguments.folder, ignore_errors=True)
    if arguments.write:
        write_into(PAGE, as_markdown(figures))
        print(f"Written into {PAGE.relative_to(ROOT)}", file=sys.stderr)
    return 1 if figures.problems() else 0


def _run(kind: type[Peer], session: Session, place: Path, figures: Figures) -> None:
    """One peer through one session, in new folders."""
    a, b, home, aside = (place / name for name in ("a", "b", "home", "aside"))
    for folder in (a, b, home, aside):
        folder.mkdir(parents=True)
    peer = kind(a, b, home)
    try:
        try:
            peer.start()
            for workload in session.before:
                _measure(peer, workload, aside)
            for workload in session.workloads:
                if kind is Copy and workload.key not in ONLY_NEW:
                    continue
                measured = _measure(peer, workload, aside)
                figures.add(workload.key, peer.name, measured)
                print(f"{workload.key}  {peer.name:<10} {measured.seconds:8.3f} s", file=sys.stderr)
            for process, pid in peer.pids().items():
                figures.remember_memory(peer.name, process, peak_memory(pid))
        finally:
            peer.stop()
    except (PeerError, OSError) as error:
        for workload in session.workloads:
            figures.add(workload.key, peer.name, Measured(problem=str(error)))
        print(f"    {peer.name}: {error}", file=sys.stderr)


def _measure(peer: Peer, workload: Workload, aside: Path) -> Measured:
    """Make the change, take the time until B holds it, then compare every byte."""
    times: list[float] = []
    before = peer.wire_bytes()
    for _ in range(workload.repeats):
        change = workload.prepare(peer.a, aside)
        began = time.perf_counter()
        change()
        if workload.key == "W6":
            peer.look_afresh()
        else:
            peer.go()
        if peer.watches:
            arrived(peer, workload)
        times.append(time.perf_counter() - began)
        if workload.repeats > 1:
            time.sleep(0.3)  # each one a change of its own, not the tail of the one before
    if workload.top and (path := unlike(peer.a / workload.top, peer.b / workload.top)) is not None:
        raise PeerError(f"after {workload.key} A and B differ in {workload.top}/{path}")
    after = peer.wire_bytes()
    return Measured(
        statistics.median(times),
        None if before is None or after is None else (after - before) // workload.repeats,
    )


def arrived(peer: Peer, workload: Workload) -> None:
    """Wait until every file of the top folder stands in B with its size; one look at each, so it costs little."""
    expected = sizes_below(peer.a / workload.top)
    until = time.perf_counter() + LIMIT_SECONDS
    missing = list(expected)
    while missing or (workload.gone and (peer.b / workload.gone).exists()):
        if missing and _is_there(peer.b / workload.top / missing[-1], expected[missing[-1]]):
            missing.pop()
            continue
        if time.perf_counter() > until:
            raise PeerError(f"{workload.key} took more than {LIMIT_SECONDS:.0f} s")
        time.sleep(0.002)


def _is_there(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _chosen(every: Sequence[Session], only: Sequence[str]) -> list[Session]:
    """The sessions with a wanted workload; what a wanted one builds on stays in."""
    if not only:
        return list(every)
    chosen = []
    for session in every:
        last = max((at for at, one in enumerate(session.workloads) if one.key in only), default=-1)
        if last >= 0:
            chosen.append(Session(session.workloads[: last + 1], session.before, large=session.large))
    return chosen


def _wanted(peer: type[Peer], names: Sequence[str]) -> bool:
    return not names or peer.__name__.lower() in names or peer.name.lower() in names


def _no_room(folder: Path, rounds: int, scale: float) -> str | None:
    needed = int(rounds * FULL_ROUND_BYTES * scale)
    free = shutil.disk_usage(folder.parent).free
    if free > needed:
        return None
    return f"About {needed >> 30} GiB are needed and {free >> 30} GiB are free. Take fewer rounds or a smaller --scale."


def _arguments() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    parser = argparse.ArgumentParser(
        prog="make bench", description="Ours and its peers over the same folders."
    )
    parser.add_argument("--only", type=names, default=[], metavar="W2,W5", help="these workloads")
    parser.add_argument("--peers", type=lambda text: names(text.lower()), default=[], metavar="ours,unison")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; the best time counts")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1 for a quick look")
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-data", help="where; emptied before")
    parser.add_argument("--keep", action="store_true", help="leave the folders")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
