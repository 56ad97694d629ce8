"""Messages in and out of HTTP bodies.

Owns: which codec and coding a request means, limits and pace of bodies, the shape of replies, request ids.
May import: aiohttp, msgspec, protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

import msgspec
from aiohttp import web

from protocol.bodies import ZSTD, accepts_zstd, expanded, shrunk, too_large
from protocol.errors import BadRequest, Unavailable
from protocol.messages import JSON, MSGPACK, Problem, to_json, to_msgpack

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_BULK_MESSAGE_BYTES = 8 * 1024 * 1024
PACE_SECONDS = 30.0  # a sender that gives less than this many bytes in this time is let go
PACE_BYTES = 300_000
REQUEST_ID = web.RequestKey("id", str)


def reply(request: web.Request, message: object, *, status: int = 200) -> web.Response:
    """`message` in MessagePack if the caller accepts that, else in JSON; in zstd if it accepts that and gains."""
    packed = MSGPACK in request.headers.get("Accept", "")
    body = to_msgpack(message) if packed else to_json(message)
    headers: dict[str, str] = {}
    if accepts_zstd(request.headers.get("Accept-Encoding", "")) and (smaller := shrunk(body)) is not None:
        body, headers["Content-Encoding"] = smaller, ZSTD
    return web.Response(body=body, content_type=MSGPACK if packed else JSON, status=status, headers=headers)


def problem(request: web.Request, status: int, code: str, message: str) -> web.Response:
    return reply(request, Problem(error=code, message=message, request_id=request[REQUEST_ID]), status=status)


async def read_message(request: web.Request, kind: Any, *, max_bytes: int) -> object:
    """The body as a `kind`, by its Content-Type and Content-Encoding.  max_bytes: before and after unpacking.

    Raises BadRequest: not decodable, or it breaks a limit of the struct.  Raises TooLarge, Unavailable: see
    `paced_body` and `expanded`.
    """
    if request.content_type not in (MSGPACK, JSON):
        raise BadRequest(
            f"The body is {request.content_type}",
            hint=f"Send {JSON} or {MSGPACK}, and say which.",
        )
    body = b"".join([piece async for piece in paced_body(request, max_bytes=max_bytes)])
    body = expanded(body, request.headers.get("Content-Encoding", ""), max_bytes=max_bytes)
    try:
        return _decoder(kind, packed=request.content_type == MSGPACK).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not understood: {error}", hint="See /openapi.json.") from error


async def paced_body(request: web.Request, *, max_bytes: int | None) -> AsyncIterator[bytes]:
    """The body as it comes.  max_bytes: None for a stream, which is checked by who reads it.

    Raises TooLarge: more than `max_bytes`.  Raises Unavailable: slower than 10 kB/s over 30 s.
    """
    if max_bytes is not None and (request.content_length or 0) > max_bytes:
        raise too_large(max_bytes)
    clock = asyncio.get_running_loop().time
    total = window_bytes = 0
    waited_seconds = 0.0  # for the sender; what we do with a piece is not its fault
    while True:
        began = clock()
        try:
            async with asyncio.timeout(PACE_SECONDS - waited_seconds):
                piece = await request.content.readany()
        except TimeoutError as error:
            raise Unavailable("The body came too slowly", hint="Check the network and try again.") from error
        if not piece:
            return
        waited_seconds += clock() - began
        total += len(piece)
        window_bytes += len(piece)
        if max_bytes is not None and total > max_bytes:
            raise too_large(max_bytes)
        if window_bytes >= PACE_BYTES:
            window_bytes, waited_seconds = 0, 0.0
        yield piece


@lru_cache(maxsize=64)
def _decoder(kind: Any, *, packed: bool) -> msgspec.msgpack.Decoder[Any] | msgspec.json.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind) if packed else msgspec.json.Decoder(kind)
