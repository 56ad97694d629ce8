"""A large folder that is new on the server waits until a person wants it on this computer.

Owns: which folders are asked about (a fact of `state.db`), what waits and how large it is, a person's answer.
May import: msgspec, protocol, engine.database, limits, rebuilding, stored_trees, trees and window.

What waits is excluded (engine.exclusion), so it is known by its node and waits wherever it is renamed or moved to.  Who
follows a folder wants what is in it: the first listing asks about nothing, nor does what a person had come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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


class Large(Struct, frozen=True):
    """A folder that waits, as it was when it came.  size: bytes of its files."""

    files: int
    size: int
    since_ms: int


class _Memory(Struct, frozen=True):
    """listed: the folder was listed once.  wanted: a person said so."""

    listed: bool = False
    waiting: dict[UUID, Large] = {}
    wanted: list[UUID] = []


class LargeFolders:
    def __init__(self, folder: Followed, state: StateDatabase, trees: StoredTrees) -> None:
        self._folder = folder
        self._state = state
        self._trees = trees
        self._fact = f"large {folder.follow.hex}"
        kept = state.fact(self._fact)
        self._memory = msgspec.json.decode(kept, type=_Memory) if kept else _Memory()

    @property
    def waiting(self) -> dict[UUID, Large]:
        return self._memory.waiting

    def names(self, window: Window) -> list[tuple[str, Large]]:
        """What waits, by its path on the server; what was deleted there since waits no more."""
        found = [(window.path_of(NodeId(node)), large) for node, large in self._memory.waiting.items()]
        return [("/".join(path), large) for path, large in found if path is not None]

    def look(self, window: Window, content_of: Callable[[Content], WireContent]) -> bool:
        """At the head of the feed, before what it told is planned.  True: some of it waits from now on."""
        memory = self._memory
        if not memory.listed:
            self._remember(replace(memory, listed=True), lasting=False)  # lost, it is observed again
            return False
        limit = read_limits(self._state).new_folders
        if limit is None:
            return False
        now = time.time_ns() // 1_000_000
        large: dict[UUID, Large] = {}
        for row in self._trees.dirty_rows(missing=Side.LOCAL):
            if row.node not in memory.wanted and self._is_top(row):
                files, size = self._measured(row.node)
                if size > limit:
                    large[row.node] = Large(files, size, now)
        if not large:
            return False
        with self._state.transaction():
            for node in large:
                window.exclude(NodeId(node), content_of)
            self._remember(replace(memory, waiting=memory.waiting | large))
        note_down(self._state)
        return True

    def answered(self, node: NodeId, *, wanted: bool) -> None:
        """A person has it here, or keeps it off; in the transaction that does so."""
        memory = self._memory
        left = {one: large for one, large in memory.waiting.items() if one != node}
        known = [one for one in memory.wanted if one != node]
        self._remember(replace(memory, waiting=left, wanted=[*known, node] if wanted else known))

    def _is_top(self, row: Row) -> bool:
        """A folder that is new, in one that is not."""
        remote = row.remote
        if remote is None or row.agreed is not None or remote.content.kind is not Kind.FOLDER:
            return False
        above = self._trees.row(remote.place.parent)
        return remote.place.parent == self._folder.root or (above is not None and above.local is not None)

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
