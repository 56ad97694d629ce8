"""Whether the packs are what the database says of them.

Owns: looking at pack files, from their size to every record in them.
May import: sqlalchemy, protocol, server.chunks, server.database.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import ContentDamaged
from protocol.frames import open_frame
from protocol.ids import ChunkId
from server.chunks.keys import StoreKeys
from server.chunks.pack_format import Place, digest_of, read_places
from server.chunks.packs import PackStore
from server.chunks.seal import open_record
from server.database.tables import ChunkRow, PackRow
from server.upkeep.row_rules import Finding

LEFTOVER_SECONDS = 3_600  # an upload writes more often than that
_GROUP_BYTES = 4 * 1024 * 1024


def broken_packs(session: Session, packs: PackStore, keys: StoreKeys, *, deep: bool) -> Iterator[Finding]:
    """Packs that are missing or changed; deep: each record decrypted and hashed, each index compared."""
    rows = session.execute(select(PackRow.id, PackRow.name, PackRow.size, PackRow.file_digest)).all()
    for number, name, size, digest in rows:
        yield from _look_at_file(packs, name, size, digest)
        if deep:
            query = select(
                ChunkRow.id, ChunkRow.offset, ChunkRow.stored_length, ChunkRow.length, ChunkRow.codec
            ).where(ChunkRow.pack == number)
            places = [
                Place(ChunkId(chunk), offset, stored_length, length, codec)
                for chunk, offset, stored_length, length, codec in session.execute(query)
            ]
            yield from _look_inside(packs, keys, name, places)


def strays(session: Session, packs: PackStore, *, deep: bool) -> Iterator[Finding]:
    """What lies beside the named packs.  A whole pack without rows is none: a server that was killed between
    file and rows left it, and the next start takes it in."""
    for name in packs.leftovers(older_than=time.time() - LEFTOVER_SECONDS):
        yield Finding("pack-leftover", f"{name} was never finished; the next start of the server removes it")
    if not deep:
        return
    named = set(session.scalars(select(PackRow.name)))
    for name in [name for name in packs.names() if name not in named]:
        try:
            read_places(packs, name)
        except (ContentDamaged, OSError):
            yield Finding("pack-stray", f"{name} is not in the database and not a whole pack")


def _look_at_file(packs: PackStore, name: str, size: int, digest: bytes) -> list[Finding]:
    found = packs.size(name)
    if found is None:
        return [Finding("pack-missing", f"Pack {name} is gone")]
    if found != size:
        return [Finding("pack-size", f"Pack {name} has {found} bytes instead of {size}")]
    try:
        if digest_of(packs, name) != digest:
            return [Finding("pack-digest", f"The bytes of pack {name} have changed")]
    except OSError as error:
        return [Finding("pack-unreadable", f"Pack {name} cannot be read: {error.strerror}")]
    return []


def _look_inside(packs: PackStore, keys: StoreKeys, name: str, places: Sequence[Place]) -> list[Finding]:
    if packs.size(name) is None:
        return []  # told already
    findings: list[Finding] = []
    try:
        if sorted(read_places(packs, name)) != sorted(places):
            findings.append(Finding("pack-index", f"Pack {name} does not hold what the database says"))
    except ContentDamaged as error:
        findings.append(Finding("pack-index", error.what))
    except OSError:
        return findings
    for group in _groups(places):
        findings += _open_all(packs, keys, name, group)
    return findings


def _open_all(packs: PackStore, keys: StoreKeys, name: str, group: Sequence[Place]) -> list[Finding]:
    findings: list[Finding] = []
    records = packs.read(name, [(place.offset, place.stored_length) for place in group])
    for place, record in zip(group, records, strict=True):
        if not _opens(place, record, keys):
            words = f"Chunk {place.chunk.hex()} at {place.offset} of pack {name} is damaged"
            findings.append(Finding("chunk-damaged", words))
    return findings


def _opens(place: Place, record: bytes, keys: StoreKeys) -> bool:
    try:
        frame = open_record(memoryview(record), place.chunk, keys)
        return len(open_frame(frame)) == place.length and frame.codec == place.codec
    except ContentDamaged:
        return False


def _groups(places: Sequence[Place]) -> Iterator[list[Place]]:
    group: list[Place] = []
    size = 0
    for place in sorted(places, key=lambda place: place.offset):
        group.append(place)
        size += place.stored_length
        if size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
