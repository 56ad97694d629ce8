"""Runs histories, one after the other: `python -m tests.simulation.run --seed 7`, `… --from 0 --count 300`.

Owns: the command line of the simulator.  May import: the standard library, tests.simulation.

Start it with PYTHONHASHSEED=0: then the same seed gives the same history in every process.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.simulation.machines import Template
from tests.simulation.planted import PLANTED, planted
from tests.simulation.world import COMPUTERS, Faults, Violation, World, history

TWICE_EVERY = 10
_QUICK = Path("/dev/shm")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.run", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seed", type=int, help="this history only, with its trace")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    parser.add_argument("--count", type=int, help="so many histories at most")
    parser.add_argument("--seconds", type=float, help="begin no new history after this time")
    parser.add_argument(
        "--plant", choices=sorted(PLANTED), help="with this bug; the first seed that finds it is told"
    )
    parser.add_argument("--keep-going", action="store_true", help="tell every violation, not only the first")
    asked = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(dir=_QUICK if _QUICK.is_dir() else None) as folder:
        base = Path(folder)
        template = Template.made(base / "template", COMPUTERS)
        gc.disable()  # a history looks for what is forgotten once, at its end: in each process at the same time
        gc.freeze()
        if asked.seed is not None:
            return _one(asked.seed, base, template, asked.plant)
        return _many(asked, base, template)


def _one(seed: int, base: Path, template: Template, plant: str | None) -> int:
    seen: list[World] = []
    code = 0
    try:
        with _bug(plant) as faults:
            right = plant is not None
            history(seed, base / "one", template, faults=faults, right_clocks=right, begun=seen.append)
    except Violation as error:
        seen[0].tell(str(error))
        code = 1
    print("\n".join(seen[0].trace))
    return code


def _many(asked: argparse.Namespace, base: Path, template: Template) -> int:
    clock = time.perf_counter  # the real one, taken before any history puts its own in place
    began, done, bad, lines = clock(), 0, 0, 0
    for seed in itertools.count(asked.first):
        if done == asked.count or (asked.seconds is not None and clock() - began > asked.seconds):
            break
        done += 1
        try:
            with _bug(asked.plant) as faults:
                right = bool(asked.plant)  # the number of histories that it takes was measured so
                world = history(seed, base / "one", template, faults=faults, right_clocks=right)
                lines += len(world.trace)
                if seed % TWICE_EVERY == 0 and not asked.plant:
                    _compare(world, history(seed, base / "two", template))
        except Violation as error:
            bad += 1
            print(str(error)[:1500])
            if asked.plant:
                print(f"found after {done} histories")
            if not asked.keep_going:
                break
    spent = f"{clock() - began:.0f} s, {time.process_time():.0f} s of a core"
    print(f"{done} histories from seed {asked.first} in {spent}; {lines} lines of trace, {bad} violations")
    return 1 if bad else 0


def _bug(name: str | None) -> AbstractContextManager[Faults | None]:
    return nullcontext() if name is None else planted(name)


def _compare(one: World, two: World) -> None:
    for first, second in itertools.zip_longest(one.trace, two.trace):
        if first != second:
            raise Violation(f"seed {one.seed}: run twice, it differs: {first!r} and {second!r}")


if __name__ == "__main__":
    sys.exit(main())
