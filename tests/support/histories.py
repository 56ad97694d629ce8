"""Random histories over the pure planner: people at work, computers that sync, and what must be true at the end.

Owns: what people do, how a history goes, the promises checked when all is quiet.
May import: protocol, sync_client.engine.memory_trees, tests.support.

Contents are unique byte strings, so a lost one can be named.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from protocol.ids import NodeId
from protocol.messages import Kind
from sync_client.engine.memory_trees import MemoryTrees
from tests.support.model_client import Client, Crash, KnownTrees, Shared
from tests.support.model_disk import Disk
from tests.support.model_server import ROOT, Rules, Server, Violation

NAMES = ("a", "b", "c", "d.txt", "A", "B", "\u00e9", "e\u0301")


@dataclass
class World:
    seed: int
    clients: int = 2
    writers: int = 9
    crashes: float = 0.0
    case_blind: float = 0.3  # how many of the disks
    rules: Rules = field(default_factory=Rules)
    new_trees: Callable[[], KnownTrees] = lambda: MemoryTrees(ROOT)
    trace: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.server = Server(self.rules)
        self.shared = Shared(self.random, self.server, self.rules, self.fresh, self.new_trees, self.trace)
        self.stood = self.shared.stood
        self.made: set[bytes] = set()
        self.given_up: set[bytes] = set()
        self._ids = 100
        self._contents = 0
        self.everyone = [
            Client(f"pc{n}", self.shared, case_blind=self.random.random() < self.case_blind)
            for n in range(self.clients)
        ]

    def fresh(self) -> NodeId:
        self._ids += 1
        return NodeId(UUID(int=self._ids))

    def a_content(self) -> bytes:
        if self._contents and self.random.random() < 0.05:
            return b"%032d" % self.random.randint(1, self._contents)
        self._contents += 1
        data = b"%032d" % self._contents
        self.made.add(data)
        return data

    # ---- what people do

    def touch(self, client: Client) -> None:
        """One thing that a person does on this computer."""
        disk, rng = client.disk, self.random
        files = [i for i, e in disk.walk() if e.kind is Kind.FILE]
        folders = [i for i, e in disk.walk() if e.kind is Kind.FOLDER]
        every = files + folders
        action = rng.choice(
            [
                "create",
                "create",
                "create",
                "mkdir",
                "mkdir",
                "edit",
                "edit",
                "edit",
                "save",
                "rename",
                "rename",
                "move",
                "move",
                "move",
                "swap",
                "swap",
                "delete",
                "rmtree",
                "turn",
                "twin",
            ]
        )
        name = rng.choice(NAMES)
        folder = rng.choice([1, *folders])
        if self.trace:
            print("USER", client.name, action, name, folder)
        match action:
            case "create" if disk.child(folder, name) is None:
                disk.make(folder, name, Kind.FILE, self.a_content())
            case "mkdir" if disk.child(folder, name) is None:
                disk.make(folder, name, Kind.FOLDER)
            case "edit" if files:
                entry = disk.entries[rng.choice(files)]
                self.given_up.add(entry.data)
                entry.data = self.a_content()
                entry.changed = disk.tick()
            case "save" if files:
                inode = rng.choice(files)
                entry = disk.entries[inode]
                self.given_up.add(entry.data)
                disk.remove(inode)
                disk.make(entry.parent, entry.name, Kind.FILE, self.a_content())
            case "rename" if every:
                inode = rng.choice(every)
                self._put(disk, inode, disk.entries[inode].parent, name)
            case "move" if every:
                inode = rng.choice(every)
                self._put(disk, inode, folder, rng.choice([name, disk.entries[inode].name]))
            case "swap" if len(every) > 1:
                one, two = rng.sample(every, 2)
                first, second = disk.entries[one], disk.entries[two]
                if second.parent not in disk.below(one) and first.parent not in disk.below(two):
                    first.parent, second.parent = second.parent, first.parent
                    first.name, second.name = second.name, first.name
                elif second.kind is Kind.FOLDER and first.parent not in disk.below(two):
                    # `two` lies in `one`: parent and child change places
                    outer = first.parent
                    name_ = first.name
                    moved = disk.child(outer, second.name) in (None, one)
                    if moved and disk.child(two, name_) is None:
                        second.parent, second.name = outer, name_
                        first.parent = two
            case "delete" if files:
                inode = rng.choice(files)
                self.given_up.add(disk.entries[inode].data)
                disk.remove(inode)
            case "rmtree" if folders:
                for inode in reversed(disk.below(rng.choice(folders))):
                    self.given_up.add(disk.entries[inode].data)
                    disk.remove(inode)
            case "turn" if files:  # a file becomes a folder that holds it
                inode = rng.choice(files)
                entry = disk.entries[inode]
                into = disk.make(entry.parent, entry.name, Kind.FOLDER)
                entry.parent, entry.name = into, name
            case "twin" if every:
                inode = rng.choice(every)
                self._put(disk, inode, disk.entries[inode].parent, disk.entries[inode].name.swapcase())

    def _put(self, disk: Disk, inode: int, folder: int, name: str) -> None:
        if folder in disk.below(inode) or disk.child(folder, name) not in (None, inode):
            return
        disk.entries[inode].parent, disk.entries[inode].name = folder, name

    # ---- a history

    def run(self, length: int = 30) -> None:
        rng = self.random
        for client in self.everyone:
            client.crashes = self.crashes
        for _ in range(length):
            client = rng.choice(self.everyone)
            writes = self.everyone.index(client) < self.writers
            match rng.choice(["touch", "touch", "touch", "scan", "pull", "sweep", "sweep", "round", "round"]):
                case "touch" if writes:
                    self.touch(client)
                case "scan":
                    client.scan(read_all=rng.random() < 0.5)
                case "pull":
                    self._guard(client, client.pull)
                case "sweep":
                    self._guard(client, partial(self._sweep, client, disturbed=writes))
                case "round":
                    client.scan()
                    self._guard(client, partial(self._round, client, disturbed=writes))

    def _sweep(self, client: Client, *, disturbed: bool) -> None:
        def disturb() -> None:
            if disturbed and self.random.random() < 0.15:
                self.touch(client)

        client.between_steps = disturb
        try:
            if client.must_scan:
                client.scan()
            client.sweep(self.random.choice((2, 5, 1_000)))
        finally:
            client.between_steps = lambda: None

    def _round(self, client: Client, *, disturbed: bool) -> None:
        client.resend()
        client.pull()
        for _ in range(self.random.randint(1, 3)):
            self._sweep(client, disturbed=disturbed)

    def _guard(self, client: Client, action: Callable[[], None]) -> None:
        try:
            action()
        except Crash:
            client.scan()

    def quiesce(self) -> None:
        for client in self.everyone:
            client.crashes = 0.0
        for _ in range(50):
            before = self.server.stamp
            busy = 0
            for client in self.everyone:
                client.resend()
                client.scan()
                client.pull()
                for _ in range(200):
                    done = client.sweep()
                    busy += done
                    if client.must_scan:
                        client.scan()
                    client.pull()
                    if not done:
                        break
                else:
                    raise Violation(f"seed {self.seed}: {client.name} never comes to an end")
            if not busy and before == self.server.stamp:
                break
        else:
            raise Violation(f"seed {self.seed}: no fixed point in 50 rounds")
        self.check()

    def check(self) -> None:
        want = self.server.listing()
        for client in self.everyone:
            left = list(client.trees.dirty())
            if left:
                raise Violation(
                    f"seed {self.seed}: {client.name} waits for ever: {client.trees.row(left[0])}"
                )
            have = client.disk.listing()
            if have != want:
                raise Violation(
                    f"seed {self.seed}: {client.name} differs: {sorted(have.items() ^ want.items(), key=str)}"
                )
            if client.disk.children(2):
                raise Violation(f"seed {self.seed}: a temporary name is left")
        lost = ((self.made - self.given_up) | self.stood) - self.server.ever
        if lost:
            raise Violation(f"seed {self.seed}: lost {sorted(lost)}")


def history(seed: int, **how: object) -> World:
    world = World(seed, **how)  # type: ignore[arg-type]
    try:
        world.run(length=200 if seed % 10 == 0 else 10 + seed % 40)
        world.quiesce()
    except Violation as error:
        if f"seed {seed}" in str(error):
            raise
        raise Violation(f"seed {seed}: {error}") from error
    return world
