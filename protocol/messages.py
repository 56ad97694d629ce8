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


class Redeem(Request):
    """A sync code for a device token.  device: a client home, which counts once however often it redeems; so does a
    browser, which says that it is one and gets no token where whoever made the code did not allow it."""

    code: Annotated[str, Meta(max_length=200)]  # as people pass it on, protocol.codes
    device: UUID
    device_name: Annotated[str, Meta(min_length=1, max_length=100)]
    pin: Annotated[str, Meta(max_length=64)] | None = None
    browser: bool = False


class Redeemed(Answer):
    """`token` is shown this once; it opens one view, to be read.  name: of the folder.  label: what whoever shared it
    wrote to it.  device: the one that redeemed."""

    token: str
    view: UUID
    name: str
    label: str
    shared_by: str
    expires_at_ms: int
    device: UUID


class View(Answer):
    """A node as root, the subtree below it, rights: all that a token may see of one tree.

    name: as people know it, `/Home`.  rights: of "metadata", "read", "write", "versions", "share".
    cursor: where a client that knows nothing starts.  used_bytes: 0 for a folder in somebody's space.
    quota_bytes: None if there is no limit.
    """

    view: UUID
    name: str
    kind: str  # "home", "project", "intake" or "folder" (one that somebody shared)
    root: UUID
    rights: list[str]
    cursor: str
    used_bytes: int = 0
    quota_bytes: int | None = None


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

    room_bytes: by how much the files of this space may still grow; None if there is no limit.
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


# ---- plain resources -------------------------------------------------------------------------------------


class Version(Answer):
    """One version of a file; the newest first in a list."""

    revision: Revision
    size: int
    mtime_ns: int
    executable: bool
    committed_at_ms: int
    user: str
    device: str
    current: bool


class Versions(Answer):
    node: UUID
    versions: list[Version]


class Trashed(Answer):
    node: UUID
    path: str
    kind: Kind
    size: int
    deleted_at_ms: int
    deleted_by: str
    place_revision: Revision


class Trash(Answer):
    items: list[Trashed]
    next: str = ""


class Listed(Answer):
    """One child in a listing for people."""

    node: UUID
    name: str
    kind: Kind
    size: int
    mtime_ns: int
    content_revision: Revision
    place_revision: Revision


class Listing(Answer):
    path: str
    node: UUID
    items: list[Listed]
    next: str = ""


class Share(Request):
    """A role for somebody on a folder and all below it, in place of the one they had there.

    who: `user:NAME`, `team:NAME` or `project:NAME`.  role: "editor", "reader" or "metadata"; on the root of a
    project also "owner".
    """

    who: Annotated[str, Meta(min_length=1, max_length=300)]
    role: Annotated[str, Meta(min_length=1, max_length=20)]


class Seer(Answer):
    """One line of who can see a folder now.

    who: `user:NAME`, `team:NAME`, `project:NAME` or `code:NAME`, a sync code; people: whom that reaches, where it is
    no single user; of a code its label.
    principal: names the grant that can be taken back; None for the owner of a home, who needs none.
    here: it was given on this very folder; else on one above, `on`, as the view sees it: "" is above the view.
    """

    who: str
    role: str
    here: bool
    on: str = ""
    principal: UUID | None = None
    people: list[str] = []


class WhoSees(Answer):
    node: UUID
    seers: list[Seer]


class Deed(Answer):
    """Something that somebody did, or much of one kind within ten minutes.

    at_ms, since_ms: the last and the first of it.  did: the word of the log.  who: the name of a user, or `code:NAME`.
    path: of what it was done to, from the view's root; of several, the folder that they all lie in; "" where nothing
    is named.  count: of files and folders, or of equal refusals.  result: "done", or why it was refused.
    """

    at_ms: int
    since_ms: int
    did: str
    who: str
    device: str
    path: str
    count: int
    result: str = "done"
    detail: str = ""


class Activity(Answer):
    """next: `before` of the page of what was earlier; empty: there is none.  A short page may have one."""

    items: list[Deed]
    next: str = ""


# ---- what blocks made, and held back ---------------------------------------------------------------------


class JobReason(Answer):
    """Why, in a word for programs and a sentence for people; never a value taken from the file."""

    code: str
    text: str


