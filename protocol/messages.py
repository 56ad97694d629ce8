"""The messages of the wire, one struct each: MessagePack between our programs, JSON for people and scripts.

Owns: their fields and the two codecs; how many of each there may be stands in protocol.limits.
May import: msgspec, protocol.

Requests refuse unknown fields (a typing error is told at once); answers tolerate them (an older client
reads a newer server).  Ids are UUIDs: 16 bytes in MessagePack, text in JSON.  Times are integers:
`mtime_ns` signed nanoseconds since 1970 as the disk had it; `*_at_ms` milliseconds since 1970, UTC, by the
server's clock.  No message holds a cycle, so the collector is spared them (`gc=False`).
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Annotated, Any, dataclass_transform
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from protocol import limits

PROTOCOL_VERSION = 1
MAX_BATCH_OPS = limits.MAX_BATCH_OPS
MAX_CHUNK_BYTES = limits.MAX_CHUNK_BYTES
MAX_DIRECT_CHUNKS = limits.MAX_DIRECT_CHUNKS
MAX_MISSING_CHUNKS = limits.MAX_MISSING_CHUNKS
MAX_PAGE_NODES = limits.MAX_PAGE_NODES
WAIT_SECONDS = limits.WAIT_SECONDS

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Stamp64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]  # the rule of 255 *bytes* is in protocol.names


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What a client sends."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Answer(Struct, frozen=True, kw_only=True, gc=False):
    """What the server sends."""


# ---- values inside messages ------------------------------------------------------------------------------


class Revision(Struct, frozen=True, array_like=True, order=True, forbid_unknown_fields=True, gc=False):
    """No revision ever names two contents (or two places) of a node.  The epoch rises with each restore
    of the server from a backup; the number rises by one with each change of this half of the node."""

    epoch: Count
    number: Count


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


class Manifest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The ordered chunks of one version of a file.  Two equal manifests are the same bytes.

    size: of the file, in bytes.  chunks: 32·n bytes, the chunk ids in order.  lengths: their n plain
    lengths.  indirect: the chunks hold the manifest (records of chunk id and little-endian uint32
    length, 36 bytes each), not the file; lengths are then those of the manifest's own chunks.
    """

    size: Count = 0
    chunks: bytes = b""
    lengths: Annotated[
        list[Annotated[int, Meta(ge=1, le=MAX_CHUNK_BYTES)]], Meta(max_length=MAX_DIRECT_CHUNKS)
    ] = []
    indirect: bool = False


