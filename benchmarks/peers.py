"""The programs that are compared, each behind the same few calls.

Owns: how each peer is set up, told to go, and measured.  May import: the standard library, benchmarks.

A peer is either *told* (it runs once and ends when B equals A) or *watches* (its processes see the change
themselves; rsync, Unison, rclone and cp are told; Syncthing and ours watch).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 300.0


class PeerError(Exception):
    """A peer could not be set up, or did not do its work."""


class Peer(ABC):
    """One program over one pair of folders.  `home` is its own, for its state."""

    name: str
    needs: str  # the command that must be installed
    watches = False

    def __init__(self, a: Path, b: Path, home: Path) -> None:
        self.a, self.b, self.home = a, b, home

    @classmethod
    def installed(cls) -> bool:
        return shutil.which(cls.needs) is not None

    def start(self) -> None:  # noqa: B027 -- most peers have nothing to start
        """Set up and start what must run; not timed."""

    def stop(self) -> None:  # noqa: B027 -- as above
        """End every process of it."""

    @abstractmethod
    def go(self) -> None:
        """Told: bring B up to date and return then.  Watching: at most a nudge to look."""

    def look_afresh(self) -> None:
        """Look at both folders once although nothing changed."""
        self.go()

    def wire_bytes(self) -> int | None:
        """Bytes sent so far over every connection; None where the peer does not tell."""
        return None

    def pids(self) -> dict[str, int]:
        """The processes whose memory is reported."""
        return {}


class Copy(Peer):
    """cp: the floor, not a peer.  It knows no changes, so it stands only where everything is new."""

    name, needs = "cp -r", "cp"

    def go(self) -> None:
        call("cp", "-r", f"{self.a}/.", str(self.b))


class Rsync(Peer):
    """An rsync daemon that owns B; one hop, no database, no fsync."""

    name, needs = "rsync", "rsync"
    _daemon: subprocess.Popen[bytes] | None = None
    _sent = 0

    def start(self) -> None:
        self._port = free_port()
        config = self.home / "rsyncd.conf"
        config.write_text(
            f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n[b]\npath = {self.b}\nread only = no\n"
        )
        self._daemon = spawn(
            *("rsync", "--daemon", "--no-detach", f"--config={config}", "--address=127.0.0.1"),
            f"--port={self._port}",
            log=self.home / "log",
        )
        wait_for_port(self._port)

    def go(self) -> None:
        said = call(
            *("rsync", "-a", "--delete", "--stats", "--no-human-readable"),
            f"{self.a}/",
            f"rsync://127.0.0.1:{self._port}/b/",
        )
        for words in ("sent", "received"):
            found = re.search(rf"Total bytes {words}: (\d+)", said)
            self._sent += int(found.group(1)) if found else 0

    def wire_bytes(self) -> int | None:
        return self._sent

    def stop(self) -> None:
        end(self._daemon)


class Unison(Peer):
    """Both roots local: no wire, so what it sends is not known."""

    name, needs = "Unison", "unison"

    def go(self) -> None:
        call(
            *("unison", str(self.a), str(self.b), "-ui", "text", "-batch", "-auto", "-silent", "-times"),
            *("-confirmbigdel=false", "-fastcheck", "true"),
            environment={"UNISON": str(self.home), "HOME": str(self.home)},
        )


class Rclone(Peer):
    name, needs = "rclone", "rclone"

    def go(self) -> None:
        config = self.home / "rclone.conf"
        config.touch()
        call("rclone", "sync", "--config", str(config), str(self.a), str(self.b))


def call(*command: str, environment: dict[str, str] | None = None, stdin: str = "") -> str:
    """Run to the end, bounded in time; what it said on stdout."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"{command[0]} took more than {LIMIT_SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise PeerError(
            f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}"
        )
    return done.stdout


def spawn(*command: str, log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )


def end(process: subprocess.Popen[Any] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    for _ in range(200):
        with socket.socket() as caller:
            caller.settimeout(0.1)
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise PeerError(f"Nothing listens on port {port}")


def peak_memory(pid: int) -> int:
    """The most memory that a process held so far (VmHWM), in bytes; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found.group(1)) * 1024 if found else 0
