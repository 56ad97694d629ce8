"""What the shim is asked by programs beyond ours: it may not change what they see."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.support.faults.control import Faults, built
from tests.support.forks import environment

TOUCH = """
import ctypes, os, sys
control, root, journal = sys.argv[1:]
assert ctypes.CDLL(None).mb_fault_open(control.encode(), root.encode(), journal.encode()) == 0
file = os.path.join(root, "file")
os.utime(file)
handle = os.open(file, os.O_RDWR)
os.utime(handle)
"""


def test_a_time_that_is_not_given_is_now(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    file = root / "file"
    file.touch()
    with Faults(tmp_path / "control") as faults:
        faults.count_calls()
        subprocess.run(
            [sys.executable, "-c", TOUCH, faults.path, root, tmp_path / "journal"],
            env=environment() | {"LD_PRELOAD": str(built(tmp_path))},
            check=True,
            timeout=120,
        )
        assert faults.count >= 2
    assert abs(file.stat().st_mtime - time.time()) < 300
    assert (tmp_path / "journal").stat().st_size > 0
