"""A Debian of its own in a folder, for what is to run where nothing of ours, and no Python, is installed.

root = make_root(folder)                with Python 3 and venv, from the packages that this machine installs
bare = without_python(root, other)      the same without any
bare.run("mb-sync", "status")           a program in it; it sees this machine's network and processes, and no other file
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LIMIT_SECONDS = 900.0
_PYTHONS = (
    "usr/bin/python3*",
    "usr/bin/pip*",
    "usr/lib/python3*",
    "usr/lib/x86_64-linux-gnu/libpython*",
    "usr/local/bin/python*",
)


@dataclass(frozen=True)
class CleanRoot:
    folder: Path

    def command(self, *words: str) -> list[str]:
        return [
            *("bwrap", "--bind", str(self.folder), "/", "--proc", "/proc", "--dev", "/dev", "--cap-add", "ALL"),
            *("--clearenv", "--setenv", "HOME", "/root", "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            *("--chdir", "/root", *words),
        ]  # fmt: skip

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )

    def done(self, *words: str, stdin: str = "") -> str:
        """What must succeed; what it printed."""
        ran = self.run(*words, stdin=stdin)
        assert ran.returncode == 0, f"{words}: {ran.returncode}\n{ran.stdout}{ran.stderr}"
        return ran.stdout


def make_root(folder: Path) -> CleanRoot:
    sources = [
        str(path)
        for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.*"))
        if path.suffix in (".list", ".sources") and path.is_file()
    ]
    codename = next(
        line.split("=")[1].strip('"')
        for line in Path("/etc/os-release").read_text("utf-8").splitlines()
        if line.startswith("VERSION_CODENAME=")
    )
    ran = subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-venv"),
            *("--dpkgopt=force-unsafe-io", codename, str(folder), *sources),
        ],
        capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return CleanRoot(folder)


def without_python(root: CleanRoot, folder: Path) -> CleanRoot:
    subprocess.run(["cp", "--archive", root.folder, folder], check=True, timeout=LIMIT_SECONDS)
    for pattern in _PYTHONS:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return CleanRoot(folder)


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """What `make` puts into `folder`, made by the first of all workers of this run that asks for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.with_suffix(".made")
        if not done.exists():
            make(folder)
            done.touch()
    return folder
