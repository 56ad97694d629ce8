"""The three trees of one followed folder, as rows of `state.db`.

Owns: how a row is stored and found again.
May import: msgspec, protocol.names, engine.trees, engine.database.

Only rows that were asked for lately are in memory, so that a folder of a million nodes costs an idle client
little; a look-up by name asks an index.  Every `save` is written at once, inside the caller's transaction.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from msgspec import msgpack

from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.names import name_key
from sync_client.engine.database import StateDatabase
from sync_client.engine.trees import NO_NODE, Local, Place, Row, Side

CACHED_ROWS = 20_000
_INT64 = 2**63 - 1  # SQLite has no unsigned integers
WORTH_COPYING = 16 * 1024  # bytes: a smaller file is fetched faster than found

_SAVE = """
INSERT INTO nodes (folder, node, r_parent, r_key, l_parent, l_key, a_parent, a_key, inode, size, conflict_of,
    digest, dirty, row)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (folder, node) DO UPDATE SET
    r_parent = excluded.r_parent, r_key = excluded.r_key, l_parent = excluded.l_parent, l_key = excluded.l_key,
    a_parent = excluded.a_parent, a_key = excluded.a_key, inode = excluded.inode,
    size = excluded.size, conflict_of = excluded.conflict_of, digest = excluded.digest,
    dirty = CASE WHEN excluded.dirty IS NULL THEN NULL ELSE coalesce(dirty, excluded.dirty) END, row = excluded.row
