"""One file as a browser or `curl` wants it.

Owns: `GET` and `HEAD files/{node}`.  May import: aiohttp, protocol, server.audit, server.spaces, server.http.

A file is always an attachment of no type: nothing that a user put here is ever shown by a browser as a page
of this server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from protocol.errors import NotFound
from protocol.frames import Frame, open_frame
from protocol.manifests import content_digest
from protocol.messages import MAX_CHUNK_BYTES, Kind
from server.access.rights import Action
from server.audit.rows import Did, pack_nodes, record
from server.http.ranges import Span, Unsatisfiable, asked_range, attachment, matches, overlap
from server.http.routes import Call, On, Stream, route
from server.http.streams import sending, write
from server.spaces.content import StoredFile, stored_file


@route("GET", "/views/{view}/files/{node}", on=On.VIEW, action=Action.READ, answer=Stream.FILE)
async def get_file(call: Call) -> web.StreamResponse:
    """The bytes of a file, whole or one range of them."""
    return await _file(call)


@route("HEAD", "/views/{view}/files/{node}", on=On.VIEW, action=Action.READ, answer=Stream.FILE)
async def head_file(call: Call) -> web.StreamResponse:
    """What GET would say of the file, without its bytes."""
    return await _file(call)


async def _file(call: Call) -> web.StreamResponse:
    request, service = call.request, call.service
    wanted = call.node()
    file = await service.database.read(
        lambda session: stored_file(session, service.store, call.principal, call.view, wanted)
    )
    if file.content.kind is not Kind.FILE:
        raise NotFound("There is no such file or version", hint="Look at the folder again.")
    size = file.content.manifest.size
    headers = _headers(file)
    if matches(request.headers.get("If-None-Match"), headers["ETag"]):
        return web.Response(status=304, headers=headers)
    try:
        span = asked_range(_range_header(request, headers["ETag"]), size)
    except Unsatisfiable:
        return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    status = 200
    if span is None:
        span = Span(0, size)
    else:
        status = 206
        headers["Content-Range"] = f"bytes {span.first}-{span.end - 1}/{size}"
    begin, end, skip = overlap([length for _, length in file.chunks], span)
    chunks = [chunk for chunk, _ in file.chunks[begin:end]] if request.method == "GET" else []
    located = await service.database.read(lambda session: service.store.locate(session, chunks))
    if request.method == "GET":
        version = (wanted.bytes, file.revision.epoch, file.revision.number)
        told = call.entry(Did.DOWNLOAD, nodes=pack_nodes([version]))
        await service.database.write(lambda session: record(session, [told]))  # before the first byte leaves
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = span.size
    async with sending(call, response):
        await response.prepare(request)
        if request.method == "GET":
            left = span.size
            async for data in _plain(service.store.stream(located)):
                piece = memoryview(data)[skip : skip + left]
                skip, left = 0, left - len(piece)
                await write(response, piece)
        await response.write_eof()
    return response


async def _plain(groups: AsyncIterator[list[Frame]]) -> AsyncIterator[bytes]:
    """The chunks, each proven by its id, some MiB of plain bytes at a time."""
    async for frames in groups:
        batch: list[Frame] = []
        batch_bytes = 0
        for frame in frames:
            batch.append(frame)
            batch_bytes += frame.length
            if batch_bytes >= MAX_CHUNK_BYTES or frame is frames[-1]:
                for data in await asyncio.to_thread(_open_all, batch):
                    yield data
                batch, batch_bytes = [], 0


def _open_all(frames: Sequence[Frame]) -> list[bytes]:
    return [open_frame(frame) for frame in frames]


def _headers(file: StoredFile) -> dict[str, str]:
    return {
        "ETag": f'"{content_digest(file.content.manifest).hex()}"',
        "Accept-Ranges": "bytes",
        "Content-Type": Stream.FILE.value,
        "Content-Disposition": attachment(file.name),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }


def _range_header(request: web.Request, etag: str) -> str | None:
    """None where If-Range names another content: then the whole file is sent."""
    only_if = request.headers.get("If-Range")
    return request.headers.get("Range") if only_if is None or only_if.strip() == etag else None
