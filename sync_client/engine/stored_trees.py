"""The three trees of one followed folder, over the rows of `state.db`.

Owns: the questions that are asked of them, the names and paths that are remembered.
May import: protocol, engine.trees, engine.row_store, engine.row_columns, engine.row_bytes, engine.database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from uuid import UUID

from protocol.ids import NodeId
from protocol.names import name_key
from sync_client.engine.database import StateDatabase
from sync_client.engine.row_bytes import unpack
from sync_client.engine.row_columns import INT64, is_empty
from sync_client.engine.row_store import RowStore, drop_oldest
from sync_client.engine.trees import NO_NODE, Local, Place, Row, Side

CACHED_FOLDERS = 256
DEEPEST = 256  # folders on a way up: more than any tree has that hangs on its root
MANY_QUESTIONS = 500  # about inodes, in one scan
LISTED_CHILDREN = 5_000  # names of a folder with more are asked of the database one by one

_COLUMNS = {Side.REMOTE: ("r_parent", "r_key"), Side.LOCAL: ("l_parent", "l_key")}

_Names = dict[str, list[NodeId]]  # name key → the children of one folder that have it


class StoredTrees(RowStore):
    """`engine.trees.Trees` over SQLite."""

    def __init__(self, state: StateDatabase, folder: int, root: NodeId) -> None:
        self.root = root
        # None: too many
        self._names: dict[Side, dict[int, _Names | None]] = {Side.REMOTE: {}, Side.LOCAL: {}}
        self._paths: dict[Side, dict[int, tuple[str, ...]]] = {Side.REMOTE: {}, Side.LOCAL: {}}  # of folders
        super().__init__(state, folder)

    # ---- Trees -------------------------------------------------------------------------------------------

    def named(self, side: Side, parent: NodeId, name_key: str) -> list[NodeId]:
        names = self._names_in(side, parent)
        if names is not None:
            return list(names.get(name_key, ()))
        self._write()
        parent_column, key_column = _COLUMNS[side]
        found = self._db.execute(
            f"SELECT node FROM nodes WHERE folder = ? AND {parent_column} = ? AND {key_column} = ?",  # noqa: S608 - our own column names
            (self._folder, parent.bytes, name_key),
        )
        return [NodeId(UUID(bytes=node)) for (node,) in found]

    def children(self, side: Side, parent: NodeId) -> Iterator[NodeId]:
        names = self._names_in(side, parent)
        if names is not None:
            return iter([node for nodes in names.values() for node in nodes])
        return iter([node for node, _ in self._children(side, parent, limit=-1)])

    def save(self, row: Row, *, dirty: bool) -> None:
        node = row.node
        empty = is_empty(row)
        self._rename(self.row(node), row)
        since = None
        if dirty and not empty:
            since = self._dirty_since(node)
            if since is None:
                self._sequence = since = self._sequence + 1
        self._remember(node, None if empty else row)
        self._keep(row, since)
        if not self._state.in_transaction:
            with self._state.transaction():
                pass

    def dirty(self) -> Iterator[NodeId]:
        after = 0
        while slice_ := self.dirty_slice(after, 1_000):
            for after, node in slice_:  # noqa: B007 - `after` is where the next slice begins
                yield node

    # ---- names -------------------------------------------------------------------------------------------

    def _names_in(self, side: Side, parent: NodeId) -> _Names | None:
        """The names in a folder, kept up to date by `save`; None: too many to keep."""
        folders = self._names[side]
        if parent.int in folders:
            return folders[parent.int]
        if len(folders) >= CACHED_FOLDERS:
            drop_oldest(folders)
        names: _Names | None = {}
        children = self._children(side, parent, limit=LISTED_CHILDREN + 1)
        if len(children) > LISTED_CHILDREN:
            names = None
        else:
            assert names is not None
            for node, key in children:
                names.setdefault(key, []).append(node)
        folders[parent.int] = names
        return names

    def _children(self, side: Side, parent: NodeId, *, limit: int) -> list[tuple[NodeId, str]]:
        """limit: about so many; -1: all."""
        if (
            self._state.in_transaction
        ):  # rows change one by one: to overlook what waits would cost more each time
            self._write()
        parent_column, key_column = _COLUMNS[side]
        found = self._db.execute(
            f"SELECT node, {key_column} FROM nodes WHERE folder = ? AND {parent_column} = ? LIMIT ?",  # noqa: S608 - our own column names
            (self._folder, parent.bytes, limit if limit < 0 else limit + len(self._unwritten)),
        ).fetchall()
        waiting = self._unwritten
        children = [
            (NodeId(UUID(bytes=node)), key) for node, key in found if int.from_bytes(node) not in waiting
        ]
        for row in self._waiting_below(side, parent):
            seen = row.remote if side is Side.REMOTE else row.local
            if seen is not None:
                children.append((row.node, name_key(seen.place.name)))
        return children

    def _rename(self, old: Row | None, new: Row) -> None:
        """Keep the names in memory true."""
        before = old.remote if old else None
        after = new.remote
        if before is not after:
            self._move(
                Side.REMOTE, new.node, before.place if before else None, after.place if after else None
            )
        here = old.local if old else None
        there = new.local
        if here is not there:
            self._move(Side.LOCAL, new.node, here.place if here else None, there.place if there else None)

    def _move(self, side: Side, node: NodeId, before: Place | None, after: Place | None) -> None:
        if before == after:
            return
        folders = self._names[side]
        if before is not None:
            self._paths[side].clear()  # a path that was found led through it, or not: cheaper than to know
            names = folders.get(before.parent.int)
            if names is not None:
                held = names.get(name_key(before.name))
                if held is not None and node in held:
                    held.remove(node)
        if after is not None:
            names = folders.get(after.parent.int)
            if names is not None:
                names.setdefault(name_key(after.name), []).append(node)

    # ---- transactions ------------------------------------------------------------------------------------

    def _forget(self) -> None:
        super()._forget()
        for folders in self._names.values():
            folders.clear()
        for paths in self._paths.values():
            paths.clear()

    # ---- what the round asks besides ---------------------------------------------------------------------

    def save_quietly(self, row: Row) -> None:
        """Keep this row; whether it is dirty stays as it is."""
        self.save(row, dirty=self.is_dirty(row.node))

    def dirty_slice(self, after: int, limit: int) -> list[tuple[int, NodeId]]:
        found = self._db.execute(
            "SELECT dirty, node FROM nodes WHERE folder = ? AND dirty > ? ORDER BY dirty LIMIT ?",
            (self._folder, after, limit + len(self._unwritten)),
        ).fetchall()
        waiting = self._unwritten
        dirty = [
            (since, NodeId(UUID(bytes=node))) for since, node in found if int.from_bytes(node) not in waiting
        ]
        if waiting:
            dirty += [
                (since, row.node) for row, since in waiting.values() if since is not None and since > after
            ]
            dirty.sort(key=itemgetter(0))
        return dirty[:limit]

    def last_dirty(self) -> int:
        return self._sequence

    def settle(self, nodes: Iterable[NodeId]) -> None:
        """These were planned and there was nothing to do."""
        for node in nodes:
            row = self.row(node)
            if row is not None and self._dirty_since(node) is not None:
                self._keep(row, None)

    def is_dirty(self, node: NodeId) -> bool:
        self.row(node)
        return self._dirty_since(node) is not None

    def is_empty(self) -> bool:
        """Nothing is known but the root."""
        self._write()
        found = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM nodes WHERE folder = ? LIMIT 2)", (self._folder,)
        ).fetchone()
        return bool(found[0] < 2)

    def count_dirty(self) -> int:
        found = self._db.execute(
            "SELECT count(*) FROM nodes WHERE folder = ? AND dirty IS NOT NULL", (self._folder,)
        ).fetchone()
        change = 0
        for node, (_, since) in self._unwritten.items():
            stored = self._stored.get(node)
            change += (since is not None) - (stored is not None and stored.dirty is not None)
        return int(found[0]) + change

    def count_own(self) -> int:
        """Files on this disk that the server does not have."""
        self._write()
        found = self._db.execute(
            "SELECT count(*) FROM nodes WHERE folder = ? AND r_parent IS NULL AND l_parent IS NOT NULL"
            " AND size IS NOT NULL",
            (self._folder,),
        ).fetchone()
        return int(found[0])

    def dirty_rows(self, *, missing: Side | None) -> list[Row]:
        """Of what is to be planned, the rows that this side lacks and the other has; None: that both have."""
        self._write()
        here = "NULL" if missing is Side.LOCAL else "NOT NULL"
        there = "NULL" if missing is Side.REMOTE else "NOT NULL"
        found = self._db.execute(
            "SELECT node, row FROM nodes INDEXED BY nodes_dirty WHERE folder = ? AND dirty IS NOT NULL"  # noqa: S608 - our own words
            f" AND l_parent IS {here} AND r_parent IS {there} ORDER BY dirty",
            (self._folder,),
        )
        return [unpack(NodeId(UUID(bytes=node)), row) for node, row in found]

    def has_dirty(self, *, missing: Side) -> bool:
        """Whether something is to be planned that this side lacks and the other has."""
        for row, since in self._unwritten.values():
            here, there = (row.local, row.remote) if missing is Side.LOCAL else (row.remote, row.local)
            if since is not None and here is None and there is not None:
                return True
        here_column, there_column = (
            ("l_parent", "r_parent") if missing is Side.LOCAL else ("r_parent", "l_parent")
        )
        found = self._db.execute(
            # Left to itself SQLite goes over all nodes of the folder, at each change.
            "SELECT node FROM nodes INDEXED BY nodes_dirty WHERE folder = ? AND dirty IS NOT NULL"  # noqa: S608 - our own column names
            f" AND {here_column} IS NULL AND {there_column} IS NOT NULL LIMIT ?",
            (self._folder, 1 + len(self._unwritten)),
        ).fetchall()
        return any(int.from_bytes(node) not in self._unwritten for (node,) in found)

    def count_on(self, side: Side) -> int:
        """How many nodes this side has, without the root."""
        self._write()
        parent_column, _ = _COLUMNS[side]
        found = self._db.execute(
            f"SELECT count(*) FROM nodes WHERE folder = ? AND {parent_column} IS NOT NULL",  # noqa: S608 - our own column names
            (self._folder,),
        ).fetchone()
        return int(found[0]) - 1

    def all_rows(self) -> Iterator[Row]:
        """Every row, streamed; the caller does not save meanwhile."""
        self._write()
        after = b""
        while True:
            found = self._db.execute(
                "SELECT node, row FROM nodes WHERE folder = ? AND node > ? ORDER BY node LIMIT 1000",
                (self._folder, after),
            ).fetchall()
            if not found:
                return
            for after, row in found:
                yield unpack(NodeId(UUID(bytes=after)), row)

    def path(self, side: Side, node: NodeId) -> tuple[str, ...] | None:
        """Names from the root down to the node in that tree; None if the chain is broken or parked."""
        return self.path_of_place(side, self._place(side, node)) if node != self.root else ()

    def path_of_place(self, side: Side, place: Place | None) -> tuple[str, ...] | None:
        if place is None:
            return None
        above = self._folder_path(side, place.parent)
        return None if above is None else (*above, place.name)

    def _folder_path(self, side: Side, folder: NodeId) -> tuple[str, ...] | None:
        """Remembered until something on this side leaves its place: files ask for that of their folder one by one."""
        known = self._paths[side]
        found = known.get(folder.int)
        if found is not None:
            return found
        names: list[str] = []
        at, root = folder, self.root.int
        while at.int != root and at.int not in known:
            place = self._place(side, at)
            if place is None or len(names) > DEEPEST:
                return None
            names.append(place.name)
            at = place.parent
        path = (*known.get(at.int, ()), *reversed(names))
        if len(known) >= CACHED_FOLDERS:
            known.clear()
        known[folder.int] = path
        return path

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
        seen = row.remote if side is Side.REMOTE else row.local
        return seen.place if seen and seen.place.parent != NO_NODE else None

    # ---- local files by what they are --------------------------------------------------------------------

    def local_children(self, parent: NodeId) -> list[tuple[NodeId, Local]]:
        found: list[tuple[NodeId, Local]] = []
        for node in self.children(Side.LOCAL, parent):
            row = self.row(node)
            if row is not None and row.local is not None:
                found.append((node, row.local))
        return found

    def by_inode(self, device: int, inode: int) -> list[tuple[NodeId, Local]]:
        found = self._db.execute(
            "SELECT node FROM nodes WHERE folder = ? AND inode = ?", (self._folder, inode & INT64)
        ).fetchall()
        written = [node for (node,) in found if int.from_bytes(node) not in self._unwritten]
        waiting = self._waiting_with(inode)  # before any row is read, which may write those that wait
        rows = [self.row(NodeId(UUID(bytes=node))) for node in written]
        return [
            (row.node, row.local)
            for row in (*rows, *waiting)
            if row and row.local and row.local.fingerprint.device == device
        ]

    def inodes(self) -> set[int]:
        """Of every local file and folder, and of some that were it until lately."""
        found = self._db.execute(
            "SELECT inode FROM nodes WHERE folder = ? AND inode IS NOT NULL", (self._folder,)
        )
        return {inode for (inode,) in found}.union(self._indexed().by_inode)

    def holding(self, digest: bytes) -> list[NodeId]:
        """Local files that hold this content, as far as was last seen."""
        self._write()
        found = self._db.execute(
            "SELECT node FROM nodes WHERE folder = ? AND digest = ? LIMIT 4", (self._folder, digest)
        ).fetchall()
        return [NodeId(UUID(bytes=node)) for (node,) in found]

    def conflict_copies(self) -> list[NodeId]:
        """Nodes that the server knows as the later version of another one."""
        self._write()
        found = self._db.execute(  # named: SQLite would walk the whole folder instead
            "SELECT node FROM nodes INDEXED BY nodes_conflict WHERE folder = ? AND conflict_of IS NOT NULL",
            (self._folder,),
        ).fetchall()
        return [NodeId(UUID(bytes=node)) for (node,) in found]

    def holding_remotely(self, digest: bytes) -> Iterator[NodeId]:
        """Nodes of which the server holds this, as their content or, if it was agreed on, as an older version.

        Goes over every row: for the rare question after a crash.
        """
        return (
            row.node
            for row in self.all_rows()
            for side in (row.remote, row.agreed)
            if side is not None and side.content.digest == digest
        )


class KnownLocally:
    """`engine.binding.Known`: the local tree as it was observed last."""

    def __init__(self, trees: StoredTrees) -> None:
        self._trees = trees
        self._asked = 0
        self._inodes: set[int] | None = None  # all that are known, once many were asked for

    def children(self, parent: NodeId) -> list[tuple[NodeId, Local]]:
        return self._trees.local_children(parent)

    def by_inode(self, device: int, inode: int) -> list[tuple[NodeId, Local]]:
        self._asked += 1
        if self._asked == MANY_QUESTIONS:
            self._inodes = self._trees.inodes()
        if self._inodes is not None and inode & INT64 not in self._inodes:
            return []
        return self._trees.by_inode(device, inode)
