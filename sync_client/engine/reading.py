"""Reads local files: stat, hash, stat.  What comes out was all there at one moment, or is refused.

Owns: manifests of local files, the chunks of big ones again for upload.
May import: protocol, sync_client.engine.{disk,system_calls,trees}.

Runs in worker threads; never holds more of a file than a few chunks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from protocol.chunking import cut, iter_chunks
from protocol.errors import LocalProblem
from protocol.ids import ChunkId, NodeId
from protocol.manifests import EMPTY_DIGEST, content_digest, read_records, write_records
from protocol.messages import MAX_DIRECT_CHUNKS, Kind, Manifest
from sync_client.engine.disk import FollowedRoot, Parts, is_executable, same_thing, too_young
from sync_client.engine.system_calls import look
from sync_client.engine.trees import Content, Fingerprint, Value

SMALL_BYTES = 256 * 1024  # up to here a file is one chunk
LASTING_NS = 600 * 10**9  # what was written so long ago the system has brought to the disk by itself
MANY = 8  # from here on, one sync of the file system costs less than one of each file

Wanted = tuple[NodeId, Parts, Fingerprint]


class ReadFile(Value):
    """data: all bytes, if they were asked for and are few.

    records: of a file with an indirect manifest, the bytes that its manifest's own chunks are cut from.
    """

    node: NodeId
    content: Content
    manifest: Manifest
    fingerprint: Fingerprint
    data: bytes | None = None
    records: bytes = b""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """code: "unreadable" (no right, or a failing disk), "changing" (written to meanwhile: read again when it is
    quiet), "changed" (not the file that was seen: look again), "not-a-file", "vanished"."""

    node: NodeId
    code: str
    message: str


class FileChanged(LocalProblem):
    """The file is not the one that was read before; whoever asked looks at the disk again."""

    code = "changing"


def read_files(
    root: FollowedRoot, wanted: Sequence[Wanted], *, keep: bool, lasting: bool = True
) -> list[ReadFile | Unreadable]:
    """Read each file (a link: its text).  keep: whole bytes of small ones are wanted as well.

    lasting: what was written lately is on the disk for good when this returns, though whoever wrote it did not sync:
    else a power cut could bring back older bytes under the very stat that is remembered for these.
    The fingerprint that comes back is the one the bytes were read under.  Its change time is 0 if the file is
    too young to trust: the next scan then has it read again.
    """
    root.look_afresh()
    now = time.time_ns()
    lately = [abs(now - seen.ctime_ns) < LASTING_NS for _, _, seen in wanted]
    together = sum(lately) > MANY
    results = [
        _read(root, node, parts, seen, keep=keep, sync=lasting and late and not together)
        for (node, parts, seen), late in zip(wanted, lately, strict=True)
    ]
    if lasting and together:
        try:
            root.sync()
        except OSError as error:
            return [refused(node, error) for node, _, _ in wanted]
    return results


def read_beginning(root: FollowedRoot, parts: Parts, limit: int) -> bytes:
    """The first bytes of a file as it is now; none if it cannot be read."""
    root.look_afresh()
    try:
        handle = root.open_file(parts)
        try:
            return os.read(handle, limit)
        finally:
            os.close(handle)
    except OSError:
        return b""


def _read(
    root: FollowedRoot, node: NodeId, parts: Parts, seen: Fingerprint, *, keep: bool, sync: bool
) -> ReadFile | Unreadable:
    try:
        if stat.S_ISLNK(seen.mode):
            return _read_link(root, node, parts, seen, keep=keep)
        handle = root.open_file(parts)
        try:
            return _read_open(handle, node, seen, keep=keep, sync=sync)
        finally:
            os.close(handle)
    except OSError as error:
        return refused(node, error)


def refused(node: NodeId, error: OSError) -> Unreadable:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return Unreadable(node, "vanished", "It was there a moment ago and is gone.")
        case errno.ELOOP | errno.ENXIO | errno.EINVAL:
            return Unreadable(node, "not-a-file", "Something else than a file stands here now.")
        case errno.EACCES | errno.EPERM:
            return Unreadable(node, "unreadable", "You may not read this file. Give yourself the right to.")
        case _:
            why = error.strerror or "unknown reason"
            return Unreadable(
                node, "unreadable", f"The disk could not read this file: {why}. Check the disk."
            )


def _read_link(
    root: FollowedRoot, node: NodeId, parts: Parts, seen: Fingerprint, *, keep: bool
) -> ReadFile | Unreadable:
    folder = root.folder_fd(parts[:-1])
    name = root.spell(parts[-1])
    data = os.fsencode(os.readlink(name, dir_fd=folder))
    now = look(folder, name)
    if now is None or not same_thing(seen, now):
        return changing(node)
    manifest = _of_one_chunk(data)
    content = Content(Kind.LINK, content_digest(manifest), len(data), mtime_ns=now.mtime_ns)
    return ReadFile(node, content, manifest, now, data if keep else None)


def _bring_to_the_disk(handle: int) -> None:
    """As far as it can be done for a file open for reading: not on Windows, nor on some network file systems."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EROFS):
            raise


