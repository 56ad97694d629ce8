"""`mb-server` and `mb-sync` as processes that meet faults on demand.

with faulty_programs(folder) as programs:
    server = RunningServer(folder / "data", programs=programs)
    server.faults = watched(faults, [server.data])
    laptop = QuickComputer(folder, "laptop", programs=programs)
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sync_client.control import ask, is_running
from tests.support.computers import SETTLE_SECONDS, Computer, until
from tests.support.faults.control import Faults, built
from tests.support.forks import Programs
from tests.support.mb_sync import MbSync

KILLED = -int(signal.SIGKILL)


def faulty_programs(folder: Path) -> Programs:
    """With the shim loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    return Programs(folder, {"LD_PRELOAD": str(built(folder))})


def watched(faults: Faults, roots: Iterable[Path], journal: str = "") -> dict[str, str]:
    """What the shim is told: whose calls count, and where they are written down ("": nowhere)."""
    return {"control": str(faults.path), "roots": ":".join(map(str, roots)), "journal": journal}


@dataclass
class QuickComputer(Computer):
    """`Computer`, whose background process meets faults, and `once` too."""

    programs: Programs = field(kw_only=True)
    faults: Mapping[str, str] | None = None
    pid: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mb_sync = MbSync(self.mb_sync.home, programs=self.programs)

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where its files lie."""
        return (self.folder, self.mb_sync.home)

    def watch(self, faults: Faults, journal: str = "") -> None:
        self.faults = watched(faults, self.roots, journal)

    def start(self) -> None:
        """In the background; it answers when this returns (or it has ended)."""
        self.pid = self.programs.start(
            "mb-sync",
            ["--home", str(self.mb_sync.home), "run"],
            out=self.base / self.name / "out",
            err=self.base / self.name / "err",
            faults=self.faults,
        )
        until(lambda: self.has_ended or is_running(self.mb_sync.home), f"{self.name} answers")

    @property
    def has_ended(self) -> bool:
        return self.pid is None or self.programs.has_ended(self.pid)

    def reap(self) -> int:
        assert self.pid is not None
        code = self.programs.wait(self.pid)
        self.pid = None
        return code

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):  # the shim was faster
                os.kill(self.pid, how)
            self.reap()

    @property
    def is_running(self) -> bool:
        return not self.has_ended

    def wait(self, seconds: float = SETTLE_SECONDS) -> None:
        ask(self.mb_sync.home, "wait", seconds=seconds)

    def run_once(self) -> subprocess.CompletedProcess[str]:
        """`mb-sync once`, whatever comes of it."""
        return self.programs.run("mb-sync", "--home", self.mb_sync.home, "once", "--json", faults=self.faults)
