"""Streams of frames through HTTP bodies, both ways, in bounded memory.

Owns: how many bytes go into one write, what happens when a stream that has begun cannot go on.
May import: aiohttp, protocol, server.access, server.http.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from protocol.bodies import PLAIN, unknown_encoding
from protocol.errors import BadRequest, MedicalBlocksError, Unavailable
from protocol.frames import HEAD, Frame, FrameReader, encode_frames, end_of_stream
from protocol.limits import PACE_BYTES, PACE_SECONDS
from protocol.messages import FRAMES
from server.access.rights import Action
from server.http.exchange import REQUEST_ID, paced_body
from server.http.routes import Call

log = logging.getLogger(__name__)
_WRITTEN = web.ResponseKey("written", int)

GROUP_BYTES = 1024 * 1024


async def received_frames(request: web.Request) -> AsyncGenerator[list[Frame], None]:
    """The frames of the body, in groups of about 1 MiB.

    Raises BadRequest: another type or coding of body, a stream that breaks the format or was cut.  What was
    given before that are whole frames.
    """
    if request.content_type != FRAMES:
        raise BadRequest(
            f"The body is {request.content_type}", hint=f"Send {FRAMES} and say so in Content-Type."
        )
    encoding = request.headers.get("Content-Encoding", PLAIN)
    if encoding.lower() != PLAIN:
        raise unknown_encoding(encoding)
    reader = FrameReader()
    group: list[Frame] = []
    group_bytes = 0
    try:
        async for piece in paced_body(request, max_bytes=None):
            group += reader.feed(piece)
            group_bytes += len(piece)
            if group and group_bytes >= GROUP_BYTES:
                yield group
                group, group_bytes = [], 0
        reader.close()
    except (Exception, asyncio.CancelledError):
        if group:
            yield group
        raise
    if group:
        yield group


async def send_frames(call: Call, groups: AsyncIterator[list[Frame]]) -> web.StreamResponse:
    """Answer with a stream of frames."""
    response = web.StreamResponse(headers={"Content-Type": FRAMES})
    async with sending(call, response):
        group = await anext(groups, None)
        await response.prepare(call.request)
        await write(response, HEAD)
        count = pending_bytes = 0
        pending: list[Frame] = []
        while group is not None:
            for frame in group:
                pending.append(frame)
                pending_bytes += len(frame.payload)
                if pending_bytes >= GROUP_BYTES:
                    await write(response, encode_frames(pending))
                    count += len(pending)
                    pending, pending_bytes = [], 0
            group = await anext(groups, None)
        await write(response, encode_frames(pending) + end_of_stream(count + len(pending)))
        await response.write_eof()
    return response


async def write(response: web.StreamResponse, data: bytes | memoryview) -> None:
    """Raises Unavailable: the reader takes less than 10 kB/s."""
    try:
        async with asyncio.timeout(PACE_SECONDS + len(data) / PACE_BYTES * PACE_SECONDS):
            await response.write(data)
        response[_WRITTEN] = response.get(_WRITTEN, 0) + len(data)
    except TimeoutError as error:
        raise Unavailable(
            "The answer was read too slowly", hint="Check the network and try again."
        ) from error


@asynccontextmanager
async def sending(call: Call, response: web.StreamResponse) -> AsyncIterator[None]:
    """Around the making of a streamed answer, which ends when the token dies or the server stops.

    An error before its first byte is answered like any other.  After that only a cut connection can tell it:
    nobody then takes what was sent for all of it.
    """
    try:
        async with call.service.open_requests.track(call.principal, call.view, Action.READ):
            yield
    except Exception as error:
        if response.prepared and call.request.transport is not None:
            call.request.transport.abort()
        if not response.prepared or not isinstance(error, MedicalBlocksError):
            raise
        log.warning("cut an answer request id=%s code=%s", call.request[REQUEST_ID], error.code)
    finally:
        call.service.code_use.note(call.principal, response.get(_WRITTEN, 0))