class Job(Answer):
    """One version of one file that a rule works on, for people who may review it.

    state: "waiting", "running", "published", "unchanged", "quarantined", "failed", "rejected" or "gone".  file: its
    path below the rule's folder.  held: names the cleaned output that waits, "" if there is none.  report: of the
    block, as it wrote it; "" in lists.
    """

    job: int
    state: str
    block: str
    rule: str
    folder: str
    node: UUID
    file: str
    reasons: list[JobReason]
    held: str
    tries: int
    made_at_ms: int
    ended_at_ms: int | None
    report: str = ""


class Jobs(Answer):
    jobs: list[Job]
    next: str = ""


class Release(Request):
    """held: of the job, as the reviewer saw it; another one is not released."""

    held: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Rule(Answer):
    """A block that works on every file of a folder.

    short: what people type.  block: its name.  source, target: paths; target is "" if it lies in no folder of this
    view.  parameters: as the block's manifest completes them.  jobs: how many are in each state.
    """

    rule: UUID
    short: str
    block: str
    source: str
    target: str
    parameters: dict[str, Any]
    enabled: bool
    priority: int
    jobs: dict[str, int]


class Rules(Answer):
    rules: list[Rule]
    next: str = ""


Priority = Annotated[int, Meta(ge=0, le=9)]
Parameters = Annotated[
    str, Meta(max_length=limits.MAX_PARAMETERS)
]  # JSON as text: a request has no open types


class NewRule(Request):
    """source, target: folders of this view.  parameters: a JSON object for the block, see its manifest.  new_only:
    leave alone what is there already.  priority: the highest goes first; new files always go before those that were
    there."""

    block: Annotated[str, Meta(min_length=1, max_length=100)]
    source: UUID
    target: UUID
    parameters: Parameters = "{}"
    new_only: bool = False
    priority: Priority = 5


class ChangeRule(Request):
    """What is null stays.  parameters: in place of all that the block was told."""

    parameters: Parameters | None = None
    priority: Priority | None = None
    enabled: bool | None = None


class RuleRun(Answer):
    """files: how many are done again."""

    files: int


class Withdrawn(Answer):
    """sources: files that went into the trash.  derived: what blocks had made of them, wherever it lay.  jobs: that
    were ended."""

    sources: int
    derived: int
    jobs: int


class LookAtCode(Request):
    code: Annotated[str, Meta(max_length=200)]


class Download(Answer):
    """A program that the server's operator offers.  size: in bytes."""

    name: str
    size: int
    sha256: str


class CodeShown(Answer):
    """What a whole secret opens, for people; to look uses up no device.  name, label: "" where a PIN is asked for.
    used_up: no further device may redeem it.  browse: a browser may, too."""

    name: str
    label: str
    shared_by: str
    expires_at_ms: int
    pin: bool
    approve: bool
    used_up: bool
    downloads: list[Download]
    browse: bool = False


class NewCode(Request):
    """A sync code for a folder.  seconds: until it expires.  devices: as many may redeem it.  pin: the server makes
    one, to be told by another way.  approve: each device waits until it is let in.  browse: the page behind the link
    lists the files and gives single ones."""

    label: Annotated[str, Meta(max_length=200)] = ""
    seconds: Annotated[int, Meta(ge=1, le=limits.MAX_CODE_SECONDS)] = 30 * 86_400
    devices: Annotated[int, Meta(ge=1, le=limits.MAX_CODE_DEVICES)] = 3
    pin: bool = False
    approve: bool = False
    browse: bool = False


class CodeMade(Answer):
    """`secret` and `pin` are shown this once.  code: its name in lists.  fingerprint: of the authority that whoever
    redeems it should pin, for the link; "" if there is no need."""

    code: str
    secret: str
    expires_at_ms: int
    devices: int
    pin: str = ""
    fingerprint: str = ""


class CodeDevice(Answer):
    """A device that redeemed a code.  read_bytes: what it got.  waiting: it was not let in yet."""

    device: UUID
    name: str
    address: str
    first_used_at_ms: int
    last_used_at_ms: int
    read_bytes: int
    waiting: bool


class SyncCode(Answer):
    """folder: its name; "" if it was deleted.  state: "open", "expired" or "revoked"."""

    code: str
    folder: str
    label: str
    created_at_ms: int
    expires_at_ms: int
    devices_allowed: int
    pin: bool
    approve: bool
    state: str
    devices: list[CodeDevice]
    browse: bool = False


class Codes(Answer):
    codes: list[SyncCode]


class Device(Answer):
    device: UUID
    name: str
    created_at_ms: int
    last_seen_at_ms: int
    current: bool
    revoked: bool


class Devices(Answer):
    devices: list[Device]


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
