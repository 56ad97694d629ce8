"""A chunk as it lies in a pack: a header and the payload of its frame, encrypted (docs/formats.md, "Pack").

Owns: sealing and opening one record.  May import: cryptography, protocol, server.chunks.keys.

The additional data binds codec, length and id, so a record opens only as the chunk it was sealed as.
"""

from __future__ import annotations

import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.errors import ContentDamaged
from protocol.frames import Codec, Frame
from protocol.ids import ChunkId
from server.chunks.keys import StoreKeys

SCHEME = 1  # AES-256-GCM; there is no scheme without encryption
_HEADER = struct.Struct("<BBHII32s12s")
_BOUND = struct.Struct("<BBI32s")
HEADER_BYTES = _HEADER.size
_TAG_BYTES = 16
RECORD_OVERHEAD = HEADER_BYTES + _TAG_BYTES
_CODECS = tuple(Codec)


def seal_into(target: memoryview, frame: Frame, keys: StoreKeys) -> int:
    """Write the record of `frame` at the start of `target`, which has room; returns its length in bytes."""
    chunk, codec, length, payload = frame.id, frame.codec, frame.length, frame.payload
    nonce = os.urandom(12)
    sealed = len(payload) + _TAG_BYTES
    end = HEADER_BYTES + sealed
    _HEADER.pack_into(target, 0, SCHEME, codec, 0, length, sealed, chunk, nonce)
    bound = _BOUND.pack(SCHEME, codec, length, chunk)
    AESGCM(keys.chunk_key(chunk)).encrypt_into(nonce, payload, bound, target[HEADER_BYTES:end])
    return end


def open_record(record: memoryview, chunk: ChunkId, keys: StoreKeys) -> Frame:
    """The frame that was sealed as `chunk`.  Raises ContentDamaged: not one bit of the record may differ."""
    if len(record) < RECORD_OVERHEAD:
        raise _damaged(chunk)
    scheme, codec, reserved, length, sealed, found, nonce = _HEADER.unpack_from(record)
    if scheme != SCHEME:
        raise ContentDamaged(
            f"Chunk {chunk.hex()[:12]} is sealed by the unknown scheme {scheme}",
            hint="Run `mb-server check --deep`, with the newest version of the program.",
        )
    if found != chunk or reserved or codec >= len(_CODECS) or HEADER_BYTES + sealed != len(record):
        raise _damaged(chunk)
    bound = _BOUND.pack(scheme, codec, length, chunk)
    try:
        payload = AESGCM(keys.chunk_key(chunk)).decrypt(nonce, record[HEADER_BYTES:], bound)
    except InvalidTag as error:
        raise _damaged(chunk) from error
    return Frame(chunk, _CODECS[codec], length, payload)


def read_header(header: bytes) -> tuple[ChunkId, int, int, int]:
    """(chunk, whole length of the record, plain length, codec) as a header says it, unproven."""
    _, codec, _, length, sealed, chunk, _ = _HEADER.unpack(header)
    return ChunkId(chunk), HEADER_BYTES + sealed, length, codec


def _damaged(chunk: bytes) -> ContentDamaged:
    return ContentDamaged(
        f"Chunk {chunk.hex()[:12]} is damaged in the store", hint="Run `mb-server check --deep`."
    )
