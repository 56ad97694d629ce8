"""The one walk over everything that holds chunks.

Owns: which chunks are reachable, and through what.  May import: sqlalchemy, protocol, server.

What nothing reaches may be dropped, so `check` and garbage collection walk here and nowhere else.  Versions
of nodes in the trash hold their chunks like all others; an uploaded chunk is held by its lease.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, select, tuple_
from sqlalchemy.orm import Session

from protocol.errors import ContentDamaged, MedicalBlocksError
from protocol.ids import ChunkId, split_chunk_ids
from protocol.manifests import check_shape, read_records
from protocol.messages import Manifest
from server.chunks.store import ChunkStore
from server.database.tables import NodeRow, PossessionRow, VersionRow

PAGE_VERSIONS = 2_000
_KEY = (VersionRow.space, VersionRow.node, VersionRow.epoch, VersionRow.number)
_COLUMNS = (*_KEY, VersionRow.size, VersionRow.chunks, VersionRow.lengths, VersionRow.indirect)
VersionKey = tuple[int, bytes, int, int]  # space, node, epoch, number


@dataclass(frozen=True, slots=True)
class Held:
    """A version, and every chunk it holds: of an indirect manifest first its own, then the file's.

    lengths: as the manifest says them, one for each of `chunks`.
    fault: "" or why the manifest cannot be followed; whoever drops chunks must then drop nothing.
    """

    key: VersionKey
    manifest: Manifest
    chunks: list[ChunkId]
    lengths: list[int]
    fault: str = ""
    is_current: bool = False  # said by `versions_held` only


def reachable(session: Session, store: ChunkStore) -> Iterator[list[Held]]:
    """All versions of all spaces in the order of their keys, some thousand at a time."""
    after: VersionKey = (0, b"", 0, 0)
    while True:
        query = select(*_COLUMNS).where(tuple_(*_KEY) > tuple_(*after)).order_by(*_KEY).limit(PAGE_VERSIONS)
        page: list[Held] = []
        for space, node, epoch, number, size, chunks, lengths, indirect in session.execute(query):
            after = (space, node, epoch, number)
            manifest = manifest_of(size, chunks, lengths, indirect=indirect)
            page.append(_held(session, store, after, manifest))
        if not page:
            return
        yield page


def versions_held(session: Session, store: ChunkStore, keys: Sequence[VersionKey]) -> Iterator[Held]:
    """Those of these versions that there are, with all they hold."""
    query = (
        select(
            NodeRow.content_epoch,
            NodeRow.content_number,
            *(VersionRow.size, VersionRow.chunks, VersionRow.lengths, VersionRow.indirect),
        )
        .join(NodeRow, (NodeRow.space == VersionRow.space) & (NodeRow.id == VersionRow.node))
        .where(
            VersionRow.space == bindparam("space"),
            VersionRow.node == bindparam("node"),
            VersionRow.epoch == bindparam("epoch"),
            VersionRow.number == bindparam("number"),
        )
    )
    for key in keys:
        named = dict(zip(("space", "node", "epoch", "number"), key, strict=True))
        row = session.execute(query, named).one_or_none()
        if row is not None:
            manifest = manifest_of(row.size, row.chunks, row.lengths, indirect=row.indirect)
            held = _held(session, store, key, manifest)
            yield replace(held, is_current=(row.content_epoch, row.content_number) == key[2:])


def held_chunks(session: Session, store: ChunkStore) -> Iterator[list[ChunkId]]:
    """Everything that may not be dropped: what versions hold, and what a device uploaded and did not commit yet.

    A lease holds as long as its row is there; who drops chunks forgets old leases first.
    Raises ContentDamaged: a manifest cannot be followed, so nobody knows what it holds.
    """
    for page in reachable(session, store):
        for held in page:
            if held.fault:
                _, node, epoch, number = held.key
                raise ContentDamaged(
                    f"The manifest of version {epoch}.{number} of node {node.hex()} cannot be followed",
                    hint="Run `mb-server check --deep`; nothing is dropped until it is whole again.",
                )
            yield held.chunks
    leases = select(PossessionRow.chunk).distinct().execution_options(yield_per=PAGE_VERSIONS)
    for some in session.scalars(leases).partitions():
        yield [ChunkId(chunk) for chunk in some]


def _held(session: Session, store: ChunkStore, key: VersionKey, manifest: Manifest) -> Held:
    fault = check_shape(manifest)
    if fault:
        return Held(key, manifest, [], [], fault)
    own = split_chunk_ids(manifest.chunks)
    if not manifest.indirect:
        return Held(key, manifest, own, manifest.lengths)
    try:
        records = list(read_records(store.read_bytes(session, own), size=manifest.size))
    except MedicalBlocksError as error:
        return Held(key, manifest, own, manifest.lengths, error.what)
    chunks = own + [chunk for chunk, _ in records]
    return Held(key, manifest, chunks, manifest.lengths + [length for _, length in records])


def manifest_of(size: int, chunks: bytes, lengths: bytes, *, indirect: bool) -> Manifest:
    """From the columns of a version."""
    whole = lengths[: len(lengths) // 4 * 4]
    return Manifest(size, chunks, list(struct.unpack(f"<{len(whole) // 4}I", whole)), indirect)


def file_chunks(session: Session, store: ChunkStore, manifest: Manifest) -> list[ChunkId]:
    """The chunks that put together are the file.  Raises ContentDamaged."""
    own = split_chunk_ids(manifest.chunks)
    if not manifest.indirect:
        return own
    records = read_records(store.read_bytes(session, own), size=manifest.size)
    return [chunk for chunk, _ in records]
