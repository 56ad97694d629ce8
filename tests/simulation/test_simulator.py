"""Random histories of three computers and a server in virtual time keep every promise; planted bugs are found.

MB_HISTORIES says how many run in all, or MB_BUDGET_SECONDS how long to go on; then MB_SEED chooses them.  Else a few
run, the same each time.  They run in processes of their own, where the
clock, the disks and all randomness are the simulation's (tests.simulation.run), with hashes that are the same each
time: so a seed that fails here fails again by `PYTHONHASHSEED=0 python -m tests.simulation.run --seed N`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.planted import PLANTED

SEED = int(os.environ.get("MB_SEED", "1"), 0) % 10**9 * 1_000_000
BUDGET_SECONDS = float(os.environ.get("MB_BUDGET_SECONDS", "0"))
HISTORIES = int(os.environ.get("MB_HISTORIES", "0"))
PARTS = 4  # so that several cores share the work
A_FEW = 3  # histories in each, where no time is given: always the same ones
FOUND_WITHIN = 60  # histories

pytestmark = pytest.mark.timeout(0)


def simulated(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_everyone_ends_equal_and_nothing_is_lost(part: int) -> None:
    if HISTORIES:
        ran = simulated("--from", SEED + part * 100_000, "--count", -(-HISTORIES // PARTS))
    elif BUDGET_SECONDS:
        ran = simulated("--from", SEED + part * 100_000, "--seconds", BUDGET_SECONDS)
    else:
        ran = simulated("--from", part * 1_000, "--count", A_FEW)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = re.search(r"^(\d+) histories", ran.stdout, re.MULTILINE)
    assert told
    assert int(told[1]) == -(-HISTORIES // PARTS) if HISTORIES else int(told[1]) > 0


@pytest.mark.parametrize("seed", [50376, 51631, 52599])
def test_a_history_that_once_found_a_fault_finds_none(seed: int) -> None:
    ran = simulated("--from", seed, "--count", 1)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: str) -> None:
    ran = simulated("--plant", bug, "--count", FOUND_WITHIN)
    print(ran.stdout)
    assert ran.returncode == 1, f"{ran.stdout}{ran.stderr}"
    assert "found after" in ran.stdout, ran.stdout + ran.stderr


def test_the_same_seed_gives_the_same_trace_in_another_process() -> None:
    first, again = (simulated("--seed", 4) for _ in range(2))
    assert first.returncode == 0, first.stdout[-2_000:] + first.stderr
    assert len(first.stdout.splitlines()) > 50
    assert first.stdout == again.stdout
