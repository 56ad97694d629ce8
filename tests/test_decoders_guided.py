"""Whatever comes from outside, chosen by what it reaches in our code: each decoder under atheris (`make test-long`).

Without a budget only the harness is shown to find a bug.  Bounds of time and memory are those of test_decoders.py.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_decoders import DECODERS

BUDGET_SECONDS = float(os.environ.get("MB_BUDGET_SECONDS") or 0)
EACH_SECONDS = max(2, round(BUDGET_SECONDS / 15))

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None, reason="atheris is made for other systems than this one"
    ),
    pytest.mark.timeout(0),
]


def guided(name: str, seconds: int, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.support.guided_fuzzing", name, str(seconds), str(folder)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def test_a_planted_bug_is_found(tmp_path: Path) -> None:
    ran = guided("planted", 120, tmp_path)
    assert ran.returncode != 0
    assert "a bug" in ran.stdout + ran.stderr
    [found] = tmp_path.glob("crash-*")
    assert found.read_bytes().startswith(b"MB-42")


@pytest.mark.skipif(not BUDGET_SECONDS, reason="a search that takes its time")
@pytest.mark.parametrize("name", DECODERS)
def test_nothing_is_found_that_breaks_a_decoder(name: str, tmp_path: Path) -> None:
    ran = guided(name, EACH_SECONDS, tmp_path)
    found = {path.name: path.read_bytes() for path in tmp_path.glob("*-*") if path.is_file()}
    assert (ran.returncode, found) == (0, {}), ran.stdout[-3_000:] + ran.stderr[-3_000:]
