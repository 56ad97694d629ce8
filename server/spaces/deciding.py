"""What each operation of a batch does to the tree, or why it does nothing.

Owns: the rules of a commit, one answer per operation, groups that are done whole or not at all.
Pure: no clock, disk or database.  May import: protocol, server.spaces.staging, server.spaces.putting_back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from protocol.errors import BadRequest
from protocol.limits import MAX_FOLDER_CHILDREN, MAX_LINK_BYTES
from protocol.messages import (
    AnyOp,
    Content,
    Copy,
    Delete,
    DeleteTree,
    Kind,
    Make,
    Move,
    OpResult,
    Put,
    PutBack,
    Resolve,
    Restore,
    Revision,
    Status,
)
from protocol.names import MAX_DEPTH, name_key, refusal
from server.spaces.putting_back import PuttingBack, is_of_the_past
from server.spaces.staging import GONE, LOOP, NO_NODE, StagedNode, StagedTree, StagedVersion


class Holding(NamedTuple):
    """What was found about the content that an operation names.

    uses: the chunks it holds, those of an indirect manifest and those of the file.
    problem: why it may not be named, or None.  copied: what a copy copies.
    is_kept: this version of the node is there already (asked for what is put back).  is_late: this device brought it
    after the current content was given, which does not know it.
    """

    uses: tuple[bytes, ...] = ()
    problem: OpResult | None = None
    copied: Content | None = None
    is_kept: bool = False
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision needs to know beside the tree.

    holdings, newer: by the position of the operation in the batch; newer: what stands in the folder and was
    stamped after the cursor of its delete_tree.  room: how many children a folder may still get, where that
    may matter.  room_bytes: by how much the space may grow; None: no limit.  outside: nodes of the space that lie in
    no reach of this batch.  barred: that may not be restored.
    """

    epoch: int
    operation: bytes
    device: bytes
    device_name: str
    now_ms: int
    holdings: Mapping[int, Holding] = field(default_factory=dict)
    newer: Mapping[int, Sequence[bytes]] = field(default_factory=dict)
    room: Mapping[bytes, int] = field(default_factory=dict)
    room_bytes: int | None = None
    outside: Collection[bytes] = ()
    barred: Collection[bytes] = ()


_UNPROBLEMATIC = Holding()
_ABSENT = "the node is deleted, or was never there"
_WITHDRAWN = (
    "it was withdrawn: whoever may release brings it back, and what a block made only after its source"
)
_GROUP_FAILED = OpResult(status=Status.GROUP_FAILED)


def decide(tree: StagedTree, ops: Sequence[AnyOp], around: Circumstances) -> list[OpResult]:
    """One answer per operation; what is done is done in `tree`.

    Raises BadRequest: the operations of a group do not stand together.
    """
    batch = _Batch(tree, around)
    results: list[OpResult] = []
    for run in _runs(ops):
        results.extend(batch.decide_run(run))
    return results


Run = Sequence[tuple[int, AnyOp]]


def _runs(ops: Sequence[AnyOp]) -> Iterator[Run]:
    """Groups, and single operations as groups of one."""
    seen: set[int] = set()
    for group, run in groupby(enumerate(ops), key=lambda numbered: numbered[1].group):
        if group == 0:
            for numbered in run:
                yield (numbered,)
            continue
        if group in seen:
            raise BadRequest(f"Group {group} comes twice", hint="Put its operations side by side.")
        seen.add(group)
        yield tuple(run)


def same_content(one: Content | None, other: Content) -> bool:
    """Wholly equal, but for the time: a touch alone makes no version."""
    return (
        one is not None
        and one.kind is other.kind
        and one.executable == other.executable
        and one.manifest == other.manifest
    )


