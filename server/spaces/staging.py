"""The part of a tree that a batch touches, changed in memory.

Owns: staged nodes, what rules ask of them (names, counts of children, ways to the root), taking changes back.
Pure: no clock, disk or database.  May import: protocol.

A batch is decided here, on what a few bulk reads brought, and is written afterwards in a few bulk writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from protocol.messages import Content, Kind, Revision

GONE = -1  # it, or a folder above it, is deleted or absent
LOOP = -2  # its way up comes back to itself
NO_NODE = bytes(16)


class StagedNode(NamedTuple):
    """A node's row, as far as a batch can change it.  name_key: None for a tombstone."""

    id: bytes
    parent: bytes
    name: str
    name_key: str | None
    kind: Kind
    place: Revision
    content: Revision
    place_operation: bytes
    content_operation: bytes
    changed_by: bytes
    deleted_at_ms: int | None = None
    conflict_of: bytes | None = None
    conflict_device: str = ""

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at_ms is not None


class StagedVersion(NamedTuple):
    """A content that the batch adds.  uses: all chunks that it holds."""

    node: bytes
    revision: Revision
    content: Content
    uses: tuple[bytes, ...]


class _Before(NamedTuple):
    """How a node was, to put it back."""

    node: bytes
    row: StagedNode | None
    content: Content | None
    was_changed: bool


class _Mark(NamedTuple):
    versions: int
    arrivals: int
    used_bytes: int


class StagedTree:
    """Begins as what was read; `changed`, `versions`, `arrivals` and `used_bytes` are what must be written.

    nodes: all that the batch names, with their ancestors, and whoever holds a name that it wants.
    contents: the current contents of the files it names.  child_counts: live children in the database of the
    folders that it deletes.
    """

    def __init__(
        self,
        root: bytes,
        nodes: Iterable[StagedNode],
        *,
        contents: Mapping[bytes, Content] | None = None,
        child_counts: Mapping[bytes, int] | None = None,
    ) -> None:
        self.root = root
        self.nodes: dict[bytes, StagedNode] = {}
        self.contents: dict[bytes, Content] = dict(contents or {})
        self.changed: dict[bytes, None] = {}  # in the order of the last change
        self.versions: list[StagedVersion] = []
        self.arrivals: list[bytes] = []
        self.used_bytes = 0  # how much the current versions grow
        self._child_counts = dict(child_counts or {})
        self._holders: dict[tuple[bytes, str], tuple[bytes, ...]] = {}
        self._depths: dict[bytes, int] = {}
        self._undo: list[_Before] = []
        self._mark = _Mark(0, 0, 0)
        for node in nodes:
            self.nodes[node.id] = node
            if node.name_key is not None:
                self._holders[node.parent, node.name_key] = (node.id,)
        self._as_read = dict(self.nodes)

    # ---- questions ---------------------------------------------------------------------------------------

    def depth(self, node: bytes) -> int:
        """How many steps it lies below the root; GONE; or LOOP."""
        row = self.nodes.get(node)
        if (
            row is not None and row.deleted_at_ms is None
        ):  # mostly a node in a folder that was asked for before
            above = self._depths.get(row.parent, GONE)
            if above >= 0:
                self._depths[node] = above + 1
                return above + 1
        path: list[bytes] = []
        seen: set[bytes] = set()
        at = node
        while True:
            known = self._depths.get(at)
            if known is not None:
                break
            if at == self.root:
                known = 0
                break
            row = self.nodes.get(at)
            if row is None or row.deleted_at_ms is not None:
                known = GONE
                break
            if at in seen:
                return LOOP
            seen.add(at)
            path.append(at)
            at = row.parent
        for step in reversed(path):
            known = known if known < 0 else known + 1
            self._depths[step] = known
        return known

    def is_below(self, node: bytes, folder: bytes) -> bool:
        """Whether the way up from `node` meets `folder`, and no tombstone before it."""
        row = self.nodes.get(node)
        for _ in range(len(self.nodes) + 1):
            if row is None or row.deleted_at_ms is not None or row.id == self.root:
                return False
            if row.parent == folder:
                return True
            row = self.nodes.get(row.parent)
        return False

    def is_open_folder(self, node: bytes) -> bool:
        """A folder that may take children.  One on a loop may: the rest of its group can undo the loop."""
        row = self.nodes.get(node)
        return row is not None and row.kind is Kind.FOLDER and self.depth(node) != GONE

    def child_count(self, folder: bytes) -> int:
        return self._child_counts.get(folder, 0)

    def shares_its_name(self, row: StagedNode) -> bool:
        return row.name_key is not None and len(self._holders[row.parent, row.name_key]) > 1

    def displaced(self) -> list[bytes]:
        """The nodes that do not hold the name any more that they hold in the database."""
        return [
            node
            for node in self.changed
            if (read := self._as_read.get(node)) is not None
            and read.name_key is not None
            and (read.parent, read.name_key) != (self.nodes[node].parent, self.nodes[node].name_key)
        ]

    # ---- changes -----------------------------------------------------------------------------------------

    def save(self, row: StagedNode, content: Content | None = None) -> None:
        """Keep this row; content: its new current one, None if that does not change."""
        before = self.nodes.get(row.id)
        was_changed = row.id in self.changed
        self._undo.append(_Before(row.id, before, self.contents.get(row.id), was_changed))
        self._put(row.id, before, row)
        if was_changed:
            del self.changed[row.id]
        self.changed[row.id] = None
        if content is not None:
            old = self.contents.get(row.id)
            self.used_bytes += content.manifest.size - (old.manifest.size if old else 0)
            self.contents[row.id] = content

    def begin(self) -> None:
        """What follows can be taken back by `undo`."""
        self._undo.clear()
        self._mark = _Mark(len(self.versions), len(self.arrivals), self.used_bytes)

    def touched(self) -> Iterator[StagedNode]:
        """The nodes saved since `begin`, as they are now."""
        return (self.nodes[before.node] for before in self._undo)

    def undo(self) -> None:
        for before in reversed(self._undo):
            self._put(before.node, self.nodes.get(before.node), before.row)
            if not before.was_changed:
                self.changed.pop(before.node, None)
            if before.content is None:
                self.contents.pop(before.node, None)
            else:
                self.contents[before.node] = before.content
        self._undo.clear()
        del self.versions[self._mark.versions :]
        del self.arrivals[self._mark.arrivals :]
        self.used_bytes = self._mark.used_bytes

    def _put(self, node: bytes, old: StagedNode | None, new: StagedNode | None) -> None:
        if new is None:
            del self.nodes[node]
        else:
            self.nodes[node] = new
        if (
            old is not None
            and new is not None
            and (old.parent, old.name_key, old.deleted_at_ms) == (new.parent, new.name_key, new.deleted_at_ms)
        ):
            return
        if old is not None:
            self._depths.clear()  # a new node is above nobody; any other may be above many
            self._count(old, -1)
            if old.name_key is not None:
                place = (old.parent, old.name_key)
                self._holders[place] = tuple(held for held in self._holders[place] if held != node)
        else:
            self._depths.pop(node, None)
        if new is not None:
            self._count(new, +1)
            if new.name_key is not None:
                place = (new.parent, new.name_key)
                self._holders[place] = (*self._holders.get(place, ()), node)

    def _count(self, row: StagedNode, by: int) -> None:
        if row.deleted_at_ms is None:
            self._child_counts[row.parent] = self._child_counts.get(row.parent, 0) + by
