"""Computers of one researcher for tests: real `mb-sync` processes, real folders, and the checks that end every story.

with a_pair(server, tmp_path) as pair:
    pair.a.write("notes.txt", b"hello")
    pair.settle()                        # both equal, nothing lost, nothing left lying about
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from sync_client.control import ask, is_running
from sync_client.lock import holder, is_held
from tests.support.forks import common
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

SETTLE_SECONDS = 150.0  # to come to rest takes a second or two; a busy machine takes its time
INTERNAL = ".mb-sync"


class Seen(NamedTuple):
    """What stands under a name.  detail: SHA-256 of a file, target of a link."""

    kind: str
    detail: str = ""
    executable: bool = False


Tree = dict[str, Seen]


def tree(folder: Path) -> Tree:
    """Everything in a folder but `.mb-sync`, by its path from there."""
    ends = time.monotonic() + SETTLE_SECONDS
    while True:
        found: Tree = {}
        try:
            _walk(folder, "", found)
        except (FileNotFoundError, NotADirectoryError):  # MB-Sync was at work in it: looked at once more
            if not folder.is_dir() or time.monotonic() > ends:
                raise
        else:
            return found


def _walk(folder: Path, prefix: str, found: Tree) -> None:
    for entry in os.scandir(folder):
        if not prefix and entry.name == INTERNAL:
            continue
        path = prefix + entry.name
        seen = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(seen.st_mode):
            found[path] = Seen("folder")
            _walk(Path(entry.path), path + "/", found)
        elif stat.S_ISLNK(seen.st_mode):
            found[path] = Seen("link", os.readlink(entry.path))
        elif stat.S_ISREG(seen.st_mode):
            found[path] = Seen("file", sha256(Path(entry.path)), bool(seen.st_mode & 0o100))
        else:
            found[path] = Seen("odd")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(seen: Tree) -> set[str]:
    return {one.detail for one in seen.values() if one.kind == "file"}


@dataclass
class Computer:
    """A client home and one followed folder; everything goes through the `mb-sync` command."""

    base: Path
    name: str
    corner: str = ""  # the folder inside that this test keeps to
    folder: Path = field(init=False)
    mb_sync: MbSync = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.base / self.name / "folder"
        self.mb_sync = MbSync(self.base / self.name / "home")

    # ---- the client --------------------------------------------------------------------------------------

    def login(self, server: RunningServer, user: str) -> None:
        self.mb_sync.login(server.url, user, PASSWORD, device_name=self.name)

    def follow(self, remote: str, *, create: bool = False) -> None:
        self.mb_sync.done("add", remote, self.folder, *(["--create"] if create else []))

    def start(self) -> None:
        """In the background, as `mb-sync start` does it; it answers when this returns."""
        if self.is_running:
            return
        said = self.base / self.name / "said"
        common().start(
            "mb-sync", ["--home", str(self.mb_sync.home), "run", "--background"], out=said, err=said
        )
        until(lambda: is_running(self.mb_sync.home), f"{self.name} answers")

    def start_working(self) -> None:
        """Start, and wait until its engine is there: on a slow machine it takes its time to load."""
        self.start()
        until(lambda: self._state() != "starting", f"{self.name} works")

    def _state(self) -> str:
        """Asked without a process of its own, which would take longer than what is waited for."""
        return str(ask(self.mb_sync.home, "status", seconds=SETTLE_SECONDS)["state"])

    def stop(self) -> None:
        self.mb_sync.done("stop")

    def once(self) -> dict[str, Any]:
        """`mb-sync once`; items in error are no failure here."""
        ran = self.mb_sync("once", "--json")
        assert ran.returncode in (0, 3), f"{self.name}: {ran.returncode} {ran.stdout}{ran.stderr}"
        status: dict[str, Any] = _json(ran.stdout)
        return status

    def wait(self, seconds: float = SETTLE_SECONDS) -> None:
        """`mb-sync wait`: after a fresh look at both sides nothing is left to do (but for items in error)."""
        ran = self.mb_sync("wait", "--timeout", str(seconds))
        assert ran.returncode in (0, 3), (
            f"{self.name}: {ran.returncode}\n{ran.stdout}{ran.stderr}\n{self.log()}"
        )

    def agree(self) -> bool:
        """So many deletes within minutes ask first, and these people mean them.  True: something waited for that."""
        if not ask(self.mb_sync.home, "guard"):
            return False
        ask(self.mb_sync.home, "guard-decide", folder=None, apply=True)
        return True

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.mb_sync.json("status")
        return answer

    def problems(self) -> dict[str, str]:
        """Path → code of whatever `status` lists."""
        return {
            problem["path"].removeprefix(self.corner).lstrip("/"): problem["code"]
            for folder in self.status()["folders"]
            for problem in folder["problems"]
            if problem["path"].startswith(self.corner)
        }

    def kill9(self) -> None:
        """The power of this process goes; the command that started it never learns why."""
        if self.is_running:
            os.kill(int(holder(self.mb_sync.home / "lock")), signal.SIGKILL)
            # Its number says "zombie" as soon as its first thread has ended; another may be writing to a disk still.
            # The lock is free when all of them have ended.
            until(lambda: not self.is_running, f"{self.name} is dead")

    @property
    def is_running(self) -> bool:
        return is_held(self.mb_sync.home / "lock")

    def log(self) -> str:
        texts = [path.read_text("utf-8", "replace") for path in sorted((self.mb_sync.home / "log").glob("*"))]
        return "\n".join(texts)[-6_000:]

    # ---- what its user does ------------------------------------------------------------------------------

    def at(self, path: str) -> Path:
        return self.folder / self.corner / path

    def write(self, path: str, data: bytes | bytearray) -> None:
        """In place, as a simple program does."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_bytes(data)

    def put(self, path: str, data: bytes) -> None:
        """At once: a client that looks meanwhile sees no half of it, and makes no version of that."""
        beside = self.folder.with_name("not followed")
        beside.write_bytes(data)
        beside.rename(self.at(path))

    def save(self, path: str, data: bytes) -> None:
        """As editors do: a new file, then renamed over the old one."""
        beside = self.at(path).with_name(f"{self.at(path).name}~new")
        beside.write_bytes(data)
        beside.rename(self.at(path))

    def move(self, old: str, new: str) -> None:
        self.at(new).parent.mkdir(parents=True, exist_ok=True)
        self.at(old).rename(self.at(new))

    def delete(self, path: str) -> None:
        if self.at(path).is_dir() and not self.at(path).is_symlink():
            shutil.rmtree(self.at(path))
        else:
            self.at(path).unlink()

    def read(self, path: str) -> bytes:
        return self.at(path).read_bytes()

    def tree(self) -> Tree:
        """Of its corner."""
        return tree(self.folder / self.corner) if (self.folder / self.corner).is_dir() else {}

    # ---- what must be true of its folder -----------------------------------------------------------------

    def local_trash(self) -> set[str]:
        trash = self.folder / INTERNAL / "trash"
        if not trash.is_dir():
            return set()
        return {sha256(path) for path in trash.iterdir() if path.is_file() and not path.is_symlink()}

    def left_lying_about(self) -> list[str]:
        """Temporary names in `.mb-sync/tmp`, or internal names anywhere else."""
        tmp = self.folder / INTERNAL / "tmp"
        found = sorted(path.name for path in tmp.iterdir()) if tmp.is_dir() else []
        return found + [path for path in tree(self.folder) if INTERNAL in path]


