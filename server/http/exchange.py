"""Messages in and out of HTTP bodies.

Owns: which codec and coding a request means, limits and pace of bodies, the shape and headers of replies,
request ids.
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
from protocol.errors import BadRequest, TooLarge, Unavailable
from protocol.limits import MAX_HEAD_BYTES, PACE_BYTES, PACE_SECONDS
from protocol.messages import JSON, MSGPACK, Problem, to_json, to_msgpack

REQUEST_ID = web.RequestKey("id", str)


def common_headers(request_id: str) -> dict[str, str]:
    """What every answer says, whatever it is: nothing of it is kept, guessed at, framed or run by a browser."""
    return {"X-Request-Id": request_id, **_ALWAYS}


_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}


def check_head(request: web.Request) -> None:
    """Raises TooLarge: request line and headers are longer than a head may be."""
    size = len(request.method) + len(request.raw_path) + len(" / HTTP/1.1\r\n\r\n") - 1
    for name, value in request.raw_headers:
        size += len(name) + len(value) + 4
    if size > MAX_HEAD_BYTES:
        raise TooLarge(
            f"The head of this request has more than {MAX_HEAD_BYTES} bytes",
            hint="Send fewer or shorter headers.",
        )


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
    return understood(body, kind, packed=request.content_type == MSGPACK)


def understood(body: bytes, kind: Any, *, packed: bool) -> object:
    """The message in these bytes.  Raises BadRequest."""
    try:
        return _decoder(kind, packed=packed).decode(body)
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
