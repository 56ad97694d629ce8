"""Moves bytes between the followed folder and the server.

Owns: what is asked before it is sent, how much is under way, copies from local files instead of the wire.
May import: asyncio, protocol, engine.{disk,incoming,reading,room,threads,trees}.

A batch is one request for all its files.  Threads read, hash and write in groups of about two MiB; what is held
in memory is a few groups, whatever the size of a file.  Every chunk is verified against its id before it is
written, wherever it came from.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from protocol.errors import ContentDamaged, LocalProblem, MedicalBlocksError, OverQuota, Unavailable
from protocol.frames import Frame, frame_of, open_frame
from protocol.http import ServerApi
from protocol.ids import ChunkId, NodeId, ViewId, split_chunk_ids
from protocol.limits import MAX_CONTENT_CHUNKS, MAX_CONTENT_PARTS, MAX_MISSING_CHUNKS
from protocol.messages import Manifest, Missing, Part, Revision, WantedContent
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.incoming import Incoming, SmallFile, discard, write_small
from sync_client.engine.reading import FileChanged, chunk_list, read_chunks
from sync_client.engine.room import Room
from sync_client.engine.threads import in_thread
from sync_client.engine.trees import Content, Fingerprint, Value

Parts = tuple[str, ...]
T = TypeVar("T")

GROUP_BYTES = 2 * 1024 * 1024
ASK_BYTES = 64 * 1024  # less than this is sent without asking first: one round trip saved
WHOLE_BYTES = 256 * 1024  # up to here a file is one chunk and is written in one go


class Outgoing(Value):
    """A file whose content the server shall hold.

    data: the whole file, if it was kept when it was read.  records: of an indirect manifest (engine.reading).
    known: chunks that the server holds for sure (those of the agreed version).  grows_bytes: by so much the space gets
    larger (engine.room).
    """

    node: NodeId
    parts: Parts
    fingerprint: Fingerprint
    manifest: Manifest
    data: bytes | None = None
    records: bytes = b""
    known: frozenset[ChunkId] = frozenset()
    grows_bytes: int = 0


class Wanted(Value):
    """A remote content that shall lie in a temporary file.

    sources: local files (names from the root, manifest) that may hold chunks of it.
    """

    node: NodeId
    revision: Revision
    content: Content
    manifest: Manifest
    sources: tuple[tuple[Parts, Manifest], ...] = ()


# ---- up --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Unsent:
    """Not to be committed.  changed: their file changed meanwhile.  too_large: the server has no room for them."""

    changed: set[NodeId] = field(default_factory=set)
    too_large: set[NodeId] = field(default_factory=set)

    def __contains__(self, node: NodeId) -> bool:
        return node in self.changed or node in self.too_large


async def upload(
    api: ServerApi, view: ViewId, root: FollowedRoot, files: Sequence[Outgoing], room: Room
) -> Unsent:
    """Send what the server lacks of these, of the files that it has room for."""
    unsent = Unsent()
    holders, total = _holders(files)
    if not holders:
        return unsent
    chunks = list(holders)
    if total > ASK_BYTES or (room.left_bytes is not None and total > room.left_bytes):
        lacking = await _lacking(api, view, chunks, room)
        unsent.too_large = {file.node for file in files if not room.admit(file.node, file.grows_bytes)}
        if unsent.too_large:
            files = [file for file in files if file.node not in unsent.too_large]
            holders, _ = _holders(files)
        chunks = [chunk for chunk in lacking if chunk in holders]
    try:
        unsent.changed = await _send(api, view, root, files, {chunk: holders[chunk] for chunk in chunks})
    except OverQuota:  # somebody else took the room meanwhile, or we had not asked
        chunks = await _lacking(api, view, list(holders), room)
        fits = [file for file in files if room.admit(file.node, file.grows_bytes)]
        holders, _ = _holders(fits)
        sent = {chunk: holders[chunk] for chunk in chunks if chunk in holders}
        try:
            unsent.changed = await _send(api, view, root, fits, sent)
        except OverQuota:
            fits = []
        unsent.too_large |= {file.node for file in files} - {file.node for file in fits}
    return unsent


def _holders(files: Sequence[Outgoing]) -> tuple[dict[ChunkId, tuple[Outgoing, int]], int]:
    """Chunk → the first file that has it, its position; and the bytes of all."""
    holders: dict[ChunkId, tuple[Outgoing, int]] = {}
    total = 0
    for file in files:
        for position, (chunk, length) in enumerate(chunk_list(file.manifest, file.records)):
            if chunk not in holders and chunk not in file.known:
                holders[chunk] = (file, position)
                total += length
    return holders, total


async def _send(
    api: ServerApi,
    view: ViewId,
    root: FollowedRoot,
    files: Sequence[Outgoing],
    chunks: dict[ChunkId, tuple[Outgoing, int]],
) -> set[NodeId]:
    """Returns the nodes whose file changed meanwhile.  Raises OverQuota."""
    failed: set[NodeId] = set()
    if not chunks:
        return failed
    order: list[ChunkId] = []  # as they were sent

    def frames() -> AsyncIterator[list[Frame]]:
        nonlocal order
        order = []  # a new one for each try: the thread of the last one may still write to its own
        groups = _outgoing_groups(root, [(chunk, *holder) for chunk, holder in chunks.items()], order, failed)
        return _ahead(groups)

    stored = await api.upload(view, frames, replaces_bytes=_replaced(chunks))
    for index in stored.damaged:  # the file was written to between hashing and sending
        failed.add(chunks[order[index]][0].node)
    if failed:  # a file may lack a chunk that another one was to bring
        unsent = {chunk for chunk, (file, _) in chunks.items() if file.node in failed}
        for file in files:
            if any(chunk in unsent for chunk, _ in chunk_list(file.manifest, file.records)):
                failed.add(file.node)
    return failed


def _replaced(chunks: dict[ChunkId, tuple[Outgoing, int]]) -> int:
    """How much of this takes the place of what the server holds: where there is no room, that much still goes."""
    total = 0
    for file in {id(file): file for file, _ in chunks.values()}.values():
        if (replaced := file.manifest.size - max(0, file.grows_bytes)) > 0:
            every = dict(chunk_list(file.manifest, file.records)).items()
            total += min(replaced, sum(length for chunk, length in every if chunk in chunks))
    return total


async def _lacking(api: ServerApi, view: ViewId, chunks: list[ChunkId], room: Room) -> list[ChunkId]:
    lacking: list[ChunkId] = []
    for start in range(0, len(chunks), MAX_MISSING_CHUNKS):
        asked = chunks[start : start + MAX_MISSING_CHUNKS]
        answer = await api.missing(view, Missing(chunks=b"".join(asked)))
        lacking.extend(asked[index] for index in answer.wanted)
        room.hear(answer.room_bytes)
    return lacking


def _outgoing_groups(
    root: FollowedRoot,
    chunks: Sequence[tuple[ChunkId, Outgoing, int]],
    order: list[ChunkId],
    failed: set[NodeId],
) -> Iterator[list[Frame]]:
    """Frames in groups of about GROUP_BYTES; a file that changed is left out and named in `failed`."""
    group: list[Frame] = []
    size = at = 0
    while at < len(chunks):
        chunk, file, _ = chunks[at]
        if file.data is not None:
            group.append(frame_of(chunk, file.data))
            order.append(chunk)
            size += len(file.data)
            at += 1
            if size >= GROUP_BYTES:
                yield group
                group, size = [], 0
            continue
        end = at
        while end < len(chunks) and chunks[end][1] is file:
            end += 1
        positions = [position for _, _, position in chunks[at:end]]
        at = end
        try:
            for chunk_id, data in read_chunks(
                root, file.parts, file.fingerprint, file.manifest, positions, records=file.records
            ):
                group.append(frame_of(chunk_id, data))
                order.append(chunk_id)
                size += len(data)
                if size >= GROUP_BYTES:
                    yield group
                    group, size = [], 0
        except (FileChanged, OSError):
            failed.add(file.node)
    if group:
        yield group


async def _ahead(items: Iterator[T]) -> AsyncIterator[T]:
    """Items of a blocking iterator, each made in a thread while the one before it is used."""
    end = object()
    coming = asyncio.ensure_future(in_thread(next, items, end))
    try:
        while (item := await coming) is not end:
            coming = asyncio.ensure_future(in_thread(next, items, end))
            yield item  # type: ignore[misc]  # `end` is the only item that is not a T
    finally:
        coming.cancel()
        await asyncio.wait([coming])  # so that no thread is left with the files
        if not coming.cancelled():
            coming.exception()


# ---- down ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Fetched:
    ready: list[NodeId] = field(default_factory=list)  # in .mb-sync/tmp, whole and verified, not yet synced
    failed: dict[NodeId, MedicalBlocksError] = field(default_factory=dict)
    from_disk_bytes: int = 0


async def fetch(api: ServerApi, view: ViewId, root: FollowedRoot, wanted: Sequence[Wanted]) -> Fetched:
    """Make a temporary file for each, from local files where they hold it, else from the server."""
    fetched = Fetched()
    needs: list[_Need] = []
    try:
        await in_thread(_begin, root, wanted, needs, fetched)
        while lacking := [need for need in needs if need.offsets and need.wanted.node not in fetched.failed]:
            before = sum(len(need.offsets) for need in lacking)
            try:
                await _from_server(api, view, root, lacking, fetched)
            except Unavailable:  # cut on the way: what came is whole and is kept
                if sum(len(need.offsets) for need in lacking) == before:
                    raise
    except BaseException:  # cancelled too: nobody will ask for what is whole already
        await in_thread(_discard_whole, root, fetched)
        raise
    finally:
        await in_thread(_abandon, needs, fetched)
    return fetched


@dataclass(slots=True)
class _Need:
    """What a file still lacks: for each chunk the offsets where it belongs."""

    wanted: Wanted
    offsets: dict[ChunkId, list[int]]
    positions: dict[ChunkId, int]
    incoming: Incoming | None  # None: a small file, written whole


def _begin(root: FollowedRoot, wanted: Sequence[Wanted], needs: list[_Need], fetched: Fetched) -> None:
    """Empty files, and all that local files hold; `needs` is what is left for the server."""
    whole: list[SmallFile] = []
    for want in wanted:
        try:
            need = _begin_one(root, want, whole, fetched)
        except OSError as error:
            fetched.failed[want.node] = _disk_problem(error)
            continue
        if need is not None:
            needs.append(need)
    _write_whole(root, whole, fetched)


def _begin_one(root: FollowedRoot, want: Wanted, whole: list[SmallFile], fetched: Fetched) -> _Need | None:
    manifest, content = want.manifest, want.content
    if manifest.size == 0:
        whole.append(_whole(want, b""))
        return None
    offsets: dict[ChunkId, list[int]] = {}  # where each chunk belongs; the same one may belong in many places
    positions: dict[ChunkId, int] = {}
    at = 0
    for position, chunk in enumerate(split_chunk_ids(manifest.chunks)):
        offsets.setdefault(chunk, []).append(at)
        positions.setdefault(chunk, position)
        at += manifest.lengths[position]
    if len(manifest.lengths) == 1 and manifest.size <= WHOLE_BYTES:
        for parts, source in want.sources:
            data = _known_chunk(root, parts, source, want.manifest.chunks, manifest.size)
            if data is not None:
                whole.append(_whole(want, data))
                fetched.from_disk_bytes += len(data)
                return None
        return _Need(want, offsets, positions, None)
    incoming = Incoming(root, want.node, size=manifest.size)
    try:
        for parts, source in want.sources:
            fetched.from_disk_bytes += _copy_known(root, parts, source, offsets, incoming)
    except BaseException:
        incoming.abort()
        raise
    if not offsets:
        incoming.finish(executable=content.executable, mtime_ns=content.mtime_ns)
        fetched.ready.append(want.node)
        return None
    return _Need(want, offsets, positions, incoming)


def _known_chunk(root: FollowedRoot, parts: Parts, source: Manifest, chunk: bytes, size: int) -> bytes | None:
    if source.chunks != chunk:
        return None
    try:
        descriptor = root.open_file(parts)
    except OSError:
        return None
    try:
        data = _read_at(descriptor, size + 1, 0)
    finally:
        os.close(descriptor)
    return data if len(data) == size and hashlib.sha256(data).digest() == chunk else None


def _copy_known(
    root: FollowedRoot, parts: Parts, source: Manifest, offsets: dict[ChunkId, list[int]], incoming: Incoming
) -> int:
    """Copy what this local file holds of the chunks in `offsets`, and take those off it."""
    copied = at = 0
    try:
        descriptor = root.open_file(parts)
    except OSError:
        return 0
    try:
        for chunk, length in zip(split_chunk_ids(source.chunks), source.lengths, strict=True):
            if chunk in offsets:
                data = _read_at(descriptor, length, at)
                if len(data) == length and hashlib.sha256(data).digest() == chunk:
                    for offset in offsets.pop(chunk):
                        incoming.write(offset, data)
                        copied += length
            at += length
    finally:
        os.close(descriptor)
    return copied


def _read_at(descriptor: int, length: int, at: int) -> bytes:
    """b"" where that cannot be read: then the server has it."""
    try:
        return os.pread(descriptor, length, at)
    except OSError:  # a folder or a pipe stands there now, or the disk is bad
        return b""


async def _from_server(
    api: ServerApi, view: ViewId, root: FollowedRoot, needs: list[_Need], fetched: Fetched
) -> None:
    parts: list[Part] = []
    expected: list[tuple[_Need, ChunkId]] = []
    for need in needs:
        chunks = list(islice(need.offsets, MAX_CONTENT_CHUNKS - len(expected)))
        if not chunks or len(parts) == MAX_CONTENT_PARTS:
            break  # the caller asks for the rest
        everything = len(chunks) == len(need.wanted.manifest.lengths)
        positions = None if everything else [need.positions[chunk] for chunk in chunks]
        parts.append(
            Part(node=need.wanted.node, revision=need.wanted.revision, positions=positions, through=True)
        )
        expected.extend((need, chunk) for chunk in chunks)
    at = 0
    async with aclosing(api.content(view, WantedContent(parts=parts))) as stream:
        async for frames in stream:
            pairs = expected[at : at + len(frames)]
            if len(pairs) < len(frames):
                raise ContentDamaged(
                    "The server sent more chunks than were asked for", hint="Check the server."
                )
            at += len(frames)
            await in_thread(_take_frames, root, pairs, frames, fetched)
    if at != len(expected):
        raise ContentDamaged("The server sent fewer chunks than were asked for", hint="Try again.")


def _take_frames(
    root: FollowedRoot, pairs: Sequence[tuple[_Need, ChunkId]], frames: Sequence[Frame], fetched: Fetched
) -> None:
    whole: list[SmallFile] = []
    for (need, chunk), frame in zip(pairs, frames, strict=True):
        node, content = need.wanted.node, need.wanted.content
        if node in fetched.failed:
            continue
        try:
            if frame.id != chunk or frame.length != need.wanted.manifest.lengths[need.positions[chunk]]:
                raise ContentDamaged(
                    "The server sent another chunk than was asked for", hint="Check the server."
                )
            data = open_frame(frame)
            if need.incoming is None:
                whole.append(_whole(need.wanted, data))
                del need.offsets[chunk]
                continue
            for offset in need.offsets[chunk]:
                need.incoming.write(offset, data)
            del need.offsets[chunk]
            if not need.offsets:
                need.incoming.finish(executable=content.executable, mtime_ns=content.mtime_ns)
                fetched.ready.append(node)
        except OSError as error:
            fetched.failed[node] = _disk_problem(error)
        except ContentDamaged as error:
            fetched.failed[node] = error
    _write_whole(root, whole, fetched)


def _write_whole(root: FollowedRoot, whole: list[SmallFile], fetched: Fetched) -> None:
    if not whole:
        return
    refused = {problem.node: problem for problem in write_small(root, whole)}
    for file in whole:
        if file.node in refused:
            fetched.failed[file.node] = LocalProblem(
                refused[file.node].message.rstrip("."), hint="It is tried again."
            )
        else:
            fetched.ready.append(file.node)


def _whole(want: Wanted, data: bytes) -> SmallFile:
    content = want.content
    return SmallFile(want.node, data, content.executable, content.mtime_ns, content.kind)


def _abandon(needs: list[_Need], fetched: Fetched) -> None:
    """Temporary files that did not become whole."""
    ready = set(fetched.ready)
    for need in needs:
        if need.incoming is not None and need.wanted.node not in ready:
            need.incoming.abort()


def _discard_whole(root: FollowedRoot, fetched: Fetched) -> None:
    for node in fetched.ready:
        discard(root, node)


def _disk_problem(error: OSError) -> LocalProblem:
    return LocalProblem(
        f"The file could not be written ({error.strerror or 'disk error'})",
        hint="Check the free space and the rights of the folder; it is tried again by itself.",
    )
