"""The three trees of one followed folder, as rows of `state.db`.

Owns: how a row is stored and found again, what of it is kept in memory.
May import: msgspec, protocol.names, engine.trees, engine.database.

Only what was asked for lately is in memory, so a folder of a million nodes costs an idle client little.  Rows are
written in bulk: when there are many, or before a question that only the database can answer.  Most rows change a few
times until then: seen, read, sent, agreed.  When something is to last meanwhile, the rows that changed are laid down
in one piece in a table beside (`waiting`), which no index follows: whoever opens the database takes them up from there.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, TypeVar
from uuid import UUID

from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.names import name_key
from sync_client.engine.database import StateDatabase
from sync_client.engine.row_bytes import pack, pack_many, unpack, unpack_many
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
FEW_ROWS = 200  # so few are written to their table at once when they are to last
MANY_ROWS = 30_000  # and so many: what waits is gone over now and then
WORTH_COPYING = 16 * 1024  # bytes: a smaller file is fetched faster than found
_INT64 = 2**63 - 1  # SQLite has no unsigned integers

_SAVE = """
INSERT INTO nodes (folder, node, r_parent, r_key, conflict_of, l_parent, l_key, inode, size, digest, dirty, row)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (folder, node) DO UPDATE SET
    r_parent = excluded.r_parent, r_key = excluded.r_key, conflict_of = excluded.conflict_of,
    l_parent = excluded.l_parent, l_key = excluded.l_key, inode = excluded.inode, size = excluded.size,
    digest = excluded.digest, dirty = excluded.dirty, row = excluded.row
