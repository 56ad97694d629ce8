"""A real `mb-sync` for tests: each command a process, on a client home of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.forks import LIMIT_SECONDS, Programs, common, environment


@dataclass(frozen=True)
class MbSync:
    """`mb-sync --home HOME …`, each call to its end.

    before: the words of a program that runs it.  variables: what else stands in its environment.  as_installed: the
    console script, as a person starts it; else a fork of a process that has imported it, which is faster.
    """

    home: Path
    before: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    as_installed: bool = False
    programs: Programs | None = field(default=None, repr=False)

    def __call__(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        if not (self.before or self.variables or self.as_installed):
            programs = self.programs or common()
            return programs.run("mb-sync", "--home", self.home, *arguments, stdin=stdin)
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

    def comes_to(self, state: str) -> dict[str, Any]:
        """The status once it is this: what the disk tells of our own work comes a moment after `wait`."""
        ends = time.monotonic() + LIMIT_SECONDS
        while (status := self.json("status"))["state"] != state:
            assert time.monotonic() < ends, f"never {state}: {status}"
            time.sleep(0.05)
        found: dict[str, Any] = status
        return found

    @contextmanager
    def running(self) -> Iterator[None]:
        self.done("start")
        try:
            yield
        finally:
            self.done("stop")


def _script() -> str:
    return str(Path(sys.executable).with_name("mb-sync"))
