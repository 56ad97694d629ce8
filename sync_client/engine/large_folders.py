"""A large folder that is new on the server waits until a person wants it on this computer; so does the rest of one that
came while it was small, once it has grown large.

Owns: which folders are asked about (a fact of `state.db`), what waits and how large it is, a person's answer.
May import: msgspec, protocol, engine.database, limits, rebuilding, stored_trees, trees and window.

What waits is excluded (engine.exclusion), so it is known by its node and waits wherever it is renamed or moved to.  Of
a folder that has grown, what is here stays and is synced, and only what is not here waits: nothing is taken away from
somebody who works with it.  Who follows a folder wants what is in it: the first listing asks about nothing, nor does
what a person had come back, however it grows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from protocol.ids import NodeId
from protocol.messages import Content as WireContent
from protocol.messages import Kind
from sync_client.engine.database import Followed, StateDatabase
from sync_client.engine.limits import read_limits
from sync_client.engine.rebuilding import note_down
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.trees import Content, Row, Side
from sync_client.engine.window import Window

MOST_YOUNG = 1_000  # folders: of more the oldest have had their time to grow
DEEPEST = 256


@dataclass(slots=True)
class News:
    """What the server told since it was asked last.  grown: folder → bytes that came into it; None: not known."""

    new_folders: bool
    grown: dict[NodeId, int] | None


class Large(Struct, frozen=True):
    """A folder that waits, as it was when that began.  size: bytes of its files.  grown: some of it is here."""

    files: int
    size: int
    since_ms: int
    grown: bool = False


class _Memory(Struct, frozen=True):
    """listed: the folder was listed once.  wanted: a person said so.  young: they were small, and came unasked."""

    listed: bool = False
    waiting: dict[UUID, Large] = {}
    wanted: list[UUID] = []
    young: list[UUID] = []


class LargeFolders:
    def __init__(self, folder: Followed, state: StateDatabase, trees: StoredTrees) -> None:
        self._folder = folder
        self._state = state
        self._trees = trees
        self._fact = f"large {folder.follow.hex}"
        kept = state.fact(self._fact)
        self._memory = msgspec.json.decode(kept, type=_Memory) if kept else _Memory()
        self._at_most: dict[UUID, int] = {}  # bytes that a young folder has by now, or fewer

    @property
    def waiting(self) -> dict[UUID, Large]:
        return self._memory.waiting

    def names(self, window: Window) -> list[tuple[str, Large]]:
        """What waits, by its path on the server; what was deleted there since waits no more."""
        found = [(window.path_of(NodeId(node)), large) for node, large in self._memory.waiting.items()]
        return [("/".join(path), large) for path, large in found if path is not None]

    def look(self, window: Window, content_of: Callable[[Content], WireContent], news: News) -> bool:
        """At the head of the feed, before what it told is planned.  True: some of it waits from now on."""
        if not self._memory.listed:
            self._remember(replace(self._memory, listed=True), lasting=False)  # lost, it is observed again
            return False
        limit = read_limits(self._state).new_folders
        if limit is None:
            return False
        coming = self._trees.dirty_rows(missing=Side.LOCAL) if news.new_folders or news.grown is None else []
        large = self._new(coming, limit)
        large |= self._grown(_sizes(coming) if news.grown is None else news.grown, limit)
        memory = self._memory
        lost = [node for node, one in memory.waiting.items() if one.grown and not window.is_held(node)]
        if not large and not lost:
            return False
        with self._state.transaction():
            for node, one in large.items():
                (window.hold if one.grown else window.exclude)(NodeId(node), content_of)
            for node in lost:  # with our records
                window.hold(NodeId(node), content_of)
            young = [node for node in memory.young if node not in large]
            self._remember(replace(memory, waiting=memory.waiting | large, young=young))
        note_down(self._state)
        return True

    def _new(self, coming: Iterable[Row], limit: int) -> dict[UUID, Large]:
        """Of what is new the folders that are too large; the others are young."""
        now = time.time_ns() // 1_000_000
        large: dict[UUID, Large] = {}
        young = dict.fromkeys(self._memory.young)
        for row in coming:
            if row.node in self._memory.wanted or row.node in young or not self._is_top(row):
                continue
            files, size = self._measured(row.node)
            if size > limit:
                large[row.node] = Large(files, size, now)
            elif self._above(row.node, young) is None:
                young[row.node] = None
                self._at_most[row.node] = size
        if len(young) != len(self._memory.young):
            self._remember(replace(self._memory, young=list(young)[-MOST_YOUNG:]), lasting=False)
        return large

    def _grown(self, more: dict[NodeId, int], limit: int) -> dict[UUID, Large]:
        """Of the young folders those that are too large by now.  more: folder → bytes that came into it."""
        young = dict.fromkeys(self._memory.young)
        if not young:
            return {}
        sizes = Counter[UUID]()
        for folder, size in more.items():
            if (top := self._above(folder, young)) is not None:
                sizes[top] += size
        large: dict[UUID, Large] = {}
        for node, more_size in sizes.items():
            known = self._at_most.get(node, limit)  # one that is not known is measured
            self._at_most[node] = known + more_size
            if known + more_size > limit:
                files, self._at_most[node] = self._measured(NodeId(node))
                if self._at_most[node] > limit:
                    large[node] = Large(
                        files, self._at_most.pop(node), time.time_ns() // 1_000_000, grown=True
                    )
        return large

    def _above(self, node: NodeId, those: Container[UUID]) -> UUID | None:
        """Which of those it is, or lies in, on the server."""
        for _ in range(DEEPEST):
            if node in those:
                return node
            row = None if node == self._folder.root else self._trees.row(node)
            if row is None or row.remote is None:
                return None
            node = row.remote.place.parent
        return None

    def answered(self, node: NodeId, *, wanted: bool) -> None:
        """A person has it here, or keeps it off; in the transaction that does so."""
        memory = self._memory
        left = {one: large for one, large in memory.waiting.items() if one != node}
        known = [one for one in memory.wanted if one != node]
        young = [one for one in memory.young if one != node]
        self._remember(replace(memory, waiting=left, wanted=[*known, node] if wanted else known, young=young))

    def _is_top(self, row: Row) -> bool:
        """A folder that is new, in one that is not."""
        remote = row.remote
        if remote is None or row.agreed is not None or remote.content.kind is not Kind.FOLDER:
            return False
        above = self._trees.row(remote.place.parent)
        if remote.place.parent != self._folder.root and (above is None or above.local is None):
            return False
        path = self._trees.path(Side.REMOTE, row.node)
        return (
            path is None or self._trees.at_path(Side.LOCAL, path) is None
        )  # else it is here, and soon found to be

    def _measured(self, node: NodeId) -> tuple[int, int]:
        """How many files lie below it on the server, and how many bytes they have."""
        files = size = 0
        pending = [node]
        while pending:
            for child in self._trees.children(Side.REMOTE, pending.pop()):
                row = self._trees.row(child)
                if row is None or row.remote is None:
                    continue
                if row.remote.content.kind is Kind.FOLDER:
                    pending.append(child)
                else:
                    files, size = files + 1, size + row.remote.content.size
        return files, size

    def _remember(self, memory: _Memory, *, lasting: bool = True) -> None:
        self._memory = memory
        with self._state.transaction(lasting=lasting):
            self._state.set_fact(self._fact, msgspec.json.encode(memory).decode())


def _sizes(coming: Iterable[Row]) -> dict[NodeId, int]:
    """Folder → bytes of what is to come into it."""
    sizes = Counter[NodeId]()
    for row in coming:
        if row.remote is not None and row.remote.content.kind is not Kind.FOLDER:
            sizes[row.remote.place.parent] += row.remote.content.size
    return sizes
