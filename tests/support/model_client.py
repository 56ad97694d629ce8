"""A client around the real planner: it scans, reads, plans, carries out and may crash between any two steps.

Owns: how entries of the disk are bound to nodes, and what a step does to the disk.
May import: protocol, sync_client.engine (what is pure of it), tests.support.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec.structs import replace

from protocol.ids import NodeId
from protocol.messages import Kind, Status
from protocol.names import name_key
from sync_client.engine import effects
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
    Problem,
    PutRemote,
    Relocate,
    Remove,
    Renew,
    Replace,
    WireStep,
)
from sync_client.engine.trees import PARKED, Content, Fingerprint, Local, Place, Row, Side, Trees
from tests.support.model_disk import FOLDER, Disk
from tests.support.model_server import ROOT, Rules, Server, Violation


class Stale(Exception):
    """The disk is not what the step expected."""


class Crash(Exception):
    """The client died here."""


class KnownTrees(Trees, Protocol):
    """Trees that can be gone through."""

    def rows(self) -> Iterator[Row]: ...


@dataclass
class Shared:
    """What the clients of one world have in common."""

    random: random.Random
    server: Server
    rules: Rules
    fresh: Callable[[], NodeId]
    new_trees: Callable[[], KnownTrees]
    trace: bool = False
    stood: set[bytes] = field(default_factory=set)  # what steps replaced or removed on a disk


@dataclass
class Batch:
    number: int
    ops: list[WireStep]
    cursor: int


class Client:
    def __init__(self, name: str, world: Shared, *, case_blind: bool) -> None:
        self.name = name
        self.world = world
        self.random = world.random
        self.disk = Disk(case_blind=case_blind)
        self.trees = world.new_trees()
        self.cursor = 0
        self.batches = 0
        self.unanswered: Batch | None = None
        self.must_scan = False
        self.between_steps: Callable[[], None] = lambda: None
        self.crashes = 0.0
        self.log: list[str] = []

    # ---- observing

    def pull(self) -> None:
        self.resend()  # answers older than the feed would bring back what it buries
        states = self.world.server.changes(self.cursor)
        self.cursor = self.world.server.stamp
        if self.random.random() < 0.5:
            effects.take_remote(self.trees, states, alone=True)
            return
        half = self.random.randint(0, len(states))
        effects.take_remote(self.trees, states[:half], head=False)
        effects.take_remote(self.trees, states[half:])

    def scan(self, *, read_all: bool = True) -> None:
        """A full scan: every entry is bound to a node."""
        self.must_scan = False
        known: dict[tuple[int, int], NodeId] = {}
        for bound in self.trees.rows():
            if bound.local is not None:
                print_ = bound.local.fingerprint
                known[print_.inode, print_.birth_ns] = bound.node
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
                        standing = self.trees.row(other)
                        assert standing is not None
                        assert standing.local is not None
                        print_ = standing.local.fingerprint
                        gone = (print_.inode, print_.birth_ns) not in alive
                        is_folder = print_.mode & 0o40000 != 0
                        same_kind = is_folder == (entry.kind is Kind.FOLDER)
                        if gone and same_kind and standing.local.place == place and other not in seen:
                            node_ = other
                if node_ is None:
                    node_ = self.world.fresh()
                node_of[inode] = node_
                seen.add(node_)
                observe(node_, inode, place)
                if entry.kind is Kind.FOLDER:
                    todo.append(inode)
        left = [known_row for known_row in self.trees.rows() if known_row.local is not None]
        changes += [(missed.node, None) for missed in left if missed.node not in seen]
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
            done += self.resend(again=False)
        return done

    def resend(self, *, again: bool = True) -> int:
        """What was not answered.  again: after a crash; then the feed tells of what was deleted."""
        batch = self.unanswered
        if batch is None:
            return 0
        results, behind = self.world.server.commit(self.name, batch.number, batch.ops, batch.cursor)
        if self.random.random() < self.crashes:
            raise Crash
        self.unanswered = None
        done = 0
        for op, result in zip(batch.ops, results, strict=True):
            if self.world.trace:
                print("   ", result.status)
            row = self.trees.row(op.node)
            deletes = isinstance(op, DeleteRemote | DeleteTreeRemote)
            told_by_feed = again and (deletes or row is None or row.local is None)
            if self.world.rules.fold_effects and not told_by_feed:
                effects.fold_wire_step(self.trees, op, result, undisturbed=behind is not None and not again)
            done += result.status is Status.DONE
        if behind is not None and not again:
            self.cursor = behind
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
