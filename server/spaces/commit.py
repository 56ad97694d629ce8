"""A batch of operations: one transaction, one answer per operation.

Owns: the order of a commit, the bulk reads before deciding, the answers of batches that come again.
May import: sqlalchemy, msgspec, protocol, server.access, server.audit, server.chunks, server.database, server.spaces.

The space's row is locked first, so stamps become visible in order.  What an operation means is decided in
`deciding`, in memory; the number of statements here does not grow with the batch, but by one per delete_tree
and per copy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from protocol.errors import AccessDenied, DeviceCloned, NotFound
from protocol.ids import ChunkId, Cursor, NodeId, SpaceId, ViewId, split_chunk_ids
from protocol.limits import MAX_FOLDER_CHILDREN
from protocol.messages import (
    AnyOp,
    Commit,
    CommitAnswer,
    Committed,
    Content,
    Copy,
    Delete,
    DeleteTree,
    Kind,
    Make,
    Move,
    Put,
    PutBack,
    Reset,
    ResetCause,
    Resolve,
    Restore,
    Revision,
    to_msgpack,
)
from protocol.names import name_key
from server.access.cursors import START, Cursors, Position
from server.access.rights import Action, Principal, ReadableView, authorise
from server.access.views import readable_view
from server.audit.rows import NOWHERE, Came
from server.chunks.possession import settle, unfinished, unfinished_of
from server.chunks.store import ChunkStore
from server.database.facts import EPOCH, epoch_value
from server.database.session import in_groups, insert_rows, rows_of_sql
from server.database.tables import BatchRow, NodeRow, VersionRow
from server.spaces.borders import Borders
from server.spaces.content import version_of
from server.spaces.deciding import Circumstances, Holding, decide
from server.spaces.holdings import holdings_of, resolve
from server.spaces.identified import IDENTIFIED, identified_among
from server.spaces.inside import below_or_at
from server.spaces.recording import record_batch
from server.spaces.rows import (
    CONTENT_COLUMNS,
    IS_CURRENT_VERSION,
    LIVE_BELOW,
    came_late,
    content_of,
    load_with_ancestors,
    standing_at,
    versions_named,
)
from server.spaces.staging import StagedTree
from server.spaces.uploads import room_of
from server.spaces.withdrawn import barred_among
from server.spaces.writing import write_tree

BATCHES_KEPT_MS = 7 * 24 * 3_600_000
MAX_NEWER = 1_000  # of these a refused delete_tree names at most so many
_BEGINNING = (  # one statement; SQLite has locked all before it, PostgreSQL would need FOR UPDATE OF spaces
    f"SELECT spaces.stamp, used_bytes, quota_bytes, ({EPOCH}), batches.operation, batches.answer,"  # noqa: S608 - constants
    " (SELECT count(*) > 1 FROM views WHERE views.space = spaces.id),"
    " EXISTS (SELECT 1 FROM possessions WHERE possessions.space = spaces.id),"
    " EXISTS (SELECT 1 FROM projects WHERE intake IS NOT NULL) FROM spaces"
    " LEFT JOIN batches ON batches.device = ? AND batches.number = ? WHERE spaces.id = ?"
)
_CHILDREN = (
    "SELECT count(*) FROM"
    " (SELECT 1 FROM nodes WHERE space = ? AND parent = ? AND deleted_at_ms IS NULL LIMIT ?) AS some"
)
_NEWER = (
    f"{LIVE_BELOW} SELECT nodes.id FROM below JOIN nodes ON nodes.space = ? AND nodes.id = below.id"  # noqa: S608 - constants
    " WHERE nodes.stamp > ? LIMIT ?"
)


def commit(
    session: Session,
    store: ChunkStore,
    cursors: Cursors,
    principal: Principal,
    view: ReadableView,
    batch: Commit,
    *,
    now_ms: int,
    default_quota: int | None = None,
    came: Came = NOWHERE,
) -> CommitAnswer:
    """Do the batch in the caller's writing transaction, all of it, in order.

    default_quota: bytes, for a space that has none of its own; None: no limit.

    Raises NotFound, AccessDenied: not this principal's to write.  Raises DeviceCloned: another batch had this
    number.  Raises BadRequest: a cursor of another view, or a group that does not stand together.
    """
    authorise(principal, Action.WRITE, view)
    [
        (
            stamp,
            used_bytes,
            quota_bytes,
            epoch_text,
            operation,
            first_answer,
            has_borders,
            has_unfinished,
            has_intakes,
        )
    ] = rows_of_sql(session, _BEGINNING, principal.device.bytes, batch.number, view.space)
    epoch = epoch_value(epoch_text)
    if operation is not None:
        return _repeated(batch, operation, first_answer)
    positions = {
        index: cursors.open(view.id, op.cursor) or START.of_epoch(epoch)
        for index, op in enumerate(batch.ops)
        if isinstance(op, DeleteTree)
    }
    seen = cursors.open(view.id, batch.cursor)
    if _from_another_past(batch.ops, [*positions.values(), *([seen] if seen else [])], epoch):
        return Reset(cause=ResetCause.RESTORED, cursor=start_of(cursors, view.id, epoch))
    newer = _newer_inside(session, view.space, batch.ops, positions)
    tree = _read_tree(session, view, batch.ops, newer)
    borders = Borders(session, view.space) if has_borders else None
    if borders is not None:
        borders.take(tree.nodes)
    holdings = _holdings(session, store, principal, view, batch.ops, now_ms, has_intakes=bool(has_intakes))
    room_bytes = room_of(used_bytes, quota_bytes, default_quota)
    if room_bytes is not None and has_unfinished:
        room_bytes -= _unfinished_elsewhere(session, principal, view, holdings, now_ms)
    around = Circumstances(
        epoch=epoch,
        operation=batch.operation.bytes,
        device=principal.device.bytes,
        device_name=principal.device_name,
        now_ms=now_ms,
        holdings=holdings,
        newer=newer,
        room=_room_in_folders(session, view.space, batch.ops, stamp),
        room_bytes=room_bytes,
        outside=_outside(view, tree, batch.ops),
        barred=_barred(session, principal, view, batch.ops),
    )
    results = decide(tree, batch.ops, around)
    moved = stamp if borders is None or view.is_whole else borders.views[view.root.bytes].stamp
    head = Position(epoch, stamp)
    behind = _behind(cursors, view.id, batch.ops, seen, head, moved=moved, changed=len(tree.changed))
    answer = Committed(operation=batch.operation, results=results, cursor=behind)
    write_tree(session, view.space, tree, around, stamp=stamp)
    if has_unfinished:
        settle(
            session, principal.device, {ChunkId(chunk) for version in tree.versions for chunk in version.uses}
        )
    if borders is not None:
        borders.record(tree.nodes, tree.changed, stamp=stamp)
    record_batch(session, principal, view, batch.ops, results, came=came, now_ms=now_ms)
    _keep_answer(session, principal, batch, answer, now_ms)
    return answer


def start_of(cursors: Cursors, view: ViewId, epoch: int) -> Cursor:
    """Where a client begins that knows nothing of this view."""
    return cursors.seal(view, START.of_epoch(epoch))


def _behind(
    cursors: Cursors,
    view: ViewId,
    ops: Sequence[AnyOp],
    position: Position | None,
    head: Position,
    *,
    moved: int,
    changed: int,
) -> str:
    """The position behind this batch, for a client that stood at the head before it: it knows what it did.

    position: where it says it stood.  moved: the stamp of the last change in this view.  "" if the client is to
    read the feed: others were at work too, or a restore, a copy or a put-back brought what it may not know.
    """
    if (
        position is None
        or position.arrival_stamp
        or position.epoch != head.epoch
        or not moved <= position.stamp <= head.stamp
    ):
        return ""
    if any(isinstance(op, Restore | Copy | PutBack) for op in ops):
        return ""
    return cursors.seal(view, replace(position, stamp=head.stamp + changed))


def forget_old_batches(session: Session, *, now_ms: int) -> None:
    """After seven days nobody repeats a batch."""
    session.execute(delete(BatchRow).where(BatchRow.committed_at_ms < now_ms - BATCHES_KEPT_MS))


# ---- batches that come again -----------------------------------------------------------------------------


def _repeated(batch: Commit, operation: bytes, answer: bytes) -> Committed:
    if operation != batch.operation.bytes:
        raise DeviceCloned(
            f"Batch {batch.number} of this device came already, with other contents",
            hint="Two copies of one client home are at work: log in anew on one of the two computers.",
        )
    return msgspec.msgpack.decode(answer, type=Committed)


def _keep_answer(
    session: Session, principal: Principal, batch: Commit, answer: Committed, now_ms: int
) -> None:
    row = (principal.device.bytes, batch.number, batch.operation.bytes, to_msgpack(answer), now_ms)
    insert_rows(session, BatchRow, [row])


def _from_another_past(ops: Sequence[AnyOp], positions: Collection[Position], epoch: int) -> bool:
    """Whether the batch speaks of what happened after the backup that this server came back from."""
    return any(position.epoch != epoch for position in positions) or any(
        revision.epoch > epoch for op in ops if not isinstance(op, Make) for revision in _revisions(op)
    )


def _revisions(op: AnyOp) -> tuple[Revision, ...]:
    match op:
        case Put():
            return (op.content_revision,)
        case Delete():
            return (op.place_revision, op.content_revision)
        case Move() | DeleteTree() | Restore():
            return (op.place_revision,)
        case Copy():
            return (op.from_revision,)
        case PutBack():
            return (op.place_revision, op.content_revision)
        case Make() | Resolve():
            return ()


def _outside(view: ReadableView, tree: StagedTree, ops: Sequence[AnyOp]) -> Collection[bytes]:
    """The nodes of these operations that are there and do not lie in the view."""
    if view.is_whole:
        return ()
    named = {op.node.bytes for op in ops} & tree.nodes.keys()
    parents = {node.id: node.parent for node in tree.nodes.values()}
    return named - below_or_at(view.root.bytes, named, parents)


def _barred(
    session: Session, principal: Principal, view: ReadableView, ops: Sequence[AnyOp]
) -> Collection[bytes]:
    """What was withdrawn, among what these operations restore."""
    restored = {op.node.bytes for op in ops if isinstance(op, Restore)}
    return barred_among(session, principal, view, restored) if restored else ()


def _unfinished_elsewhere(
    session: Session, principal: Principal, view: ReadableView, holdings: Mapping[int, Holding], now_ms: int
) -> int:
    """What was uploaded for this space, but for what this very batch names."""
    named = {ChunkId(chunk) for holding in holdings.values() for chunk in holding.uses}
    mine = unfinished_of(session, principal.device, view.space, named, now_ms)
    return unfinished(session, view.space, now_ms).growing_bytes - sum(mine.values())


# ---- what a decision needs -------------------------------------------------------------------------------


def _read_tree(
    session: Session, view: ReadableView, ops: Sequence[AnyOp], newer: Mapping[int, list[bytes]]
) -> StagedTree:
    wanted = [op.node.bytes for op in ops]
    wanted += [
        op.parent.bytes
        for op in ops
        if isinstance(op, Make | Copy | Move | Restore | PutBack) and op.parent is not None
    ]
    wanted += [node for inside in newer.values() for node in inside]
    nodes = load_with_ancestors(session, view.space, wanted)
    places: set[tuple[bytes, str]] = set()
    contents: list[bytes] = []
    folders: list[bytes] = []
    for op in ops:
        node = nodes.get(op.node.bytes)
        match op:
            case Make() | Copy() | Move() | PutBack():
                places.add((op.parent.bytes, name_key(op.name)))
            case Restore() if node is not None:
                parent = node.parent if op.parent is None else op.parent.bytes
                places.add((parent, name_key(op.name or node.name)))
            case _:
                pass
        if node is not None:
            if isinstance(op, Make | Copy | Put | PutBack):
                contents.append(node.id)
            elif isinstance(op, Delete):
                folders.append(node.id)
    taken = [place for place in places if place[0] in nodes]  # who is made by this batch has no children yet
    for holder in standing_at(session, view.space, taken):
        nodes.setdefault(holder.id, holder)
    return StagedTree(
        view.root.bytes,
        nodes.values(),
        contents=_current_contents(session, view.space, contents),
        child_counts=_child_counts(session, view.space, folders),
    )


def _current_contents(session: Session, space: SpaceId, nodes: Sequence[bytes]) -> dict[bytes, Content]:
    found: dict[bytes, Content] = {}
    for group in in_groups(nodes):
        query = (
            select(NodeRow.id, NodeRow.kind, *CONTENT_COLUMNS)
            .join(VersionRow, IS_CURRENT_VERSION)
            .where(NodeRow.space == space, NodeRow.id.in_(group))
        )
        for row in session.execute(query):
            found[row.id] = content_of(row)
    return found


def _child_counts(session: Session, space: SpaceId, folders: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for group in in_groups(folders):
        query = (
            select(NodeRow.parent, func.count())
            .where(NodeRow.space == space, NodeRow.parent.in_(group), NodeRow.deleted_at_ms.is_(None))
            .group_by(NodeRow.parent)
        )
        found.update((folder, count) for folder, count in session.execute(query))
    return found


def _room_in_folders(session: Session, space: SpaceId, ops: Sequence[AnyOp], stamp: int) -> dict[bytes, int]:
    """How many children the folders of new places may still get.

    Each node of a space has a stamp of its own: before there are MAX_FOLDER_CHILDREN stamps no folder can be full,
    and nothing is counted.
    """
    if stamp + len(ops) < MAX_FOLDER_CHILDREN:
        return {}
    parents = {
        op.parent.bytes for op in ops if isinstance(op, Make | Copy | Move | Restore | PutBack) and op.parent
    }
    room: dict[bytes, int] = {}
    for parent in parents:
        [(count,)] = rows_of_sql(session, _CHILDREN, space, parent, MAX_FOLDER_CHILDREN)
        room[parent] = MAX_FOLDER_CHILDREN - count
    return room


def _newer_inside(
    session: Session, space: SpaceId, ops: Sequence[AnyOp], positions: Mapping[int, Position]
) -> dict[int, list[bytes]]:
    """For each delete_tree, what lives in its folder and was stamped after its cursor."""
    found: dict[int, list[bytes]] = {}
    for index, position in positions.items():
        folder = ops[index].node.bytes
        rows = rows_of_sql(session, _NEWER, space, folder, space, position.stamp, MAX_NEWER)
        found[index] = [node for (node,) in rows]
    return found


def _holdings(
    session: Session,
    store: ChunkStore,
    principal: Principal,
    view: ReadableView,
    ops: Sequence[AnyOp],
    now_ms: int,
    *,
    has_intakes: bool,
) -> dict[int, Holding]:
    """has_intakes: some project of this server has one."""
    manifests = {
        index: op.content.manifest
        for index, op in enumerate(ops)
        if isinstance(op, Make | Put | PutBack) and op.content.manifest.chunks
    }
    holdings = holdings_of(session, store, view, principal.device, manifests, now_ms=now_ms)
    _mark_kept(session, view.space, principal.device.bytes, ops, holdings)
    for index, op in enumerate(ops):
        if isinstance(op, Copy):
            holdings[index] = found = _copied(session, store, principal, view, op)
            if found.copied is not None:
                manifests[index] = found.copied.manifest
    if has_intakes:
        for index in identified_among(session, principal, view, manifests):
            holdings[index] = holdings.get(index, Holding())._replace(problem=IDENTIFIED)
    return holdings


def _mark_kept(
    session: Session, space: SpaceId, device: bytes, ops: Sequence[AnyOp], holdings: dict[int, Holding]
) -> None:
    """Which versions that are put back are there already, and which of them this device brought too late."""
    names = {
        index: (op.node.bytes, op.content_revision.epoch, op.content_revision.number)
        for index, op in enumerate(ops)
        if isinstance(op, PutBack)
    }
    if not names:
        return
    kept = versions_named(session, space, set(names.values()))
    superseded = [name for name, version in kept.items() if version.is_superseded]
    late = came_late(session, space, superseded, device) if superseded else set()
    for index, name in names.items():
        if name in kept:
            found = holdings.get(index, Holding())
            holdings[index] = found._replace(is_kept=True, is_late=name in late)


def _copied(
    session: Session, store: ChunkStore, principal: Principal, view: ReadableView, op: Copy
) -> Holding:
    """The source of a copy, in any view that this principal may read; one answer for all that is absent.  Out of
    an intake nothing is copied."""
    try:
        source = readable_view(session, principal, ViewId(op.from_view))
        if source.is_restricted and source.space != view.space:
            return Holding(problem=IDENTIFIED, copied=Content(kind=Kind.FILE))
        content = version_of(session, principal, source, NodeId(op.from_node), op.from_revision)
    except (NotFound, AccessDenied):
        return Holding()
    chunks = [chunk for chunk, _ in resolve(session, store, content.manifest)]
    own = split_chunk_ids(content.manifest.chunks)
    return Holding(uses=tuple(dict.fromkeys([*own, *chunks])), copied=content)