def _read_open(
    handle: int, node: NodeId, seen: Fingerprint, *, keep: bool, sync: bool
) -> ReadFile | Unreadable:
    before = os.fstat(handle)
    if not stat.S_ISREG(before.st_mode):
        return Unreadable(node, "not-a-file", "Something else than a file stands here now.")
    if before.st_ino != seen.inode or before.st_dev != seen.device:
        return Unreadable(node, "changed", "Another file was put in its place just now.")
    size = before.st_size
    hashed = _hash(handle, size)
    if hashed is None:
        return changing(node)
    manifest, records, data = hashed
    if sync:
        _bring_to_the_disk(handle)
    after = os.fstat(handle)
    if (
        after.st_mtime_ns != before.st_mtime_ns
        or after.st_ctime_ns != before.st_ctime_ns
        or after.st_size != size
    ):
        return changing(node)
    read_under = _fingerprint(seen, after)
    content = Content(
        Kind.FILE, content_digest(manifest), size, is_executable(after.st_mode), after.st_mtime_ns
    )
    return ReadFile(node, content, manifest, read_under, data if keep else None, records)


def still_holds(folder: int, name: str, content: Content) -> bool:
    """Whether this file has the bytes of `content`, whatever its times say.  A link never gets another text."""
    if content.kind is not Kind.FILE:
        return True
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
        try:
            hashed = _hash(handle, os.fstat(handle).st_size)
        finally:
            os.close(handle)
    except OSError:
        return False
    return hashed is not None and content_digest(hashed[0]) == content.digest


def changing(node: NodeId) -> Unreadable:
    return Unreadable(node, "changing", "It is being written. It is read again as soon as it is quiet.")


def _fingerprint(seen: Fingerprint, now: os.stat_result) -> Fingerprint:
    """`seen`, as the open file has it now; the birth time does not change."""
    current = Fingerprint(
        seen.device,
        seen.inode,
        seen.birth_ns,
        now.st_size,
        now.st_mtime_ns,
        now.st_ctime_ns,
        now.st_mode,
    )
    return replace(current, ctime_ns=0) if too_young(current, time.time_ns()) else current


# ---- manifests -------------------------------------------------------------------------------------------


def _hash(handle: int, size: int) -> tuple[Manifest, bytes, bytes | None] | None:
    """The manifest of an open file, its records if it is indirect, and all bytes if they are few.

    None: there are more or less than `size` by now.
    """
    if size <= SMALL_BYTES:
        data = os.read(handle, size + 1) if size else b""
        return (_of_one_chunk(data), b"", data) if len(data) == size else None
    chunks = list(_hash_chunks(handle))
    return (*_manifest(chunks, size), None) if sum(length for _, length in chunks) == size else None


def _of_one_chunk(data: bytes) -> Manifest:
    if not data:
        return Manifest()
    return Manifest(len(data), hashlib.sha256(data).digest(), [len(data)])


def _manifest(chunks: list[tuple[ChunkId, int]], size: int) -> tuple[Manifest, bytes]:
    """The manifest of these chunks and, if it is indirect, its records."""
    if len(chunks) <= MAX_DIRECT_CHUNKS:
        return Manifest(size, b"".join(chunk for chunk, _ in chunks), [length for _, length in chunks]), b""
    records = write_records(chunks)
    own = list(_chunks_of(records))
    joined = b"".join(hashlib.sha256(piece).digest() for piece in own)
    return Manifest(size, joined, [len(piece) for piece in own], indirect=True), records


