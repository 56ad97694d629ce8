"""The rows of one followed folder, in memory and in `state.db`.

Owns: which rows are in memory, when they are written, what of them lasts, how those that wait are found.
May import: protocol, engine.trees, engine.database, engine.row_bytes, engine.row_columns.

Only what was asked for lately is in memory, so a folder of a million nodes costs an idle client little.  Rows are
written in bulk: when there are many, or before a question that only the database can answer.  Most rows change a few
times until then: seen, read, sent, agreed.  When something is to last meanwhile, the rows that changed are laid down
in one piece in a table beside (`waiting`), which no index follows: whoever opens the database takes them up from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import islice
from typing import TypeVar

from protocol.ids import NodeId
from sync_client.engine.database import StateDatabase
from sync_client.engine.row_bytes import pack, pack_many, unpack, unpack_many
from sync_client.engine.row_columns import (
    INT64,
    SAVE,
    SAVE_LOCAL,
    SAVE_REMOTE,
    SAVE_ROW,
    Stored,
    is_empty,
    local_columns,
    remote_columns,
)
from sync_client.engine.trees import Row, Side

CACHED_ROWS = 40_000
LOADED_AT_ONCE = 500
FEW_ROWS = 200  # so few are written to their table at once when they are to last
MANY_ROWS = 30_000  # and so many: what waits is gone over now and then

T = TypeVar("T")
_Waiting = tuple[Row, int | None]  # a row that is to be written, and since when it is dirty
_Nodes = dict[int, None]  # in the order in which they came


class RowStore:
    """`engine.database.RowsInMemory`.  Keys of the dictionaries are `NodeId.int`: much cheaper to hash."""

    def __init__(self, state: StateDatabase, folder: int) -> None:
        self._state = state
        self._db = state.connection
        self._folder = folder
        self._rows: dict[int, Row | None] = {}
        self._stored: dict[int, Stored] = {}  # of the rows in memory those that the database has
        self._unwritten: dict[int, _Waiting] = {}
        self._unlaid: set[int] = set()  # those of them that would not outlast this process
        self._laid_down = False  # some of them stand in `waiting`
        self._before: dict[int, _Waiting] = {}  # as `_unwritten` was when the transaction began
        self._before_unlaid: tuple[set[int], bool] = (set(), False)  # and the other two
        self._index = _WaitingIndex()  # of `_unwritten`, but for the rows that were
        self._unindexed: _Nodes = {}  # saved since somebody asked
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
            self._remember(row.node, None if is_empty(row) else row)
            self._keep(row, since)
            self._sequence = max(self._sequence, since or 0)
        if self._laid_down:  # still, so none was written meanwhile
            self._unlaid.clear()

    # ---- memory ------------------------------------------------------------------------------------------

    def row(self, node: NodeId) -> Row | None:
        try:
            return self._rows[node.int]
        except KeyError:
            pass
        found = self._db.execute(
            "SELECT row, dirty FROM nodes WHERE folder = ? AND node = ?", (self._folder, node.bytes)
        ).fetchone()
        return self._take(node, found)

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

    def _take(self, node: NodeId, found: tuple[bytes, int | None] | None) -> Row | None:
        """A row as the database has it, or that it has none."""
        row = unpack(node, found[0]) if found is not None else None
        self._remember(node, row)
        if row is not None and found is not None:
            self._stored[node.int] = Stored(remote_columns(row.remote), local_columns(row.local), found[1])
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
        self._unindexed[row.node.int] = None

    def _remember(self, node: NodeId, row: Row | None) -> None:
        if len(self._rows) >= CACHED_ROWS:
            self._write()  # what is forgotten must be found in the database
            drop_oldest(self._rows)
            kept = {node.int, *self._rows}  # this one may have been among the oldest
            self._stored = {key: stored for key, stored in self._stored.items() if key in kept}
        self._rows[node.int] = row

    # ---- writing -----------------------------------------------------------------------------------------

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
            if is_empty(row):
                gone.append(key)
                files, size = files - (had is not None), size - (had or 0)
                continue
            remote, local = remote_columns(row.remote), local_columns(row.local)
            self._stored[row.node.int] = Stored(remote, local, since)
            has = local.size
            files, size = files + (has is not None) - (had is not None), size + (has or 0) - (had or 0)
            if stored is None or (stored.remote != remote and stored.local != local):
                batches.setdefault(SAVE, []).append((*key, *remote, *local, since, pack(row)))
            elif stored.remote != remote:
                batches.setdefault(SAVE_REMOTE, []).append((*key, since, pack(row), *remote))
            elif stored.local != local:
                batches.setdefault(SAVE_LOCAL, []).append((*key, since, pack(row), *local))
            else:
                batches.setdefault(SAVE_ROW, []).append((*key, since, pack(row)))
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
            self._rows[row.node.int] = None if is_empty(row) else row
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

    # ---- those that wait ---------------------------------------------------------------------------------

    def _waiting_below(self, side: Side, parent: NodeId) -> list[Row]:
        """Rows that are not written yet, of what lies in this folder."""
        found: list[Row] = []
        for node in self._indexed().below[side].get(parent.int, ()):
            row, _ = self._unwritten[node]
            seen = row.remote if side is Side.REMOTE else row.local
            if seen is not None and seen.place.parent.int == parent.int:
                found.append(row)
        return found

    def _waiting_with(self, inode: int) -> list[Row]:
        """The same, of what has this inode on any device."""
        rows = (self._unwritten[node][0] for node in self._indexed().by_inode.get(inode & INT64, ()))
        return [row for row in rows if row.local is not None and row.local.fingerprint.inode == inode]

    def _indexed(self) -> _WaitingIndex:
        if self._unindexed:
            self._index.add(self._unwritten[node][0] for node in self._unindexed)
            self._unindexed.clear()
        return self._index

    def _forget_index(self) -> None:
        self._index = _WaitingIndex()
        self._unindexed.clear()


class _WaitingIndex:
    """Where rows that wait may be found.  What they had before stays in it: who asks looks at the row."""

    def __init__(self) -> None:
        self.below: dict[Side, dict[int, _Nodes]] = {Side.REMOTE: {}, Side.LOCAL: {}}  # by their folder
        self.by_inode: dict[int, _Nodes] = {}

    def add(self, rows: Iterable[Row]) -> None:
        remote, local = self.below[Side.REMOTE], self.below[Side.LOCAL]
        for row in rows:
            node = row.node.int
            if row.remote is not None:
                remote.setdefault(row.remote.place.parent.int, {})[node] = None
            if row.local is not None:
                local.setdefault(row.local.place.parent.int, {})[node] = None
                self.by_inode.setdefault(row.local.fingerprint.inode & INT64, {})[node] = None


def drop_oldest(cache: dict[int, T]) -> None:
    """A quarter of it, so that it is not done for every new entry."""
    for old in list(islice(cache, max(1, len(cache) // 4))):
        del cache[old]
