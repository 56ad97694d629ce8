"""The arrows between the rooms are held: a contract that cannot break proves nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("protocol", "server", "sync_client", "synclight", "blocks")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the rooms and their contracts, to plant imports in."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_rooms_import_only_what_the_drawing_allows(house: Path) -> None:
    found = lint(house)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("protocol/ids.py", "import server.database", "rooms:"),
        ("protocol/names.py", "import aiohttp", "protocol speaks HTTP in one module only"),
        ("protocol/manifests.py", "import protocol.http", "nothing in protocol imports its HTTP client"),
        ("sync_client/home.py", "import server.config", "clients know neither the server nor blocks"),
        (
            "sync_client/engine/scan.py",
            "import sync_client.home",
            "the engine imports nothing else of the client",
        ),
        ("sync_client/engine/planner.py", "import os", "what decides does no I/O"),
        ("server/database/tables.py", "import server.spaces.commit", "inside the server"),
        ("server/spaces/commit.py", "import blocks", "of the server only hooks runs blocks"),
        ("synclight/__init__.py", "import sync_client.cli", "synclight uses the engine"),
    ],
)
def test_a_planted_import_breaks_its_contract(house: Path, module: str, planted: str, contract: str) -> None:
    with (house / module).open("a") as file:
        file.write(f"\n{planted}\n")
    found = lint(house)
    assert found.returncode == 1, found.stdout
    broken = [line for line in found.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), found.stdout
