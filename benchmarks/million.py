"""A space of very many nodes: `python -m benchmarks.million --nodes 1000000`.

Owns: this one measurement, by a real server and real clients.
May import: benchmarks, protocol, sync_client.control, tests.

The tree is made on the server by commits of a thousand operations, folders of a thousand files without bytes, as a
device would send them.  Then a client that knows nothing follows it; beside it another one follows a space of a
thousand nodes, and changes are timed in turns in both.  CPU seconds count on a busy machine too; those of the clock do
not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from protocol.errors import MedicalBlocksError
from protocol.http import ServerApi
from protocol.ids import DeviceId, OperationId, uuid7
from protocol.messages import Changes, Commit, Committed, Content, Kind, Login, Make, View
from sync_client.control import ask
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

SMALL = 1_000
IN_A_FOLDER = 1_000
LOOK_SECONDS = 2.0
LIMIT_SECONDS = 3 * 3_600.0
TICKS = os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.million", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=15, help="of each sort, in each of the two spaces")
    parser.add_argument(
        "--idle", type=float, default=60.0, help="seconds to look at a client that has nothing to do"
    )
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as text, RunningServer(Path(text) / "data") as server:
        asyncio.run(_measure(server, Path(text), asked))


async def _measure(server: RunningServer, base: Path, asked: argparse.Namespace) -> None:
    spaces = [Space(server, base, "small", SMALL), Space(server, base, "large", asked.nodes)]
    for space in spaces:
        await space.fill()
    for space in spaces:
        space.follow()
        await space.link()
    for number in range(asked.changes):
        for space in spaces:
            await space.change_there(number)
            await space.change_here(number)
    for space in spaces:
        space.tell_changes()
    await spaces[-1].idle(asked.idle)
    for space in spaces:
        await space.start_again()
        space.end()
    say("server", memory_mib=resident(server.pid), peak_mib=peak(server.pid))


@dataclass
class Space:
    """A user with so many nodes, and a client that follows them."""

    server: RunningServer
    base: Path
    name: str
    nodes: int
    client: subprocess.Popen[bytes] | None = None
    took: dict[str, list[float]] = field(default_factory=dict)
    _cursor: str = ""
    _number: int = 0

    @property
    def folder(self) -> Path:
        return self.base / self.name

    @property
    def mb_sync(self) -> MbSync:
        return MbSync(self.base / f"{self.name}-home", as_installed=True)

    # ---- the tree ------------------------------------------------------------------------------------------

    async def fill(self) -> None:
        self.server.add_user(self.name, PASSWORD)
        await asyncio.sleep(0)
        began, cpu = time.monotonic(), cpu_seconds(self.server.pid)
        async with self.device() as (api, view):
            left, slowest = self.nodes, 0.0
            while left > 0:
                folder = uuid4()
                files = min(IN_A_FOLDER, left) - 1
                ops = [
                    Make(
                        node=folder,
                        parent=view.root,
                        name=f"{folder.hex[:12]}",
                        content=Content(kind=Kind.FOLDER),
                    )
                ]
                ops += [
                    Make(
                        node=uuid4(),
                        parent=folder,
                        name=f"image-{number:04}.dcm",
                        content=Content(kind=Kind.FILE),
                    )
                    for number in range(files)
                ]
                before = time.monotonic()
                await self.commit(api, view, ops)
                slowest = max(slowest, time.monotonic() - before)
                left -= len(ops)
        say(
            f"{self.name} filled",
            nodes=self.nodes,
            seconds=time.monotonic() - began,
            server_cpu=cpu_seconds(self.server.pid) - cpu,
            slowest_batch=slowest,
        )

    @asynccontextmanager
    async def device(self) -> AsyncIterator[tuple[ServerApi, View]]:
        async with ServerApi(self.server.url) as api:
            login = Login(user=self.name, password=PASSWORD, device=DeviceId(uuid4()), device_name="bench")
            signed_in = await api.login(login)
        async with ServerApi(self.server.url, signed_in.token) as api:
            self._number = 0
            [view] = [one for one in (await api.views()).views if one.kind == "home"]
            yield api, view

    async def commit(self, api: ServerApi, view: View, ops: Sequence[Make]) -> None:
        self._number += 1
        operation = OperationId(uuid7(time.time_ns() // 1_000_000, self._number))
        answer = await api.commit(
            view.view, Commit(operation=operation, number=self._number, ops=list(ops), cursor="")
        )
        assert isinstance(answer, Committed)
        assert all(result.status == "done" for result in answer.results)

    # ---- a client that knows nothing -----------------------------------------------------------------------

    def follow(self) -> None:
        self.mb_sync.login(self.server.url, self.name, PASSWORD)
        self.mb_sync.done("add", "/Home", self.folder)

    async def link(self) -> None:
        """The listing is here when the first file is placed; all is here when it says so."""
        began, cpu = time.monotonic(), cpu_seconds(self.server.pid)
        self.start()
        listed = 0.0
        while True:
            status = await self.status()
            if not listed and status and status["progress"]:
                listed = time.monotonic() - began
                say(
                    f"{self.name} listed",
                    seconds=listed,
                    client_cpu=cpu_seconds(self.pid),
                    peak_mib=peak(self.pid),
                )
            if status and status["state"] == "synced":
                break
            await asyncio.sleep(LOOK_SECONDS if self.nodes > SMALL else 0.1)
            assert time.monotonic() - began < LIMIT_SECONDS, status
        say(
            f"{self.name} linked",
            seconds=time.monotonic() - began,
            client_cpu=cpu_seconds(self.pid),
            server_cpu=cpu_seconds(self.server.pid) - cpu,
            peak_mib=peak(self.pid),
            server_mib=resident(self.server.pid),
        )

    async def start_again(self) -> None:
        """With all it knows: it looks at every file once, and reads none."""
        self.end()
        began = time.monotonic()
        self.start()
        while (status := await self.status()) is None or status["state"] != "synced":
            await asyncio.sleep(0.2)
            assert time.monotonic() - began < LIMIT_SECONDS, status
        say(
            f"{self.name} started again",
            seconds=time.monotonic() - began,
            client_cpu=cpu_seconds(self.pid),
            peak_mib=peak(self.pid),
        )

    def start(self) -> None:
        home = self.mb_sync.home
        self.client = subprocess.Popen(
            [Path(sys.executable).with_name("mb-sync"), "--home", str(home), "run"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(home / "said").open("ab"),
        )

    def end(self) -> None:
        assert self.client is not None
        self.client.terminate()
        self.client.wait(120)

    @property
    def pid(self) -> int:
        assert self.client is not None
        return self.client.pid

    async def status(self) -> dict[str, object] | None:
        """None: it does not answer yet."""
        with suppress(MedicalBlocksError, OSError):
            found: dict[str, object] = await asyncio.to_thread(
                ask, self.mb_sync.home, "status", seconds=120.0
            )
            return found
        return None

    # ---- one change ----------------------------------------------------------------------------------------

    async def change_there(self, number: int) -> None:
        """On another computer; until the file stands here."""
        async with self.device() as (api, view):
            name = f"there-{number}-{time.monotonic_ns()}"
            with self.timed("there"):
                await self.commit(api, view, [_make(uuid4(), view.root, name)])
                while not (self.folder / name).exists():
                    await asyncio.sleep(0.005)
            await self.rest()

    async def change_here(self, number: int) -> None:
        """Until the server's feed tells it."""
        async with self.device() as (api, view):
            cursor = await _head(api, view.view, view.cursor)
            name = f"here-{number}-{time.monotonic_ns()}"
            with self.timed("here"):
                (self.folder / name).touch()
                while not (await _news(api, view.view, cursor)):
                    await asyncio.sleep(0.01)
            await self.rest()

    async def rest(self) -> None:
        while (status := await self.status()) is None or status["state"] != "synced":
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)

    def timed(self, what: str) -> Timed:
        return Timed(
            lambda: (time.monotonic(), cpu_seconds(self.pid), cpu_seconds(self.server.pid)), self.took, what
        )

    def tell_changes(self) -> None:
        for what in ("here", "there"):
            seconds, client, server = (
                statistics.median(self.took[f"{what} {one}"]) for one in ("seconds", "client", "server")
            )
            say(f"{self.name} change {what}", seconds=seconds, client_cpu=client, server_cpu=server)

    async def idle(self, seconds: float) -> None:
        before = cpu_seconds(self.pid)
        await asyncio.sleep(seconds)
        used = cpu_seconds(self.pid) - before
        say(
            f"{self.name} idle",
            seconds=seconds,
            client_cpu=used,
            percent_of_a_core=100 * used / seconds,
            memory_mib=resident(self.pid),
        )
        before, began = cpu_seconds(self.pid), time.monotonic()
        await asyncio.to_thread(ask, self.mb_sync.home, "wait", seconds=LIMIT_SECONDS)
        say(
            f"{self.name} looked at",
            seconds=time.monotonic() - began,
            client_cpu=cpu_seconds(self.pid) - before,
            peak_mib=peak(self.pid),
        )


