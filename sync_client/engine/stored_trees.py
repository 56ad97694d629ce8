"""The three trees of one followed folder, as rows of `state.db`.

Owns: how a row is stored and found again, what of it is kept in memory.
May import: msgspec, protocol.names, engine.trees, engine.database.

Only what was asked for lately is in memory, so a folder of a million nodes costs an idle client little.  Rows are
written in bulk: at the end of a transaction, or before a question that only the database can answer.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar
from uuid import UUID

from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.names import name_key
from sync_client.engine.database import StateDatabase
from sync_client.engine.row_bytes import pack, unpack
from sync_client.engine.trees import (
    NO_NODE,
    Local,
    Place,
    Remote,
    Row,
    Side,
)

CACHED_ROWS = 40_000
LOADED_AT_ONCE = 500
CACHED_FOLDERS = 256
DEEPEST = 256  # folders on a way up: more than any tree has that hangs on its root
MANY_QUESTIONS = 500  # about inodes, in one scan
LISTED_CHILDREN = 5_000  # names of a folder with more are asked of the database one by one
WORTH_COPYING = 16 * 1024  # bytes: a smaller file is fetched faster than found
_INT64 = 2**63 - 1  # SQLite has no unsigned integers

_SAVE = """
INSERT INTO nodes (folder, node, r_parent, r_key, conflict_of, l_parent, l_key, inode, size, digest, dirty, row)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (folder, node) DO UPDATE SET
    r_parent = excluded.r_parent, r_key = excluded.r_key, conflict_of = excluded.conflict_of,
    l_parent = excluded.l_parent, l_key = excluded.l_key, inode = excluded.inode, size = excluded.size,
    digest = excluded.digest,
    dirty = CASE WHEN excluded.dirty IS NULL THEN NULL ELSE coalesce(dirty, excluded.dirty) END, row = excluded.row
"""
# Touching a column costs a visit to each index it stands in, changed or not: so only what changed is named.
_MARK_AND_ROW = """
    dirty = CASE WHEN ?3 IS NULL THEN NULL ELSE coalesce(dirty, ?3) END, row = ?4 WHERE folder = ?1 AND node = ?2
