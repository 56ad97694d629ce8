"""Carries out the steps of a plan, and folds the effect of each into the trees.

Owns: the order of disk, rows and wire; the batch that is written down before it is sent.
May import: asyncio, protocol, the engine's disk, transfer and trees modules.

A disk step is carried out only if the disk still shows what the step expects; what was refused leaves the rows as
they are and the node dirty, and asks for a fresh look (`Carried.look_at`).  Rows follow the disk, never the other
way round: first the file is in its place and synced, then the row says so.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from msgspec.structs import replace

from protocol.errors import ContentDamaged
from protocol.http import ServerApi
from protocol.ids import Cursor, NodeId
from protocol.messages import (
    MAX_BATCH_OPS,
    AnyOp,
    CommitAnswer,
    Committed,
    Delete,
    DeleteTree,
    Kind,
    Make,
    Move,
    OpResult,
    Put,
    Reset,
    Status,
)
from protocol.names import MAX_DEPTH, unportable
from sync_client.engine import placement
from sync_client.engine.authors import Authors, who_deleted
from sync_client.engine.batches import send, send_again
from sync_client.engine.contents import Contents
from sync_client.engine.database import Followed, Note, StateDatabase
from sync_client.engine.disk import FollowedRoot, parked_parts
from sync_client.engine.effects import content_of, fold_disk_step, fold_tree_step, fold_wire_step
from sync_client.engine.incoming import NotPlaced
from sync_client.engine.manifests import Manifests
from sync_client.engine.room import OVER_QUOTA, growth
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
    Step,
    TreeStep,
    WireStep,
)
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.threads import in_thread
from sync_client.engine.trees import PARKED, Content, Fingerprint, Local, Place, Side
from sync_client.engine.window import Window

log = logging.getLogger(__name__)
Parts = tuple[str, ...]

_STALE_LOOK = {
    Status.STALE,
    Status.NAME_TAKEN,
    Status.PARENT_GONE,
    Status.CYCLE,
    Status.NEWER_INSIDE,
    Status.NOT_EMPTY,
    Status.ID_TAKEN,
}


@dataclass(slots=True)
class Carried:
    """What came of a list of steps."""

    done: int = 0
    finished: list[NodeId] = field(default_factory=list)
    look_at: set[Parts] = field(default_factory=set)  # folders of this disk to be scanned again
    look_later: set[Parts] = field(default_factory=set)  # the same, when what stands there is older
    look_at_server: bool = False
    look_for_swaps: bool = (
        False  # an exchange was not carried out: what it moved may lie under a name of ours
    )
    look_for_parked: bool = False  # a move was not carried out, or its sync failed: it may lie parked
    problems: dict[NodeId, tuple[str, str]] = field(default_factory=dict)  # node → code, words
    notes: list[Note] = field(default_factory=list)
    reset: Reset | None = None

    def finish(self, *nodes: NodeId) -> None:
        self.done += len(nodes)
        self.finished.extend(nodes)


class Carrier:
    """The hands of one followed folder."""

    def __init__(
        self,
        folder: Followed,
        state: StateDatabase,
        trees: StoredTrees,
        root: FollowedRoot,
        api: ServerApi,
        contents: Contents,
        authors: Authors,
    ) -> None:
        self._folder = folder
        self._authors = authors
        self._state = state
        self._trees = trees
        self._root = root
        self._api = api
        self._contents = contents
        self._manifests = Manifests(state)
        self.window = Window(folder, state, trees)
        self.answered = asyncio.Event()  # no batch is under way
        self.answered.set()

    # ---- a plan ------------------------------------------------------------------------------------------

    async def carry_out(self, steps: Sequence[Step]) -> Carried:
        carried = Carried()
        tree_steps = [step for step in steps if isinstance(step, TreeStep)]
        if tree_steps:
            self._fold_tree_steps(tree_steps, carried)
        disk_steps = [step for step in steps if isinstance(step, DiskStep)]
        if disk_steps:
            await self._on_disk(disk_steps, carried)
        wire_steps = [step for step in steps if isinstance(step, WireStep)]
        if wire_steps:
            await self._on_the_wire(wire_steps, carried)
        if carried.notes:
            with self._state.transaction(lasting=False):
                self._state.note_activity(self._folder.id, carried.notes)
        return carried

    def _fold_tree_steps(self, steps: Sequence[Agree | Forget | Adopt | Renew], carried: Carried) -> None:
        with self._folding():
            for step in steps:
                fold_tree_step(self._trees, step)
        carried.finish(*(step.node for step in steps))

    def _folding(self) -> AbstractContextManager[None]:
        return self._trees.transaction()

    # ---- the disk ----------------------------------------------------------------------------------------

    async def _on_disk(self, steps: Sequence[DiskStep], carried: Carried) -> None:
        """In order; what is fetched comes last and all at once, since nothing in a plan waits for it."""
        for kind, run in itertools.groupby(
            (step for step in steps if not isinstance(step, Fetch | Replace)), key=type
        ):
            if kind is MakeFolder:
                await self._make_folders([step for step in run if isinstance(step, MakeFolder)], carried)
            elif kind is Remove:
                await self._remove([step for step in run if isinstance(step, Remove)], carried)
            else:
                for step in run:
                    if isinstance(step, Relocate | KeepBoth):
                        await self._relocate(step, carried)
        incoming = [step for step in steps if isinstance(step, Fetch | Replace)]
        if incoming:
            await self._bring_in(incoming, carried)

    async def _make_folders(self, steps: Sequence[MakeFolder], carried: Carried) -> None:
        paths: dict[NodeId, Parts] = {}
        for step in steps:
            above = paths.get(step.place.parent)
            parts = (*above, step.place.name) if above is not None else self._path(step.place)
            if parts is not None:
                paths[step.node] = parts
        steps = [step for step in steps if step.node in paths]
        placed = await in_thread(
            placement.make_folders, self._root, [(step.node, paths[step.node]) for step in steps]
        )
        with self._folding():
            for step, result in zip(steps, placed, strict=True):
                parts = paths[step.node]
                if isinstance(result, NotPlaced):
                    self._not_placed(step.node, result, parts, carried)
                    continue
                fold_disk_step(self._trees, step, Local(step.place, Content(Kind.FOLDER), result.fingerprint))
                carried.finish(step.node)
                self._note(carried, "added", step.node, parts)

    async def _remove(self, steps: Sequence[Remove], carried: Carried) -> None:
        removals: list[tuple[Remove, Parts]] = []
        for step in steps:
            parts = self._path(step.place, step.node)
            if parts is not None:
                removals.append((step, parts))
        results = await in_thread(
            placement.remove_all,
            self._root,
            [
                placement.Removal(step.node, parts, step.expected, self._read_as(step))
                for step, parts in removals
            ],
        )
        with self._folding():
            for (step, parts), result in zip(removals, results, strict=True):
                if isinstance(result, NotPlaced):
                    self._not_placed(step.node, result, parts, carried)
                    carried.look_for_parked |= step.place.parent == PARKED
                    continue
                author = who_deleted(self._trees, self._authors, step.node)
                fold_disk_step(self._trees, step, None)
                carried.finish(step.node)
                self._note(carried, "deleted", step.node, parts, author=author)

    async def _relocate(self, step: Relocate | KeepBoth, carried: Carried) -> None:
        row = self._trees.row(step.node)
        if row is None or row.local is None:
            return
        target = Place(step.source.parent, step.name) if isinstance(step, KeepBoth) else step.target
        from_parts, to_parts = self._path(step.source, step.node), self._path(target, step.node)
        if from_parts is None or to_parts is None:
            return
        moved = await in_thread(placement.relocate, self._root, from_parts, to_parts, step.expected)
        if isinstance(moved, NotPlaced):
            self._not_placed(step.node, moved, from_parts, carried)
            carried.look_at.add(to_parts[:-1])
            carried.look_for_parked |= PARKED in (step.source.parent, target.parent)
            return
        with self._folding():
            local = Local(target, row.local.content, moved, row.local.conflict_of)
            fold_disk_step(self._trees, step, local)
        carried.finish(step.node)
        if isinstance(step, KeepBoth):
            self._note(carried, "kept both", step.node, to_parts)
        elif PARKED not in (step.source.parent, step.target.parent):
            self._note(carried, "moved", step.node, to_parts)

    async def _bring_in(self, steps: Sequence[Fetch | Replace], carried: Carried) -> None:
        """Fetch all, then place all: two syncs for the batch."""
        known: dict[int, tuple[Fetch | Replace, Parts]] = {}  # by `NodeId.int`, which is cheap to hash
        for step in steps:
            parts = self._path(step.place)
            if parts is not None:
                known[step.node.int] = (step, parts)
        brought = await self._contents.bring(
            [(step.node, step.revision, step.content) for step, _ in known.values()]
        )
        for node, failure in brought.failed.items():
            carried.problems[node] = (failure.code, str(failure))
            if isinstance(failure, ContentDamaged):
                carried.look_at_server = True
        targets = [
            placement.Target(node, parts, step.expected, step.content, self._read_as(step))
            if isinstance(step, Replace)
            else placement.Target(node, parts, None, step.content)
            for node in brought.ready
            for step, parts in (known[node.int],)
        ]
        replacing = [(target.node, target.parts) for target in targets if target.expected is not None]
        if replacing:
            with self._state.transaction():
                self._state.write_intents(self._folder.id, replacing)
        placed = await in_thread(placement.place, self._root, targets)
        with self._folding():
            for result in placed:
                step, parts = known[result.node.int]
                if isinstance(result, NotPlaced):
                    self._not_placed(result.node, result, parts, carried)
                    carried.look_for_swaps |= isinstance(step, Replace)
                    continue
                fold_disk_step(self._trees, step, Local(step.place, step.content, result.fingerprint))
                carried.finish(step.node)
                if result.fingerprint.ctime_ns == 0:
                    carried.look_later.add(parts[:-1])
                action = "added" if isinstance(step, Fetch) else "changed"
                self._note(carried, action, step.node, parts, size=step.content.size)
            if replacing and not carried.look_for_swaps:
                self._state.drop_intents(self._folder.id)

    def _read_as(self, step: Replace | Remove) -> Content | None:
        """What was read under the fingerprint that this step expects, if that is no proof of it."""
        if step.expected.ctime_ns != 0:
            return None
        row = self._trees.row(step.node)
        if row is None or row.local is None or row.local.fingerprint != step.expected:
            return None
        return row.local.content

    def _note(
        self,
        carried: Carried,
        action: str,
        node: NodeId,
        parts: Parts,
        *,
        size: int = 0,
        author: str | None = None,
    ) -> None:
        """Something came from the server."""
        who = self._authors.of(node) if author is None else author
        carried.notes.append(Note(action, "down", "/".join(parts), size, who))

    def _not_placed(self, node: NodeId, result: NotPlaced, parts: Parts, carried: Carried) -> None:
        carried.look_at.add(parts[:-1])
        carried.problems[node] = (result.code, result.message)

    def _path(self, place: Place, node: NodeId | None = None) -> Parts | None:
        if place.parent == PARKED:
            return parked_parts(node) if node is not None else None
        return self._trees.path_of_place(Side.LOCAL, place) or self._below_parked(place)

    def _below_parked(self, place: Place) -> Parts | None:
        """In a folder that waits under its hidden name: what is to move out of it can, and has to."""
        names = [place.name]
        while (row := self._trees.row(place.parent)) is not None and row.local is not None:
            if row.local.place.parent == PARKED:
                return (*parked_parts(row.node), *reversed(names))
            if len(names) > MAX_DEPTH:
                return None
            place = row.local.place
            names.append(place.name)
        return None

    # ---- the wire ----------------------------------------------------------------------------------------

    async def _on_the_wire(self, steps: Sequence[WireStep], carried: Carried) -> None:
        steps = await self._with_content(steps, carried)
        if self.window.has_exclusions:
            steps = [step for step in steps if self._may_delete(step, carried)]
        if not steps:
            return
        for batch in _batches(steps):
            await self._send(batch, carried)
            if carried.reset is not None:
                return

    def _is_excluded_name(self, step: WireStep) -> bool:
        return isinstance(step, MakeRemote | MoveRemote) and self.window.is_excluded_name(step.place)

    def _may_delete(self, step: WireStep, carried: Carried) -> bool:
        """What is not wanted here is not deleted there with the folder that it lies in."""
        if not isinstance(step, DeleteRemote | DeleteTreeRemote) or not self.window.holds_excluded(step.node):
            return True
        carried.problems[step.node] = (
            "excluded",
            (
                "It was deleted here and stays on the server, since something in it is excluded from this computer."
                " Include that with `mb-sync exclude --remove`, or delete it elsewhere."
            ),
        )
        return False

    async def _send(self, steps: Sequence[WireStep], carried: Carried) -> None:
        self.answered.clear()
        try:
            answer = await send(
                self._api,
                self._state,
                self._folder.view,
                [self._operation(step) for step in steps],
                folder=self._folder.id,
                cursor=self._folder.cursor,
            )
            self._take_answer(steps, answer, carried)
        finally:
            self.answered.set()

    def _take_answer(self, steps: Sequence[WireStep], answer: CommitAnswer, carried: Carried) -> None:
        if isinstance(answer, Reset):
            carried.reset = answer
            return
        with self._folding():
            if answer.cursor:
                self._folder.cursor = Cursor(answer.cursor)
                self._state.save_folder(self._folder)
            elif any(isinstance(step, DeleteTreeRemote) for step in steps):
                carried.look_at_server = True  # what was moved out of it in time?
            for step, result in zip(steps, answer.results, strict=True):
                path = self._shown_path(step)
                fold_wire_step(self._trees, step, result, undisturbed=bool(answer.cursor))
                self._note_result(step, result, path, carried)
            if answer.cursor:
                self.window.take_own([step.node for step in steps], self._manifests.as_sent)

    def _note_result(self, step: WireStep, result: OpResult, path: str, carried: Carried) -> None:
        self._contents.room.settle(step.node)
        if result.status is Status.DONE:
            carried.finish(step.node)
            self._contents.distrusted.discard(step.node)
            if isinstance(step, MakeRemote | MoveRemote):
                if unportable(step.place.name) is not None:
                    self._state.note_unportable(self._folder.id, step.node)
                elif isinstance(step, MoveRemote):
                    self._state.forget_unportable(self._folder.id, step.node)
            size = step.content.size if isinstance(step, MakeRemote | PutRemote) else 0
            carried.notes.append(Note(_ACTIONS[type(step)], "up", path, size))
        elif result.status is Status.NAME_TAKEN and self._is_excluded_name(step):
            carried.problems[step.node] = (
                "excluded",
                (
                    "It stays on this computer: the server holds something of this name that is excluded here."
                    " Rename this one, or include that with `mb-sync exclude --remove`."
                ),
            )
        elif result.status in _STALE_LOOK:
            carried.look_at_server = True
            carried.problems[step.node] = (
                "changed",
                "It changed on the server just now. It is looked at again.",
            )
            log.info("refused op=%s status=%s", type(step).__name__, result.status)
        elif result.status is Status.MISSING_CHUNKS:
            if step.node in self._contents.distrusted:  # everything was asked for, and yet: not at once again
                carried.problems[step.node] = (result.status.value, "The server lacks a part of it.")
            self._contents.distrusted.add(step.node)
            carried.look_at_server = True
        elif result.status is Status.OVER_QUOTA and isinstance(step, MakeRemote | PutRemote):
            self._wait_for_room(step, carried, result.message)
        elif result.status is not Status.GROUP_FAILED:
            carried.problems[step.node] = (result.status.value, result.message or result.status.value)

    async def _with_content(self, steps: Sequence[WireStep], carried: Carried) -> list[WireStep]:
        """Upload what the steps name; leaves out the steps whose file changed meanwhile."""
        unsent = await self._contents.send(
            [
                (step.node, step.content, step.expected)
                for step in steps
                if isinstance(step, MakeRemote | PutRemote) and step.content.kind is not Kind.FOLDER
            ]
        )
        for step in steps:
            if step.node in unsent.too_large and isinstance(step, MakeRemote | PutRemote):
                self._wait_for_room(step, carried)
        failed = unsent.changed | unsent.too_large
        if not failed:
            return list(steps)
        groups = {step.group for step in steps if step.node in failed and step.group}
        with self._trees.transaction():
            for node in unsent.changed:
                path = self._trees.path(Side.LOCAL, node)
                carried.look_at.add(path[:-1] if path else ())
                row = self._trees.row(node)
                if (
                    row is not None and row.local is not None
                ):  # read anew, though a look may find it untouched
                    self._trees.save(replace(row, local=replace(row.local, content=None)), dirty=True)
        return [step for step in steps if step.node not in failed and step.group not in groups]

    def _wait_for_room(self, step: MakeRemote | PutRemote, carried: Carried, words: str = "") -> None:
        row = self._trees.row(step.node)
        needed = growth(step.content, row.remote if row is not None else None)
        room = self._contents.room
        room.refuse(step.node, needed)
        carried.problems[step.node] = (
            OVER_QUOTA,
            words
            or (
                f"It needs {needed:,} bytes on the server, and {max(0, room.left_bytes or 0):,} are left."
                " Ask the server's operator for a larger quota, or delete what you do not need: what is deleted counts"
                " until the server's trash is emptied. It goes up by itself when there is room."
            ),
        )

    def _operation(self, step: WireStep) -> AnyOp:
        match step:
            case MakeRemote(node, place, content, conflict_of, _, group):
                return Make(
                    node=node,
                    group=group,
                    parent=place.parent,
                    name=place.name,
                    content=self._manifests.as_sent(content),
                    conflict_of=conflict_of,
                )
            case PutRemote(node, content, revision, _, group):
                return Put(
                    node=node,
                    group=group,
                    content_revision=revision,
                    content=self._manifests.as_sent(content),
                )
            case MoveRemote(node, place, revision, group):
                return Move(
                    node=node, group=group, place_revision=revision, parent=place.parent, name=place.name
                )
            case DeleteRemote(node, place_revision, content_revision, group):
                return Delete(
                    node=node, group=group, place_revision=place_revision, content_revision=content_revision
                )
            case DeleteTreeRemote(node, place_revision, _, group):
                return DeleteTree(
                    node=node, group=group, place_revision=place_revision, cursor=self._folder.cursor
                )

    async def finish_batches(self) -> bool:
        """Send again what was not answered, and take the answers in."""

        def take(ops: Sequence[AnyOp], answer: Committed) -> None:
            with self._folding():
                for op, result in zip(ops, answer.results, strict=True):
                    row = self._trees.row(NodeId(op.node))
                    step = _step_of(op)
                    if step is not None and row is not None and row.local is not None:
                        fold_wire_step(self._trees, step, result)

        return await send_again(self._api, self._state, self._folder.view, folder=self._folder.id, take=take)

    def _shown_path(self, step: WireStep) -> str:
        side = Side.REMOTE if isinstance(step, DeleteRemote | DeleteTreeRemote) else Side.LOCAL
        return "/".join(self._trees.path(side, step.node) or ())


def _step_of(op: AnyOp) -> WireStep | None:
    """The step that an operation came from; None for those whose effect the feed tells well enough."""
    node = NodeId(op.node)
    match op:
        case Make():
            return MakeRemote(
                node,
                Place(NodeId(op.parent), op.name),
                content_of(op.content),
                None if op.conflict_of is None else NodeId(op.conflict_of),
                _UNSEEN,
            )
        case Put():
            return PutRemote(node, content_of(op.content), op.content_revision, _UNSEEN)
        case Move():
            return MoveRemote(node, Place(NodeId(op.parent), op.name), op.place_revision)
        case _:
            return None


_UNSEEN = Fingerprint(
    0, 0, 0, 0, 0, 0, 0
)  # what a step expects of the disk is of no use once it was answered
_ACTIONS: dict[type[WireStep], str] = {
    MakeRemote: "added",
    PutRemote: "changed",
    MoveRemote: "moved",
    DeleteRemote: "deleted",
    DeleteTreeRemote: "deleted",
}


def _batches(steps: Sequence[WireStep]) -> list[list[WireStep]]:
    """In order, at most MAX_BATCH_OPS each; what carries one group stays together."""
    batches: list[list[WireStep]] = [[]]
    for group, members in itertools.groupby(steps, key=lambda step: step.group):
        together = list(members)
        runs = [together] if group else [[step] for step in together]
        for run in runs:
            if len(batches[-1]) + len(run) > MAX_BATCH_OPS:
                batches.append([])
            batches[-1].extend(run)
    return [batch for batch in batches if batch]
