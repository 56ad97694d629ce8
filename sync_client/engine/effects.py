"""Puts what happened into the trees: the effect of each step, a page of the feed, what a scan found.

Owns: how each changes the rows, and which rows are to be planned again.
May import: protocol, engine.trees, engine.steps, engine.judgement.

Whoever waits for another node stays dirty by itself, so only rows that change here are marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec.structs import replace

from protocol.ids import NodeId
from protocol.manifests import content_digest
from protocol.messages import Content as WireContent
from protocol.messages import Kind, NodeState, OpResult, Revision, Status
from sync_client.engine.judgement import is_settled, same_place
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
    MoveRemote,
    PutRemote,
    Relocate,
    Remove,
    Renew,
    Replace,
    TreeStep,
    WireStep,
)
from sync_client.engine.trees import NO_NODE, Agreed, Content, Local, Place, Remote, Row, Side, Trees

_FOLDER = Content(Kind.FOLDER)
_NOWHERE, _NO_REVISION = Place(NO_NODE, ""), Revision(epoch=0, number=0)
_DEEPEST = 10_000  # no tree is so deep: a circle, of which nothing hangs on the root


def fold_tree_step(trees: Trees, step: TreeStep) -> None:
    row = trees.row(step.node)
    if row is None:
        return
    match step:
        case Agree(node):
            if row.remote is not None:
                _save(trees, Row(node, row.remote, row.local, _agreed(row.remote)))
        case Forget(node):
            _save(trees, Row(node, row.remote, row.local, None))
        case Adopt(node, found):
            _adopt(trees, row, trees.row(found))
        case Renew(node, new):
            if row.local is not None:
                _save(trees, Row(new, None, row.local, None))
                _hand_over_children(trees, node, new)
            _save(trees, Row(node, row.remote, None, None))


def fold_disk_step(trees: Trees, step: DiskStep, local: Local | None) -> None:
    """local: what the disk shows after the step; None after a Remove.  For KeepBoth it is that of the new node."""
    row = trees.row(step.node) or Row(step.node)
    remote, agreed = row.remote, row.agreed
    match step:  # the most frequent first
        case Fetch(node, place, content, revision):
            if local is not None and local.content is None:
                local = replace(local, content=content)
            if remote is not None:
                agreed = Agreed(place, content, remote.place_revision, revision)
            _save(trees, Row(node, remote, local, agreed))
        case Replace(node, _, content, revision):
            if local is not None and local.content is None:
                local = replace(local, content=content)
            if agreed is not None:
                agreed = replace(agreed, content=content, content_revision=revision)
            _save(trees, Row(node, remote, local, agreed))
        case Remove():
            _save(trees, Row(row.node, remote, None, None))
        case KeepBoth(node, new):
            if local is not None:
                held = local.content or (row.local.content if row.local else None)
                _save(trees, Row(new, None, replace(local, content=held, conflict_of=node), None))
            _save(trees, Row(node, remote, None, None))
            _hand_over_children(trees, node, new)
        case Relocate():
            if local is None:
                return
            before = row.local
            held = local.content or (before.content if before else None)
            conflict_of = step.conflict_of or (before.conflict_of if before else None)
            if agreed is not None and remote is not None and same_place(step.target, remote.place):
                agreed = replace(agreed, place=remote.place, place_revision=remote.place_revision)
            _save(
                trees,
                Row(row.node, remote, Local(local.place, held, local.fingerprint, conflict_of), agreed),
            )
        case MakeFolder(node, place):
            if agreed is not None and remote is not None and not same_place(agreed.place, remote.place):
                _bring_back_below(trees, node)
            if local is not None:
                local = replace(local, content=_FOLDER)
            if remote is not None:
                agreed = Agreed(place, _FOLDER, remote.place_revision, remote.content_revision)
            _save(trees, Row(node, remote, local, agreed))


def fold_wire_step(trees: Trees, step: WireStep, result: OpResult, *, undisturbed: bool = False) -> None:
    """DONE: the server now has what was sent, and both held it.  Else the rows stay, to be planned again.

    undisturbed: before this batch the server was as the trees have it, so all that they have below a deleted
    folder went with it.  Else somebody may have moved a part out in time, and its rows wait for the feed to tell.

    An id that was spent before is not tried again: the node counts as moved away from a place that the server
    has no more, so it goes on under a new id.
    """
    row = trees.row(step.node) or Row(step.node)
    if result.status is Status.ID_TAKEN and row.remote is None and row.local is not None:
        content = row.local.content or _FOLDER
        spent = Agreed(_NOWHERE, content, _NO_REVISION, _NO_REVISION)
        trees.save(Row(row.node, None, row.local, spent), dirty=True)
        return
    if result.status is not Status.DONE:
        if row.remote is not None or row.local is not None or row.agreed is not None:
            trees.save(Row(row.node, row.remote, row.local, row.agreed), dirty=True)
        return
    remote, agreed = row.remote, row.agreed
    place_revision, content_revision = result.place_revision, result.content_revision
    match step:
        case MakeRemote(node, place, content, conflict_of):
            assert place_revision is not None
            assert content_revision is not None
            made = Remote(place, content, place_revision, content_revision, conflict_of)
            agreed = Agreed(place, content, place_revision, content_revision)
            _save(trees, Row(node, _newer(remote, made), row.local, agreed))
        case PutRemote(node, content):
            assert content_revision is not None
            if agreed is not None:
                agreed = replace(agreed, content=content, content_revision=content_revision)
            if remote is not None and content_revision >= remote.content_revision:
                remote = replace(remote, content=content, content_revision=content_revision)
            _save(trees, Row(node, remote, row.local, agreed))
        case MoveRemote(node, place):
            assert place_revision is not None
            if agreed is not None:
                agreed = replace(agreed, place=place, place_revision=place_revision)
            if remote is not None and place_revision >= remote.place_revision:
                remote = replace(remote, place=place, place_revision=place_revision)
            _save(trees, Row(node, remote, row.local, agreed))
        case DeleteRemote(node):
            _save(trees, Row(node, None, row.local, None if row.local is None else agreed))
        case DeleteTreeRemote(top, _, nodes):
            for node in nodes if undisturbed else (top,):
                below = trees.row(node)
                if below is not None:
                    _save(
                        trees,
                        Row(node, None, below.local, None if below.local is None else below.agreed),
                    )


def take_remote(
    trees: Trees,
    states: Sequence[NodeState],
    gone: Iterable[UUID] = (),
    *,
    head: bool = True,
    alone: bool = False,
) -> None:
    """A page of the feed.  A half (place, content) older than what is known is ignored.

    gone: left the view with all below it, before what `states` tells.  head: this page is the last.  Only then
    is it judged what lies below a tombstone, for until then it may yet be told that it was moved out before.
    alone: the page before this one was the head too, so only what this page tells is to be judged; else all that
    is dirty is.
    """
    below = [child for node in gone for child in _leave(trees, NodeId(node))]
    buried: list[NodeId] = []
    for state in states:
        node = NodeId(state.node)
        if node == trees.root:
            continue
        row = trees.row(node)
        known = row.remote if row is not None else None
        if state.deleted:
            if known is None or state.place_revision >= known.place_revision:
                buried.append(node)
        elif state.content is not None:  # else it is not for us to read, so nothing to sync
            seen = _remote_of(state)
            if row is None:
                trees.save(Row(node, seen), dirty=True)
                continue
            newer = _newer(known, seen)
            if newer != known:
                agreed = None if known is None and _is_spent(row.agreed) else row.agreed
                _save(trees, Row(node, newer, _decided(row.local, known, newer), agreed))
    below += [child for node in buried for child in _bury(trees, node)]
    if head and alone:
        _drop_orphans(trees, [*below, *(NodeId(state.node) for state in states)] if buried or below else ())
    elif head:
        _drop_orphans(trees, trees.dirty())


def take_local(trees: Trees, changes: Sequence[tuple[NodeId, Local | None]]) -> None:
    """What a scan found.  What lies in a folder that vanished vanished with it, unless it was seen elsewhere."""
    vanished: list[NodeId] = []
    for node, local in changes:
        if local is None:
            vanished.append(node)
            continue
        row = trees.row(node)
        if row is None:
            trees.save(Row(node, None, local), dirty=True)
            continue
        before = row.local
        if before is not None and before.conflict_of is not None and local.conflict_of is None:
            local = replace(local, conflict_of=before.conflict_of)  # noqa: PLW2901 - the disk cannot tell it
        _save(trees, Row(node, row.remote, local, row.agreed))
    for node in vanished:
        row = trees.row(node)
        if row is None or row.local is None:
            continue
        _save(trees, Row(node, row.remote, None, row.agreed))
        vanished.extend(trees.children(Side.LOCAL, node))


def content_of(content: WireContent) -> Content:
    """As a tree remembers it: the manifest by its digest alone."""
    if content.kind is Kind.FOLDER:
        return _FOLDER
    return Content(
        content.kind,
        content_digest(content.manifest),
        content.manifest.size,
        content.executable,
        content.mtime_ns,
    )


# ---- rows ------------------------------------------------------------------------------------------------


def _save(trees: Trees, row: Row) -> None:
    trees.save(row, dirty=not is_settled(row))


def _remote_of(state: NodeState) -> Remote:
    assert state.content is not None
    return Remote(
        Place(NodeId(state.parent), state.name),
        content_of(state.content),
        state.place_revision,
        state.content_revision,
        NodeId(state.conflict_of) if state.conflict_of is not None else None,
    )


def _agreed(remote: Remote) -> Agreed:
    return Agreed(remote.place, remote.content, remote.place_revision, remote.content_revision)


def _newer(known: Remote | None, seen: Remote) -> Remote:
    """Each half from where its revision is higher.  That a conflict was decided raises no revision: of equal
    ones the later word counts."""
    if known is None:
        return seen
    conflict_of = known.conflict_of
    if seen.place_revision >= known.place_revision and seen.content_revision >= known.content_revision:
        conflict_of = seen.conflict_of
    place, place_revision = known.place, known.place_revision
    content, content_revision = known.content, known.content_revision
    if seen.place_revision >= place_revision:
        place, place_revision = seen.place, seen.place_revision
    if seen.content_revision >= content_revision:
        content, content_revision = seen.content, seen.content_revision
    return Remote(place, content, place_revision, content_revision, conflict_of)


def _is_spent(agreed: Agreed | None) -> bool:
    """Only the mark of a spent id, which never was agreed: somebody put its node back before it was renewed."""
    return agreed is not None and agreed.content_revision == _NO_REVISION


def _decided(local: Local | None, known: Remote | None, newer: Remote) -> Local | None:
    """No conflict copy any more: made anew on the server one day, it is not to be one again."""
    if (
        local is not None
        and known is not None
        and known.conflict_of is not None
        and newer.conflict_of is None
    ):
        return replace(local, conflict_of=None)
    return local


def _leave(trees: Trees, node: NodeId) -> list[NodeId]:
    """Out of the view with all below it: what of that lies elsewhere in the view by now is told anew."""
    if node == trees.root:
        return []
    left = [node]
    for one in left:  # grows while it is walked
        left.extend(trees.children(Side.REMOTE, one))
    for one in left:
        row = trees.row(one)
        if row is not None and row.remote is not None:
            trees.save(_without_remote(row), dirty=True)
    return left


def _bury(trees: Trees, node: NodeId) -> list[NodeId]:
    """A tombstone.  What lies below it is marked, so that the head finds it."""
    if node == trees.root:
        return []
    row = trees.row(node)
    if row is not None and row.remote is not None:
        _save(trees, _without_remote(row))
    below = list(trees.children(Side.REMOTE, node))
    for child in below:  # grows while it is walked
        found = trees.row(child)
        if found is not None:
            trees.save(Row(child, found.remote, found.local, found.agreed), dirty=True)
            below.extend(trees.children(Side.REMOTE, child))
    return below


def _drop_orphans(trees: Trees, nodes: Iterable[NodeId]) -> None:
    """The remote tree is what hangs together with its root."""
    hangs: dict[NodeId, bool] = {trees.root: True}
    for node in nodes:
        way: list[NodeId] = []
        at = node
        while at not in hangs and len(way) < _DEEPEST:
            row = trees.row(at)
            if row is None or row.remote is None:
                hangs[at] = False
                break
            way.append(at)
            at = row.remote.place.parent
        for passed in way:
            hangs[passed] = hangs.get(at, False)
        if not hangs[node]:
            row = trees.row(node)
            if row is not None and row.remote is not None:
                trees.save(_without_remote(row), dirty=True)


def _without_remote(row: Row) -> Row:
    """Its id is spent: where nothing was agreed, the last that the server had is what a local node differs from,
    so that it goes on under a new id."""
    agreed = row.agreed
    if agreed is None and row.local is not None and row.remote is not None:
        agreed = _agreed(row.remote)
    return Row(row.node, None, row.local, agreed)


def _adopt(trees: Trees, row: Row, found: Row | None) -> None:
    if found is None or found.local is None or row.remote is None or row.local is not None:
        return
    local = replace(found.local, conflict_of=None)
    _save(trees, Row(found.node, found.remote, None, found.agreed))
    same = local.content == row.remote.content
    met = same and (row.agreed is not None or same_place(local.place, row.remote.place))
    _save(trees, Row(row.node, row.remote, local, _agreed(row.remote) if met else None))
    _hand_over_children(trees, found.node, row.node)


def _hand_over_children(trees: Trees, old: NodeId, new: NodeId) -> None:
    for child in trees.children(Side.LOCAL, old):
        row = trees.row(child)
        if row is not None and row.local is not None:
            local = replace(row.local, place=Place(new, row.local.place.name))
            _save(trees, Row(child, row.remote, local, row.agreed))


def _bring_back_below(trees: Trees, folder: NodeId) -> None:
    """A folder that was moved on the server comes back with all in it: what was deleted here is not agreed."""
    below = list(trees.children(Side.REMOTE, folder))
    for node in below:  # grows while it is walked
        row = trees.row(node)
        if row is not None and row.local is None:
            below.extend(trees.children(Side.REMOTE, node))
            if row.agreed is not None:
                _save(trees, Row(node, row.remote, None, None))
