"""A real `mb-sync` for tests: the console script as a process, on a client home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 90  # more than the 60 that `wait` is given: its own words say more than ours


@dataclass(frozen=True)
class MbSync:
    """`mb-sync --home HOME …`, each call to its end.  before: the words of a program that runs it.

    variables: what else stands in its environment.
    """

    home: Path
    before: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    def __call__(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.before, _script(), "--home", str(self.home), *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
            env=environment() | dict(self.variables),
        )

    def done(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run what must succeed; what it printed."""
        ran = self(*arguments, stdin=stdin)
        assert ran.returncode == 0, f"{arguments}: {ran.returncode}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.done(*arguments, "--json"))

    def login(self, url: str, user: str, password: str, *, device_name: str = "laptop") -> None:
        self.done(
            "login",
            url,
            "--user",
            user,
            "--password-stdin",
            "--device-name",
            device_name,
            stdin=password + "\n",
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        self.done("start")
        try:
            yield
        finally:
            self.done("stop")


def environment() -> dict[str, str]:
    """Ours without what could point a test at a real client home."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MB_SYNC_")}


def _script() -> str:
    return str(Path(sys.executable).with_name("mb-sync"))
