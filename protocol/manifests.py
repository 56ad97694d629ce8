"""What a manifest says without being asked for its chunks.

Owns: the content digest, direct and indirect manifests.  May import: protocol.

An indirect manifest (more than 2,000 chunks) is a manifest of the manifest: its chunks, put together, are
records of 36 bytes, a chunk id and the chunk's length as little-endian uint32, in file order.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator

from protocol.errors import ContentDamaged
from protocol.ids import CHUNK_ID_BYTES, ChunkId
from protocol.limits import MAX_CHUNK_BYTES
from protocol.messages import Manifest

_RECORD = struct.Struct("<32sI")
RECORD_BYTES = _RECORD.size
EMPTY_DIGEST = hashlib.sha256(b"").digest()
_INDIRECT_MARK = b"mb-indirect-1\0"
_DIRECT_MARK = b"mb-direct-1\0"


def content_digest(manifest: Manifest) -> bytes:
    """32 bytes that name the content of a file: equal bytes have equal digests, since cut points are
    protocol.  Of a file of one chunk it is the chunk id, so the SHA-256 of the file."""
    if not manifest.chunks:
        return EMPTY_DIGEST
    if len(manifest.chunks) == CHUNK_ID_BYTES and not manifest.indirect:
        return manifest.chunks
    mark = _INDIRECT_MARK if manifest.indirect else _DIRECT_MARK
    return hashlib.sha256(mark + manifest.chunks).digest()


def check_shape(manifest: Manifest) -> str:
    """ "" if ids, lengths and size go together, else what does not, in words."""
    if len(manifest.chunks) % CHUNK_ID_BYTES:
        return f"{len(manifest.chunks)} bytes of chunk ids are no multiple of {CHUNK_ID_BYTES}"
    count = len(manifest.chunks) // CHUNK_ID_BYTES
    if count != len(manifest.lengths):
        return f"{count} chunk ids but {len(manifest.lengths)} lengths"
    if manifest.indirect:
        return "" if sum(manifest.lengths) % RECORD_BYTES == 0 else "an indirect manifest of broken records"
    if sum(manifest.lengths) != manifest.size:
        return f"lengths add up to {sum(manifest.lengths)}, the file has {manifest.size} bytes"
    return ""


def write_records(chunks: Iterable[tuple[ChunkId, int]]) -> bytes:
    """The bytes that an indirect manifest stores as chunks."""
    return b"".join(_RECORD.pack(chunk, length) for chunk, length in chunks)


def read_records(data: bytes, *, size: int) -> Iterator[tuple[ChunkId, int]]:
    """The chunks of the file, from the joined chunks of its indirect manifest.

    size: of the file in bytes.  Raises ContentDamaged: broken records, or lengths that do not add up.
    """
    if len(data) % RECORD_BYTES:
        raise ContentDamaged(
            "An indirect manifest ends inside a record", hint="Run `mb-server check --deep`."
        )
    total = 0
    for chunk, length in _RECORD.iter_unpack(data):
        if not 0 < length <= MAX_CHUNK_BYTES:
            raise ContentDamaged(
                f"A chunk of {length} bytes in a manifest", hint="Run `mb-server check --deep`."
            )
        total += length
        yield ChunkId(chunk), length
    if total != size:
        raise ContentDamaged(
            f"A manifest adds up to {total} bytes, not {size}", hint="Run `mb-server check --deep`."
        )
