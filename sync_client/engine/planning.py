"""A plan in the making: what was looked at, what is planned so far, who waits for whom.

Owns: the order of looking, names given away and taken within one plan, circles of waiting.
May import: protocol, engine.trees, engine.steps, engine.judgement, engine.guards.

Looking at a node looks first at whatever stands in its way, so that a plan is in an order in which it can be
done, and a circle of waiting shows itself: the node is found on the way down from itself.  Circles are broken
where somebody waits for a name: on the disk the holder is parked under a hidden name, on the wire the operations
of the circle become one group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from protocol.ids import NodeId
from protocol.names import conflict_name, my_copy_name, name_key
from sync_client.engine.guards import Mass
from sync_client.engine.steps import DiskStep, Problem, Relocate, Renew, Step, TreeStep, WireStep
from sync_client.engine.trees import NO_NODE, PARKED, Local, Place, Row, Side, Trees

FREE = 1 << 30  # waits for nobody that waits for it
DEEPEST = 60  # nodes on the way down; seven calls each must fit into Python's thousand
UNKNOWN = -1  # a chain longer than that: names are broken as if it were a circle, nothing else is


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan may not find out for itself.

    device: the name for conflict copies.  when: this device's local time.  fresh: makes node ids.
    """

    device: str
    when: datetime
    fresh: Callable[[], NodeId]


@dataclass(slots=True)
class Plan:
    """steps: in the order in which to do them.  settled: nothing to do.  waiting: for others; stay dirty.
    held: wait for a person; stay dirty too."""

    steps: list[Step] = field(default_factory=list)
    settled: list[NodeId] = field(default_factory=list)
    waiting: list[NodeId] = field(default_factory=list)
    held: list[NodeId] = field(default_factory=list)


class Edge(Enum):
    """Why one node waits for another."""

    PARENT = auto()
    CHILD = auto()
    ORDER = auto()  # its new parent lies below it, until that one has moved out
    NAME = auto()