def _json(text: str) -> Any:
    import json  # noqa: PLC0415 - only here

    return json.loads(text)


def until(is_so: Callable[[], bool], what: str, seconds: float = SETTLE_SECONDS) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"never came true: {what}"
        time.sleep(0.02)


@dataclass
class Together:
    """Computers of one user that follow the same folder, and every content that must not be lost."""

    server: RunningServer
    user: str
    computers: list[Computer]
    ever: set[str] = field(default_factory=set)

    @property
    def a(self) -> Computer:
        return self.computers[0]

    @property
    def b(self) -> Computer:
        return self.computers[1]

    def start(self) -> None:
        for computer in self.computers:
            computer.start()

    def stop(self) -> None:
        for computer in self.computers:
            computer.stop()

    def in_corner(self, name: str) -> Together:
        """The same computers, of which a test sees and changes only this folder inside."""
        those = [Computer(computer.base, computer.name, name) for computer in self.computers]
        return Together(self.server, self.user, those, self.ever)

    def part(self) -> None:
        """From now on each computer is on its own."""
        for computer in self.computers:
            computer.mb_sync.done("pause")

    def meet(self) -> Tree:
        """The first tells what it has before the others do: they are the later ones."""
        self.note()
        for computer in self.computers:
            computer.mb_sync.done("resume")
            computer.wait()
        return self.settle()

    def note(self) -> None:
        """From now on nobody but MB-Sync changes what stands on the disks: none of it may get lost."""
        for computer in self.computers:
            self.ever |= contents(_synced(computer.tree()))

    def settle(self) -> Tree:
        """Let both sides come to rest; the common tree.  Whoever does not run is synced by `once`."""
        self.note()
        ends = time.monotonic() + SETTLE_SECONDS
        before: list[Tree] = []
        while True:
            for computer in self.computers:
                if computer.is_running:
                    computer.wait()
                else:
                    computer.once()
            trees = [computer.tree() for computer in self.computers]
            if trees == before and all(_synced(one) == _synced(trees[0]) for one in trees):
                break
            if time.monotonic() > ends:
                raise AssertionError(self._difference(trees))
            before = trees
        self.note()
        for computer in self.computers:
            assert computer.left_lying_about() == [], computer.name
        return trees[0]

    def sound(self) -> None:
        """Nothing was lost, and the server's own check finds nothing."""
        listed = self.server.manifest("--versions", "--trash")
        held = {digest for digest, _, _, path in listed if path.startswith(self.user + "/")}
        for computer in self.computers:
            held |= contents(computer.tree()) | computer.local_trash()
        assert self.ever <= held, f"{len(self.ever - held)} contents are lost"
        self.server.check_deep()

    def conflict_copies(self) -> list[str]:
        return sorted(path for path in self.a.tree() if "(conflict " in path)

    def _difference(self, trees: list[Tree]) -> str:
        lines = [f"{self.a.name} and another computer do not become equal:"]
        for computer, seen in zip(self.computers[1:], trees[1:], strict=True):
            lines += [
                f"  {path!r}: {trees[0].get(path)} / {computer.name}: {seen.get(path)}"
                for path in sorted(set(trees[0]) | set(seen))
                if trees[0].get(path) != seen.get(path)
            ]
        for computer in self.computers:
            lines += [str(computer.status()), computer.log()]
        return "\n".join(lines)


def _synced(seen: Tree) -> Tree:
    """Without what can never be synced: sockets, pipes, names that are not text."""
    return {path: one for path, one in seen.items() if one.kind != "odd" and path.isprintable()}


@contextmanager
def together(
    server: RunningServer, base: Path, *names: str, remote: str = "/Home/study", running: bool = False
) -> Iterator[Together]:
    """Computers of a new user, all following `remote`; they are ended with the block."""
    user = f"u{uuid4().hex[:8]}"
    server.add_user(user)
    those = Together(server, user, [Computer(base, name) for name in names])
    for computer in those.computers:
        computer.login(server, user)
        computer.follow(remote, create=computer is those.a)
    if running:
        those.start()
    try:
        yield those
    finally:
        for computer in those.computers:
            computer.mb_sync("stop")
