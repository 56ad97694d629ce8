"""The frame stream: what is written can be read, however it is cut; what is wrong is refused early."""

from __future__ import annotations

import hashlib
import random
import struct
import tracemalloc
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BadRequest, ContentDamaged
from protocol.frames import (
    HEAD,
    HEADER_BYTES,
    Codec,
    Frame,
    FrameReader,
    encode_frames,
    encode_header,
    encode_runs,
    end_of_stream,
    frame_of,
    open_frame,
)
from protocol.ids import ChunkId
from protocol.messages import MAX_CHUNK_BYTES

NOISE = random.Random(5).randbytes(300_000)


def an_id(data: bytes) -> ChunkId:
    return ChunkId(hashlib.sha256(data).digest())


def a_frame(data: bytes) -> Frame:
    return frame_of(an_id(data), data)


def a_stream(*chunks: bytes) -> bytes:
    return HEAD + encode_frames(map(a_frame, chunks)) + end_of_stream(len(chunks))


def a_header(codec: int = 0, length: int = 10, carried: int = 10) -> bytes:
    return struct.pack("<BII32s", codec, length, carried, bytes(32))


def read(stream: bytes, piece_bytes: int) -> list[bytes]:
    reader = FrameReader()
    frames: list[Frame] = []
    for at in range(0, len(stream), piece_bytes):
        frames += reader.feed(stream[at : at + piece_bytes])
    reader.close()
    return [open_frame(frame) for frame in frames]


# ---- both ways -------------------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=400), max_size=12), st.integers(1, 500))
def test_a_stream_is_read_as_it_was_written_however_it_is_cut(chunks: list[bytes], piece_bytes: int) -> None:
    assert read(a_stream(*chunks), piece_bytes) == chunks


@pytest.mark.parametrize("piece_bytes", [1_000, 65_536, 10_000_000])
def test_large_and_small_chunks_travel_together(piece_bytes: int) -> None:
    chunks = [b"a", NOISE, bytes(MAX_CHUNK_BYTES), b"b" * 5_000, NOISE[:200_000] + bytes(200_000)]
    assert read(a_stream(*chunks), piece_bytes) == chunks


def test_the_bytes_of_a_stream_are_those_of_the_drawing() -> None:
    data = b"0123456789"
    digest = hashlib.sha256(data).digest()
    assert a_stream(data) == (
        b"MBF\x01"
         b"\x00" + b"\x0a\x00\x00\x00" + b"\x0a\x00\x00\x00" + digest + data
        + b"\xff" + b"\x01\x00\x00\x00" + bytes(36)
    )  # fmt: skip


def test_runs_are_the_same_bytes_in_fewer_writes() -> None:
    frames = [a_frame(bytes([number]) + NOISE[:3_000]) for number in range(200)]
    runs = list(encode_runs(frames, run_bytes=64 * 1024))
    assert b"".join(runs) == encode_frames(frames)
    assert len(runs) == 10
    assert list(encode_runs([])) == []
    assert encode_frames(frames[:1]) == encode_header(frames[0]) + frames[0].payload


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (b"short text" * 5, Codec.PLAIN),
        (b"a longer text " * 50, Codec.ZSTD),
        (NOISE[:5_000], Codec.PLAIN),
        (NOISE, Codec.PLAIN),
        (bytes(300_000), Codec.ZSTD),
        (NOISE[:60_000] + bytes(60_000), Codec.ZSTD),
        (NOISE[:70_000] + bytes(200_000), Codec.PLAIN),  # the first 64 KiB speak for the rest
    ],
)
def test_what_shrinks_is_compressed_and_nothing_else(data: bytes, codec: Codec) -> None:
    frame = a_frame(data)
    assert frame.codec is codec
    assert len(frame.payload) == len(data) if codec is Codec.PLAIN else len(frame.payload) < 0.95 * len(data)


def test_a_frame_keeps_nothing_of_a_buffer_that_is_used_again() -> None:
    buffer = bytearray(b"precious")
    frame = frame_of(an_id(b"precious"), memoryview(buffer))
    buffer[:] = b"garbage!"
    assert open_frame(frame) == b"precious"


# ---- cut, bent, hostile ----------------------------------------------------------------------------------


@given(st.data())
def test_a_stream_that_is_cut_anywhere_is_never_whole(data: st.DataObject) -> None:
    stream = a_stream(b"one", b"two" * 100, NOISE[:300])
    cut = data.draw(st.integers(0, len(stream) - 1))
    reader = FrameReader()
    reader.feed(stream[:cut])
    assert not reader.finished
    with pytest.raises(BadRequest, match="was cut"):
        reader.close()


