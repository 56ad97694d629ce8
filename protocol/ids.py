"""Names for things that cross the wire.

Owns: the id types, how ids are made, and the one check that turns outside text into each.
May import: the standard library, protocol.errors.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NewType
from uuid import UUID

from protocol.errors import BadRequest

ChunkId = NewType("ChunkId", bytes)  # 32 bytes: SHA-256 of the chunk's bytes
SpaceId = NewType("SpaceId", int)
NodeId = NewType("NodeId", UUID)  # UUIDv7, chosen by whoever creates the node
ViewId = NewType("ViewId", UUID)  # made by the server; says nothing about what it opens
DeviceId = NewType("DeviceId", UUID)  # a client home, not a machine
OperationId = NewType("OperationId", UUID)  # one batch of one device
UserId = NewType("UserId", UUID)
Cursor = NewType("Cursor", str)  # sealed by the server, opaque to everyone else; "" is the start

CHUNK_ID_BYTES = 32


def uuid7(now_ms: int, random_bits: int) -> UUID:
    """A version 7 UUID (RFC 9562 section 5.7) from a clock and 74 random bits, both given.

    now_ms: milliseconds since 1970, 0 <= now_ms < 2**48.  random_bits: 0 <= random_bits < 2**74.
    """
    high, low = random_bits >> 62, random_bits & (2**62 - 1)
    return UUID(int=(now_ms & (2**48 - 1)) << 80 | 7 << 76 | (high & 0xFFF) << 64 | 2 << 62 | low)


def parse_chunk_id(text: str) -> ChunkId:
    """Narrow text from outside; everything inside may then trust the type."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise BadRequest(f"{text[:70]!r} is not a chunk id", hint="Send 64 lower-case hex digits.")
    return ChunkId(bytes.fromhex(text))


def split_chunk_ids(joined: bytes) -> list[ChunkId]:
    """Chunk ids that travel as one run of 32·n bytes."""
    if len(joined) % CHUNK_ID_BYTES:
        raise BadRequest(
            f"{len(joined)} bytes are no whole number of chunk ids", hint="Send 32 bytes for each."
        )
    return [ChunkId(joined[at : at + CHUNK_ID_BYTES]) for at in range(0, len(joined), CHUNK_ID_BYTES)]


def parse_node_id(text: str) -> NodeId:
    return NodeId(_parse_uuid(text, "node id"))


def parse_view_id(text: str) -> ViewId:
    return ViewId(_parse_uuid(text, "view id"))


def parse_device_id(text: str) -> DeviceId:
    return DeviceId(_parse_uuid(text, "device id"))


def parse_principal_id(text: str) -> UUID:
    """Of a user, a team or a project."""
    return _parse_uuid(text, "id of a user, team or project")


def _parse_uuid(text: str, what: str) -> UUID:
    with suppress(ValueError):
        if len(text) in {32, 36}:
            return UUID(text)
    raise BadRequest(f"{text[:50]!r} is not a {what}", hint="Send a UUID.")
