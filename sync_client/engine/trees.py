"""The three trees: what the server said, what the disk showed, what both held.

Owns: the values of an observation, the row that holds a node's three, the questions that a planner may ask.
May import: protocol.

A node is known by its id in all three trees; paths exist only at the disk's edge.  Rows are stored by
`engine.database`; `MemoryTrees` is the same thing in two dictionaries, for tests and for small plans.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Protocol, dataclass_transform
from uuid import UUID

from msgspec import Struct

from protocol.ids import NodeId
from protocol.messages import Kind, Revision

PARKED = NodeId(UUID(int=1))  # the parent of a node that waits under a hidden temporary name
NO_NODE = NodeId(UUID(int=0))  # the parent of a root


class Side(IntEnum):
    REMOTE = 0
    LOCAL = 1
    AGREED = 2


@dataclass_transform(frozen_default=True)  # for type checkers: subclasses are frozen as well
class Value(Struct, frozen=True, gc=False, array_like=True):
    """A frozen value.  A Struct and no dataclass: it is made in a tenth of the time, and a first sync makes
    twenty of them a file; no value holds a cycle, so the collector need not look at them.  Copy one with
    `msgspec.structs.replace`.  Stored by `engine.row_bytes`, so the order of the fields is a format."""


class Place(Value):
    parent: NodeId
    name: str


class Content(Value, eq=False):
    """What a node holds.  `digest` names the manifest (protocol.manifests.content_digest); b"" for folders.
    `mtime_ns` is carried along and never makes a difference."""

    kind: Kind
    digest: bytes = b""
    size: int = 0
    executable: bool = False
    mtime_ns: int = 0

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Content)
            and self.digest == other.digest
            and self.kind is other.kind
            and self.size == other.size
            and self.executable == other.executable
        )

    def __ne__(self, other: object) -> bool:  # a Struct brings one of its own, which counts `mtime_ns`
        return not self == other

    def __hash__(self) -> int:
        return hash((self.kind, self.digest, self.executable))


class Fingerprint(Value):
    """What stat says of a file: cheap to ask, and enough to tell that nothing was touched since."""

    device: int
    inode: int
    birth_ns: int  # 0 where the system does not tell
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int


class Remote(Value):
    place: Place
    content: Content
    place_revision: Revision
    content_revision: Revision
    conflict_of: NodeId | None = None


class Local(Value):
    """`content` is None while a file has been seen but not read yet (or changed since it was read).

    conflict_of: this is the later version of that node, to be told when the node is made on the server.
    """

    place: Place
    content: Content | None
    fingerprint: Fingerprint
    conflict_of: NodeId | None = None


class Agreed(Value):
    place: Place
    content: Content
    place_revision: Revision
    content_revision: Revision


class Row(Struct, gc=False):
    """All that is known of one node."""

    node: NodeId
    remote: Remote | None = None
    local: Local | None = None
    agreed: Agreed | None = None


class Trees(Protocol):
    """The questions that planning asks; answers reflect every effect folded in so far.

    `name_key` is protocol.names.name_key(name).  The root is a row whose three places all have the
    parent NO_NODE; it is never planned.
    """

    root: NodeId

    def row(self, node: NodeId) -> Row | None: ...

    def named(self, side: Side, parent: NodeId, name_key: str) -> Iterable[NodeId]:
        """The live nodes with this place in that tree (on a case-sensitive disk LOCAL can have several)."""
        ...

    def children(self, side: Side, parent: NodeId) -> Iterator[NodeId]: ...

    def save(self, row: Row, *, dirty: bool) -> None:
        """Keep this row (a row with three times None is forgotten) and whether it must be planned again."""
        ...

    def dirty(self) -> Iterator[NodeId]:
        """Nodes to be planned, in the order in which they were marked; safe against `save` meanwhile."""
        ...


def root_row(root: NodeId) -> Row:
    """The followed folder itself: the same in all three trees, never planned."""
    place, content, revision = Place(NO_NODE, ""), Content(Kind.FOLDER), Revision(0, 0)
    return Row(
        root,
        Remote(place, content, revision, revision),
        Local(place, content, Fingerprint(0, 0, 0, 0, 0, 0, stat.S_IFDIR)),
        Agreed(place, content, revision, revision),
    )
