"""The environment of somebody who installed Medical-Blocks without extras: for real, or as a process can play it.

`python -c PRELUDE …` finds nothing that the base install does not bring: a package counts if pyproject names
it as a dependency, or one of those needs it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("protocol", "sync_client", "synclight")


def install_base(folder: Path) -> Path:
    """An environment with `pip install .` in it and nothing else; where its programs are."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=240)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", ROOT],
        check=True,
        timeout=300,
        capture_output=True,
    )
    return python.parent


def dependencies() -> set[str]:
    """Of the base install, by their names in pyproject."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {_name(line) for line in project["dependencies"]}


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def closure() -> set[str]:
    """The packages that come along with them here."""
    found: set[str] = set()
    todo = list(dependencies())
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another system
            continue
        todo += [_name(line) for line in needed if "extra ==" not in line]
    return found


def modules() -> set[str]:
    """The top-level modules that may be imported, besides the standard library."""
    brought = closure()
    return {
        module
        for module, packages in metadata.packages_distributions().items()
        if any(_name(package) in brought for package in packages)
    }


_PRELUDE = """
import sys
ALLOWED = set({allowed}) | set(sys.stdlib_module_names) | set({ours})
class OnlyTheBase:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return self.finder.find_spec(name, path, target) if name.partition(".")[0] in ALLOWED else None
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [OnlyTheBase(finder) for finder in sys.meta_path]
"""


def prelude() -> str:
    """To be run before anything else."""
    return _PRELUDE.format(allowed=json.dumps(sorted(modules())), ours=json.dumps(OURS))
