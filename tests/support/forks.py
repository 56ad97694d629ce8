"""`mb-server` and `mb-sync` as processes that start in a few milliseconds: forks of one that has imported them.

with Programs(folder) as programs:
    ran = programs.run("mb-server", "manifest", "--data", data)

`common()` is the one that all tests of a worker share.  What a user starts, the console script, takes most of a
second to import what it needs; the tests of the commands themselves and the demo start that.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self

LIMIT_SECONDS = 180  # more than the 150 that `wait` is given: its own words say more than ours
HIDDEN = ("MB_SYNC_", "MB_SERVER_")  # what could point a test at a real home or data folder


def environment() -> dict[str, str]:
    """Ours, as the programs are to have it: in no desktop's session, whose keyring would keep their tokens."""
    hidden = (*HIDDEN, "DBUS_SESSION_BUS_ADDRESS")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


class Programs:
    """A fork server (tests/support/fork_server.py) and what it started.

    variables: what else stands in its environment and in that of its children.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._variables = dict(variables or {})
        self._asking = threading.Lock()
        self._told = threading.Condition()  # guards what follows: what the fork server said
        self._started: list[int] = []
        self._ended: dict[int, int] = {}
        self._calls = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment() | self._variables,
            cwd=Path(__file__).parents[2],
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._reader.join(60)

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        out: Path,
        err: Path,
        stdin: Path = Path(os.devnull),
        faults: Mapping[str, str] | None = None,
    ) -> int:
        """Its process number.  faults: what the shim of tests/support/faults is told."""
        line = {
            "program": program,
            "arguments": list(arguments),
            "stdin": str(stdin),
            "stdout": str(out),
            "stderr": str(err),
            "cwd": os.getcwd(),
            "environment": environment() | self._variables,
            "faults": dict(faults or {}),
        }
        assert self._process.stdin is not None
        with self._asking:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()
            with self._told:
                assert self._told.wait_for(lambda: self._started, LIMIT_SECONDS), "the fork server is silent"
                return self._started.pop()

    def wait(self, pid: int, seconds: float = LIMIT_SECONDS) -> int:
        """The exit code, negative for a signal.  A program that takes longer is killed."""
        with self._told:
            if not self._told.wait_for(lambda: pid in self._ended, seconds):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"process {pid} did not end within {seconds:.0f} s")
            return self._ended.pop(pid)

    def has_ended(self, pid: int) -> bool:
        with self._told:
            return pid in self._ended

    def run(
        self, program: str, *arguments: str | Path, stdin: str = "", faults: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        with self._asking:
            self._calls += 1
            out, err, given = (self._folder / f"{name}-{self._calls}" for name in ("out", "err", "in"))
        given.write_text(stdin, "utf-8")
        try:
            pid = self.start(
                program, [str(one) for one in arguments], out=out, err=err, stdin=given, faults=faults
            )
            code = self.wait(pid)
            return subprocess.CompletedProcess(
                [program, *arguments], code, out.read_text("utf-8"), err.read_text("utf-8")
            )
        finally:
            for path in (out, err, given):
                path.unlink(missing_ok=True)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                said = json.loads(line)
                with self._told:
                    if "ended" in said:
                        self._ended[said["ended"]] = said["code"]
                    else:
                        self._started.append(said["started"])
                    self._told.notify_all()


@cache
def common() -> Programs:
    """Started at its first use, ended with this process."""
    folder = tempfile.TemporaryDirectory(prefix="forks-")
    programs = Programs(Path(folder.name)).__enter__()
    atexit.register(folder.cleanup)
    atexit.register(programs.__exit__)
    return programs