@pytest.mark.parametrize(
    "stream",
    [
        b"MBF\x02",
        b"GET / HTTP/1.1",
        HEAD + a_header(codec=2),
        HEAD + a_header(codec=0xFE),
        HEAD + a_header(length=0, carried=0),
        HEAD + a_header(length=MAX_CHUNK_BYTES + 1, carried=1, codec=1),
        HEAD + a_header(length=10, carried=0, codec=1),
        HEAD + a_header(length=10, carried=11, codec=1),
        HEAD + a_header(length=10, carried=9),
        HEAD + a_header(length=2**32 - 1, carried=2**32 - 1),
        HEAD + end_of_stream(1),
        HEAD + end_of_stream(0)[:-1] + b"\x01",
        HEAD + end_of_stream(0) + b"x",
        a_stream(b"one") + a_stream(b"two"),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 1000])
def test_what_breaks_the_format_is_refused_at_once(stream: bytes, piece_bytes: int) -> None:
    with pytest.raises(BadRequest):
        read(stream, piece_bytes)


def test_the_limits_themselves_are_allowed() -> None:
    longest = a_header(codec=1, length=MAX_CHUNK_BYTES, carried=MAX_CHUNK_BYTES)
    assert FrameReader().feed(HEAD + longest) == []
    assert FrameReader().feed(HEAD + a_header(length=1, carried=1)) == []


@pytest.mark.parametrize(
    "payload",
    [
        zstandard.ZstdCompressor().compress(bytes(100_000_000)),  # says its true size
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100_000_000)),  # says none
        zstandard.ZstdCompressor().compress(bytes(1_000)) + b"more",
        zstandard.ZstdCompressor().compress(bytes(1_000)) * 2,
        zstandard.ZstdCompressor().compress(bytes(999)),
        zstandard.ZstdCompressor().compress(b"x" * 1_000),
        b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + bytes(20),  # says 2**64 - 1 bytes
        b"no zstd at all",
        b"(",
    ],
)
def test_a_bomb_or_a_lie_is_damaged_content_and_takes_no_memory(payload: bytes) -> None:
    frame = Frame(an_id(bytes(1_000)), Codec.ZSTD, 1_000, payload)
    tracemalloc.start()
    try:
        with pytest.raises(ContentDamaged, match="do not match its id"):
            open_frame(frame)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_payload_that_does_not_say_its_size_is_read() -> None:
    payload = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1_000))
    assert open_frame(Frame(an_id(bytes(1_000)), Codec.ZSTD, 1_000, payload)) == bytes(1_000)


def test_plain_bytes_that_are_not_their_id_are_damaged() -> None:
    with pytest.raises(ContentDamaged):
        open_frame(Frame(an_id(b"other"), Codec.PLAIN, 5, b"these"))
    with pytest.raises(ContentDamaged):
        open_frame(Frame(an_id(b"these"), Codec.PLAIN, 4, b"these"))


def test_a_stream_that_comes_byte_by_byte_takes_no_list_of_bytes() -> None:
    reader = FrameReader()
    reader.feed(HEAD + a_header(length=200_000, carried=200_000))
    tracemalloc.start()
    try:
        for at in range(199_999):
            reader.feed(NOISE[at : at + 1])
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    (frame,) = reader.feed(NOISE[199_999:200_000])
    assert frame.payload == NOISE[:200_000]


@given(
    st.binary(max_size=300)
    | st.builds(
        lambda codec, length, carried, rest: HEAD + struct.pack("<BII", codec, length, carried) + rest,
        st.sampled_from([0, 1, 2, 255]),
        st.integers(0, 300) | st.integers(0, 2**32 - 1),
        st.integers(0, 300) | st.integers(0, 2**32 - 1),
        st.binary(max_size=600),
    ),
    st.integers(1, 400),
)
def test_any_bytes_end_in_frames_or_in_a_declared_error(stream: bytes, piece_bytes: int) -> None:
    with suppress(BadRequest, ContentDamaged):
        read(stream, piece_bytes)


@given(st.data())
def test_a_flipped_bit_is_always_noticed(data: st.DataObject) -> None:
    chunks = [b"one" * 100, NOISE[:200], b"\x00" * 50]
    stream = bytearray(a_stream(*chunks))
    bit = data.draw(st.integers(0, len(stream) * 8 - 1))
    stream[bit // 8] ^= 1 << bit % 8
    with suppress(BadRequest, ContentDamaged):
        assert read(bytes(stream), len(stream)) == chunks  # zstd has bits that say nothing


def test_a_header_has_the_length_that_is_drawn() -> None:
    assert len(a_header()) == len(end_of_stream(3)) == HEADER_BYTES == 41
