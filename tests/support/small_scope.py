"""Every small quarrel there is: two names, eight states of each, in each of the three trees.

Owns: what the states mean, the world of one client and the server that a case begins in, what must be true at its end.
May import: protocol, sync_client.engine (what is pure of it), tests.support.

A case is a number below CASES; its octal digits are the states of the names "a" and "b" in the trees that the
server, the disk and the last round show.  A name's own node is a file; where a tree would have one node at two
names, the second is a stranger with the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from protocol.ids import NodeId
from protocol.messages import Kind, Revision
from sync_client.engine.memory_trees import MemoryTrees
from sync_client.engine.trees import Agreed, Content, Local, Place, Remote, Row
from tests.support.model_client import Client, Shared
from tests.support.model_disk import FOLDER
from tests.support.model_server import ROOT, Node, Rules, Server, Violation

NAMES = ("a", "b")
STATES = (
    "nothing",
    "first",
    "second",
    "third",
    "other first",
    "other second",
    "stranger",
    "folder around it",
)
TREES = ("remote", "local", "agreed")
CASES = len(STATES) ** (len(NAMES) * len(TREES))
MOST_ROUNDS = 50


@dataclass(frozen=True)
class Standing:
    """One node in one tree."""

    node: NodeId
    place: Place
    content: Content


Tree = dict[NodeId, Standing]


def tree_of(tree: int, states: tuple[int, int]) -> Tree:
    found: Tree = {}

    def stand(node: NodeId, stranger: NodeId, place: Place, content: Content) -> None:
        chosen = node if node not in found else stranger
        found[chosen] = Standing(chosen, place, content)

    for at, state in enumerate(states):
        own, other, folder = _node(1, at), _node(1, 1 - at), _node(2, at)
        stranger = _node(3 + tree, at)
        here = Place(ROOT, NAMES[at])
        match STATES[state]:
            case "first" | "second" | "third":
                stand(own, stranger, here, _file(at, state))
            case "other first" | "other second":
                stand(other, stranger, here, _file(1 - at, state - 3))
            case "stranger":
                stand(stranger, stranger, here, _file(at, 1))
            case "folder around it":
                stand(folder, folder, here, FOLDER)
                stand(own, stranger, Place(folder, NAMES[at]), _file(at, 1))
    return found


def _node(kind: int, at: int) -> NodeId:
    return NodeId(UUID(int=1_000 + 10 * kind + at))


def _file(at: int, version: int) -> Content:
    data = f"{NAMES[at]}{version}".encode()
    return Content(Kind.FILE, data, len(data))


@dataclass
class Case:
    """One client in front of one server, wherever the case begins."""

    number: int
    reverse: bool  # the order in which the nodes are planned
    remote: Tree = field(init=False)
    local: Tree = field(init=False)
    agreed: Tree = field(init=False)

    def __post_init__(self) -> None:
        digits = [self.number >> 3 * at & 7 for at in range(6)]
        self.remote, self.local, self.agreed = (
            tree_of(tree, (digits[2 * tree], digits[2 * tree + 1])) for tree in range(3)
        )
        self.server = Server(Rules())
        ids = iter(range(10_000, 20_000))
        shared = Shared(
            random.Random(1),
            self.server,
            Rules(),
            lambda: NodeId(UUID(int=next(ids))),
            lambda: MemoryTrees(ROOT),
        )
        self.client = Client("pc", shared, case_blind=False)
        self._stood = shared.stood
        self._fill_server()
        self._fill_client()

    def _fill_server(self) -> None:
        for node in {**self.agreed, **self.remote}:
            now, before = self.remote.get(node), self.agreed.get(node)
            known = now or before
            assert known is not None
            place, content = self._revisions(node)
            self.server.stamp += 1
            self.server.nodes[node] = Node(
                known.place.parent,
                known.place.name,
                known.content,
                place,
                content,
                self.server.stamp,
                deleted=now is None,
            )
            for one in (now, before):
                if one is not None and one.content.kind is not Kind.FOLDER:
                    self.server.ever.add(one.content.digest)
        self.client.cursor = self.server.stamp

    def _revisions(self, node: NodeId) -> tuple[int, int]:
        now, before = self.remote.get(node), self.agreed.get(node)
        if now is None or before is None:
            return 1 if now else 2, 1
        return 1 if now.place == before.place else 2, 1 if now.content == before.content else 2

    def _fill_client(self) -> None:
        disk, trees = self.client.disk, self.client.trees
        inodes: dict[NodeId, int] = {ROOT: 1}
        for node, one in self.local.items():  # a folder stands before what is in it
            inodes[node] = disk.make(
                inodes[one.place.parent], one.place.name, one.content.kind, one.content.digest
            )
        nodes = list(dict.fromkeys([*self.agreed, *self.remote, *self.local]))
        for node in reversed(nodes) if self.reverse else nodes:
            now, here, before = self.remote.get(node), self.local.get(node), self.agreed.get(node)
            place, content = (Revision(1, number) for number in self._revisions(node))
            row = Row(node)
            if now is not None:
                row.remote = Remote(now.place, now.content, place, content)
            if here is not None:
                row.local = Local(here.place, here.content, disk.fingerprint(inodes[node]))
            if before is not None:
                row.agreed = Agreed(before.place, before.content, Revision(1, 1), Revision(1, 1))
            trees.save(row, dirty=True)

    # ---- to its end --------------------------------------------------------------------------------------

    def run(self) -> int:
        """The number of rounds until nothing is left to do.  Raises Violation."""
        for count in range(MOST_ROUNDS):
            done = self.client.sweep()
            stale = self.client.must_scan
            if stale:
                self.client.scan()
            before = self.client.cursor
            self.client.pull()
            if not done and not stale and before == self.client.cursor:
                self.check()
                return count
        raise self.violation(f"no end in {MOST_ROUNDS} rounds")

    def check(self) -> None:
        there, here = self.server.listing(), self.client.disk.listing()
        if there != here:
            raise self.violation(f"the server has {there}, the disk {here}")
        if self.client.disk.children(2):
            raise self.violation("a temporary name is left")
        if left := list(self.client.trees.dirty()):
            raise self.violation(f"waits for ever: {self.client.trees.row(left[0])}")
        lost = (_contents(self.local) | _contents(self.remote) | self._stood) - self.server.ever
        if lost:
            raise self.violation(f"lost {lost}")
        untouched_here, untouched_there = self.local == self.agreed, self.remote == self.agreed
        if untouched_here and here != _listing(self.remote):
            raise self.violation(f"nothing was done here, and yet the end is {here}")
        if untouched_there and here != _listing(self.local):
            raise self.violation(f"nothing was done there, and yet the end is {here}")
        in_tree = {data for data in here.values() if data is not None}
        if gone := (_done_at(self.local, self.agreed, self.remote) - in_tree):
            raise self.violation(f"what was edited or moved here is not in the tree: {gone}")
        if gone := (_done_at(self.remote, self.agreed, self.local) - in_tree):
            raise self.violation(f"what was edited or moved there is not in the tree: {gone}")

    def violation(self, what: str) -> Violation:
        trees = ", ".join(
            f"{name} {_listing(tree)}"
            for name, tree in zip(TREES, (self.remote, self.local, self.agreed), strict=True)
        )
        return Violation(f"case {self.number:#o} reverse={self.reverse}: {what} (began with {trees})")


def _contents(tree: Tree) -> set[bytes]:
    return {one.content.digest for one in tree.values() if one.content.kind is not Kind.FOLDER}


def _done_at(side: Tree, agreed: Tree, other: Tree) -> set[bytes]:
    """Contents that were made, edited or moved at this side, and at most moved or deleted at the other."""
    done: set[bytes] = set()
    for node, one in side.items():
        before, there = agreed.get(node), other.get(node)
        edited = before is None or before.content != one.content
        untouched = before is not None and before.place == one.place and not edited
        if one.content.kind is Kind.FOLDER or untouched:
            continue
        if edited or there is None or there.content == one.content:
            done.add(one.content.digest)
    return done


def _listing(tree: Tree) -> dict[str, bytes | None]:
    def path(one: Standing) -> str:
        above = "" if one.place.parent == ROOT else path(tree[NodeId(one.place.parent)])
        return f"{above}/{one.place.name}"

    return {
        path(one): None if one.content.kind is Kind.FOLDER else one.content.digest for one in tree.values()
    }


def scattered(seed: int) -> Iterator[int]:
    """Every case once, in an order that the seed chooses."""
    stride = 2 * (seed * 40_503 % (CASES // 2)) + 1  # odd, so it shares no factor with CASES
    at = seed % CASES
    for _ in range(CASES):
        yield at
        at = (at + stride) % CASES