class Planning:
    def __init__(
        self,
        trees: Trees,
        around: Surroundings,
        judge: Callable[[Planning, Row], int],
        *,
        read_only: bool,
        held: Collection[Mass],
        ignores: Callable[[Row], bool] | None,
    ) -> None:
        self.trees = trees
        self.row = trees.row
        self.around = around
        self.read_only = read_only
        self.held = held
        self.ignores = ignores
        self.held_back: set[NodeId] = set()
        self.tree: list[TreeStep] = []
        self.disk: list[DiskStep] = []
        self.wire: list[WireStep] = []
        self.problems: dict[NodeId, Problem] = {}
        self.looked: set[NodeId] = set()
        self.settled: set[NodeId] = set()
        self.stepped: set[NodeId] = set()  # some step of this plan changes it
        self.made_here: set[NodeId] = set()
        self.made_there: set[NodeId] = set()
        self.leaving_here: set[NodeId] = set()  # gives its local name away in this plan
        self.leaving_there: set[NodeId] = set()
        self.taken_here: set[tuple[NodeId, str]] = set()
        self.taken_there: set[tuple[NodeId, str]] = set()
        self.groups = 0
        self.survey: dict[NodeId, tuple[bool, bool]] = {}
        self._judge = judge
        self._path: dict[NodeId, int] = {}
        self._edges: list[Edge] = []

    # ---- looking ----------------------------------------------------------------------------------------

    def look(self, node: NodeId) -> int:
        """Plan this node unless that was done.  Answers which node on the way down (0 is the first) its
        waiting reaches back to: FREE if to none."""
        if node in self.looked:
            return FREE
        depth = self._path.get(node)
        if depth is not None:
            return depth
        if len(self._path) >= DEEPEST:
            return UNKNOWN
        row = self.row(node)
        if row is None:
            self.settled.add(node)
            self.looked.add(node)
            return FREE
        self._path[node] = len(self._path)
        self._edges.append(Edge.PARENT)
        low = FREE if node in self.stepped else self._judge(self, row)
        self._edges.pop()
        del self._path[node]
        self.looked.add(node)
        return low

    def wait_for(self, blocker: NodeId, edge: Edge) -> int:
        """Look at what stands in the way of the node looked at now."""
        self._edges[-1] = edge
        return self.look(blocker)

    def is_circle(self, low: int) -> bool:
        """Does a waiting that reaches back to `low` pass through the node looked at now?"""
        return low < len(self._path)

    def is_circle_without_names(self, low: int) -> bool:
        """Nobody else in it can break it."""
        return UNKNOWN < low < len(self._path) and Edge.NAME not in self._edges[low:]

    def folders_up(self, side: Side, folder: NodeId) -> Iterator[tuple[NodeId, Row]]:
        """The folder and what it lies in, up to the root, in that tree.  A node that is not in it yet is where
        the other one has it."""
        for _ in range(10_000):
            row = self.row(folder)
            if row is None or folder in (self.trees.root, NO_NODE):
                return
            yield folder, row
            here = row.remote or row.local if side is Side.REMOTE else row.local or row.remote
            if here is None:
                return
            folder = here.place.parent

    # ---- giving steps -----------------------------------------------------------------------------------

    def problem(self, node: NodeId, code: str, message: str) -> int:
        self.problems.setdefault(node, Problem(node, code, message))
        return FREE

    def free_name(self, parent: NodeId, name: str) -> str:
        """A name beside this one that is free on both sides: that of a conflict, or of one's own copy in a folder
        that is read only."""

        def taken(candidate: str) -> bool:
            key = name_key(candidate)
            return (
                (parent, key) in self.taken_here
                or (parent, key) in self.taken_there
                or any(True for _ in self.trees.named(Side.LOCAL, parent, key))
                or any(True for _ in self.trees.named(Side.REMOTE, parent, key))
            )

        if self.read_only:
            chosen = my_copy_name(name, taken=taken)
        else:
            chosen = conflict_name(name, device=self.around.device, when=self.around.when, taken=taken)
        key = name_key(chosen)
        self.taken_here.add((parent, key))
        self.taken_there.add((parent, key))
        return chosen

    def holds(self, mass: Mass, node: NodeId) -> bool:
        """Whether this must not be done to the node before a person has agreed."""
        if mass in self.held:
            self.held_back.add(node)
            return True
        return False

    def step_aside(self, node: NodeId, local: Local, conflict_of: NodeId | None) -> int:
        """The server's node keeps the name; the one on this disk gets another beside it."""
        if node not in self.leaving_here:
            name = self.free_name(local.place.parent, local.place.name)
            target = Place(local.place.parent, name)
            self._leave(node, Relocate(node, local.place, target, local.fingerprint, conflict_of))
        return FREE

    def park(self, node: NodeId, local: Local) -> int:
        if node not in self.leaving_here:
            target = Place(PARKED, local.place.name)
            self._leave(node, Relocate(node, local.place, target, local.fingerprint))
        return FREE

    def unpark(self, row: Row, local: Local) -> int:
        """Back from the hidden name, although the server has no place for it any more."""
        wanted = row.agreed.place if row.agreed is not None else Place(self.trees.root, local.place.name)
        parent = self.row(wanted.parent)
        if parent is None or parent.local is None:
            wanted = Place(self.trees.root, wanted.name)
        key = name_key(wanted.name)
        held = any(
            holder not in self.leaving_here for holder in self.trees.named(Side.LOCAL, wanted.parent, key)
        )
        if held or (wanted.parent, key) in self.taken_here:
            wanted = Place(wanted.parent, self.free_name(wanted.parent, wanted.name))
        self._leave(row.node, Relocate(row.node, local.place, wanted, local.fingerprint))
        self.taken_here.add((wanted.parent, key))
        return FREE

    def renew(self, node: NodeId) -> int:
        self.tree.append(Renew(node, self.around.fresh()))
        self.stepped.add(node)
        return FREE

    def _leave(self, node: NodeId, step: DiskStep) -> None:
        self.disk.append(step)
        self.stepped.add(node)
        self.leaving_here.add(node)
