"""A real `mb-server` for tests: a process, on a data folder of its own.

with RunningServer(tmp_path / "server") as server:
    server.add_user("ada", "correct horse battery")
    ... server.url ...
    server.kill9(); server.restart()
# leaving the block stops the server; `check_deep` says whether what it left is sound
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.support.forks import Programs, common, environment

ADMIN = "root-admin"
PASSWORD = "a long enough passphrase"
START_SECONDS = 60.0  # both take a second; a busy machine takes its time
STOP_SECONDS = 60.0


def mb_server(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command of `mb-server` to its end."""
    return common().run("mb-server", *arguments, stdin=stdin)


def mb_server_process(*arguments: str | Path) -> subprocess.Popen[str]:
    """Begin one command of `mb-server`, the console script as an operator starts it."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("mb-server"), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


@dataclass
class RunningServer:
    """`init` once, then `serve --listen 127.0.0.1:0`; the port stays the same over a restart."""

    data: Path
    url: str = ""
    log_level: str = "warning"
    options: tuple[str, ...] = ()  # more words for `serve`
    programs: Programs = field(default_factory=common, repr=False)
    faults: Mapping[str, str] | None = None  # what its shim is told: tests/support/faults
    _pid: int | None = None

    def __enter__(self) -> Self:
        if not self.data.exists():
            self.init()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid is not None:
            self.stop()

    # ---- its life ----------------------------------------------------------------------------------------

    def init(self) -> None:
        done = self.command("init", "--admin", ADMIN, "--password-stdin", stdin=PASSWORD)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        assert self._pid is None
        out = self.data / "test.out"
        out.unlink(missing_ok=True)
        listen = self.url.removeprefix("http://").removeprefix("https://") or "127.0.0.1:0"
        self._pid = self.programs.start(
            "mb-server",
            [
                *("serve", "--data", str(self.data), "--listen", listen),
                *("--log-level", self.log_level, *self.options),
            ],
            out=out,
            err=self.data / "test.log",
            faults=self.faults,
        )
        ends = time.monotonic() + START_SECONDS
        while not (line := _line(out)).endswith("\n"):
            if self.has_ended or time.monotonic() > ends:
                self.kill9()
                raise AssertionError(f"the server did not start: {line!r}\n{self.log()}")
            time.sleep(0.02)
        self.url = line.removeprefix("listening on ").strip()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        return self._end(signal.SIGTERM)

    def kill9(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same port, also after `kill9`."""
        if self._pid is not None:
            self.stop()
        self.start()

    @property
    def pid(self) -> int:
        assert self._pid is not None
        return self._pid

    @property
    def has_ended(self) -> bool:
        """By itself, or because it was killed.  `reap` then."""
        return self._pid is not None and self.programs.has_ended(self._pid)

    def reap(self) -> int:
        """The exit code, when it has ended."""
        code = self.programs.wait(self.pid, STOP_SECONDS)
        self._pid = None
        return code

    def _end(self, how: signal.Signals) -> int:
        with suppress(ProcessLookupError):  # something else was faster
            os.kill(self.pid, how)
        return self.reap()

    # ---- what its operator does --------------------------------------------------------------------------

    def add_user(self, name: str, password: str = PASSWORD) -> None:
        done = self.command("user", "add", name, "--password-stdin", stdin=password)
        assert done.returncode == 0, done.stderr

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Any `mb-server` command on this server's data."""
        return self.programs.run("mb-server", *arguments, "--data", self.data, stdin=stdin)

    def check_deep(self) -> None:
        """Assert that every invariant holds, beside the running server or without it."""
        done = self.command("check", "--deep")
        assert done.returncode == 0, done.stdout + done.stderr

    def manifest(self, *flags: str) -> list[tuple[str, int, str, str]]:
        """(sha256, bytes, state, path) of every file, sorted by path."""
        done = self.command("manifest", *flags)
        assert done.returncode == 0, done.stderr
        rows = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
        return sorted(
            ((digest, int(size), state, path) for digest, size, state, path in rows), key=lambda row: row[3]
        )

    def log(self) -> str:
        return (self.data / "test.log").read_text(encoding="utf-8")


def _line(out: Path) -> str:
    return out.read_text("utf-8") if out.exists() else ""
