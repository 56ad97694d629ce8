"""The server and the computers: the real programs, started, stopped, killed and cut off from power.

Owns: where each keeps its data, what of it a crash leaves, how each is started.
May import: asyncio, protocol, server, sync_client.engine, tests.simulation.

Databases are real SQLite files: what is committed stays.  At the instant of a crash they are copied, and the next life
works on the copy; whatever the dead program's code still does on its way out reaches nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from protocol.chunking import ONE_CHUNK_BYTES
from protocol.http import ServerApi
from protocol.ids import Cursor, DeviceId, NodeId, ViewId
from protocol.messages import Kind, Login
from server.access.devices import sign_in
from server.access.passwords import Passwords
from server.app import make_runner, now_ms, opened, watched
from server.chunks.keys import open_keys
from server.chunks.packs import FolderPacks
from server.config import Settings
from server.data_folder import DataFolder
from server.database.session import Database
from server.initialise import initialise
from server.upkeep.check import check
from server.upkeep.manifest import manifest_lines
from sync_client.engine import engine as engine_module
from sync_client.engine.account import Account
from sync_client.engine.batches import note_device
from sync_client.engine.database import StateDatabase
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.engine import Engine
from sync_client.engine.marker import Marker, write_marker
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.trees import root_row
from sync_client.engine.watcher import OnDirty, OnLost, Watcher
from tests.simulation.entropy import drawn_from
from tests.simulation.faked_os import LIFE, Life, System
from tests.simulation.memory_disk import Inode, MemoryDisk
from tests.simulation.network import Connector, Network
from tests.simulation.people import PRIVATE
from tests.simulation.virtual_time import AHEAD, VirtualLoop, installed

USER, PASSWORD, URL = "ada", "a long enough passphrase", "http://127.0.0.1:1"
SETTINGS = Settings(listen="127.0.0.1:0", shutdown_seconds=1)


@dataclass(frozen=True)
class Template:
    """A server with one user and some devices, made once for all histories of this process."""

    data: Path
    server: UUID
    view: ViewId
    root: NodeId
    devices: tuple[tuple[DeviceId, str], ...]  # with their tokens

    @classmethod
    def made(cls, data: Path, count: int) -> Template:
        folder, loop = DataFolder(data), VirtualLoop(random.Random(0))
        with drawn_from("template"), installed(loop):
            initialise(folder, admin=USER, password=PASSWORD, clock=now_ms)
            devices = loop.run_until_complete(_sign_in(folder, count))
            loop.close()
        with closing(sqlite3.connect(folder.database)) as database:
            view, root = database.execute("SELECT id, root FROM views").fetchone()
            [server] = database.execute("SELECT value FROM meta WHERE key = 'server_id'").fetchone()
        return cls(data, UUID(server), ViewId(UUID(bytes=view)), NodeId(UUID(bytes=root)), devices)


async def _sign_in(folder: DataFolder, count: int) -> tuple[tuple[DeviceId, str], ...]:
    database, passwords = Database.open(folder.database, migrate=False), Passwords()
    try:
        devices = []
        for number in range(count):
            device = DeviceId(uuid4())
            login = Login(user=USER, password=PASSWORD, device=device, device_name=f"pc{number}")
            signed_in = await sign_in(database, passwords, login, address="127.0.0.1", now_ms=now_ms())
            devices.append((device, signed_in.token))
        return tuple(devices)
    finally:
        passwords.close()
        database.close()


# ---- the server ----------------------------------------------------------------------------------------------


class ServerMachine:
    def __init__(self, base: Path, template: Template, network: Network, tell: Callable[[str], None]) -> None:
        self._base, self._network, self._tell = base, network, tell
        self._copies = 0
        self.folder = DataFolder(base / "server-0")
        shutil.copytree(template.data, self.folder.root)
        self._task: asyncio.Task[None] | None = None
        self._backup: Path | None = None

    @property
    def runs(self) -> bool:
        return self._task is not None

    async def start(self) -> None:
        ready = asyncio.Event()
        self._tell("server starts")
        self._task = asyncio.get_running_loop().create_task(self._serve(ready), name="server")
        while not ready.is_set():
            await asyncio.sleep(0.01)
            if self._task.done():
                self._task.result()

    async def _serve(self, ready: asyncio.Event) -> None:
        async with opened(self.folder, SETTINGS) as service, watched(service):
            runner = make_runner(service, SETTINGS)
            await runner.setup()
            try:
                self._network.accept = runner.server
                ready.set()
                await asyncio.Event().wait()
            finally:
                service.open_requests.end_all()
                await runner.cleanup()

    async def stop(self) -> None:
        """As by SIGTERM."""
        self._tell("server stops")
        self._network.accept = None
        await self._end()
        self._network.cut()

    async def crash(self) -> None:
        """As by SIGKILL."""
        self._tell("server crashes")
        self._network.accept = None
        self.folder = DataFolder(self._copy(self.folder.root))
        self._network.cut()
        await self._end()  # what its threads still do, they do to the old folder

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def back_up(self) -> None:
        self._tell("server is backed up")
        self._backup = self._copy(self.folder.root)

    @property
    def has_backup(self) -> bool:
        return self._backup is not None

    def restore(self) -> None:
        """While it does not run: the data of the backup, and a new epoch."""
        assert self._backup is not None
        self._tell("server is restored from its backup")
        with closing(sqlite3.connect(self.folder.database)) as database:
            [epoch] = database.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        self.folder = DataFolder(self._copy(self._backup))
        with closing(sqlite3.connect(self.folder.database)) as database, database:
            database.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (str(int(epoch) + 1),))

    def _copy(self, folder: Path) -> Path:
        self._copies += 1
        return shutil.copytree(
            folder, self._base / f"server-{self._copies}", ignore=shutil.ignore_patterns("*-shm")
        )

    def holds(self, *, of_backup: bool = False) -> list[tuple[str, str, str]]:
        """(sha256, state, path) of every version of every file."""
        folder = DataFolder(self._backup) if of_backup and self._backup else self.folder
        with closing(_Parts(folder)) as parts:
            lines = manifest_lines(parts.database, parts.packs, parts.keys, versions=True, trash=True)
            split = [line.split(" ", 3) for line in lines]
        return [(digest, state, path.removeprefix(f"{USER}/Home/")) for digest, _, state, path in split]

    def faults(self) -> list[str]:
        with closing(_Parts(self.folder)) as parts:
            return [str(one) for one in check(parts.database, parts.packs, parts.keys, deep=True)]

    def count_nodes(self) -> int:
        with closing(sqlite3.connect(self.folder.database)) as database:
            [count] = database.execute("SELECT count(*) FROM nodes").fetchone()
        return int(count) - 1  # without the root


class _Parts:
    """What a command beside the server opens."""

    def __init__(self, folder: DataFolder) -> None:
        self.database = Database.open(folder.database, migrate=False)
        self.packs = FolderPacks(folder.packs)
        self.keys = open_keys(folder.keys)

    def close(self) -> None:
        self.database.close()


# ---- a computer ----------------------------------------------------------------------------------------------


class Computer:
    """A disk with a followed folder, and the client's engine, which may run or not."""

    def __init__(
        self, number: int, loop: VirtualLoop, base: Path, template: Template, system: System, network: Network
    ) -> None:
        self.name = f"pc{number}"
        self.clock_ahead = 0.0  # seconds; files get their times from the same clock
        self.disk = MemoryDisk(100 + number, lambda: loop.tick_ns() + int(self.clock_ahead * 1e9))
        self.engine: Engine | None = None
        self.before: Callable[[str, str], None] = lambda _call, _name: None
        self.trouble: list[str] = []
        self.lives = 0
        self._loop, self._template, self._system, self._network = loop, template, system, network
        self._folder = Path(f"/computers/{self.name}")
        self._home = base / f"{self.name}-0"
        self._home.mkdir()
        self._base = base
        device, token = template.devices[number]
        self._account = Account(URL, USER, token, device, self.name)
        self._life = Life(self.name, over=True)
        self._task: asyncio.Task[None] | None = None
        system.mounted[str(self._folder)] = self.disk

    @property
    def runs(self) -> bool:
        return not self._life.over

    @property
    def is_buried(self) -> bool:
        return self._task is None

    def follow(self) -> None:
        """As `mb-sync add /Home` does."""
        template, follow = self._template, uuid4()
        with FollowedRoot(self._folder) as root:
            marker = Marker(
                view=template.view, node=template.root, server=template.server, follow=follow, generation=0
            )
            write_marker(root, marker)
        with closing(StateDatabase(self._home / "state.db")) as state, state.transaction():
            state.set_fact("account", f"{URL} {USER}")
            note_device(state, self._account.device)
            folder = state.add_folder(
                follow=follow,
                view=template.view,
                root=template.root,
                whole_view=True,
                remote="/Home",
                local=self._folder,
                cursor=Cursor(""),
            )
            trees = StoredTrees(state, folder.id, template.root)
            with trees.transaction():
                trees.save(root_row(template.root), dirty=False)

    def start(self) -> None:
        self.lives += 1
        self._life = Life(self.name, self.before_call)
        context = contextvars.copy_context()
        context.run(LIFE.set, self._life)
        context.run(AHEAD.set, lambda: self.clock_ahead)
        life = self._live(self._life, self._home)
        self._task = self._loop.create_task(life, name=self.name, context=context)

    def before_call(self, call: str, name: str) -> None:
        self.before(call, name)

    async def _live(self, life: Life, home: Path) -> None:
        """It may end while it begins; then neither is the computer's any more."""
        api = await ServerApi(
            URL, self._account.token, connector=lambda: Connector(self._network, self.name)
        ).__aenter__()
        if life.over:
            await api.__aexit__(None, None, None)
            return
        state = StateDatabase(home / "state.db")
        self.engine = Engine(state, self._account, api)
        engine = self.engine
        try:
            await engine.run()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if not life.over:
                self.trouble.append(f"{self.name} broke: {error!r} {getattr(error, 'exceptions', '')}")
        finally:
            with contextlib.suppress(Exception) if life.over else contextlib.nullcontext():
                await engine.close()

    async def stop(self) -> None:
        """As by `mb-sync stop`."""
        await self._end()
        self._life.over = True
        self.engine = None

    def die(self) -> None:
        """At once, also in the middle of a call.  `bury` what is left before the next start."""
        self._life.over = True
        self.engine = None
        self._system.close_all(self._life)
        before, self._home = self._home, self._base / f"{self.name}-{self.lives}"
        self._home.mkdir()
        for name in ("state.db", "state.db-wal", "state.db-open", "state.db-sum"):
            if (before / name).exists():
                shutil.copyfile(before / name, self._home / name)

    async def bury(self) -> None:
        self._network.cut(self.name)
        await self._end()

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    # ---- what is seen of it ------------------------------------------------------------------------------

    def shown(self) -> Iterator[tuple[str, Inode]]:
        for path, inode, _, _ in self.disk.walk():
            if path.partition("/")[0] != PRIVATE:
                yield path, inode

    def tree(self) -> dict[str, tuple[str, bytes]]:
        """Kind and bytes of what stands in the folder."""
        return {path: (_kind(inode), inode.data) for path, inode in self.shown()}

    def left_over(self) -> list[str]:
        private = self.disk.find(self.disk.root, PRIVATE)
        tmp = self.disk.find(private, "tmp") if private else None
        return self.disk.names(tmp) if tmp else []

    def trash(self) -> set[bytes]:
        private = self.disk.find(self.disk.root, PRIVATE)
        trash = self.disk.find(private, "trash") if private else None
        return {inode.data for _, inode in trash.entries.values()} if trash else set()

    def agreed(self) -> set[bytes]:
        """The SHA-256 of what its rows say both sides hold, but for large files, which several chunks name."""
        if self.engine is None:
            return set()
        rows = [row for sync in self.engine.syncs.values() for row in list(sync.trees.all_rows())]
        return {
            row.agreed.content.digest
            for row in rows
            if row.agreed is not None
            and row.remote is not None
            and row.agreed.content.kind is Kind.FILE
            and row.agreed.content.size <= ONE_CHUNK_BYTES
        }

    @property
    def puts_back(self) -> bool:
        """It was told that the server came from a backup, and has not given back yet what it held."""
        return self.engine is not None and any(
            sync.looker.putting_back.is_due for sync in self.engine.syncs.values()
        )


