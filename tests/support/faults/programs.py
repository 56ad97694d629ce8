"""`mb-server` and `mb-sync` as processes that start in a few milliseconds, with faults on demand.

with Programs(folder) as programs:
    server = programs.server(folder / "data")
    laptop = programs.computer(folder, "laptop")
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sync_client.control import ask, is_running
from tests.support.computers import Computer, until
from tests.support.faults.control import Faults, built
from tests.support.mb_sync import LIMIT_SECONDS, MbSync
from tests.support.server import RunningServer

KILLED = -int(signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Watched:
    """What the shim is told: whose calls count, and where they are written down ("": nowhere)."""

    faults: Faults
    roots: tuple[Path, ...]
    journal: str = ""


@dataclass
class Ran:
    code: int
    out: str
    err: str


class Programs:
    """A fork server (tests/support/faults/fork_server.py) and what it started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended: dict[int, int] = {}
        self._started = 0
        self._text = b""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        hidden = ("MB_SYNC_", "MB_SERVER_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        environment["LD_PRELOAD"] = str(built(self._folder))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[3],
        )
        assert "ready" in self._next(60.0)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        out: Path,
        err: Path,
        stdin: Path = Path(os.devnull),
        watched: Watched | None = None,
    ) -> int:
        """Its process number."""
        line = {
            "program": program,
            "arguments": list(arguments),
            "stdin": str(stdin),
            "stdout": str(out),
            "stderr": str(err),
            "control": str(watched.faults.path) if watched else "",
            "roots": ":".join(map(str, watched.roots)) if watched else "",
            "journal": watched.journal if watched else "",
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        self._process.stdin.flush()
        while True:
            said = self._next(60.0)
            if "started" in said:
                return int(said["started"])

    def wait(self, pid: int, seconds: float = LIMIT_SECONDS) -> int:
        """The exit code, negative for a signal."""
        ends = time.monotonic() + seconds
        while pid not in self._ended:
            self._next(max(0.0, ends - time.monotonic()))
        return self._ended.pop(pid)

    def has_ended(self, pid: int) -> bool:
        while pid not in self._ended and select.select([self._process.stdout], [], [], 0)[0]:
            self._next(1.0)
        return pid in self._ended

    def run(
        self, program: str, *arguments: str | Path, stdin: str = "", watched: Watched | None = None
    ) -> Ran:
        """One command, to its end."""
        self._started += 1
        out, err, given = (self._folder / f"{name}-{self._started}" for name in ("out", "err", "in"))
        given.write_text(stdin, "utf-8")
        try:
            pid = self.start(
                program, [str(one) for one in arguments], out=out, err=err, stdin=given, watched=watched
            )
            code = self.wait(pid)
            return Ran(code, out.read_text("utf-8"), err.read_text("utf-8"))
        finally:
            for path in (out, err, given):
                path.unlink(missing_ok=True)

    def _next(self, seconds: float) -> dict[str, Any]:
        """The next thing that the fork server says; an end is remembered."""
        assert self._process.stdout is not None
        ends = time.monotonic() + seconds
        while b"\n" not in self._text:
            ready = select.select([self._process.stdout], [], [], max(0.0, ends - time.monotonic()))[0]
            assert ready, f"the fork server said nothing for {seconds:.0f} s"
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            assert data, "the fork server ended"
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        if "ended" in said:
            self._ended[said["ended"]] = said["code"]
        return said


# ---- the two programs ------------------------------------------------------------------------------------


@dataclass
class QuickServer(RunningServer):
    """`RunningServer`, forked.  watched: its calls below the data folder."""

    programs: Programs = field(kw_only=True)
    watched: Watched | None = None
    forked: int | None = None

    def init(self) -> None:
        super().init()

    def start(self) -> None:
        assert self.forked is None
        out = self.data / "test.out"
        out.unlink(missing_ok=True)
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        self.forked = self.programs.start(
            "mb-server",
            ["serve", "--data", str(self.data), "--listen", listen, "--log-level", self.log_level],
            out=out,
            err=self.data / "test.log",
            watched=self.watched,
        )
        until(lambda: self.has_ended or self._line(out).endswith("\n"), "the server says something")
        if self.has_ended:
            return
        self.url = self._line(out).removeprefix("listening on ").strip()

    @staticmethod
    def _line(out: Path) -> str:
        return out.read_text("utf-8") if out.exists() else ""

    @property
    def has_ended(self) -> bool:
        """By itself, or killed by the shim.  `reap` then."""
        return self.forked is not None and self.programs.has_ended(self.forked)

    def reap(self) -> int:
        assert self.forked is not None
        code = self.programs.wait(self.forked)
        self.forked = None
        return code

    @property
    def pid(self) -> int:
        assert self.forked is not None
        return self.forked

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def kill9(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        with suppress(ProcessLookupError):  # the shim was faster
            os.kill(self.pid, how)
        return self.reap()

    def restart(self) -> None:
        if self.forked is not None:
            self.stop()
        self.start()

    def __exit__(self, *_: object) -> None:
        if self.forked is not None:
            self.stop()

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        ran = self.programs.run("mb-server", *arguments, "--data", self.data, stdin=stdin)
        return subprocess.CompletedProcess([], ran.code, ran.out, ran.err)


@dataclass(frozen=True)
class QuickMbSync(MbSync):
    """`MbSync`, forked."""

    programs: Programs = field(kw_only=True)

    def __call__(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        ran = self.programs.run("mb-sync", "--home", self.home, *arguments, stdin=stdin)
        return subprocess.CompletedProcess([], ran.code, ran.out, ran.err)


@dataclass
class QuickComputer(Computer):
    """`Computer`, forked.  watched: calls of its background process, and of `once`."""

    programs: Programs = field(kw_only=True)
    watched: Watched | None = None
    pid: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mb_sync = QuickMbSync(self.mb_sync.home, programs=self.programs)

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where its files lie."""
        return (self.folder, self.mb_sync.home)

    def watch(self, faults: Faults, journal: str = "") -> None:
        self.watched = Watched(faults, self.roots, journal)

    def start(self) -> None:
        """In the background; it answers when this returns (or it has ended)."""
        self.pid = self.programs.start(
            "mb-sync",
            ["--home", str(self.mb_sync.home), "run"],
            out=self.base / self.name / "out",
            err=self.base / self.name / "err",
            watched=self.watched,
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

    def wait(self, seconds: float = 60.0) -> None:
        ask(self.mb_sync.home, "wait", seconds=seconds)

    def run_once(self) -> Ran:
        """`mb-sync once`, whatever comes of it."""
        return self.programs.run(
            "mb-sync", "--home", self.mb_sync.home, "once", "--json", watched=self.watched
        )
