"""The stream in which chunks travel, both ways: drawn in docs/formats.md, "Frame stream".

Owns: writing and reading frames, compressing and opening their payloads.
May import: msgspec, zstandard, protocol.

A frame is checked twice: its header before anything is allocated for it (`FrameReader`), its bytes before
they count as a chunk (`open_frame`).  Frames are plain values, so a server can store a payload as it came.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from enum import IntEnum

import zstandard
from msgspec import Struct

from protocol.errors import BadRequest, ContentDamaged
from protocol.ids import ChunkId
from protocol.limits import MAX_CHUNK_BYTES, MAX_ZSTD_WINDOW_BYTES

HEAD = b"MBF\x01"
HEADER_BYTES = 41
_HEADER = struct.Struct("<BII32s")
_END = struct.Struct("<BI36x")
_END_MARK = 0xFF

_LEVEL = 1
_TOO_SMALL_TO_SHRINK = 128
_SAMPLE_BYTES = 64 * 1024
_SMALL_PART = 4 * 1024
_RUN_BYTES = 256 * 1024
_WORTH_IT = 0.95  # of the plain size; above it the reader's time is worth more than the bytes


class Codec(IntEnum):
    PLAIN = 0
    ZSTD = 1


_CODECS = (Codec.PLAIN, Codec.ZSTD)


class Frame(Struct, frozen=True, gc=False):
    """One chunk as it travels.  length: of the plain bytes.  A msgspec struct, since thousands are made."""

    id: ChunkId
    codec: Codec
    length: int
    payload: bytes


class _Tools(threading.local):
    """zstd's objects are costly to make and not safe to share between threads."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)


_tools = _Tools()


# ---- writing ---------------------------------------------------------------------------------------------


def frame_of(chunk_id: ChunkId, data: bytes | bytearray | memoryview) -> Frame:
    """The chunk with id `chunk_id` and these plain bytes (1 byte to 4 MiB), compressed where that pays.

    The frame keeps nothing of a buffer that is used again.
    """
    length = len(data)
    if length >= _TOO_SMALL_TO_SHRINK and (length <= 2 * _SAMPLE_BYTES or _sample_shrinks(data)):
        payload = _tools.compressor.compress(data)
        if len(payload) <= length * _WORTH_IT:
            return Frame(chunk_id, Codec.ZSTD, length, payload)
    return Frame(chunk_id, Codec.PLAIN, length, bytes(data))


def _sample_shrinks(data: bytes | bytearray | memoryview) -> bool:
    sample = _tools.compressor.compress(memoryview(data)[:_SAMPLE_BYTES])
    return len(sample) <= _SAMPLE_BYTES * _WORTH_IT


def encode_header(frame: Frame) -> bytes:
    return _HEADER.pack(frame.codec, frame.length, len(frame.payload), frame.id)


def encode_frames(frames: Iterable[Frame]) -> bytes:
    """Several frames as one run of bytes."""
    return b"".join(encode_runs(frames, run_bytes=sys.maxsize))


def encode_runs(frames: Iterable[Frame], *, run_bytes: int = _RUN_BYTES) -> Iterator[bytes]:
    """Frames as runs of bytes for one write each; a run ends with the frame that makes it long enough."""
    pack = _HEADER.pack
    run: list[bytes] = []
    size = 0
    for frame in frames:
        payload = frame.payload
        run += (pack(frame.codec, frame.length, len(payload), frame.id), payload)
        size += HEADER_BYTES + len(payload)
        if size >= run_bytes:
            yield b"".join(run)
            run, size = [], 0
    if run:
        yield b"".join(run)


def end_of_stream(count: int) -> bytes:
    """The mark without which a stream counts as cut.  count: of the frames before it."""
    return _END.pack(_END_MARK, count)


# ---- reading ---------------------------------------------------------------------------------------------


def open_frame(frame: Frame) -> bytes:
    """The chunk's plain bytes, checked against its length and its id.  Raises ContentDamaged."""
    data = frame.payload if frame.codec is Codec.PLAIN else _decompress(frame)
    if len(data) != frame.length or hashlib.sha256(data).digest() != frame.id:
        raise _damaged(frame)
    return data