def _kind(inode: Inode) -> str:
    if inode.is_folder:
        return "folder"
    if stat.S_ISLNK(inode.mode):
        return "link"
    return "program" if inode.mode & 0o100 else "file"


@contextmanager
def watchers_are(made: Callable[[Path], Watcher]) -> Iterator[None]:
    """While this is open, engines watch their folders through these."""
    before, engine_module.watcher_for = engine_module.watcher_for, made
    try:
        yield
    finally:
        engine_module.watcher_for = before


class MemoryWatcher:
    """Tells, a moment later, in which folders of a disk something happened."""

    def __init__(self, computer: Computer, loop: VirtualLoop, lost: Callable[[], str]) -> None:
        self._computer, self._loop, self._lost = computer, loop, lost
        self._changed: list[Inode] = []

    def start(self, on_dirty: OnDirty, on_lost: OnLost) -> None:
        def note(folder: Inode) -> None:
            self._changed.append(folder)
            if len(self._changed) == 1:
                self._loop.call_later(0.004, tell)

        def tell() -> None:
            changed, self._changed = self._changed, []
            if self._computer.disk.on_change is not note:
                return
            match self._lost():
                case "overflow":
                    on_lost("overflow")
                case "told":
                    paths = {(): self._computer.disk.root} | {
                        tuple(path.split("/")): inode
                        for path, inode in self._computer.shown()
                        if inode.is_folder
                    }
                    if dirty := {
                        path for path, inode in paths.items() if any(inode is one for one in changed)
                    }:
                        on_dirty(dirty)

        self._computer.disk.on_change = note

    def stop(self) -> None:
        self._computer.disk.on_change = lambda _folder: None
