"""Which chunks a device may name in a view, and what the contents of a batch hold.

Owns: possession (uploaded within the lease, or held by a node readable in the view), manifests that are true.
May import: sqlalchemy, protocol, server.chunks, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain

from sqlalchemy.orm import Session

from protocol.errors import ContentDamaged
from protocol.ids import CHUNK_ID_BYTES, ChunkId, DeviceId, split_chunk_ids
from protocol.limits import MAX_INDIRECT_BYTES
from protocol.manifests import RECORD_BYTES, check_shape, read_records
from protocol.messages import Manifest, OpResult, Status
from server.access.rights import ReadableView
from server.chunks.possession import leased
from server.chunks.store import ChunkStore
from server.database.session import rows_in
from server.spaces.deciding import Holding
from server.spaces.inside import inside

_MISSING = OpResult(status=Status.MISSING_CHUNKS)
_TOO_MUCH = OpResult(
    status=Status.CONTENT_REFUSED,
    message=f"the indirect manifests of one batch hold more than {MAX_INDIRECT_BYTES} bytes: send it by itself",
)
Lengths = Mapping[ChunkId, int]


def possessed(
    session: Session, view: ReadableView, device: DeviceId, chunks: Collection[ChunkId], now_ms: int
) -> set[ChunkId]:
    """Those of `chunks` that this device may name: nothing is said of what others store.

    All nodes of a home's space lie in its view, the trash and old versions too.
    """
    found = leased(session, device, chunks, now_ms)
    if not view.is_whole:
        return found | _held_inside(session, view, [chunk for chunk in chunks if chunk not in found])
    used = rows_in(
        session,
        "SELECT DISTINCT chunk FROM chunk_uses WHERE space = ? AND chunk IN",
        view.space,
        among=[chunk for chunk in chunks if chunk not in found],
    )
    found.update(chunk for (chunk,) in used)
    return found


def _held_inside(session: Session, view: ReadableView, chunks: Sequence[ChunkId]) -> set[ChunkId]:
    """Those of `chunks` that some node of a view holds which is a part of its space.

    The way up is walked in any case, so that the time does not tell what the rest of the space holds (but for
    some 2 µs a folder where it lies deeper: a request takes a thousand).
    """
    if not chunks:
        return set()
    sql = "SELECT DISTINCT chunk, node FROM chunk_uses WHERE space = ? AND chunk IN"
    uses = [(chunk, node) for chunk, node in rows_in(session, sql, view.space, among=chunks)]
    mine = inside(session, view, {node for _, node in uses} or {view.root.bytes})
    return {chunk for chunk, node in uses if node in mine}


def holdings_of(
    session: Session,
    store: ChunkStore,
    view: ReadableView,
    device: DeviceId,
    manifests: Mapping[int, Manifest],
    *,
    now_ms: int,
) -> dict[int, Holding]:
    """What each manifest holds, or why it may not be named, by the same numbers."""
    holdings: dict[int, Holding] = {}
    named: dict[int, list[ChunkId]] = {}
    for index, manifest in manifests.items():
        problem = _misshapen(manifest)
        if problem is not None:
            holdings[index] = Holding(problem=problem)
        elif manifest.chunks:
            named[index] = _own_chunks(manifest)
    lengths = _usable(session, store, view, device, named.values(), now_ms)
    for index, chunks in named.items():
        problem = _refused(chunks, manifests[index].lengths, lengths)
        holdings[index] = Holding(problem=problem) if problem else Holding(uses=_each_once(chunks))
    indirect = [index for index in named if manifests[index].indirect and holdings[index].problem is None]
    known: dict[tuple[int, bytes], Holding] = {}
    read_bytes = 0
    for index in indirect:
        manifest = manifests[index]
        key = (manifest.size, manifest.chunks)
        read_bytes += sum(manifest.lengths) if key not in known else 0
        if read_bytes > MAX_INDIRECT_BYTES:
            holdings[index] = Holding(problem=_TOO_MUCH)
        else:
            if key not in known:
                known[key] = _through(session, store, view, device, manifest, now_ms)
            holdings[index] = known[key]
    return holdings


def _own_chunks(manifest: Manifest) -> list[ChunkId]:
    return (
        [ChunkId(manifest.chunks)]
        if len(manifest.chunks) == CHUNK_ID_BYTES  # as most have
        else split_chunk_ids(manifest.chunks)
    )


def _through(
    session: Session,
    store: ChunkStore,
    view: ReadableView,
    device: DeviceId,
    manifest: Manifest,
    now_ms: int,
) -> Holding:
    """An indirect manifest, whose own chunks may be named: the same for the chunks of the file."""
    own = _own_chunks(manifest)
    try:
        records = resolve(session, store, manifest)
    except ContentDamaged as error:
        return Holding(problem=OpResult(status=Status.CONTENT_REFUSED, message=str(error)))
    leaves = [chunk for chunk, _ in records]
    lengths = _usable(session, store, view, device, [leaves], now_ms)
    problem = _refused(leaves, [length for _, length in records], lengths)
    return Holding(problem=problem) if problem else Holding(uses=_each_once([*own, *leaves]))


def resolve(session: Session, store: ChunkStore, manifest: Manifest) -> list[tuple[ChunkId, int]]:
    """The file's own chunks with their lengths, in order.  Raises ContentDamaged: the manifest is broken."""
    chunks = split_chunk_ids(manifest.chunks)
    if not manifest.indirect:
        return list(zip(chunks, manifest.lengths, strict=True))
    return list(read_records(store.read_bytes(session, chunks), size=manifest.size))


def _usable(
    session: Session,
    store: ChunkStore,
    view: ReadableView,
    device: DeviceId,
    named: Iterable[Sequence[ChunkId]],
    now_ms: int,
) -> Lengths:
    """The lengths of those that are stored and that this device may name."""
    chunks = _each_once(chain.from_iterable(named))
    if not chunks:
        return {}
    allowed = possessed(session, view, device, chunks, now_ms)
    return store.lengths(session, list(allowed))


def _misshapen(manifest: Manifest) -> OpResult | None:
    why = check_shape(manifest)
    if not why and manifest.indirect:
        total = sum(manifest.lengths)
        if total > MAX_INDIRECT_BYTES:
            why = f"an indirect manifest of more than {MAX_INDIRECT_BYTES} bytes"
        elif manifest.size < total // RECORD_BYTES:
            why = "an indirect manifest with more chunks than the file has bytes"
    return OpResult(status=Status.CONTENT_REFUSED, message=why) if why else None


def _refused(chunks: Sequence[ChunkId], lengths: Sequence[int], usable: Lengths) -> OpResult | None:
    for chunk, length in zip(chunks, lengths, strict=True):
        stored = usable.get(chunk)
        if stored is None:
            return _MISSING
        if stored != length:
            return OpResult(
                status=Status.CONTENT_REFUSED,
                message="the length of a chunk is not the one that was uploaded",
            )
    return None


def _each_once(chunks: Iterable[ChunkId]) -> tuple[ChunkId, ...]:
    return tuple(dict.fromkeys(chunks))
