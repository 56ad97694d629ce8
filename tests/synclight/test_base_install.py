"""MB-SyncLight is the base install: what it needs is what pyproject names without extras, and little of it."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib.metadata import version

import synclight
from sync_client import engine
from tests.support.base_install import ROOT, closure, dependencies, prelude

BASE = {"aiohttp", "cryptography", "msgspec", "platformdirs", "truststore", "xxhash", "zstandard"}
WITH_EXTRAS = {"click", "rich", "watchdog", "pathspec", "tomlkit", "pyfastcdc", "sqlalchemy", "pydicom"}


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", prelude() + code], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_the_base_install_is_what_the_design_names_and_no_more() -> None:
    assert dependencies() == BASE
    assert not closure() & WITH_EXTRAS


def test_every_module_of_the_engine_and_of_the_program_loads_in_it() -> None:
    names = [
        f"{package.__name__}.{module.name}"
        for package in (engine, synclight)
        for module in pkgutil.iter_modules(package.__path__)
        if module.name != "__main__"
    ]
    assert "synclight.cli" in names
    ran = run("\n".join(f"import {name}" for name in names) + "\nprint('all of them')")
    assert ran.stdout == "all of them\n", ran.stderr


def test_what_is_not_in_it_would_be_missed() -> None:
    assert "No module named 'click'" in run("import click").stderr


def test_it_says_how_it_is_used() -> None:
    ran = run("from synclight.cli import main; main(['--help'])")
    assert ran.returncode == 0, ran.stderr
    assert "mb-synclight - ~/Study" in ran.stdout
    told = run("from synclight.cli import main; main(['--version'])")
    assert (told.returncode, told.stdout) == (0, f"mb-synclight, version {version('medical-blocks')}\n")


def test_how_things_stand_is_told_without_an_engine() -> None:
    """An icon is there all day, and a list is asked for often."""
    loaded = run("import sys, synclight.desktop; print(*(name for name in sys.modules))")
    assert loaded.returncode == 0, loaded.stderr
    heavy = {"aiohttp", "sqlite3", "xxhash", "zstandard", "sync_client.engine.engine"}
    assert heavy.isdisjoint(loaded.stdout.split())