"""
# Touching a column costs a visit to each index it stands in, changed or not: so only what changed is named.
_MARK_AND_ROW = " dirty = ?3, row = ?4 WHERE folder = ?1 AND node = ?2"
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


class _Stored(NamedTuple):
    """What stands in the columns of a row, as far as anything is found by them."""

    remote: _RemoteColumns
    local: _LocalColumns
    dirty: int | None


class _WaitingIndex:
    """Where rows that wait to be written are found.  What was replaced since stays in it: who asks passes it over."""

    def __init__(self) -> None:
        self.below: dict[Side, dict[int, list[Row]]] = {Side.REMOTE: {}, Side.LOCAL: {}}  # by their folder
        self.by_inode: dict[int, list[Row]] = {}

    def add(self, rows: Iterable[Row]) -> None:
        remote, local = self.below[Side.REMOTE], self.below[Side.LOCAL]
        for row in rows:
            if row.remote is not None:
                remote.setdefault(row.remote.place.parent.int, []).append(row)
            if row.local is not None:
                local.setdefault(row.local.place.parent.int, []).append(row)
                self.by_inode.setdefault(row.local.fingerprint.inode & _INT64, []).append(row)


_Names = dict[str, list[NodeId]]  # name key → the children of one folder that have it
_Waiting = tuple[Row, int | None]  # a row that is to be written, and since when it is dirty


class StoredTrees:
    """`engine.trees.Trees` over SQLite.  Keys of the dictionaries are `NodeId.int`: much cheaper to hash."""

    def __init__(self, state: StateDatabase, folder: int, root: NodeId) -> None:
        self.root = root
        self._state = state
        self._db = state.connection
        self._folder = folder
        self._rows: dict[int, Row | None] = {}
        self._stored: dict[int, _Stored] = {}  # of the rows in memory those that the database has
        self._unwritten: dict[int, _Waiting] = {}
        self._unlaid: set[int] = set()  # those of them that would not outlast this process
        self._laid_down = False  # some of them stand in `waiting`
        self._before: dict[int, _Waiting] = {}  # as `_unwritten` was when the transaction began
        self._before_unlaid: tuple[set[int], bool] = (set(), False)  # and the other two
        self._index = _WaitingIndex()  # of `_unwritten`, but for the rows that were
        self._unindexed: list[Row] = []  # saved since somebody asked
        self._names: dict[Side, dict[int, _Names | None]] = {
            Side.REMOTE: {},
            Side.LOCAL: {},
        }  # None: too many
        self._paths: dict[Side, dict[int, tuple[str, ...]]] = {Side.REMOTE: {}, Side.LOCAL: {}}  # of folders
        found = self._db.execute("SELECT max(dirty) FROM nodes WHERE folder = ?", (folder,)).fetchone()
        self._sequence = int(found[0] or 0)
        state.keep_in_memory(folder, self)
        self._take_up()

    def _take_up(self) -> None:
        """What was laid down and not written to its table before the last process ended."""
        found: dict[int, _Waiting] = {}
        query = "SELECT rows FROM waiting WHERE folder = ? ORDER BY number"
        for (rows,) in self._db.execute(query, (self._folder,)).fetchall():
            found.update((row.node.int, (row, since)) for row, since in unpack_many(rows))
        self._laid_down = bool(found)
        for row, since in found.values():
            self.row(row.node)  # what its table has of it
            self._remember(row.node, None if _is_empty(row) else row)
            self._keep(row, since)
            self._sequence = max(self._sequence, since or 0)
        if self._laid_down:  # still, so none was written meanwhile
            self._unlaid.clear()

    # ---- Trees -------------------------------------------------------------------------------------------

    def row(self, node: NodeId) -> Row | None:
        try:
            return self._rows[node.int]
        except KeyError:
            pass
        found = self._db.execute(
            "SELECT row, dirty FROM nodes WHERE folder = ? AND node = ?", (self._folder, node.bytes)
        ).fetchone()
        return self._take(node, found)

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

    def _take(self, node: NodeId, found: tuple[bytes, int | None] | None) -> Row | None:
        """A row as the database has it, or that it has none."""
        row = unpack(node, found[0]) if found is not None else None
        self._remember(node, row)
        if row is not None and found is not None:
            self._stored[node.int] = _Stored(_remote_columns(row.remote), _local_columns(row.local), found[1])
        return row

    def _dirty_since(self, node: NodeId) -> int | None:
        """Of a row in memory."""
        waiting = self._unwritten.get(node.int)
        if waiting is not None:
            return waiting[1]
        stored = self._stored.get(node.int)
        return None if stored is None else stored.dirty

    def _keep(self, row: Row, since: int | None) -> None:
        self._unwritten[row.node.int] = (row, since)
        self._unlaid.add(row.node.int)
        self._unindexed.append(row)

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

    def _waiting_below(self, side: Side, parent: NodeId) -> list[Row]:
        """Rows that are not written yet, of what lies in this folder."""
        return self._still_waiting(self._indexed().below[side].get(parent.int, ()))

    def _waiting_with(self, inode: int) -> list[Row]:
        return self._still_waiting(self._indexed().by_inode.get(inode & _INT64, ()))

    def _still_waiting(self, rows: Iterable[Row]) -> list[Row]:
        """Each once: a row may have been saved again as it was."""
        current = {row.node.int: row for row in rows if self._unwritten[row.node.int][0] is row}
        return list(current.values())

    def _indexed(self) -> _WaitingIndex:
        if self._unindexed:
            self._index.add(self._still_waiting(self._unindexed))
            self._unindexed.clear()
        return self._index

    def _forget_index(self) -> None:
        self._index = _WaitingIndex()
        self._unindexed.clear()

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
        if not self._state.in_transaction:  # as a whole, and not each row with a sync of its own
            with self._state.transaction(lasting=False):
                self._write()
            return
        unwritten, self._unwritten = self._unwritten, {}
        self._unlaid.clear()
        self._forget_index()
        if self._laid_down:
            self._db.execute("DELETE FROM waiting WHERE folder = ?", (self._folder,))
            self._laid_down = False
        gone: list[tuple[int, bytes]] = []
        batches: dict[str, list[tuple[object, ...]]] = {}
        files = size = 0
        for row, since in unwritten.values():
            stored = self._stored.pop(row.node.int, None)  # None: there is none, as `save` asked for it
            had = None if stored is None else stored.local.size
            key = (self._folder, row.node.bytes)
            if _is_empty(row):
                gone.append(key)
                files, size = files - (had is not None), size - (had or 0)
                continue
            remote, local = _remote_columns(row.remote), _local_columns(row.local)
            self._stored[row.node.int] = _Stored(remote, local, since)
            has = local.size
            files, size = files + (has is not None) - (had is not None), size + (has or 0) - (had or 0)
            if stored is None or (stored.remote != remote and stored.local != local):
                batches.setdefault(_SAVE, []).append((*key, *remote, *local, since, pack(row)))
            elif stored.remote != remote:
                batches.setdefault(_SAVE_REMOTE, []).append((*key, since, pack(row), *remote))
            elif stored.local != local:
                batches.setdefault(_SAVE_LOCAL, []).append((*key, since, pack(row), *local))
            else:
                batches.setdefault(_SAVE_ROW, []).append((*key, since, pack(row)))
        if gone:
            self._db.executemany("DELETE FROM nodes WHERE folder = ? AND node = ?", gone)
        for statement, values in batches.items():
            self._db.executemany(statement, values)
        if files or size:
            self._state.count(self._folder, files=files, size=size)

    # ---- transactions ------------------------------------------------------------------------------------

    def transaction(self, *, lasting: bool = True) -> AbstractContextManager[None]:
        """All effects or none.  lasting: on the disk when this ends; else with the next one that is."""
        return self._state.transaction(lasting=lasting)

    def begin(self) -> None:
        self._before = dict(self._unwritten)
        self._before_unlaid = (set(self._unlaid), self._laid_down)

    def last(self) -> None:
        if FEW_ROWS < len(self._unwritten) < MANY_ROWS:
            self._lay_down()
        else:
            self._write()

    def _lay_down(self) -> None:
        """Of what waits, whatever changed since this was done last."""
        if self._unlaid:
            rows = pack_many([self._unwritten[node] for node in self._unlaid])
            self._db.execute("INSERT INTO waiting (folder, rows) VALUES (?, ?)", (self._folder, rows))
            self._unlaid.clear()
            self._laid_down = True

    def write(self) -> None:
        self._write()

    def undo(self) -> None:
        self._unwritten.clear()
        self._forget_index()
        self._forget()
        self.load(row.node for row, _ in self._before.values())  # what the database has of them
        for row, since in self._before.values():
            self._rows[row.node.int] = None if _is_empty(row) else row
            self._keep(row, since)
        self._unlaid, self._laid_down = self._before_unlaid

    def let_go(self) -> None:
        """After much work: what was read stays in memory no longer, and is read again when it is asked for."""
        if not self._unwritten:
            self._forget()
        self._db.execute("PRAGMA shrink_memory")  # pages, too

    def _forget(self) -> None:
        self._rows.clear()
        self._stored.clear()
        for folders in self._names.values():
            folders.clear()
        for paths in self._paths.values():
            paths.clear()

    def load(self, nodes: Iterable[NodeId]) -> None:
        """Have the rows of these in memory, also that there is none: one question for hundreds."""
        missing = [node for node in nodes if node.int not in self._rows]
        for start in range(0, len(missing), LOADED_AT_ONCE):
            group = missing[start : start + LOADED_AT_ONCE]
            marks = ", ".join("?" * len(group))
            rows = self._db.execute(
                f"SELECT node, row, dirty FROM nodes WHERE folder = ? AND node IN ({marks})",  # noqa: S608 - marks only
                (self._folder, *(node.bytes for node in group)),
            ).fetchall()
            found = {node: (row, dirty) for node, row, dirty in rows}
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
            "SELECT node FROM nodes WHERE folder = ? AND inode = ?", (self._folder, inode & _INT64)
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
