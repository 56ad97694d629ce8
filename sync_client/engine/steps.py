"""The steps of a plan: each names one thing to do, and what it believed when it was planned.

Owns: the step types.  May import: protocol, engine.trees.

Four families.  *Tree* steps change rows only.  *Disk* steps change the followed folder; each is carried out
only if the disk still shows what the step expects, and gives back the new Local (or none).  *Wire* steps become
operations of a batch; each gives back an OpResult.  `engine.effects` puts the effect of any of them into
the trees.  *Problem* changes nothing: it is what `status` tells about a node that cannot go on.
"""

from __future__ import annotations

from protocol.ids import NodeId
from protocol.messages import Revision
from sync_client.engine.trees import Content, Fingerprint, Place, Value

# ---- rows only -------------------------------------------------------------------------------------------


class Agree(Value):
    """Both sides hold the same place and content: remember it."""

    node: NodeId


class Forget(Value):
    """Gone on both sides."""

    node: NodeId


class Adopt(Value):
    """The new local node `local` is the remote node `node` (same place, equal bytes, or both folders): its local
    observation moves over, its local children get `node` as parent, and the row of `local` is forgotten."""

    node: NodeId
    local: NodeId


class Renew(Value):
    """The remote node is deleted, the local one stays: its local observation goes on under a new id (children get
    the new id as parent), without remote and agreed; the old row keeps neither local nor agreed."""

    node: NodeId
    new: NodeId


# ---- the disk --------------------------------------------------------------------------------------------


class MakeFolder(Value):
    """Make the folder locally at this place."""

    node: NodeId
    place: Place


class Fetch(Value):
    """A new local file (or link) with this remote content; nothing may stand there yet."""

    node: NodeId
    place: Place
    content: Content
    revision: Revision


class Replace(Value):
    """The file's content gives way to this remote content, if it still is `expected`."""

    node: NodeId
    place: Place
    content: Content
    revision: Revision
    expected: Fingerprint


class Relocate(Value):
    """Rename or move on the disk (file or folder), if it still is there as `expected` and `target` is free.

    source.parent or target.parent PARKED: from or to the hidden temporary name of this node; the name beside
    PARKED is the real one, for who has to put it back.
    conflict_of: it steps aside for that node, and is to be known as a conflict of it.
    """

    node: NodeId
    source: Place
    target: Place
    expected: Fingerprint
    conflict_of: NodeId | None = None


class Remove(Value):
    """To the local trash if it still is `expected`; a folder only if it is empty."""

    node: NodeId
    place: Place
    expected: Fingerprint


class KeepBoth(Value):
    """Both sides edited.  Rename the local file to `name` beside it; there it goes on as the new node `new`, a
    conflict of `node`; `node` keeps no local and no agreed state, so that the remote version is fetched."""

    node: NodeId
    new: NodeId
    source: Place
    name: str
    expected: Fingerprint


# ---- the wire --------------------------------------------------------------------------------------------


class MakeRemote(Value):
    node: NodeId
    place: Place
    content: Content
    conflict_of: NodeId | None
    expected: Fingerprint  # the bytes to upload are those of this fingerprint
    group: int = 0


class PutRemote(Value):
    node: NodeId
    content: Content
    revision: Revision
    expected: Fingerprint
    group: int = 0


class MoveRemote(Value):
    node: NodeId
    place: Place
    revision: Revision
    group: int = 0


class DeleteRemote(Value):
    node: NodeId
    place_revision: Revision
    content_revision: Revision
    group: int = 0


class DeleteTreeRemote(Value):
    """`nodes`: all that is deleted with it, the folder itself included."""

    node: NodeId
    place_revision: Revision
    nodes: tuple[NodeId, ...]
    group: int = 0


# ---- nothing to be done ----------------------------------------------------------------------------------


class Problem(Value):
    """This node cannot go on by itself; `code` is for programs, `message` for people."""

    node: NodeId
    code: str
    message: str


TreeStep = Agree | Forget | Adopt | Renew
DiskStep = MakeFolder | Fetch | Replace | Relocate | Remove | KeepBoth
WireStep = MakeRemote | PutRemote | MoveRemote | DeleteRemote | DeleteTreeRemote
Step = TreeStep | DiskStep | WireStep | Problem
