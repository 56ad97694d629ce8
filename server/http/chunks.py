"""Chunks in and out.

Owns: `missing`, `chunks`, `content`.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.chunks, server.spaces, server.http.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy.orm import Session

from protocol.ids import split_chunk_ids
from protocol.limits import MAX_BULK_MESSAGE_BYTES
from protocol.messages import Missing, Stored, ToUpload, WantedContent
from server.access.rights import Action
from server.audit.rows import Did, pack_nodes, record
from server.chunks.store import Located
from server.http.routes import Call, On, Query, Stream, route
from server.http.streams import received_frames, send_frames
from server.spaces.content import wanted_chunks
from server.spaces.missing import room_for, to_upload


@route(
    "POST",
    "/views/{view}/missing",
    on=On.VIEW,
    action=Action.WRITE,
    request=Missing,
    answer=ToUpload,
    max_bytes=MAX_BULK_MESSAGE_BYTES,
)
async def post_missing(call: Call, asked: Missing) -> ToUpload:
    """Which of these chunks this device must upload before it may name them in a commit."""
    chunks = split_chunk_ids(asked.chunks)
    now_ms = call.service.clock()
    default = call.service.default_quota

    def look(session: Session) -> ToUpload:
        wanted = to_upload(session, call.principal, call.view, chunks, now_ms=now_ms)
        room = room_for(session, call.principal, call.view, chunks, now_ms=now_ms, default_quota=default)
        return ToUpload(wanted=wanted, room_bytes=room)

    return await call.service.database.read(look)


@route(
    "POST",
    "/views/{view}/chunks",
    on=On.VIEW,
    action=Action.WRITE,
    request=Stream.FRAMES,
    answer=Stored,
    query=(Query("replaces", int, "so many of these bytes are to take the place of what is there"),),
)
async def post_chunks(call: Call) -> Stored:
    """Take a stream of frames.  Each chunk is verified; what is answered as stored lies on the disk.

    It counts against the quota until a commit names it or its lease ends.
    """
    device, service = call.principal.device, call.service
    replaces = call.number("replaces", 0, least=0, most=1 << 60)
    async with service.open_requests.track(call.principal, call.view, Action.WRITE):
        with service.uploads.into(call.view.space, device, replaces_bytes=replaces) as upload:
            return await service.store.take(device, upload.admitted(received_frames(call.request)), upload)


@route(
    "POST",
    "/views/{view}/content",
    on=On.VIEW,
    action=Action.READ,
    request=WantedContent,
    answer=Stream.FRAMES,
)
async def post_content(call: Call, wanted: WantedContent) -> web.StreamResponse:
    """The asked chunks of many files as one stream of frames."""
    store = call.service.store

    def find(session: Session) -> list[Located]:
        return store.locate(session, wanted_chunks(session, store, call.principal, call.view, wanted))

    located = await call.service.database.read(find)
    asked = {(part.node.bytes, part.revision.epoch, part.revision.number) for part in wanted.parts}
    told = call.entry(Did.READ, nodes=pack_nodes(asked), count=len(asked))
    await call.service.database.write(lambda session: record(session, [told]))  # before the first byte leaves
    return await send_frames(call, store.stream(located))