def _chunks_of(data: bytes) -> Iterator[memoryview]:
    """Where protocol cuts these bytes."""
    view, at = memoryview(data), 0
    for length in cut(data):
        yield view[at : at + length]
        at += length


def _hash_chunks(handle: int) -> Iterator[tuple[ChunkId, int]]:
    """Cut and hash an open file from its start to its end."""
    for chunk in iter_chunks(lambda buffer: os.readv(handle, [buffer])):
        yield ChunkId(hashlib.sha256(chunk).digest()), len(chunk)


# ---- again, for upload -----------------------------------------------------------------------------------


def read_chunks(
    root: FollowedRoot,
    parts: Parts,
    fingerprint: Fingerprint,
    manifest: Manifest,
    positions: Sequence[int],
    *,
    records: bytes = b"",
) -> Iterator[tuple[ChunkId, bytes]]:
    """These chunks of a file that was read before, one at a time.

    positions: into the file's own chunks; of an indirect manifest (`records` given) those are followed by
    the chunks of the manifest itself.  Raises FileChanged: the file is not the one of `fingerprint` any more.
    """
    chunks = chunk_list(manifest, records)
    own = list(_chunks_of(records)) if manifest.indirect else []
    first_own = len(chunks) - len(own)
    starts = [0]
    for _, length in chunks[:first_own]:
        starts.append(starts[-1] + length)
    root.look_afresh()
    if stat.S_ISLNK(fingerprint.mode):
        yield chunks[0][0], _text_of_link(root, parts, chunks[0][0])
        return
    try:
        handle = root.open_file(parts)
    except OSError as error:
        raise _has_changed() from error
    try:
        for position in positions:
            chunk, length = chunks[position]
            if position >= first_own:
                yield chunk, bytes(own[position - first_own])
                continue
            data = os.pread(handle, length, starts[position])
            now = os.fstat(handle)
            if (
                len(data) != length
                or now.st_ino != fingerprint.inode
                or now.st_size != fingerprint.size
                or now.st_mtime_ns != fingerprint.mtime_ns
                or fingerprint.ctime_ns not in (0, now.st_ctime_ns)
                or hashlib.sha256(data).digest() != chunk
            ):
                raise _has_changed()
            yield chunk, data
    finally:
        os.close(handle)


def _text_of_link(root: FollowedRoot, parts: Parts, expected: ChunkId) -> bytes:
    try:
        text = os.fsencode(os.readlink(root.spell(parts[-1]), dir_fd=root.folder_fd(parts[:-1])))
    except OSError as error:
        raise _has_changed() from error
    if hashlib.sha256(text).digest() != expected:
        raise _has_changed()
    return text


def chunk_list(manifest: Manifest, records: bytes = b"") -> list[tuple[ChunkId, int]]:
    """All chunks that this version needs on the server, with their lengths, as `read_chunks` counts them."""
    own = [
        (ChunkId(manifest.chunks[32 * at : 32 * at + 32]), length)
        for at, length in enumerate(manifest.lengths)
    ]
    if not manifest.indirect:
        return own
    return [*read_records(records, size=manifest.size), *own]


def digest_of(handle: int) -> bytes:
    """The content digest of an open file, wherever it lies."""
    size = os.fstat(handle).st_size
    if size == 0:
        return EMPTY_DIGEST
    if size <= SMALL_BYTES:
        return content_digest(_of_one_chunk(os.read(handle, size)))
    return content_digest(_manifest(list(_hash_chunks(handle)), size)[0])


def chunks_of(folder: int, name: str, *, is_link: bool) -> list[ChunkId]:
    """The chunks of what stands there, wherever that is; the text of a link is its chunk."""
    if is_link:
        return [ChunkId(hashlib.sha256(os.fsencode(os.readlink(name, dir_fd=folder))).digest())]
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        return [chunk for chunk, _ in _hash_chunks(handle)]
    finally:
        os.close(handle)


def _has_changed() -> FileChanged:
    return FileChanged("The file changed after it was read", hint="It is read again as soon as it is quiet.")
