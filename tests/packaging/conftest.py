"""What the tests of packages share, made once for all workers of a run: it takes most of a minute each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clean_root import CleanRoot, made_once, make_root

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def debian(shared: Path) -> CleanRoot:
    return CleanRoot(made_once(shared / "debian", make_root))


@pytest.fixture(scope="session")
def packages(shared: Path) -> Path:
    """The folder with all that `make package` builds."""

    def build(folder: Path) -> None:
        words = [
            sys.executable,
            ROOT / "packaging/installers/build.py",
            "--out",
            folder,
            "--work",
            shared / "build",
        ]
        ran = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    return made_once(shared / "packages", build)
