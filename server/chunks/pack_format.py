"""The inside of a pack: head, records, index, tail (docs/formats.md, "Pack").

Owns: writing a pack record by record, reading its index and tail, its digest.
May import: xxhash, protocol, server.chunks.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import xxhash

from protocol.errors import ContentDamaged
from protocol.frames import Frame
from protocol.ids import ChunkId
from protocol.messages import MAX_CHUNK_BYTES
from server.chunks.keys import StoreKeys
from server.chunks.packs import NewPack, PackStore
from server.chunks.seal import HEADER_BYTES, RECORD_OVERHEAD, read_header, seal_into

PACK_BYTES = 64 * 1024 * 1024
PACK_RECORDS = 100_000  # of tiny chunks, so that one transaction never names more
HEAD = b"MBPK\x01".ljust(16, b"\0")
_ENTRY = struct.Struct("<32sQ")
INDEX_ENTRY_BYTES = _ENTRY.size
_TAIL = struct.Struct("<IQ16s4s")
_TAIL_MARK = b"MBPE"
_BUFFER_BYTES = 1024 * 1024  # grows once, to the largest record, if one is larger
_READ_BYTES = 4 * 1024 * 1024


class Place(NamedTuple):
    """Where a chunk lies in a pack.  stored_length: of the whole record.  length: of the plain chunk."""

    chunk: ChunkId
    offset: int
    stored_length: int
    length: int
    codec: int


@dataclass(frozen=True, slots=True)
class KeptPack:
    """A pack that is durable.  digest: xxh3-128 of the whole file."""

    name: str
    size: int
    digest: bytes
    places: list[Place]


class PackWriter:
    """Seals frames into a new pack.  It uses one buffer again and again: fresh memory costs page faults."""

    def __init__(self, pack: NewPack, keys: StoreKeys) -> None:
        self._pack = pack
        self._keys = keys
        self._hash = xxhash.xxh3_128()
        self._places: list[Place] = []
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._buffer[: len(HEAD)] = HEAD
        self._filled = len(HEAD)
        self._written = 0

    @property
    def full(self) -> bool:
        return self._written + self._filled >= PACK_BYTES or len(self._places) >= PACK_RECORDS

    @property
    def empty(self) -> bool:
        return not self._places

    def add(self, frame: Frame) -> None:
        need = RECORD_OVERHEAD + len(frame.payload)
        if self._filled + need > len(self._buffer):
            self._flush()
            if need > len(self._buffer):
                self._buffer = memoryview(bytearray(RECORD_OVERHEAD + MAX_CHUNK_BYTES))
        at = self._filled
        self._filled += seal_into(self._buffer[at:], frame, self._keys)
        self._places.append(Place(frame.id, self._written + at, need, frame.length, int(frame.codec)))

    def keep(self) -> KeptPack:
        """Write index and tail, and make the pack durable."""
        self._flush()
        index_offset = self._written
        index = b"".join([_ENTRY.pack(place.chunk, place.offset) for place in self._places])
        self._hash.update(index)
        tail = _TAIL.pack(len(self._places), index_offset, self._hash.digest(), _TAIL_MARK)
        self._hash.update(tail)
        self._pack.write(index + tail)
        self._pack.keep()
        size = index_offset + len(index) + len(tail)
        return KeptPack(self._pack.name, size, self._hash.digest(), self._places)

    def drop(self) -> None:
        self._pack.drop()

    def _flush(self) -> None:
        filled = self._buffer[: self._filled]
        self._hash.update(filled)
        self._pack.write(filled)
        self._written += self._filled
        self._filled = 0


def read_places(packs: PackStore, name: str) -> list[Place]:
    """What a pack says of itself, by its index and the headers of its records, without the database.

    Raises ContentDamaged: it is not a whole pack of version 1; OSError: it cannot be read.
    """
    size = packs.size(name) or 0
    if size < len(HEAD) + _TAIL.size:
        raise _not_a_pack(name)
    head, tail = packs.read(name, [(0, len(HEAD)), (size - _TAIL.size, _TAIL.size)])
    count, index_offset, _, mark = _TAIL.unpack(tail)
    if head != HEAD or mark != _TAIL_MARK or index_offset + count * _ENTRY.size + _TAIL.size != size:
        raise _not_a_pack(name)
    [index] = packs.read(name, [(index_offset, count * _ENTRY.size)])
    entries = list(_ENTRY.iter_unpack(index))
    headers = packs.read(name, [(offset, HEADER_BYTES) for _, offset in entries])
    places = []
    expected = len(HEAD)
    for (chunk, offset), header in zip(entries, headers, strict=True):
        if offset != expected or len(header) != HEADER_BYTES:
            raise _not_a_pack(name)
        found, stored_length, length, codec = read_header(header)
        if found != chunk:
            raise _not_a_pack(name)
        places.append(Place(found, offset, stored_length, length, codec))
        expected += stored_length
    if expected != index_offset:
        raise _not_a_pack(name)
    return places


def digest_of(packs: PackStore, name: str, *, between: Callable[[], None] = lambda: None) -> bytes:
    """xxh3-128 of the whole pack as it is now.  between: called after each piece.  Raises OSError: cannot be read."""
    whole = xxhash.xxh3_128()
    for piece in _pieces(packs, name):
        whole.update(piece)
        between()
    return whole.digest()


def _pieces(packs: PackStore, name: str) -> Iterator[bytes]:
    for offset in range(0, packs.size(name) or 0, _READ_BYTES):
        yield packs.read(name, [(offset, _READ_BYTES)])[0]


def _not_a_pack(name: str) -> ContentDamaged:
    return ContentDamaged(f"{name} is not a whole pack of version 1", hint="Run `mb-server check --deep`.")
