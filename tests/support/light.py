"""A real `mb-synclight` for tests: the program as a process, on a home of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 150.0
INTERNAL = ".mb-sync"


@dataclass(frozen=True)
class MbSyncLight:
    """`mb-synclight --home HOME …`.  programs: where it is installed."""

    home: Path
    programs: Path = Path(sys.executable).parent

    def __call__(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """One call to its end."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(self.programs / "mb-synclight"), "--home", str(self.home), *map(str, arguments)]

    def list(self) -> list[dict[str, Any]]:
        ran = self("list", "--json")
        assert ran.returncode == 0, ran.stderr
        found: list[dict[str, Any]] = json.loads(ran.stdout)
        return found

    def state(self, folder: Path) -> dict[str, Any]:
        [one] = [one for one in self.list() if one["folder"] == str(folder)]
        return one

    @contextmanager
    def running(self, *arguments: str | Path, stdin: str = "") -> Iterator[RunningLight]:
        """Stopped with SIGTERM at the end, if it has not ended by itself."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        said = self.home.with_suffix(".stderr")
        with said.open("w") as output:
            process = subprocess.Popen(
                self.command(*arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=output,
                text=True,
            )
        running = RunningLight(process, said)
        try:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=LIMIT_SECONDS)


@dataclass
class RunningLight:
    process: subprocess.Popen[str]
    _said: Path

    def said(self) -> str:
        return self._said.read_text("utf-8", "replace")

    def kill9(self) -> None:
        self.process.kill()
        self.process.wait(timeout=LIMIT_SECONDS)

    def ended(self) -> int:
        return self.process.wait(timeout=LIMIT_SECONDS)


def files(folder: Path) -> dict[str, bytes]:
    """What a person sees in it."""
    ends = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            return _files(folder)
        except FileNotFoundError:  # something was put in its place between two looks: looked at once more
            if not folder.is_dir() or time.monotonic() > ends:
                raise


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and INTERNAL not in path.relative_to(folder).parts
    }


def until(is_so: Callable[[], bool], what: str, seconds: float = LIMIT_SECONDS) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"never came true: {what}"
        time.sleep(0.05)


def environment_of(process: int) -> str:
    return Path(f"/proc/{process}/environ").read_bytes().decode("utf-8", "replace")


def arguments_of(process: int) -> list[str]:
    """As everyone on this computer sees them."""
    return Path(f"/proc/{process}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
