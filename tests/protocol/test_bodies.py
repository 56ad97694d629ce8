"""Bodies made smaller, and what is refused before memory is taken for it."""

from __future__ import annotations

import random
import tracemalloc

import pytest
import zstandard

from protocol.bodies import WORTH_BYTES, accepts_zstd, expanded, shrunk
from protocol.errors import BadRequest, TooLarge

MIB = 1024 * 1024
TEXT = b"the same words again and again, " * 100


def packed(data: bytes, *, says_size: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=says_size).compress(data)


def test_what_was_shrunk_comes_back_as_it_was() -> None:
    smaller = shrunk(TEXT)
    assert smaller is not None
    assert len(smaller) < 100
    assert expanded(smaller, "zstd", max_bytes=len(TEXT)) == TEXT


def test_a_short_body_and_one_that_would_not_shrink_stay_as_they_are() -> None:
    assert shrunk(TEXT[: WORTH_BYTES - 1]) is None
    assert shrunk(TEXT[:WORTH_BYTES]) is not None
    assert shrunk(random.Random(1).randbytes(5_000)) is None


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_a_body_without_coding_is_taken_as_it_is(encoding: str) -> None:
    assert expanded(TEXT, encoding, max_bytes=1) is TEXT


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd, gzip", "x" * 1_000])
def test_another_coding_is_refused_in_one_short_sentence(encoding: str) -> None:
    with pytest.raises(BadRequest, match="Content-Encoding") as refused:
        expanded(TEXT, encoding, max_bytes=MIB)
    assert len(str(refused.value)) < 200


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    bomb = packed(bytes(256 * MIB))
    assert len(bomb) < 50_000
    tracemalloc.start()
    with pytest.raises(TooLarge, match="more than 1048576 bytes"):
        expanded(bomb, "zstd", max_bytes=MIB)
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def test_the_limit_itself_is_allowed() -> None:
    assert len(expanded(packed(bytes(MIB)), "zstd", max_bytes=MIB)) == MIB
    with pytest.raises(TooLarge):
        expanded(packed(bytes(MIB + 1)), "zstd", max_bytes=MIB)


def test_a_frame_that_says_less_than_it_holds_gives_no_byte_more() -> None:
    frame = bytearray(packed(bytes(200_000)))
    assert frame[4] >> 6 == 2, "four bytes of content size"
    at = frame.index((200_000).to_bytes(4, "little"))
    frame[at : at + 4] = (1_000).to_bytes(4, "little")
    with pytest.raises(BadRequest, match="no zstd frame"):
        expanded(bytes(frame), "zstd", max_bytes=MIB)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not zstd at all",
        packed(TEXT)[:-3],
        packed(TEXT)[:6],
        packed(TEXT) + b"more",
        packed(TEXT) + packed(TEXT),
        packed(TEXT, says_size=False),
    ],
    ids=["empty", "other", "cut", "head-only", "trailing", "two-frames", "no-size"],
)
def test_what_is_not_one_whole_frame_with_its_size_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        expanded(body, "zstd", max_bytes=MIB)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("zstd", True),
        ("gzip, ZSTD;q=0.5, br", True),
        ("zstd;q=0", False),
        ("zstd; q = 0.000", False),
        ("gzip, deflate, br", False),
        ("zstdx", False),
        ("", False),
    ],
)
def test_only_who_names_zstd_gets_it(header: str, accepted: bool) -> None:
    assert accepts_zstd(header) is accepted