class _Batch:
    def __init__(self, tree: StagedTree, around: Circumstances) -> None:
        self._tree = tree
        self._around = around
        self._first = Revision(epoch=around.epoch, number=1)
        self._made = OpResult(status=Status.DONE, place_revision=self._first, content_revision=self._first)
        self._overtaken: set[bytes] = set()

    def decide_run(self, run: Run) -> list[OpResult]:
        tree = self._tree
        before_bytes = tree.used_bytes
        tree.begin()
        for position, (index, op) in enumerate(run):
            refused = self._apply(index, op)
            if refused is not None:
                return self._fail(run, position, refused)
        for row in tree.touched():
            refused = self._judge(row)
            if refused is not None:
                guilty = max(at for at, (_, op) in enumerate(run) if op.node.bytes == row.id)
                return self._fail(run, guilty, refused)
        room = self._around.room_bytes
        if room is not None and tree.used_bytes > before_bytes and tree.used_bytes > room:
            growing = [at for at, (_, op) in enumerate(run) if isinstance(op, Make | Put | Copy | PutBack)]
            return self._fail(run, growing[-1], _over_quota(room - before_bytes))
        return [self._done(tree.nodes[op.node.bytes]) for _, op in run]

    def _fail(self, run: Run, position: int, refused: OpResult) -> list[OpResult]:
        self._tree.undo()
        results = [_GROUP_FAILED] * len(run)
        results[position] = refused
        return results

    def _done(self, row: StagedNode) -> OpResult:
        if row.place is self._first and row.content is self._first:
            return self._made
        status = Status.OVERTAKEN if row.id in self._overtaken else Status.DONE
        return OpResult(status=status, place_revision=row.place, content_revision=row.content)

    def _judge(self, row: StagedNode) -> OpResult | None:
        """Whether a node may stand where its group left it."""
        if row.is_deleted:
            return None
        depth = self._tree.depth(row.id)
        if depth == LOOP:
            return _refused(Status.CYCLE)
        if depth == GONE:
            return _refused(Status.PARENT_GONE)
        if depth > MAX_DEPTH:
            return _refused(Status.NAME_REFUSED, f"it lies more than {MAX_DEPTH} folders deep")
        if self._tree.shares_its_name(row):
            return _refused(Status.NAME_TAKEN)
        room = self._around.room.get(row.parent)
        if room is not None and self._tree.child_count(row.parent) > room:
            return _refused(Status.OVER_QUOTA, f"its folder holds {MAX_FOLDER_CHILDREN} entries")
        return None

    def _apply(self, index: int, op: AnyOp) -> OpResult | None:
        """Do it, or say why not.  Names and ways to the root are judged when the group is complete."""
        if op.node.bytes in self._around.outside:
            return (
                _refused(Status.ID_TAKEN) if isinstance(op, Make | Copy) else _refused(Status.STALE, _ABSENT)
            )
        match op:
            case Make():
                return self._make(index, op)
            case Put():
                return self._put(index, op)
            case Move():
                return self._move(op)
            case Delete():
                return self._delete(op)
            case DeleteTree():
                return self._delete_tree(index, op)
            case Restore():
                return self._restore(op)
            case Copy():
                return self._copy(index, op)
            case PutBack():
                return self._put_back(index, op)
            case Resolve():
                return self._resolve(op)

    # ---- new nodes ---------------------------------------------------------------------------------------

    def _make(self, index: int, op: Make) -> OpResult | None:
        conflict_of = None if op.conflict_of is None else op.conflict_of.bytes
        return self._create(index, op, op.content, conflict_of)

    def _copy(self, index: int, op: Copy) -> OpResult | None:
        source = self._around.holdings.get(index, _UNPROBLEMATIC).copied
        if source is None:
            return _refused(Status.STALE, "what was to be copied is not there")
        return self._create(index, op, source, None)

    def _create(
        self, index: int, op: Make | Copy, content: Content, conflict_of: bytes | None
    ) -> OpResult | None:
        tree, around = self._tree, self._around
        node, parent = op.node.bytes, op.parent.bytes
        existing = tree.nodes.get(node)
        if existing is not None or node == NO_NODE:
            repeated = existing is not None and self._is_repeated(existing, parent, op.name, content)
            return None if repeated else _refused(Status.ID_TAKEN)
        holding = around.holdings.get(index, _UNPROBLEMATIC)
        refused = (
            _refused_name(op.name)
            or (None if tree.is_open_folder(parent) else _refused(Status.PARENT_GONE))
            or _refused_kind(content)
            or holding.problem
        )
        if refused is not None:
            return refused
        row = StagedNode(
            id=node,
            parent=parent,
            name=op.name,
            name_key=name_key(op.name),
            kind=content.kind,
            place=self._first,
            content=self._first,
            place_operation=around.operation,
            content_operation=around.operation,
            changed_by=around.device,
            conflict_of=conflict_of,
            conflict_device=around.device_name if conflict_of else "",
        )
        if content.kind is Kind.FOLDER:
            tree.save(row)
        else:
            tree.save(row, content)
            tree.versions.append(StagedVersion(node, self._first, content, holding.uses))
        return None

    def _is_repeated(self, existing: StagedNode, parent: bytes, name: str, content: Content) -> bool:
        """The same device made it like this before, and nobody changed it since."""
        return (
            not existing.is_deleted
            and existing.parent == parent
            and existing.name == name
            and existing.kind is content.kind
            and (existing.place.number, existing.content.number) == (1, 1)
            and existing.changed_by == self._around.device
            and (content.kind is Kind.FOLDER or same_content(self._tree.contents.get(existing.id), content))
        )

    # ---- nodes that are there ----------------------------------------------------------------------------

    def _put(self, index: int, op: Put) -> OpResult | None:
        tree, around = self._tree, self._around
        row = self._live(op.node.bytes)
        if row is None:
            return _refused(Status.STALE, _ABSENT)
        if row.kind is Kind.FOLDER or row.kind is not op.content.kind:
            return _refused(Status.CONTENT_REFUSED, f"a {row.kind.value} takes no {op.content.kind.value}")
        if same_content(tree.contents.get(row.id), op.content):
            return None
        if row.content != op.content_revision:
            return _refused(Status.STALE)
        holding = around.holdings.get(index, _UNPROBLEMATIC)
        refused = _refused_kind(op.content) or holding.problem
        if refused is not None:
            return refused
        revision = self._next(row.content)
        tree.save(
            row._replace(content=revision, content_operation=around.operation, changed_by=around.device),
            op.content,
        )
        tree.versions.append(StagedVersion(row.id, revision, op.content, holding.uses))
        return None

    def _move(self, op: Move) -> OpResult | None:
        row = self._live(op.node.bytes)
        if row is None:
            return _refused(Status.STALE, _ABSENT)
        if row.id == self._tree.root:
            return _refused(Status.DENIED, "the root of a view stays where it is")
        parent = op.parent.bytes
        if (row.parent, row.name) == (parent, op.name):
            return None
        if row.place != op.place_revision:
            return _refused(Status.STALE)
        refused = _refused_name(op.name)
        if refused is not None:
            return refused
        if not self._tree.is_open_folder(parent):
            return _refused(Status.PARENT_GONE)
        self._place(row, parent, op.name)
        return None

    def _delete(self, op: Delete) -> OpResult | None:
        row = self._live(op.node.bytes)
        if row is None or row.place != op.place_revision or row.content != op.content_revision:
            return _refused(Status.STALE)
        if row.id == self._tree.root:
            return _refused(Status.DENIED, "the root of a view stays where it is")
        if row.kind is Kind.FOLDER and self._tree.child_count(row.id):
            return _refused(Status.NOT_EMPTY)
        self._bury(row)
        return None

    def _delete_tree(self, index: int, op: DeleteTree) -> OpResult | None:
        tree = self._tree
        row = self._live(op.node.bytes)
        if row is None or row.place != op.place_revision:
            return _refused(Status.STALE)
        if row.id == tree.root:
            return _refused(Status.DENIED, "the root of a view stays where it is")
        candidates = dict.fromkeys((*self._around.newer.get(index, ()), *tree.changed))
        newer = [node for node in candidates if tree.is_below(node, row.id)]
        if newer:
            return OpResult(status=Status.NEWER_INSIDE, newer=[UUID(bytes=node) for node in newer])
        self._bury(row)
        return None

    def _restore(self, op: Restore) -> OpResult | None:
        row = self._tree.nodes.get(op.node.bytes)
        if row is None or not row.is_deleted or row.place != op.place_revision:
            return _refused(Status.STALE, "the trash does not hold this")
        if row.id in self._around.barred:
            return _refused(Status.DENIED, _WITHDRAWN)
        name = row.name if op.name is None else op.name
        refused = _refused_name(name)
        if refused is not None:
            return refused
        parent = row.parent if op.parent is None else op.parent.bytes
        if not self._tree.is_open_folder(parent):
            return _refused(Status.PARENT_GONE)
        self._place(row._replace(deleted_at_ms=None), parent, name)
        if row.kind is Kind.FOLDER:
            self._tree.arrivals.append(row.id)
        return None

    def _put_back(self, index: int, op: PutBack) -> OpResult | None:
        tree, around = self._tree, self._around
        if not is_of_the_past(op, around.epoch):
            return _refused(Status.STALE, "only what an earlier epoch acknowledged can be put back")
        if op.node.bytes in (tree.root, NO_NODE):
            return _refused(Status.DENIED, "the root of a view stays where it is")
        back = PuttingBack(tree, op, epoch=around.epoch, operation=around.operation, device=around.device)
        holding = around.holdings.get(index, _UNPROBLEMATIC)
        row = tree.nodes.get(op.node.bytes)
        refused = _refused_name(op.name) or _refused_kind(op.content)
        if row is None or op.place_revision > row.place:
            refused = refused or (
                None if tree.is_open_folder(op.parent.bytes) else _refused(Status.PARENT_GONE)
            )
        if row is None:
            refused = refused or holding.problem
            if refused is None:
                back.make(holding.uses, conflict_device=around.device_name)
            return refused
        if row.kind is not op.content.kind:
            return _refused(Status.CONTENT_REFUSED, f"a {row.kind.value} takes no {op.content.kind.value}")
        is_new = row.kind is not Kind.FOLDER and not holding.is_kept and op.content_revision != row.content
        refused = refused or (holding.problem if is_new else None)
        if refused is None and op.content_revision == row.content and row.kind is not Kind.FOLDER:
            is_same = same_content(tree.contents.get(row.id), op.content)
            refused = None if is_same else _refused(Status.STALE, "this revision names other bytes")
        if refused is not None:
            return refused
        back.place(row)
        if row.kind is not Kind.FOLDER:
            if op.content_revision > row.content and tree.depth(row.id) == GONE:
                # Deleted by somebody who never saw this content, and an edit beats a delete: it is not put into the
                # trash, where its holder would follow it, but stays with them and comes as something new.
                self._overtaken.add(row.id)
                return None
            # The same answer each time: whoever asks again may have died before it could note the first one.
            is_late = is_new or holding.is_late
            if is_late and op.content_revision.epoch < row.content.epoch and not row.is_deleted:
                self._overtaken.add(row.id)
            back.fill(tree.nodes[row.id], holding.uses, is_kept=holding.is_kept)
        return None

    def _resolve(self, op: Resolve) -> OpResult | None:
        row = self._live(op.node.bytes)
        if row is None:
            return _refused(Status.STALE, _ABSENT)
        if row.conflict_of is not None:
            self._tree.save(row._replace(conflict_of=None, conflict_device=""))
        return None

    def _live(self, node: bytes) -> StagedNode | None:
        row = self._tree.nodes.get(node)
        return None if row is None or self._tree.depth(node) == GONE else row

    def _place(self, row: StagedNode, parent: bytes, name: str) -> None:
        self._tree.save(
            row._replace(
                parent=parent,
                name=name,
                name_key=name_key(name),
                place=self._next(row.place),
                place_operation=self._around.operation,
                changed_by=self._around.device,
            )
        )

    def _bury(self, row: StagedNode) -> None:
        self._tree.save(
            row._replace(
                name_key=None,
                deleted_at_ms=self._around.now_ms,
                place=self._next(row.place),
                place_operation=self._around.operation,
                changed_by=self._around.device,
            )
        )

    def _next(self, revision: Revision) -> Revision:
        return Revision(epoch=self._around.epoch, number=revision.number + 1)


def _refused(status: Status, message: str = "") -> OpResult:
    return OpResult(status=status, message=message)


def _over_quota(room: int) -> OpResult:
    words = (
        f"your space on the server is full ({max(room, 0)} bytes are left). Ask its operator for a larger quota,"
        " or delete what you do not need: what is deleted counts until the server's trash is emptied"
    )
    return _refused(Status.OVER_QUOTA, words)


def _refused_name(name: str) -> OpResult | None:
    why = refusal(name)
    return None if why is None else _refused(Status.NAME_REFUSED, why)


def _refused_kind(content: Content) -> OpResult | None:
    if content.kind is Kind.FOLDER and (content.manifest.size or content.manifest.chunks):
        return _refused(Status.CONTENT_REFUSED, "a folder has no bytes")
    if content.kind is Kind.LINK and content.manifest.size > MAX_LINK_BYTES:
        return _refused(Status.CONTENT_REFUSED, f"a link is longer than {MAX_LINK_BYTES} bytes")
    return None