class Content(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What a node holds.  A folder has neither manifest nor time; a link's text is the bytes of its
    manifest.  A difference in `mtime_ns` alone is no difference of contents."""

    kind: Kind
    manifest: Manifest = Manifest()
    mtime_ns: Stamp64 = 0
    executable: bool = False


class NodeState(Struct, frozen=True, kw_only=True, gc=False):
    """What a node is now, not what happened to it.  One entry of the feed.

    `deleted`: a tombstone; all below it is deleted with it, without entries of its own, but for what was
    changed before its folder was deleted and not told yet: that is told as deleted too.  Judge tombstones at
    the head only: what lies below one may be told at another place on a later page.
    `content` is None for a tombstone and for those who may not read.
    `place_operation`, `content_operation`: the batch that made each revision, so that a client knows its
    own work.  `conflict_of`: the node whose later version this one is; `conflict_device` made it.
    `not_portable`: the name cannot stand on every operating system.
    """

    node: UUID
    parent: UUID
    name: str
    place_revision: Revision
    content_revision: Revision
    place_operation: UUID
    content_operation: UUID
    content: Content | None = None
    deleted: bool = False
    conflict_of: UUID | None = None
    conflict_device: str = ""
    not_portable: bool = False
    changed_at_ms: int = 0
    changed_by: str = ""  # "user on device", for people


# ---- hello, login, views ---------------------------------------------------------------------------------


class Retention(Answer):
    """How long what was deleted or replaced can come back, as the operator set it.

    trash_days: None for ever.  versions: of older contents of a file, "all 1d, daily 30d, weekly 365d": each
    of them for a day, then the last of each day until it is 30 days old, and so on; "all" for ever.
    """

    trash_days: int | None
    versions: str


class Hello(Answer):
    """Versions, limits, and the rules that both ends follow."""

    product: str
    version: str
    protocol: int
    server_id: UUID
    cutter: str  # the version name of the cut points, protocol.chunking.CUTTER
    max_batch_ops: int
    max_chunk_bytes: int
    max_missing_chunks: int
    name_rules: str  # the version name of the rules in protocol.names
    authority: str = ""  # PEM of the server's own private authority, which a client pins when it signs in
    retention: Retention | None = None  # an older server does not say


class Login(Request):
    user: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Annotated[str, Meta(max_length=1_024)]
    device: UUID
    device_name: Annotated[str, Meta(min_length=1, max_length=100)]


class SignedIn(Answer):
    """`token` is shown this once; the server keeps only its hash."""

    token: str
    user: str
    user_id: UUID
    device: UUID


class View(Answer):
    """A node as root, the subtree below it, rights: all that a token may see of one tree.

    name: as people know it, `/Home`.  rights: of "metadata", "read", "write", "versions", "share".
    cursor: where a client that knows nothing starts.  used_bytes: 0 for a folder in somebody's space.
    quota_bytes: None if there is no limit.  unfinished_bytes: what was sent and named by no commit yet; where there is
    a limit it counts too, until its lease ends.
    """

    view: UUID
    name: str
    kind: str  # "home", "project", "intake" or "folder" (one that somebody shared)
    root: UUID
    rights: list[str]
    cursor: str
    used_bytes: int = 0
    quota_bytes: int | None = None
    unfinished_bytes: int = 0


class Views(Answer):
    user: str
    generation: str  # changes when this list changes
    views: list[View]


# ---- the feed --------------------------------------------------------------------------------------------


class ResetCause(StrEnum):
    PURGED = "purged"  # the trash that the cursor would need is gone
    RIGHTS = "rights"  # what the token sees has changed
    RESTORED = "restored"  # the server came back from a backup: believe no absence


class Changes(Answer, tag="changes", kw_only=True):
    """One page.  Only the page with `more` false makes what was taken in a tree.

    gone: nodes that left the view (which is not deleted), with all that was known below them.  They count before
    `nodes`: what is named in both came back.
    """

    nodes: list[NodeState]
    gone: list[UUID] = []
    more: bool
    cursor: str


class Reset(Answer, tag="reset"):
    """The cursor is of no use any more.  List again from `cursor`."""

    cause: ResetCause
    cursor: str


Feed = Changes | Reset


class Watched(Request):
    view: UUID
    cursor: str


class Wait(Request):
    """One long poll for all views.  generation: of the list of views, "" if it does not matter."""

    views: Annotated[list[Watched], Meta(max_length=limits.MAX_WATCHED_VIEWS)]
    generation: str = ""
    timeout_seconds: Annotated[float, Meta(ge=0, le=WAIT_SECONDS)] = WAIT_SECONDS


class Moved(Answer):
    """The views with something after their cursors; empty when the time was up."""

    views: list[UUID]
    generation: str


# ---- chunks ----------------------------------------------------------------------------------------------


class Missing(Request):
    chunks: Annotated[bytes, Meta(max_length=32 * MAX_MISSING_CHUNKS)]  # chunk ids, 32·n bytes


class ToUpload(Answer):
    """Those of the asked chunks that the server wants, as indexes into the request, ascending.

    room_bytes: by how much the files of this space may still grow, these chunks among them; None if there is no limit.
    """

    wanted: list[int]
    room_bytes: int | None = None


class Stored(Answer):
    """The answer to a stream of chunks: how many were kept, and the indexes of frames that were not,
    because their bytes did not match their id."""

    stored: int
    damaged: list[int] = []


class Part(Request, array_like=True):
    """Which chunks of one version: `positions` are indexes into its manifest's own chunk list (as it
    travelled: for an indirect manifest the first level), None = all.  With `through` true, positions count
    in the resolved list of an indirect manifest, that is in the file's own chunks."""

    node: UUID
    revision: Revision
    positions: list[Count] | None = None
    through: bool = False


class WantedContent(Request):
    """Answered by a frame stream: the chunks of part 0 in order, then those of part 1, and so on."""

    parts: Annotated[list[Part], Meta(max_length=limits.MAX_CONTENT_PARTS)]


# ---- commit ----------------------------------------------------------------------------------------------


class Op(Request, kw_only=True, tag_field="op", tag=str.lower):
    """One operation.  Equal non-zero `group`s are done whole or not at all; names are checked at the end
    of the group.  Operations of one group stand together in the batch."""

    node: UUID
    group: Count = 0


class Make(Op, tag="make"):
    """A new node.  Repeating it is answered as done; any other use of the id is `id-taken`."""

    parent: UUID
    name: Name
    content: Content
    conflict_of: UUID | None = None


class Put(Op, tag="put"):
    """New content.  content_revision: the one that was seen."""

    content_revision: Revision
    content: Content


class Move(Op, tag="move"):
    """New parent, new name, or both.  place_revision: the one that was seen."""

    place_revision: Revision
    parent: UUID
    name: Name


