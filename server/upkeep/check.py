"""Every invariant of the data, looked at; nothing is changed.

Owns: `check`, and whether versions, uses and chunks agree.  May import: sqlalchemy, protocol, server.

All rows are read in one snapshot, so it may run beside a working server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.audit.chain import HEADS_KEY_INFO, public_key
from server.audit.sealing import read_heads
from server.audit.verifying import verify
from server.chunks.keys import StoreKeys
from server.chunks.packs import PackStore
from server.chunks.store import ChunkStore
from server.data_folder import DataFolder
from server.database.session import Database
from server.database.tables import ChunkUseRow
from server.upkeep.pack_check import broken_packs, strays
from server.upkeep.row_rules import Finding, broken_file, broken_names, broken_rows
from server.upkeep.walk import Held, VersionKey, reachable

__all__ = ["Finding", "check"]

_MAX_EACH = 100  # findings of one code are told; the rest is counted
_PAGE_ROWS = 2_000


def check(database: Database, packs: PackStore, keys: StoreKeys, *, deep: bool) -> list[Finding]:
    """What is broken: empty where all is well.

    Always: rows against each other, manifests against chunks, packs by size and digest.
    deep: each stored record decrypted and hashed to its id, each pack's own index compared.
    """
    store = ChunkStore(database, packs, keys, clock=lambda: 0)
    told: list[Finding] = []
    counts: Counter[str] = Counter()
    with database.reading() as session:
        for findings in (
            broken_file(session, deep=deep),
            broken_log(session, database, keys),
            broken_rows(session),
            broken_names(session),
            broken_holdings(session, store),
            broken_packs(session, packs, keys, deep=deep),
            strays(session, packs, deep=deep),
        ):
            for finding in findings:
                counts[finding.code] += 1
                if counts[finding.code] <= _MAX_EACH:
                    told.append(finding)
    for code, count in counts.items():
        if count > _MAX_EACH:
            told.append(Finding(code, f"and {count - _MAX_EACH} more like these"))
    return told


def broken_log(session: Session, database: Database, keys: StoreKeys) -> Iterator[Finding]:
    """What does not hold in the log, by the heads that lie beside the database too."""
    seed = keys.subkey(HEADS_KEY_INFO)
    heads = read_heads(DataFolder(database.path.parent).audit_heads)
    for sentence in verify(session, heads, own_key=public_key(seed)).broken:
        yield Finding("audit", sentence)


def broken_holdings(session: Session, store: ChunkStore) -> Iterator[Finding]:
    """Versions whose chunks are not all stored with the lengths they say, or not all known as used."""
    uses = _Uses(session)
    for page in reachable(session, store):
        lengths = store.lengths(session, list(chain.from_iterable(held.chunks for held in page)))
        for held in page:
            name = _named(held.key)
            if held.fault:
                yield Finding("manifest", f"{name}: {held.fault}")
            missing = [chunk for chunk in held.chunks if chunk not in lengths]
            if missing:
                yield Finding(
                    "chunk-missing", f"{name}: chunk {missing[0].hex()} and {len(missing) - 1} more lack"
                )
            elif any(lengths[chunk] != said for chunk, said in zip(held.chunks, held.lengths, strict=True)):
                yield Finding("manifest-length", f"{name}: a chunk has another length than the manifest says")
            for key in uses.before(held.key):
                yield Finding("use-version", f"{_named(key)} is not there, but is said to use chunks")
            if not held.fault and not uses.agree(held):
                yield Finding("uses", f"{name}: the chunks known as used are not those it holds")
    for key in uses.before(None):
        yield Finding("use-version", f"{_named(key)} is not there, but is said to use chunks")


class _Uses:
    """The rows of `chunk_uses` in the order of versions, beside the walk over versions in the same order."""

    def __init__(self, session: Session) -> None:
        self._groups = _grouped_uses(session)
        self._next: tuple[VersionKey, set[bytes]] | None = None
        self._begun = False

    def before(self, key: VersionKey | None) -> Iterator[VersionKey]:
        """The versions with uses that come before `key` (None: all that are left)."""
        while (at := self._peek()) is not None and (key is None or at[0] < key):
            yield at[0]
            self._step()

    def agree(self, held: Held) -> bool:
        at = self._peek()
        if at is None or at[0] != held.key:
            return not held.chunks
        self._step()
        return at[1] == set(held.chunks)

    def _peek(self) -> tuple[VersionKey, set[bytes]] | None:
        if not self._begun:
            self._begun = True
            self._step()
        return self._next

    def _step(self) -> None:
        self._next = next(self._groups, None)


def _grouped_uses(session: Session) -> Iterator[tuple[VersionKey, set[bytes]]]:
    order = (ChunkUseRow.space, ChunkUseRow.node, ChunkUseRow.epoch, ChunkUseRow.number)
    query = select(*order, ChunkUseRow.chunk).order_by(*order).execution_options(yield_per=_PAGE_ROWS)
    key: VersionKey | None = None
    chunks: set[bytes] = set()
    for *columns, chunk in session.execute(query):
        found: VersionKey = _key(columns)
        if found != key:
            if key is not None:
                yield key, chunks
            key, chunks = found, set()
        chunks.add(chunk)
    if key is not None:
        yield key, chunks


def _key(columns: Sequence[object]) -> VersionKey:
    space, node, epoch, number = columns
    assert isinstance(space, int)
    assert isinstance(node, bytes)
    assert isinstance(epoch, int)
    assert isinstance(number, int)
    return space, node, epoch, number


def _named(key: VersionKey) -> str:
    space, node, epoch, number = key
    return f"Version {epoch}.{number} of node {node.hex()} in space {space}"
