"""A server as a plain dictionary: trees, revisions, groups and refusals as the real one has them.

Owns: what a batch does, and what the feed tells.
May import: protocol, sync_client.engine.steps, sync_client.engine.trees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from protocol.ids import NodeId
from protocol.messages import Content as WireContent
from protocol.messages import Kind, Manifest, NodeState, OpResult, Revision, Status
from protocol.names import name_key
from sync_client.engine.steps import (
    DeleteRemote,
    DeleteTreeRemote,
    MakeRemote,
    MoveRemote,
    PutRemote,
    WireStep,
)
from sync_client.engine.trees import Content

ROOT = NodeId(UUID(int=7))
NO_OPERATION = UUID(int=0)


class Violation(AssertionError):
    """A promise was broken; the seed is in the message."""


@dataclass(frozen=True)
class Rules:
    """What may be switched off, to see the histories notice."""

    look_before_writing: bool = True
    compare_and_swap: bool = True
    fold_effects: bool = True
    bind_replaced: bool = True


@dataclass
class Node:
    parent: NodeId
    name: str
    content: Content
    place_revision: int
    content_revision: int
    stamp: int
    deleted: bool = False
    conflict_of: NodeId | None = None


class Server:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.stamp = 0
        self.nodes: dict[NodeId, Node] = {}
        self.ever: set[bytes] = set()
        self.versions: dict[NodeId, list[bytes]] = {}
        self.answers: dict[tuple[str, int], tuple[list[OpResult], int | None]] = {}

    def live(self, node: NodeId) -> bool:
        while node != ROOT:
            found = self.nodes.get(node)
            if found is None or found.deleted:
                return False
            node = found.parent
        return True

    def children(self, folder: NodeId) -> list[NodeId]:
        return [node for node, found in self.nodes.items() if found.parent == folder and not found.deleted]

    def listing(self) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}

        def walk(folder: NodeId, path: str) -> None:
            for node in self.children(folder):
                here = self.nodes[node]
                at = f"{path}/{here.name}"
                found[at] = None if here.content.kind is Kind.FOLDER else here.content.digest
                walk(node, at)

        walk(ROOT, "")
        return found

    def changes(self, after: int) -> list[NodeState]:
        order = sorted((n.stamp, node) for node, n in self.nodes.items() if n.stamp > after)
        return [self._state(node) for _, node in order]

    def _state(self, node: NodeId) -> NodeState:
        here = self.nodes[node]
        content = None
        if self.live(node):
            digest = here.content.digest
            manifest = Manifest(size=len(digest), chunks=digest, lengths=[32] if digest else [])
            content = WireContent(kind=here.content.kind, manifest=manifest)
        return NodeState(
            node=node,
            parent=here.parent,
            name=here.name,
            place_revision=Revision(1, here.place_revision),
            content_revision=Revision(1, here.content_revision),
            place_operation=NO_OPERATION,
            content_operation=NO_OPERATION,
            content=content,
            deleted=not self.live(node),
            conflict_of=here.conflict_of,
        )

    def commit(
        self, device: str, number: int, ops: list[WireStep], cursor: int
    ) -> tuple[list[OpResult], int | None]:
        """The results, and the position behind the batch if nothing else happened since `cursor`."""
        known = self.answers.get((device, number))
        if known is not None:
            return known
        undisturbed = cursor == self.stamp
        results: list[OpResult] = []
        at = 0
        while at < len(ops):
            end = at + 1
            while ops[at].group and end < len(ops) and ops[end].group == ops[at].group:
                end += 1
            before = {node: replace(found) for node, found in self.nodes.items()}
            part = [self._apply(op, cursor) for op in ops[at:end]]
            if end - at > 1 or ops[at].group:
                statuses = [p.status for p in part]
                twins = self._twins()
                if twins or any(s is not Status.DONE for s in statuses):
                    self.nodes = before
                    bad = Status.NAME_TAKEN if twins else Status.GROUP_FAILED
                    part = [OpResult(status=s if s is not Status.DONE else bad) for s in statuses]
            elif part[0].status is Status.DONE and self._twins():
                self.nodes = before
                part = [OpResult(status=Status.NAME_TAKEN)]
            results += part
            at = end
        answer = results, self.stamp if undisturbed else None
        self.answers[device, number] = answer
        return answer

    def _twins(self) -> bool:
        seen: set[tuple[NodeId, str]] = set()
        for node, found in self.nodes.items():
            if not found.deleted and self.live(node):
                key = (found.parent, name_key(found.name))
                if key in seen:
                    return True
                seen.add(key)
        return False

    def _apply(self, op: WireStep, cursor: int) -> OpResult:
        here = self.nodes.get(op.node)
        swap = self.rules.compare_and_swap
        if isinstance(op, MakeRemote):
            if here is not None:
                return OpResult(status=Status.ID_TAKEN)
            if not self._is_folder(op.place.parent):
                return OpResult(status=Status.PARENT_GONE)
            here = Node(op.place.parent, op.place.name, op.content, 1, 1, 0, conflict_of=op.conflict_of)
            self.nodes[op.node] = here
            self._remember(op.node, op.content)
            return self._done(here)
        if here is None or not self.live(op.node):
            return OpResult(status=Status.STALE)
        match op:
            case PutRemote():
                if swap and op.revision.number != here.content_revision:
                    return OpResult(status=Status.STALE)
                if op.revision.number != here.content_revision:
                    raise Violation("a version that its author never saw was overwritten")
                here.content = op.content
                here.content_revision += 1
                self._remember(op.node, op.content)
            case MoveRemote():
                if op.revision.number != here.place_revision:
                    return OpResult(status=Status.STALE)
                if not self._is_folder(op.place.parent):
                    return OpResult(status=Status.PARENT_GONE)
                above = op.place.parent
                while above != ROOT:
                    if above == op.node:
                        return OpResult(status=Status.CYCLE)
                    above = self.nodes[above].parent
                here.parent, here.name = op.place.parent, op.place.name
                here.place_revision += 1
            case DeleteRemote():
                same = op.place_revision.number == here.place_revision
                if not same or op.content_revision.number != here.content_revision:
                    return OpResult(status=Status.STALE)
                if self.children(op.node):
                    return OpResult(status=Status.NOT_EMPTY)
                here.deleted = True
                here.place_revision += 1
            case DeleteTreeRemote():
                if op.place_revision.number != here.place_revision:
                    return OpResult(status=Status.STALE)
                below = [op.node]
                for node in below:
                    below += self.children(node)
                if any(self.nodes[node].stamp > cursor for node in below):
                    return OpResult(status=Status.NEWER_INSIDE)
                here.deleted = True
                here.place_revision += 1
        return self._done(here)

    def _remember(self, node: NodeId, content: Content) -> None:
        if content.kind is not Kind.FOLDER:
            self.ever.add(content.digest)
            self.versions.setdefault(node, []).append(content.digest)

    def _done(self, here: Node) -> OpResult:
        self.stamp += 1
        here.stamp = self.stamp
        return OpResult(
            status=Status.DONE,
            place_revision=Revision(1, here.place_revision),
            content_revision=Revision(1, here.content_revision),
        )

    def _is_folder(self, node: NodeId) -> bool:
        return node == ROOT or (self.live(node) and self.nodes[node].content.kind is Kind.FOLDER)