class Delete(Op, tag="delete"):
    """A file, or a folder that is empty by now."""

    place_revision: Revision
    content_revision: Revision


class DeleteTree(Op, tag="delete_tree"):
    """A folder with all below it; refused as `newer-inside` if anything below is stamped after `cursor`."""

    place_revision: Revision
    cursor: str


class Restore(Op, tag="restore"):
    """Take a node (and, for a folder, what is below it) out of the trash, to its old place or a new one."""

    place_revision: Revision  # of the tombstone
    parent: UUID | None = None
    name: Name | None = None


class Copy(Op, tag="copy"):
    """A new node with the content of one that this token may read.  Not for folders."""

    parent: UUID
    name: Name
    from_view: UUID
    from_node: UUID
    from_revision: Revision


class PutBack(Op, tag="put_back"):
    """What the server lost when it came back from a backup, as this client held it, under the revisions it was
    acknowledged with, of an epoch before the server's.  Of place and content apart the highest revision becomes
    the current one; a content under a lower one becomes a version; equal bytes are adopted.  A node that is gone
    is made again with its id.

    parent, name: where it stood; `elsewhere`: where it is to stand instead, since its name is taken by now.
    """

    parent: UUID
    name: Name
    place_revision: Revision
    content_revision: Revision
    content: Content
    conflict_of: UUID | None = None
    elsewhere: bool = False


class Resolve(Op, tag="resolve"):
    """Somebody decided about a conflict copy: it is an ordinary node from now on, for everyone.

    Neither its place nor its content changes, so no revision does.  Of a node that is none it changes nothing.
    """


AnyOp = Make | Put | Move | Delete | DeleteTree | Restore | Copy | PutBack | Resolve


class Commit(Request):
    """A batch: one transaction, one answer per operation.

    number: of this device, rising by one with each new batch.  Sending a batch again gives its first answer.
    cursor: where this client stands in the feed; see `Committed.cursor`.
    """

    operation: UUID
    number: Count
    ops: Annotated[list[AnyOp], Meta(min_length=1, max_length=MAX_BATCH_OPS)]
    cursor: str = ""


class Status(StrEnum):
    DONE = "done"
    STALE = "stale"  # the revision seen is not the current one, or the node is deleted
    NAME_TAKEN = "name-taken"
    NAME_REFUSED = "name-refused"  # the name breaks a rule that holds on every system
    ID_TAKEN = "id-taken"
    PARENT_GONE = "parent-gone"
    CYCLE = "cycle"
    NEWER_INSIDE = "newer-inside"
    NOT_EMPTY = "not-empty"
    DENIED = "denied"
    IDENTIFIED = "identified"
    OVER_QUOTA = "over-quota"
    MISSING_CHUNKS = "missing-chunks"
    CONTENT_REFUSED = "content-refused"  # it contradicts itself, the store or the kind of the node
    # Put back, as a version: the current content was given since, without knowing it.  Or, of a node that was deleted
    # without knowing this content, not put back at all.
    OVERTAKEN = "overtaken"
    GROUP_FAILED = "group-failed"  # another operation of its group was refused


class OpResult(Answer):
    """What became of one operation.  Revisions are the node's after it, when it is done."""

    status: Status
    place_revision: Revision | None = None
    content_revision: Revision | None = None
    newer: list[UUID] = []
    message: str = ""


class Committed(Answer, tag="committed"):
    """cursor: if the batch came with a cursor at the head of the feed and nothing else happened since, the
    position behind the batch's own changes, so that a client need not be told what it did itself; else ""."""

    operation: UUID
    results: list[OpResult]
    cursor: str = ""


CommitAnswer = Committed | Reset


Priority = Annotated[int, Meta(ge=0, le=9)]
Parameters = Annotated[
    str, Meta(max_length=limits.MAX_PARAMETERS)
]  # JSON as text: a request has no open types


class Problem(Answer):
    """The body of every reply that is not a success."""

    error: str
    message: str
    request_id: str = ""


# ---- codecs ----------------------------------------------------------------------------------------------

MSGPACK = "application/x-msgpack"
JSON = "application/json"
FRAMES = "application/x-mb-frames"

_pack = msgspec.msgpack.Encoder(uuid_format="bytes")
_json = msgspec.json.Encoder()


def _plain(value: object) -> Any:  # only Enum members of dict keys would come here
    if isinstance(value, Enum):
        return value.value
    raise TypeError(type(value).__name__)


def to_msgpack(message: object) -> bytes:
    return _pack.encode(message)


def to_json(message: object) -> bytes:
    return _json.encode(message)
