"""A real folder on the real disk, with its local tree in two dictionaries."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from protocol.ids import NodeId, uuid7
from sync_client.engine.binding import Bound, bind, keep_what_changed
from sync_client.engine.disk import FollowedRoot, Parts, same_thing
from sync_client.engine.ignoring import Ignoring
from sync_client.engine.reading import ReadFile, read_files
from sync_client.engine.scan import FolderListing, list_folders, list_on, list_tree
from sync_client.engine.trees import Local

LATER_NS = 10_000_000_000


def a_node() -> NodeId:
    return NodeId(uuid7(time.time_ns() // 1_000_000, random.getrandbits(74)))


class Followed:
    """What `scan` and `look_at` find is taken into `rows`, bytes and all.

    enough: everything is listed in parts of so many entries, of which only what changed is kept; None: at once.
    """

    def __init__(self, path: Path, *, enough: int | None = None) -> None:
        self.enough = enough
        path.mkdir(exist_ok=True)
        self.path = path
        self.root = FollowedRoot(path)
        self.top = a_node()
        self.rows: dict[NodeId, Local] = {}
        self.asked: list[NodeId] = []

    # ---- engine.binding.Known ----------------------------------------------------------------------------

    def children(self, parent: NodeId) -> Sequence[tuple[NodeId, Local]]:
        return [(node, local) for node, local in self.rows.items() if local.place.parent == parent]

    def by_inode(self, device: int, inode: int) -> Sequence[tuple[NodeId, Local]]:
        return [
            (node, local)
            for node, local in self.rows.items()
            if (local.fingerprint.device, local.fingerprint.inode) == (device, inode)
        ]

    def exists(self, node: NodeId) -> bool:
        self.asked.append(node)
        seen = self.root.fingerprint(self.parts(node))
        return seen is not None and same_thing(self.rows[node].fingerprint, seen)

    # ---- what tests ask and do ---------------------------------------------------------------------------

    def parts(self, node: NodeId) -> Parts:
        if node == self.top:
            return ()
        place = self.rows[node].place
        return (*self.parts(place.parent), place.name)

    def node_at(self, path: str) -> NodeId:
        return next(node for node in self.rows if "/".join(self.parts(node)) == path)

    def paths(self) -> set[str]:
        return {"/".join(self.parts(node)) for node in self.rows}

    def write(self, path: str, data: bytes | str, *, age_seconds: int = 60) -> Path:
        """A file that is old enough to be trusted."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        when = time.time_ns() - age_seconds * 1_000_000_000
        os.utime(file, ns=(when, when))
        return file

    def list_in_parts(self, enough: int) -> list[FolderListing]:
        """Everything, as a running client does it: so many entries at once, and only what changed is kept."""
        nodes: dict[Parts, NodeId] = {(): self.top}
        listings: list[FolderListing] = []
        waiting: list[Parts] = [()]
        while waiting:
            some, waiting = list_on(self.root, waiting, Ignoring(), enough=enough)
            keep_what_changed(some, nodes, self)
            listings += some
        listings[0].node = self.top
        return listings

    def scan(self, *, seconds_later: int = 10) -> Bound:
        """Everything, as if so much later."""
        now_ns = time.time_ns() + seconds_later * 1_000_000_000
        listings = list_tree(self.root, self.top) if self.enough is None else self.list_in_parts(self.enough)
        return self._take(bind(listings, self, a_node, now_ns, self.exists))

    def look_at(self, *folders: str) -> Bound:
        """Only these folders, and what is new below them."""
        wanted = [
            (self.node_at(path) if path else self.top, tuple(filter(None, path.split("/"))))
            for path in folders
        ]
        listings = list_folders(self.root, wanted)
        bound = self._take(bind(listings, self, a_node, time.time_ns() + LATER_NS, self.exists))
        for node, parts in (*bound.new_folders, *bound.moved_folders):
            self._take(
                bind(list_tree(self.root, node, parts), self, a_node, time.time_ns() + LATER_NS, self.exists)
            )
        return bound

    def _take(self, bound: Bound) -> Bound:
        for node, local in bound.changes:
            if local is None:
                self._forget(node)
            else:
                self.rows[node] = local
        wanted = [
            (node, self.parts(node), self.rows[node].fingerprint)
            for node in bound.unread
            if node in self.rows
        ]
        for result in read_files(self.root, wanted, keep=False):
            assert isinstance(result, ReadFile), result
            row = self.rows[result.node]
            self.rows[result.node] = replace(row, content=result.content, fingerprint=result.fingerprint)
        return bound

    def _forget(self, node: NodeId) -> None:
        for child, _ in self.children(node):
            self._forget(child)
        del self.rows[node]
