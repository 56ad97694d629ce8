"""A real `mb-server` for tests: the console script as a process, on a data folder of its own.

with RunningServer(tmp_path / "server") as server:
    server.add_user("ada", "correct horse battery")
    ... server.url ...
    server.kill9(); server.restart()
# leaving the block stops the server; `check_deep` says whether what it left is sound
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

ADMIN = "root-admin"
PASSWORD = "a long enough passphrase"
START_SECONDS = 20.0


def mb_server(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command of `mb-server` to its end."""
    return subprocess.run(
        [_script(), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=_environment(),
    )


def mb_server_process(*arguments: str | Path) -> subprocess.Popen[str]:
    """Begin one command of `mb-server`."""
    return subprocess.Popen(
        [_script(), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )


def _script() -> str:
    return str(Path(sys.executable).with_name("mb-server"))


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MB_SERVER_")}


@dataclass
class RunningServer:
    """`init` once, then `serve --listen 127.0.0.1:0`; the port stays the same over a restart."""

    data: Path
    url: str = ""
    log_level: str = "warning"
    options: tuple[str, ...] = ()  # more words for `serve`
    _process: subprocess.Popen[str] | None = None
    _log: IO[str] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        if not self.data.exists():
            self.init()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()

    # ---- its life ----------------------------------------------------------------------------------------

    def init(self) -> None:
        done = mb_server("init", "--data", self.data, "--admin", ADMIN, "--password-stdin", stdin=PASSWORD)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        assert self._process is None
        listen = self.url.removeprefix("http://").removeprefix("https://") or "127.0.0.1:0"
        self._log = (self.data / "test.log").open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            [
                *(_script(), "serve", "--data", str(self.data), "--listen", listen),
                *("--log-level", self.log_level, *self.options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=_environment(),
        )
        line = _first_line(self._process, START_SECONDS)
        if not line.startswith("listening on "):
            self._process.kill()
            self._process.wait()
            self._process = None
            raise AssertionError(f"the server did not start: {line!r}\n{self.log()}")
        self.url = line.removeprefix("listening on ").strip()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill9(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._ended()

    def restart(self) -> None:
        """Start again on the same port, also after `kill9`."""
        if self._process is not None:
            self.stop()
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _ended(self) -> int:
        assert self._process is not None
        code = self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        if self._log is not None:
            self._log.close()
        return code

    # ---- what its operator does --------------------------------------------------------------------------

    def add_user(self, name: str, password: str = PASSWORD) -> None:
        done = self.command("user", "add", name, "--password-stdin", stdin=password)
        assert done.returncode == 0, done.stderr

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Any `mb-server` command on this server's data."""
        return mb_server(*arguments, "--data", self.data, stdin=stdin)

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


def _first_line(process: subprocess.Popen[str], seconds: float) -> str:
    assert process.stdout is not None
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and process.poll() is None:
        if select.select([process.stdout], [], [], 0.1)[0]:
            return process.stdout.readline()
    return process.stdout.readline() if process.poll() is not None else ""
