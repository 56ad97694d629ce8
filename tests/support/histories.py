"""Random histories over the pure planner: a server, disks and clients as plain dictionaries.

Owns: the model of everything around the planner, and what has to be true at the end.
May import: protocol, sync_client.engine (what is pure of it).

Contents are unique byte strings, so a lost one can be named.  The server compares and swaps as the real one
does; disks have inodes that are used again; a client may crash between any two steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from protocol.ids import NodeId
from protocol.messages import Kind, Manifest, NodeState, OpResult, Revision, Status
from protocol.messages import Content as WireContent
from protocol.names import name_key
from sync_client.engine import effects
from sync_client.engine.memory_trees import MemoryTrees
from sync_client.engine.planner import Plan, Surroundings, plan
from sync_client.engine.steps import (
    Adopt,
    Agree,
    DeleteRemote,
    DeleteTreeRemote,
    DiskStep,
    Fetch,
    Forget,
    KeepBoth,
    MakeFolder,
    MakeRemote,
    MoveRemote,
    Problem,
    PutRemote,
    Relocate,
    Remove,
    Renew,
    Replace,
    WireStep,
)
from sync_client.engine.trees import PARKED, Content, Fingerprint, Local, Place, Side

ROOT = NodeId(UUID(int=7))
NO_OPERATION = UUID(int=0)
NAMES = ("a", "b", "c", "d.txt", "A", "B", "\u00e9", "e\u0301")
FOLDER = Content(Kind.FOLDER)


class Violation(AssertionError):
    """A promise was broken; the seed is in the message."""


class Stale(Exception):
    """The disk is not what the step expected."""


class Crash(Exception):
    """The client died here."""


@dataclass(frozen=True)
class Rules:
    """What may be switched off, to see the histories notice."""

    look_before_writing: bool = True
    compare_and_swap: bool = True
    fold_effects: bool = True
    bind_replaced: bool = True


# ---- the server ------------------------------------------------------------------------------------------


@dataclass
class Node:
    parent: NodeId
    name: str
    content: Content
    place_revision: int
    content_revision: int
    stamp: int
    deleted: bool = False
    conflict_of: NodeId | None = None


class Server:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.stamp = 0
        self.nodes: dict[NodeId, Node] = {}
        self.ever: set[bytes] = set()
        self.versions: dict[NodeId, list[bytes]] = {}
        self.answers: dict[tuple[str, int], list[OpResult]] = {}

    def live(self, node: NodeId) -> bool:
        while node != ROOT:
            found = self.nodes.get(node)
            if found is None or found.deleted:
                return False
            node = found.parent
        return True

    def children(self, folder: NodeId) -> list[NodeId]:
        return [node for node, found in self.nodes.items() if found.parent == folder and not found.deleted]

    def listing(self) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}

        def walk(folder: NodeId, path: str) -> None:
            for node in self.children(folder):
                here = self.nodes[node]
                at = f"{path}/{here.name}"
                found[at] = None if here.content.kind is Kind.FOLDER else here.content.digest
                walk(node, at)

        walk(ROOT, "")
        return found

    def changes(self, after: int) -> list[NodeState]:
        order = sorted((n.stamp, node) for node, n in self.nodes.items() if n.stamp > after)
        return [self._state(node) for _, node in order]

    def _state(self, node: NodeId) -> NodeState:
        here = self.nodes[node]
        content = None
        if self.live(node):
            digest = here.content.digest
            manifest = Manifest(size=len(digest), chunks=digest, lengths=[32] if digest else [])
            content = WireContent(kind=here.content.kind, manifest=manifest)
        return NodeState(
            node=node,
            parent=here.parent,
            name=here.name,
            place_revision=Revision(1, here.place_revision),
            content_revision=Revision(1, here.content_revision),
            place_operation=NO_OPERATION,
            content_operation=NO_OPERATION,
            content=content,
            deleted=not self.live(node),
            conflict_of=here.conflict_of,
        )

    def commit(self, device: str, number: int, ops: list[WireStep], cursor: int) -> list[OpResult]:
        known = self.answers.get((device, number))
        if known is not None:
            return known
        results: list[OpResult] = []
        at = 0
        while at < len(ops):
            end = at + 1
            while ops[at].group and end < len(ops) and ops[end].group == ops[at].group:
                end += 1
            before = {node: replace(found) for node, found in self.nodes.items()}
            part = [self._apply(op, cursor) for op in ops[at:end]]
            if end - at > 1 or ops[at].group:
                statuses = [p.status for p in part]
                twins = self._twins()
                if twins or any(s is not Status.DONE for s in statuses):
                    self.nodes = before
                    bad = Status.NAME_TAKEN if twins else Status.GROUP_FAILED
                    part = [OpResult(status=s if s is not Status.DONE else bad) for s in statuses]
            elif part[0].status is Status.DONE and self._twins():
                self.nodes = before
                part = [OpResult(status=Status.NAME_TAKEN)]
            results += part
            at = end
        self.answers[device, number] = results
        return results

    def _twins(self) -> bool:
        seen: set[tuple[NodeId, str]] = set()
        for node, found in self.nodes.items():
            if not found.deleted and self.live(node):
                key = (found.parent, name_key(found.name))
                if key in seen:
                    return True
                seen.add(key)
        return False

    def _apply(self, op: WireStep, cursor: int) -> OpResult:
        here = self.nodes.get(op.node)
        swap = self.rules.compare_and_swap
        if isinstance(op, MakeRemote):
            if here is not None:
                return OpResult(status=Status.ID_TAKEN)
            if not self._is_folder(op.place.parent):
                return OpResult(status=Status.PARENT_GONE)
            here = Node(op.place.parent, op.place.name, op.content, 1, 1, 0, conflict_of=op.conflict_of)
            self.nodes[op.node] = here
            self._remember(op.node, op.content)
            return self._done(here)
        if here is None or not self.live(op.node):
            return OpResult(status=Status.STALE)
        match op:
            case PutRemote():
                if swap and op.revision.number != here.content_revision:
                    return OpResult(status=Status.STALE)
                if op.revision.number != here.content_revision:
                    raise Violation("a version that its author never saw was overwritten")
                here.content = op.content
                here.content_revision += 1
                self._remember(op.node, op.content)
            case MoveRemote():
                if op.revision.number != here.place_revision:
                    return OpResult(status=Status.STALE)
                if not self._is_folder(op.place.parent):
                    return OpResult(status=Status.PARENT_GONE)
                above = op.place.parent
                while above != ROOT:
                    if above == op.node:
                        return OpResult(status=Status.CYCLE)
                    above = self.nodes[above].parent
                here.parent, here.name = op.place.parent, op.place.name
                here.place_revision += 1
            case DeleteRemote():
                same = op.place_revision.number == here.place_revision
                if not same or op.content_revision.number != here.content_revision:
                    return OpResult(status=Status.STALE)
                if self.children(op.node):
                    return OpResult(status=Status.NOT_EMPTY)
                here.deleted = True
                here.place_revision += 1
            case DeleteTreeRemote():
                if op.place_revision.number != here.place_revision:
                    return OpResult(status=Status.STALE)
                below = [op.node]
                for node in below:
                    below += self.children(node)
                if any(self.nodes[node].stamp > cursor for node in below):
                    return OpResult(status=Status.NEWER_INSIDE)
                here.deleted = True
                here.place_revision += 1
        return self._done(here)

    def _remember(self, node: NodeId, content: Content) -> None:
        if content.kind is not Kind.FOLDER:
            self.ever.add(content.digest)
            self.versions.setdefault(node, []).append(content.digest)

    def _done(self, here: Node) -> OpResult:
        self.stamp += 1
        here.stamp = self.stamp
        return OpResult(
            status=Status.DONE,
            place_revision=Revision(1, here.place_revision),
            content_revision=Revision(1, here.content_revision),
        )

    def _is_folder(self, node: NodeId) -> bool:
        return node == ROOT or (self.live(node) and self.nodes[node].content.kind is Kind.FOLDER)


# ---- the disk --------------------------------------------------------------------------------------------


@dataclass
class Entry:
    kind: Kind
    parent: int
    name: str
    data: bytes
    birth: int
    changed: int


class Disk:
    """Inodes; 1 is the followed folder, 2 the hidden one."""

    def __init__(self, *, case_blind: bool) -> None:
        self.case_blind = case_blind
        self.clock = 10
        self.entries: dict[int, Entry] = {
            1: Entry(Kind.FOLDER, 0, "", b"", 1, 1),
            2: Entry(Kind.FOLDER, 0, "hidden", b"", 1, 1),
        }
        self.freed: list[int] = []
        self.next_inode = 3

    def child(self, folder: int, name: str) -> int | None:
        for inode, entry in self.entries.items():
            if entry.parent == folder and (
                entry.name == name or (self.case_blind and name_key(entry.name) == name_key(name))
            ):
                return inode
        return None

    def children(self, folder: int) -> list[int]:
        return [inode for inode, entry in self.entries.items() if entry.parent == folder]

    def below(self, inode: int) -> list[int]:
        found = [inode]
        for one in found:
            found += self.children(one)
        return found

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def make(self, folder: int, name: str, kind: Kind, data: bytes = b"") -> int:
        inode = self.freed.pop() if self.freed else self.next_inode
        if inode == self.next_inode:
            self.next_inode += 1
        now = self.tick()
        self.entries[inode] = Entry(kind, folder, name, data, now, now)
        return inode

    def remove(self, inode: int) -> None:
        del self.entries[inode]
        self.freed.append(inode)

    def fingerprint(self, inode: int) -> Fingerprint:
        entry = self.entries[inode]
        size = len(entry.data)
        return Fingerprint(
            1, inode, entry.birth, size, entry.changed, 0, 0o40755 if entry.kind is Kind.FOLDER else 0o100644
        )

    def content(self, inode: int) -> Content:
        entry = self.entries[inode]
        return FOLDER if entry.kind is Kind.FOLDER else Content(entry.kind, entry.data, len(entry.data))

    def walk(self) -> Iterator[tuple[int, Entry]]:
        """Parents first."""
        todo = [1]
        for folder in todo:
            for inode in self.children(folder):
                yield inode, self.entries[inode]
                if self.entries[inode].kind is Kind.FOLDER:
                    todo.append(inode)

    def listing(self) -> dict[str, bytes | None]:
        paths = {1: ""}
        found: dict[str, bytes | None] = {}
        for inode, entry in self.walk():
            paths[inode] = f"{paths[entry.parent]}/{entry.name}"
            found[paths[inode]] = None if entry.kind is Kind.FOLDER else entry.data
        return found


# ---- a client --------------------------------------------------------------------------------------------


@dataclass
class Batch:
    number: int
    ops: list[WireStep]
    cursor: int


class Client:
    def __init__(self, name: str, world: World, *, case_blind: bool) -> None:
        self.name = name
        self.world = world
        self.random = world.random
        self.disk = Disk(case_blind=case_blind)
        self.trees = MemoryTrees(ROOT)
        self.cursor = 0
        self.batches = 0
        self.unanswered: Batch | None = None
        self.must_scan = False
        self.between_steps: Callable[[], None] = lambda: None
        self.crashes = 0.0
        self.log: list[str] = []

    # ---- observing

    def pull(self) -> None:
        states = self.world.server.changes(self.cursor)
        self.cursor = self.world.server.stamp
        half = self.random.randint(0, len(states))
        effects.take_remote(self.trees, states[:half], head=False)
        effects.take_remote(self.trees, states[half:])

    def scan(self, *, read_all: bool = True) -> None:
        """A full scan: every entry is bound to a node."""
        self.must_scan = False
        known: dict[tuple[int, int], NodeId] = {}
        for row in self.trees.rows():
            if row.local is not None:
                print_ = row.local.fingerprint
                known[print_.inode, print_.birth_ns] = row.node
        alive = {(inode, entry.birth) for inode, entry in self.disk.entries.items()}
        node_of: dict[int, NodeId] = {1: ROOT}
        changes: list[tuple[NodeId, Local | None]] = []
        seen: set[NodeId] = set()

        def observe(node: NodeId, inode: int, place: Place) -> None:
            print_ = self.disk.fingerprint(inode)
            row = self.trees.row(node)
            before = row.local if row is not None else None
            if before is not None and before.place == place and before.fingerprint == print_:
                return
            content: Content | None = self.disk.content(inode)
            same = before is not None and before.fingerprint == print_ and before.content is not None
            if not read_all and not same and content != FOLDER and self.random.random() < 0.3:
                content = None
            changes.append((node, Local(place, content, print_)))

        for inode in self.disk.children(2):  # parked ones carry their node's id
            node = NodeId(UUID(self.disk.entries[inode].name))
            node_of[inode] = node
            seen.add(node)
            row = self.trees.row(node)
            name = row.local.place.name if row is not None and row.local is not None else "parked"
            observe(node, inode, Place(PARKED, name))
        todo = [*self.disk.children(2), 1]
        for folder in todo:
            for inode in self.disk.children(folder) if folder != 2 else []:
                entry = self.disk.entries[inode]
                place = Place(node_of[folder], entry.name)
                node_ = known.get((inode, entry.birth))
                if node_ is not None and node_ in seen:
                    node_ = None
                if node_ is None and self.world.rules.bind_replaced:
                    for other in self.trees.named(Side.LOCAL, place.parent, name_key(place.name)):
                        row = self.trees.row(other)
                        assert row is not None
                        assert row.local is not None
                        print_ = row.local.fingerprint
                        gone = (print_.inode, print_.birth_ns) not in alive
                        is_folder = print_.mode & 0o40000 != 0
                        if gone and row.local.place == place and other not in seen:
                            if is_folder == (entry.kind is Kind.FOLDER):
                                node_ = other
                if node_ is None:
                    node_ = self.world.fresh()
                node_of[inode] = node_
                seen.add(node_)
                observe(node_, inode, place)
                if entry.kind is Kind.FOLDER:
                    todo.append(inode)
        for row in list(self.trees.rows()):
            if row.local is not None and row.node not in seen:
                changes.append((row.node, None))
        effects.take_local(self.trees, changes)

    def read(self) -> None:
        changes: list[tuple[NodeId, Local | None]] = []
        for node in self.trees.dirty():
            row = self.trees.row(node)
            if row is not None and row.local is not None and row.local.content is None:
                inode = row.local.fingerprint.inode
                if inode in self.disk.entries and self.disk.fingerprint(inode) == row.local.fingerprint:
                    changes.append((node, replace(row.local, content=self.disk.content(inode))))
        effects.take_local(self.trees, changes)

    # ---- acting

    def sweep(self, slice_size: int = 1_000) -> int:
        """Plan all that is dirty once, slice by slice; how many steps took effect."""
        self.resend()
        self.read()
        done = 0
        dirty = list(self.trees.dirty())
        for at in range(0, len(dirty), slice_size):
            around = Surroundings(self.name, datetime(2026, 11, 22, 14, 3), self.world.fresh)  # noqa: DTZ001
            part = dirty[at : at + slice_size]
            planned = plan(self.trees, part, around)
            self._check(planned, part)
            done += self._carry_out(planned)
        return done

    def _check(self, planned: Plan, part: list[NodeId]) -> None:
        for node in planned.settled:
            row = self.trees.row(node)
            if row is not None:
                self.trees.save(replace(row), dirty=False)

    def _carry_out(self, planned: Plan) -> int:
        done = 0
        ops: list[WireStep] = []
        spoiled: set[int] = set()
        for step in planned.steps:
            if self.world.trace:
                print(self.name, step)
            match step:
                case Agree() | Forget() | Adopt() | Renew():
                    effects.fold_tree_step(self.trees, step)
                    done += 1
                case MakeFolder() | Fetch() | Replace() | Relocate() | Remove() | KeepBoth():
                    self.between_steps()
                    try:
                        local = self._do(step)
                    except Stale:
                        self.must_scan = True
                        continue
                    if self.random.random() < self.crashes:
                        raise Crash
                    if self.world.rules.fold_effects:
                        effects.fold_disk_step(self.trees, step, local)
                    done += 1
                case Problem():
                    pass
                case _:
                    self._check_wire(step)
                    if isinstance(step, MakeRemote | PutRemote) and not self._upload(step):
                        self.must_scan = True
                        spoiled.add(step.group)
                        continue
                    ops.append(step)
        ops = [op for op in ops if not op.group or op.group not in spoiled]
        if ops:
            self.batches += 1
            self.unanswered = Batch(self.batches, ops, self.cursor)
            if self.random.random() < self.crashes:
                raise Crash
            done += self.resend()
        return done

    def resend(self) -> int:
        batch = self.unanswered
        if batch is None:
            return 0
        results = self.world.server.commit(self.name, batch.number, batch.ops, batch.cursor)
        if self.random.random() < self.crashes:
            raise Crash
        self.unanswered = None
        done = 0
        for op, result in zip(batch.ops, results, strict=True):
            if self.world.trace:
                print("   ", result.status)
            if self.world.rules.fold_effects:
                effects.fold_wire_step(self.trees, op, result)
            done += result.status is Status.DONE
        return done

    def _check_wire(self, step: WireStep) -> None:
        nodes: tuple[NodeId, ...] = ()
        if isinstance(step, DeleteRemote):
            nodes = (step.node,)
        elif isinstance(step, DeleteTreeRemote):
            nodes = step.nodes
        for node in nodes:
            row = self.trees.row(node)
            if row is None or row.remote is None or row.agreed is None:
                raise Violation("a delete of something that was never agreed")
            if row.remote.content != row.agreed.content or row.remote.place != row.agreed.place:
                raise Violation("a delete of a version that was never seen here")

    def _upload(self, step: MakeRemote | PutRemote) -> bool:
        inode = step.expected.inode
        return (
            inode in self.disk.entries
            and self.disk.fingerprint(inode) == step.expected
            and self.disk.content(inode) == step.content
        )

    def _inode_of(self, node: NodeId) -> int:
        if node == ROOT:
            return 1
        row = self.trees.row(node)
        if row is None or row.local is None:
            raise Stale
        return self._inode_at(row.local.place, node)

    def _inode_at(self, place: Place, node: NodeId) -> int:
        if place.parent == PARKED:
            found = self.disk.child(2, node.hex)
        else:
            found = self.disk.child(self._inode_of(place.parent), place.name)
            if found is not None and self.disk.entries[found].name != place.name:
                found = None
        if found is None:
            raise Stale
        return found

    def _do(self, step: DiskStep) -> Local | None:
        disk = self.disk
        match step:
            case MakeFolder(_, place):
                inode = disk.make(*self._free(place, step.node, None), Kind.FOLDER)
                return Local(place, None, disk.fingerprint(inode))
            case Fetch(_, place, content):
                inode = disk.make(*self._free(place, step.node, None), content.kind, content.digest)
                return Local(place, None, disk.fingerprint(inode))
            case Replace(_, place, content, _, expected):
                old = self._expected(place, step.node, expected)
                entry = disk.entries[old]
                self.world.stood.add(entry.data)
                disk.remove(old)
                inode = disk.make(entry.parent, entry.name, content.kind, content.digest)
                return Local(place, None, disk.fingerprint(inode))
            case Relocate(node, source, target, expected):
                inode = self._expected(source, node, expected)
                folder, name = self._free(target, node, inode)
                if folder in disk.below(inode):
                    raise Stale
                disk.entries[inode].parent, disk.entries[inode].name = folder, name
                return Local(target, None, disk.fingerprint(inode))
            case Remove(node, place, expected):
                inode = self._expected(place, node, expected)
                if disk.children(inode):
                    raise Stale
                if disk.entries[inode].kind is not Kind.FOLDER:
                    self.world.stood.add(disk.entries[inode].data)
                disk.remove(inode)
                return None
            case KeepBoth(node, _, source, name, expected):
                inode = self._expected(source, node, expected)
                target = Place(source.parent, name)
                self._free(target, node, inode)
                disk.entries[inode].name = name
                return Local(target, None, disk.fingerprint(inode))

    def _free(self, place: Place, node: NodeId, mine: int | None) -> tuple[int, str]:
        folder, name = (2, node.hex) if place.parent == PARKED else (self._inode_of(place.parent), place.name)
        held = self.disk.child(folder, name)
        if held is not None and held != mine:
            raise Stale
        if self.disk.entries[folder].kind is not Kind.FOLDER:
            raise Stale
        return folder, name

    def _expected(self, place: Place, node: NodeId, expected: Fingerprint) -> int:
        inode = self._inode_at(place, node)
        if self.disk.fingerprint(inode) != expected and self.world.rules.look_before_writing:
            raise Stale
        return inode


# ---- the world -------------------------------------------------------------------------------------------


@dataclass
class World:
    seed: int
    clients: int = 2
    writers: int = 9
    crashes: float = 0.0
    rules: Rules = field(default_factory=Rules)
    trace: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.server = Server(self.rules)
        self.stood: set[bytes] = set()
        self.made: set[bytes] = set()
        self.given_up: set[bytes] = set()
        self._ids = 100
        self._contents = 0
        self.everyone = [
            Client(f"pc{n}", self, case_blind=self.random.random() < 0.3) for n in range(self.clients)
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
            "create create create mkdir mkdir edit edit edit save rename rename move move move"
            " swap swap delete rmtree turn twin".split()
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
            match rng.choice("touch touch touch scan pull sweep sweep round round".split()):
                case "touch" if writes:
                    self.touch(client)
                case "scan":
                    client.scan(read_all=rng.random() < 0.5)
                case "pull":
                    self._guard(client, client.pull)
                case "sweep":
                    self._guard(client, lambda c=client, w=writes: self._sweep(c, disturbed=w))
                case "round":
                    client.scan()
                    self._guard(client, lambda c=client, w=writes: self._round(c, disturbed=w))

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
