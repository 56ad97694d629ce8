"""Versions and limits, for whoever asks.  Owns: `GET /hello`.  May import: protocol, server.http."""

from __future__ import annotations

from protocol.chunking import CUTTER
from protocol.messages import (
    MAX_BATCH_OPS,
    MAX_CHUNK_BYTES,
    MAX_MISSING_CHUNKS,
    PROTOCOL_VERSION,
    Hello,
)
from protocol.names import NAME_RULES
from server.http.routes import Call, On, route


@route("GET", "/hello", on=On.NOTHING, answer=Hello)
async def get_hello(call: Call) -> Hello:
    """Which server this is, what it speaks, and its limits."""
    return Hello(
        product="medical-blocks",
        version=call.service.version,
        protocol=PROTOCOL_VERSION,
        server_id=call.service.server_id,
        cutter=CUTTER,
        max_batch_ops=MAX_BATCH_OPS,
        max_chunk_bytes=MAX_CHUNK_BYTES,
        max_missing_chunks=MAX_MISSING_CHUNKS,
        name_rules=NAME_RULES,
        authority=call.service.tls.authority if call.service.tls else "",
        retention=call.service.retention,
    )