"""
_SAVE_ROW = "UPDATE nodes SET" + _MARK_AND_ROW
_SAVE_REMOTE = "UPDATE nodes SET r_parent = ?5, r_key = ?6, conflict_of = ?7," + _MARK_AND_ROW  # noqa: S608 - our own text
_SAVE_LOCAL = (
    "UPDATE nodes SET l_parent = ?5, l_key = ?6, inode = ?7, size = ?8, digest = ?9,"  # noqa: S608 - our own text
    + _MARK_AND_ROW
)
_COLUMNS = {Side.REMOTE: ("r_parent", "r_key"), Side.LOCAL: ("l_parent", "l_key")}

T = TypeVar("T")
_RemoteColumns = tuple[bytes | None, str | None, bytes | None]


class _LocalColumns(NamedTuple):
    parent: bytes | None
    key: str | None
    inode: int | None
    size: int | None
    digest: bytes | None


_Names = dict[str, list[NodeId]]  # name key → the children of one folder that have it


class StoredTrees:
    """`engine.trees.Trees` over SQLite.  Keys of the dictionaries are `NodeId.int`: much cheaper to hash."""

    def __init__(self, state: StateDatabase, folder: int, root: NodeId) -> None:
        self.root = root
        self._state = state
        self._db = state.connection
        self._folder = folder
        self._rows: dict[int, Row | None] = {}
        self._stored: dict[
            int, tuple[_RemoteColumns, _LocalColumns]
        ] = {}  # what stands in the columns of these rows
        self._unwritten: dict[int, tuple[Row, int | None]] = {}
        self._names: dict[Side, dict[int, _Names | None]] = {
            Side.REMOTE: {},
            Side.LOCAL: {},
        }  # None: too many
        self._paths: dict[Side, dict[int, tuple[str, ...]]] = {Side.REMOTE: {}, Side.LOCAL: {}}  # of folders
        found = self._db.execute("SELECT max(dirty) FROM nodes WHERE folder = ?", (folder,)).fetchone()
        self._sequence = int(found[0] or 0)

    # ---- Trees -------------------------------------------------------------------------------------------

    def row(self, node: NodeId) -> Row | None:
        try:
            return self._rows[node.int]
        except KeyError:
            pass
        found = self._db.execute(
            "SELECT row FROM nodes WHERE folder = ? AND node = ?", (self._folder, node.bytes)
        ).fetchone()
        return self._take(node, found[0] if found else None)

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
        empty = _is_empty(row)
        self._rename(self.row(node), row)
        sequence = None
        if dirty and not empty:
            self._sequence = sequence = self._sequence + 1
            earlier = self._unwritten.get(node.int)
            if earlier is not None and earlier[1] is not None:
                sequence = earlier[1]
            elif earlier is not None:
                self._write()  # it was clean meanwhile, so it is marked anew
        self._remember(node, None if empty else row)
        self._unwritten[node.int] = (row, sequence)
        if not self._state.in_transaction:
            with self._state.transaction():
                self._write()

    def dirty(self) -> Iterator[NodeId]:
        after = 0
        while slice_ := self.dirty_slice(after, 1_000):
            for after, node in slice_:  # noqa: B007 - `after` is where the next slice begins
                yield node

    def _take(self, node: NodeId, data: bytes | None) -> Row | None:
        """A row as the database has it, or that it has none."""
        row = unpack(node, data) if data is not None else None
        self._remember(node, row)
        if row is not None:
            self._stored[node.int] = (_remote_columns(row.remote), _local_columns(row.local))
        return row

    # ---- memory ------------------------------------------------------------------------------------------

    def _remember(self, node: NodeId, row: Row | None) -> None:
        if len(self._rows) >= CACHED_ROWS:
            self._write()  # what is forgotten must be found in the database
            _drop_oldest(self._rows)
            kept = {node.int, *self._rows}  # this one may have been among the oldest
            self._stored = {key: stored for key, stored in self._stored.items() if key in kept}
        self._rows[node.int] = row

    def _names_in(self, side: Side, parent: NodeId) -> _Names | None:
        """The names in a folder, kept up to date by `save`; None: too many to keep."""
        folders = self._names[side]
        if parent.int in folders:
            return folders[parent.int]
        if len(folders) >= CACHED_FOLDERS:
            _drop_oldest(folders)
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
        self._write()
        parent_column, key_column = _COLUMNS[side]
        found = self._db.execute(
            f"SELECT node, {key_column} FROM nodes WHERE folder = ? AND {parent_column} = ? LIMIT ?",  # noqa: S608 - our own column names
            (self._folder, parent.bytes, limit),
        ).fetchall()
        return [(NodeId(UUID(bytes=node)), key) for node, key in found]

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

    def _write(self) -> None:
        """All that was saved and not written yet, in one go."""
        if not self._unwritten:
            return
        if not self._state.in_transaction:  # deferred: as a whole, and not each row with a sync of its own
            with self._state.transaction(lasting=False):
                self._write()
            return
        unwritten, self._unwritten = self._unwritten, {}
        gone: list[tuple[int, bytes]] = []
        batches: dict[str, list[tuple[object, ...]]] = {}
        files = size = 0
        for row, sequence in unwritten.values():
            stored = self._stored.pop(
                row.node.int, None
            )  # None: there is no such row, as `save` asked for it
            had = None if stored is None else stored[1].size
            key = (self._folder, row.node.bytes)
            if _is_empty(row):
                gone.append(key)
                files, size = files - (had is not None), size - (had or 0)
                continue
            remote, local = _remote_columns(row.remote), _local_columns(row.local)
            self._stored[row.node.int] = (remote, local)
            has = local.size
            files, size = files + (has is not None) - (had is not None), size + (has or 0) - (had or 0)
            if stored is None or (stored[0] != remote and stored[1] != local):
                batches.setdefault(_SAVE, []).append((*key, *remote, *local, sequence, pack(row)))
            elif stored[0] != remote:
                batches.setdefault(_SAVE_REMOTE, []).append((*key, sequence, pack(row), *remote))
            elif stored[1] != local:
                batches.setdefault(_SAVE_LOCAL, []).append((*key, sequence, pack(row), *local))
            else:
                batches.setdefault(_SAVE_ROW, []).append((*key, sequence, pack(row)))
        if gone:
            self._db.executemany("DELETE FROM nodes WHERE folder = ? AND node = ?", gone)
        for statement, values in batches.items():
            self._db.executemany(statement, values)
        if files or size:
            self._state.count(self._folder, files=files, size=size)

    @contextlib.contextmanager
    def transaction(self, *, lasting: bool = True, deferred: bool = False) -> Iterator[None]:
        """All effects or none.  lasting: on the disk when this ends; else with the next one that is.

        deferred: not even written before the next transaction that is not.  Only for what is observed again if it
        is lost, since a roll-back of that one takes it along.
        """
        try:
            with self._state.transaction(lasting=lasting):
                yield
                if not deferred:
                    self._write()
        except BaseException:
            self._unwritten.clear()
            self._rows.clear()
            self._stored.clear()
            for folders in self._names.values():
                folders.clear()
            for paths in self._paths.values():
                paths.clear()
            raise

    def load(self, nodes: Iterable[NodeId]) -> None:
        """Have the rows of these in memory, also that there is none: one question for hundreds."""
        missing = [node for node in nodes if node.int not in self._rows]
        for start in range(0, len(missing), LOADED_AT_ONCE):
            group = missing[start : start + LOADED_AT_ONCE]
            marks = ", ".join("?" * len(group))
            found = dict(
                self._db.execute(
                    f"SELECT node, row FROM nodes WHERE folder = ? AND node IN ({marks})",  # noqa: S608 - marks only
                    (self._folder, *(node.bytes for node in group)),
                ).fetchall()
            )
            for node in group:
                self._take(node, found.get(node.bytes))

    def is_new(self, node: NodeId) -> None:
        """An id that was made just now: no row can have it."""
        self._remember(node, None)

    # ---- what the round asks besides ---------------------------------------------------------------------

    def save_quietly(self, row: Row) -> None:
        """Keep this row; whether it is dirty stays as it is."""
        self.save(row, dirty=self.is_dirty(row.node))

    def dirty_slice(self, after: int, limit: int) -> list[tuple[int, NodeId]]:
        self._write()
        found = self._db.execute(
            "SELECT dirty, node FROM nodes WHERE folder = ? AND dirty > ? ORDER BY dirty LIMIT ?",
            (self._folder, after, limit),
        ).fetchall()
        return [(number, NodeId(UUID(bytes=node))) for number, node in found]

    def last_dirty(self) -> int:
        return self._sequence

    def settle(self, nodes: Iterable[NodeId]) -> None:
        """These were planned and there was nothing to do."""
        self._write()
        self._db.executemany(
            "UPDATE nodes SET dirty = NULL WHERE folder = ? AND node = ?",
            [(self._folder, node.bytes) for node in nodes],
        )

    def is_dirty(self, node: NodeId) -> bool:
        unwritten = self._unwritten.get(node.int)
        if unwritten is not None and unwritten[1] is None:
            return False
        if unwritten is not None:
            return True
        found = self._db.execute(
            "SELECT dirty FROM nodes WHERE folder = ? AND node = ?", (self._folder, node.bytes)
        ).fetchone()
        return bool(found and found[0] is not None)

    def is_empty(self) -> bool:
        """Nothing is known but the root."""
        self._write()
        found = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM nodes WHERE folder = ? LIMIT 2)", (self._folder,)
        ).fetchone()
        return bool(found[0] < 2)

    def count_dirty(self) -> int:
        self._write()
        found = self._db.execute(
            "SELECT count(*) FROM nodes WHERE folder = ? AND dirty IS NOT NULL", (self._folder,)
        ).fetchone()
        return int(found[0])

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
        self._write()
        here, there = ("l_parent", "r_parent") if missing is Side.LOCAL else ("r_parent", "l_parent")
        found = self._db.execute(
            # Left to itself SQLite goes over all nodes of the folder, at each change.
            "SELECT 1 FROM nodes INDEXED BY nodes_dirty WHERE folder = ? AND dirty IS NOT NULL"  # noqa: S608 - our own column names
            f" AND {here} IS NULL AND {there} IS NOT NULL LIMIT 1",
            (self._folder,),
        ).fetchone()
        return found is not None

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
        self._write()
        found = self._db.execute(
            "SELECT node FROM nodes WHERE folder = ? AND inode = ?", (self._folder, inode & _INT64)
        ).fetchall()
        rows = [(NodeId(UUID(bytes=node)), self.row(NodeId(UUID(bytes=node)))) for (node,) in found]
        return [
            (node, row.local)
            for node, row in rows
            if row and row.local and row.local.fingerprint.device == device
        ]

    def inodes(self) -> set[int]:
        """Of every local file and folder."""
        self._write()
        found = self._db.execute(
            "SELECT inode FROM nodes WHERE folder = ? AND inode IS NOT NULL", (self._folder,)
        )
        return {inode for (inode,) in found}

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
        if self._inodes is not None and inode & _INT64 not in self._inodes:
            return []
        return self._trees.by_inode(device, inode)


# ---- columns ---------------------------------------------------------------------------------------------


def _drop_oldest(cache: dict[int, T]) -> None:
    """A quarter of it, so that it is not done for every new entry."""
    for old in list(islice(cache, max(1, len(cache) // 4))):
        del cache[old]


_NOT_HERE = _LocalColumns(None, None, None, None, None)


def _remote_columns(remote: Remote | None) -> _RemoteColumns:
    if remote is None:
        return (None, None, None)
    conflict_of = remote.conflict_of
    return (
        remote.place.parent.bytes,
        name_key(remote.place.name),
        conflict_of.bytes if conflict_of is not None else None,
    )


def _local_columns(local: Local | None) -> _LocalColumns:
    if local is None:
        return _NOT_HERE
    content, seen = local.content, local.fingerprint
    is_source = content is not None and content.kind is Kind.FILE and content.size >= WORTH_COPYING
    return _LocalColumns(
        local.place.parent.bytes,
        name_key(local.place.name),
        seen.inode & _INT64,
        None if stat.S_ISDIR(seen.mode) else seen.size,
        content.digest if content is not None and is_source else None,
    )


def _is_empty(row: Row) -> bool:
    return row.remote is None and row.local is None and row.agreed is None