def _decompress(frame: Frame) -> bytes:
    payload, length = frame.payload, frame.length
    try:
        # zstandard allocates what the payload claims, and looks at our limit only where it claims nothing.
        said = zstandard.frame_content_size(payload)
        if said not in {length, -1}:
            raise _damaged(frame)
        return _tools.decompressor.decompress(payload, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise _damaged(frame) from error


def _damaged(frame: Frame) -> ContentDamaged:
    return ContentDamaged(
        f"The bytes of chunk {frame.id.hex()[:12]} do not match its id",
        hint="They were changed on the way or on a disk; try again, then run `mb-server check --deep`.",
    )


class FrameReader:
    """Takes a stream in pieces of any size and gives its frames, each as soon as it is whole.

    It holds at most one frame and one piece, and copies each byte a fixed number of times, however the
    stream is cut.  `feed` and `close` raise BadRequest where the stream breaks the format.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.finished = False
        self._begun = False
        self._stub = b""  # the beginning of a head, a header or an end mark
        self._header: tuple[ChunkId, Codec, int] | None = None  # of the frame whose payload is coming
        self._parts: list[bytes | bytearray] = []  # what has come of that payload
        self._lacking = 0  # bytes of that payload still to come

    def feed(self, piece: bytes | bytearray | memoryview) -> list[Frame]:
        data = piece if type(piece) is bytes else bytes(piece)
        if self.finished and data:
            raise _malformed("goes on after its end mark")
        frames: list[Frame] = []
        at = 0
        if self._header is not None:
            if len(data) < self._lacking:
                self._keep_part(data)
                return frames
            at = self._lacking
            self._parts.append(data[:at])
            frames.append(Frame(*self._header, b"".join(self._parts)))
            self._header, self._parts, self._lacking = None, [], 0
        elif self._stub:
            data, self._stub = self._stub + data, b""
        self._parse(data, at, frames)
        self.frames += len(frames)
        return frames

    def close(self) -> None:
        """Call at the end of the bytes.  Raises BadRequest: the stream was cut before its end mark."""
        if not self.finished:
            raise BadRequest(
                f"The stream of chunks was cut after {self.frames} whole frames",
                hint="Send it again, up to its end mark.",
            )

    def _parse(self, data: bytes, at: int, frames: list[Frame]) -> None:
        """Append what is whole in `data` from `at` on, and keep the rest for the next piece."""
        end = len(data)
        if not self._begun:
            if not data.startswith(HEAD):
                if not HEAD.startswith(data):
                    raise _malformed("does not begin as one of version 1 does")
                self._stub = data
                return
            self._begun, at = True, len(HEAD)
        unpack = _HEADER.unpack_from
        while end - at >= HEADER_BYTES:
            codec, length, carried, chunk_id = unpack(data, at)
            at += HEADER_BYTES
            if codec == _END_MARK:
                _check_end(data[at - HEADER_BYTES : at], self.frames + len(frames))
                self.finished = True
                break
            _check_header(codec, length, carried)
            if end - at >= carried:
                frames.append(Frame(chunk_id, _CODECS[codec], length, data[at : at + carried]))
                at += carried
            else:
                self._header = (chunk_id, _CODECS[codec], length)
                self._lacking = carried
                self._keep_part(data[at:])
                return
        if self.finished and at < end:
            raise _malformed("goes on after its end mark")
        self._stub = data[at:]

    def _keep_part(self, data: bytes) -> None:
        """Small parts are gathered, so that a stream of single bytes makes no list of single bytes."""
        self._lacking -= len(data)
        last = self._parts[-1] if self._parts else None
        if len(data) >= _SMALL_PART:
            self._parts.append(data)
        elif isinstance(last, bytearray):
            last += data
        else:
            self._parts.append(bytearray(data))


def _check_end(mark: bytes, frames: int) -> None:
    if mark != end_of_stream(frames):
        raise _malformed(f"has an end mark that does not stand for the {frames} frames before it")


def _check_header(codec: int, length: int, carried: int) -> None:
    if codec >= len(_CODECS):
        raise _malformed(f"has a frame of the unknown codec {codec}")
    if not 0 < length <= MAX_CHUNK_BYTES:
        raise _malformed(f"has a chunk of {length} bytes, out of 1 to {MAX_CHUNK_BYTES}")
    if not 0 < carried <= length or (codec == Codec.PLAIN and carried != length):
        raise _malformed(f"has a frame of {carried} bytes for a chunk of {length}")


def _malformed(what: str) -> BadRequest:
    return BadRequest(f"The stream of chunks {what}", hint="Both ends must speak the same frame format.")