"""
_BY_NAME = {
    Side.REMOTE: "SELECT node FROM nodes WHERE folder = ? AND r_parent = ? AND r_key = ?",
    Side.LOCAL: "SELECT node FROM nodes WHERE folder = ? AND l_parent = ? AND l_key = ?",
    Side.AGREED: "SELECT node FROM nodes WHERE folder = ? AND a_parent = ? AND a_key = ?",
}
_BY_PARENT = {
    Side.REMOTE: "SELECT node FROM nodes WHERE folder = ? AND r_parent = ?",
    Side.LOCAL: "SELECT node FROM nodes WHERE folder = ? AND l_parent = ?",
    Side.AGREED: "SELECT node FROM nodes WHERE folder = ? AND a_parent = ?",
}


class StoredTrees:
    """`engine.trees.Trees`, and `engine.binding.Known`, over SQLite."""

    def __init__(self, state: StateDatabase, folder: int, root: NodeId) -> None:
        self.root = root
        self._state = state
        self._db = state.connection
        self._folder = folder
        self._rows: dict[NodeId, Row | None] = {}
        self._encode = msgpack.Encoder(uuid_format="bytes").encode
        self._decode = msgpack.Decoder(Row).decode
        found = self._db.execute("SELECT max(dirty) FROM nodes WHERE folder = ?", (folder,)).fetchone()
        self._sequence = int(found[0] or 0)

    # ---- Trees -------------------------------------------------------------------------------------------

    def row(self, node: NodeId) -> Row | None:
        try:
            return self._rows[node]
        except KeyError:
            pass
        found = self._db.execute(
            "SELECT row FROM nodes WHERE folder = ? AND node = ?", (self._folder, node.bytes)
        ).fetchone()
        row = self._decode(found[0]) if found else None
        self._remember(node, row)
        return row

    def named(self, side: Side, parent: NodeId, name_key: str) -> list[NodeId]:
        found = self._db.execute(_BY_NAME[side], (self._folder, parent.bytes, name_key))
        return [NodeId(UUID(bytes=node)) for (node,) in found]

    def children(self, side: Side, parent: NodeId) -> Iterator[NodeId]:
        found = self._db.execute(_BY_PARENT[side], (self._folder, parent.bytes)).fetchall()
        return iter([NodeId(UUID(bytes=node)) for (node,) in found])

    def save(self, row: Row, *, dirty: bool) -> None:
        node = row.node
        remote, local, agreed = row.remote, row.local, row.agreed
        if remote is None and local is None and agreed is None:
            self._db.execute("DELETE FROM nodes WHERE folder = ? AND node = ?", (self._folder, node.bytes))
            self._remember(node, None)
            return
        sequence = None
        if dirty:
            self._sequence = sequence = self._sequence + 1
        content = local.content if local else None
        self._db.execute(
            _SAVE,
            (
                self._folder,
                node.bytes,
                remote.place.parent.bytes if remote else None,
                name_key(remote.place.name) if remote else None,
                local.place.parent.bytes if local else None,
                name_key(local.place.name) if local else None,
                agreed.place.parent.bytes if agreed else None,
                name_key(agreed.place.name) if agreed else None,
                local.fingerprint.inode & _INT64 if local else None,
                local.fingerprint.size if local and not stat.S_ISDIR(local.fingerprint.mode) else None,
                remote.conflict_of.bytes if remote and remote.conflict_of else None,
                content.digest
                if content and content.size >= WORTH_COPYING and content.kind is Kind.FILE
                else None,
                sequence,
                self._encode(row),
            ),
        )
        self._remember(node, row)

    def dirty(self) -> Iterator[NodeId]:
        after = 0
        while slice_ := self.dirty_slice(after, 1_000):
            for after, node in slice_:  # noqa: B007 - `after` is where the next slice begins
                yield node

    def _remember(self, node: NodeId, row: Row | None) -> None:
        if len(self._rows) >= CACHED_ROWS:
            for old in list(self._rows)[: CACHED_ROWS // 2]:
                del self._rows[old]
        self._rows[node] = row

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All effects or none; after a roll-back the rows in memory are forgotten, as they are those of no database."""
        try:
            with self._state.transaction():
                yield
        except BaseException:
            self._rows.clear()
            raise

    # ---- what the round asks besides ---------------------------------------------------------------------

    def save_quietly(self, row: Row) -> None:
        """Keep this row; whether it is dirty stays as it is."""
        found = self._db.execute(
            "SELECT dirty IS NOT NULL FROM nodes WHERE folder = ? AND node = ?",
            (self._folder, row.node.bytes),
        ).fetchone()
        self.save(row, dirty=bool(found and found[0]))

    def dirty_slice(self, after: int, limit: int) -> list[tuple[int, NodeId]]:
        found = self._db.execute(
            "SELECT dirty, node FROM nodes WHERE folder = ? AND dirty > ? ORDER BY dirty LIMIT ?",
            (self._folder, after, limit),
        ).fetchall()
        return [(number, NodeId(UUID(bytes=node))) for number, node in found]

    def last_dirty(self) -> int:
        return self._sequence

    def settle(self, nodes: Iterable[NodeId]) -> None:
        """These were planned and there was nothing to do."""
        self._db.executemany(
            "UPDATE nodes SET dirty = NULL WHERE folder = ? AND node = ?",
            [(self._folder, node.bytes) for node in nodes],
        )

    def mark(self, nodes: Iterable[NodeId]) -> None:
        for node in nodes:
            self._sequence += 1
            self._db.execute(
                "UPDATE nodes SET dirty = coalesce(dirty, ?) WHERE folder = ? AND node = ?",
                (self._sequence, self._folder, node.bytes),
            )

    def count_dirty(self) -> int:
        return int(
            self._db.execute(
                "SELECT count(*) FROM nodes WHERE folder = ? AND dirty IS NOT NULL", (self._folder,)
            ).fetchone()[0]
        )

    def all_rows(self) -> Iterator[Row]:
        """Every row, streamed; the caller does not save meanwhile."""
        after = b""
        while True:
            found = self._db.execute(
                "SELECT node, row FROM nodes WHERE folder = ? AND node > ? ORDER BY node LIMIT 1000",
                (self._folder, after),
            ).fetchall()
            if not found:
                return
            for after, row in found:  # noqa: B007 - `after` is where the next slice begins
                yield self._decode(row)

    def path(self, side: Side, node: NodeId) -> tuple[str, ...] | None:
        """Names from the root down to the node in that tree; None if the chain is broken or parked."""
        return self.path_of_place(side, self._place(side, node)) if node != self.root else ()

    def path_of_place(self, side: Side, place: Place | None) -> tuple[str, ...] | None:
        names: list[str] = []
        while place is not None:
            names.append(place.name)
            if place.parent == self.root:
                return tuple(reversed(names))
            if len(names) > 256:
                return None
            place = self._place(side, place.parent)
        return None

    def at_path(self, side: Side, parts: Sequence[str]) -> NodeId | None:
        """The node that stands there in that tree, by exact names."""
        at = self.root
        for name in parts:
            for node in self.named(side, at, name_key(name)):
                place = self._place(side, node)
                if place and place.name == name:
                    at = node
                    break
            else:
                return None
        return at

    def _place(self, side: Side, node: NodeId) -> Place | None:
        row = self.row(node)
        if row is None:
            return None
        seen = row.remote if side is Side.REMOTE else row.local if side is Side.LOCAL else row.agreed
        return seen.place if seen and seen.place.parent != NO_NODE else None

    # ---- local files by what they are ---------------------------------------------------------------------

    def local_children(self, parent: NodeId) -> list[tuple[NodeId, Local]]:
        found: list[tuple[NodeId, Local]] = []
        missing: list[NodeId] = []
        for node in self.children(Side.LOCAL, parent):
            cached = self._rows.get(node)
            if cached is None:
                missing.append(node)
            elif cached.local is not None:
                found.append((node, cached.local))
        for node in missing:
            row = self.row(node)
            if row is not None and row.local is not None:
                found.append((node, row.local))
        return found

    def by_inode(self, device: int, inode: int) -> list[tuple[NodeId, Local]]:
        found = self._db.execute(
            "SELECT node FROM nodes WHERE folder = ? AND inode = ?", (self._folder, inode & _INT64)
        ).fetchall()
        rows = [(NodeId(UUID(bytes=node)), self.row(NodeId(UUID(bytes=node)))) for (node,) in found]
        return [
            (node, row.local)
            for node, row in rows
            if row and row.local and row.local.fingerprint.device == device
        ]

    def holding(self, digest: bytes) -> list[NodeId]:
        """Local files that hold this content, as far as was last seen."""
        found = self._db.execute(
            "SELECT node FROM nodes WHERE folder = ? AND digest = ? LIMIT 4", (self._folder, digest)
        ).fetchall()
        return [NodeId(UUID(bytes=node)) for (node,) in found]

    def conflict_copies(self) -> list[NodeId]:
        """Nodes that the server knows as the later version of another one."""
        found = self._db.execute(
            "SELECT node FROM nodes WHERE folder = ? AND conflict_of IS NOT NULL", (self._folder,)
        ).fetchall()
        return [NodeId(UUID(bytes=node)) for (node,) in found]

    def is_dirty(self, node: NodeId) -> bool:
        found = self._db.execute(
            "SELECT dirty FROM nodes WHERE folder = ? AND node = ?", (self._folder, node.bytes)
        ).fetchone()
        return bool(found and found[0] is not None)

    def holding_remotely(self, digest: bytes) -> Iterator[NodeId]:
        """Nodes whose remote content this is.  Goes over every row: for the rare question after a crash."""
        return (row.node for row in self.all_rows() if row.remote and row.remote.content.digest == digest)


class KnownLocally:
    """`engine.binding.Known`: the local tree as it was observed last."""

    def __init__(self, trees: StoredTrees) -> None:
        self._trees = trees

    def children(self, parent: NodeId) -> list[tuple[NodeId, Local]]:
        return self._trees.local_children(parent)

    def by_inode(self, device: int, inode: int) -> list[tuple[NodeId, Local]]:
        return self._trees.by_inode(device, inode)