@dataclass
class Timed:
    """Seconds of the clock, and of the CPU of client and server."""

    now: Callable[[], tuple[float, float, float]]
    took: dict[str, list[float]]
    what: str
    before: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __enter__(self) -> None:
        self.before = self.now()

    def __exit__(self, *_: object) -> None:
        for name, before, after in zip(("seconds", "client", "server"), self.before, self.now(), strict=True):
            self.took.setdefault(f"{self.what} {name}", []).append(after - before)


async def _head(api: ServerApi, view: UUID, cursor: str) -> str:
    while True:
        page = await api.changes(view, cursor)
        assert isinstance(page, Changes)
        cursor = page.cursor
        if not page.more:
            return cursor


async def _news(api: ServerApi, view: UUID, cursor: str) -> bool:
    page = await api.changes(view, cursor)
    return isinstance(page, Changes) and bool(page.nodes)


def cpu_seconds(pid: int) -> float:
    """User and system so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> float:
    return _memory(pid, "VmRSS")


def peak(pid: int) -> float:
    return _memory(pid, "VmHWM")


def _memory(pid: int, name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _make(node: UUID, parent: UUID, name: str, kind: Kind = Kind.FILE) -> Make:
    return Make(node=node, parent=parent, name=name, content=Content(kind=kind))


def say(what: str, **figures: float) -> None:
    words = (
        f"{name} {value:,.3g}" if value < 100 else f"{name} {value:,.0f}" for name, value in figures.items()
    )
    print(f"{what:22}{'  '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
