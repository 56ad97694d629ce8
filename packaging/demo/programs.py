"""The programs of the demo, run as a person runs them: the console scripts, one process each.

Owns: starting, asking and stopping `mb-server`, `mb-sync` and `mb-synclight`.  May import: the standard library.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
QUIET_SECONDS = 60


class DemoFailed(Exception):
    """A program did not do what the demo asked of it."""


def run(
    program: str, *arguments: str, home: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end and hand back what it said; bounded in time."""
    environment = dict(os.environ, NO_COLOR="1", COLUMNS="100")
    if home is not None:
        environment["MB_SYNC_HOME"] = str(home)
    try:
        return subprocess.run(
            [BIN / program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=2 * QUIET_SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoFailed(f"`{program} {' '.join(arguments)}` did not end") from error


def must(program: str, *arguments: str, home: Path | None = None, stdin: str = "") -> str:
    """Like `run`, and whatever is not exit code 0 ends the demo."""
    done = run(program, *arguments, home=home, stdin=stdin)
    if done.returncode != 0:
        said = ((done.stderr or done.stdout).strip().splitlines() or ["nothing"])[-1]
        raise DemoFailed(f"`{program} {' '.join(arguments)}` ended with {done.returncode} and said: {said}")
    return done.stdout


@dataclass(slots=True)
class Server:
    data: Path
    url: str = ""
    _process: subprocess.Popen[str] | None = None

    def create(self, *, admin: str, password: str) -> None:
        must(
            "mb-server",
            "init",
            "--data",
            str(self.data),
            "--admin",
            admin,
            "--password-stdin",
            stdin=f"{password}\n",
        )

    def add_user(self, name: str, *, password: str) -> None:
        must(
            "mb-server",
            "user",
            "add",
            name,
            "--data",
            str(self.data),
            "--password-stdin",
            stdin=f"{password}\n",
        )

    def create_project(self, name: str, roles: Mapping[str, str]) -> None:
        """With an intake.  roles: of each user."""
        must("mb-server", "project", "create", name, "--template", "imaging", "--data", str(self.data))
        for user, role in roles.items():
            must(
                *("mb-server", "project", "grant", name, f"user:{user}", "--role", role),
                *("--data", str(self.data)),
            )

    def start(self) -> None:
        """Serve on any free port of this machine; returns when it says that it listens."""
        self._process = subprocess.Popen(
            [BIN / "mb-server", "serve", "--data", str(self.data), "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.data.parent / "server.log").open("w"),
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops everything in order
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening on "):
                self.url = line.split()[-1]
                return
        log = (self.data.parent / "server.log").read_text().strip()
        raise DemoFailed(f"The server did not start: {log.splitlines()[-1] if log else 'it said nothing'}")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> str | None:
        """None when every invariant holds, else what `mb-server check --deep` found."""
        done = run("mb-server", "check", "--deep", "--data", str(self.data))
        return None if done.returncode == 0 else (done.stdout + done.stderr).strip()


@dataclass(frozen=True, slots=True)
class Traffic:
    sent_bytes: int
    received_bytes: int

    def since(self, before: Traffic) -> Traffic:
        return Traffic(self.sent_bytes - before.sent_bytes, self.received_bytes - before.received_bytes)


@dataclass(slots=True)
class Computer:
    """One computer of one person: a client home, and the folder that it keeps equal."""

    name: str
    home: Path
    folder: Path
    running: bool = False

    def sign_in(self, server: Server, *, user: str, password: str) -> None:
        self._must(
            *("login", server.url, "--user", user, "--password-stdin", "--device-name", self.name),
            stdin=f"{password}\n",
        )

    def follow(self, remote: str, folder: Path | None = None) -> None:
        """In its own folder, or in another one beside it."""
        self._must("add", remote, str(folder or self.folder), "--create")

    def start(self) -> None:
        self._must("start")
        self.running = True

    def stop(self) -> None:
        if self.running:
            self._must("stop")
            self.running = False

    def stop_quietly(self) -> None:
        """At the end: whatever state it is in, it must not stay behind."""
        if self.home.exists():
            run("mb-sync", "stop", home=self.home)
            self.running = False

    def wait(self) -> None:
        """Until disk and server have been looked at afresh and are equal."""
        self._must("wait", "--timeout", str(QUIET_SECONDS))

    def traffic(self) -> Traffic:
        counted = self.asked("status")["traffic"]
        return Traffic(counted["sent_bytes"], counted["received_bytes"])

    def status(self) -> str:
        return self._must("status")

    def asked(self, *arguments: str) -> Any:
        return json.loads(self._must(*arguments, "--json"))

    def says(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Whatever it ends with."""
        return run("mb-sync", *arguments, home=self.home)

    def lists(self, remote: str) -> subprocess.CompletedProcess[str]:
        return run("mb-sync", "ls", remote, home=self.home)

    def make_code(self, remote: str, *, label: str) -> str:
        """The link alone."""
        return self._must("code", "create", remote, "--label", label).strip()

    def revoke_codes(self) -> None:
        for code in self.asked("code", "list"):
            self._must("code", "revoke", code["code"])

    def _must(self, *arguments: str, stdin: str = "") -> str:
        return must("mb-sync", *arguments, home=self.home, stdin=stdin)


@dataclass(slots=True)
class Collaborator:
    """Somebody outside, with a sync code and no account."""

    name: str
    home: Path
    folder: Path
    _process: subprocess.Popen[str] | None = None

    def receive(self, link: str) -> None:
        """Goes on in the background, as in a terminal that one leaves open."""
        self._process = subprocess.Popen(
            [BIN / "mb-synclight", "--home", str(self.home), "-", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=(self.home.parent / f"{self.name}.txt").open("w"),
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(f"{link}\n")
        self._process.stdin.close()

    def has_ended(self, *, limit_seconds: float) -> bool:
        """By itself, within that time."""
        assert self._process is not None
        try:
            self._process.wait(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def said(self) -> str:
        return (self.home.parent / f"{self.name}.txt").read_text()

    def lists(self) -> str:
        return must("mb-synclight", "--home", str(self.home), "list")

    def verify(self) -> subprocess.CompletedProcess[str]:
        return run("mb-synclight", "--home", str(self.home), "verify", str(self.folder))

    def stop_quietly(self) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
