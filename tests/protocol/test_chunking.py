"""Where files are cut: golden vectors, the same cuts for a buffer and a stream, one byte costs one chunk."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.chunking import CUTTER, ONE_CHUNK_BYTES, cut, iter_chunks, verify_cutter
from protocol.errors import LocalProblem
from protocol.messages import MAX_CHUNK_BYTES
from protocol.plain_cutter import PlainCutter

GOLDEN = Path(__file__).parents[1] / "data" / "cut_points.json"


class Vector(TypedDict):
    """`seed` None: zeros.  `insert_at`: there one byte `X` was put in."""

    name: str
    seed: int | None
    size: int
    insert_at: int | None
    sha256: str
    lengths: list[int]


VECTORS: list[Vector] = json.loads(GOLDEN.read_text())["vectors"]


def bytes_of(vector: Vector) -> bytes:
    size, seed, at = vector["size"], vector["seed"], vector["insert_at"]
    data = bytes(size) if seed is None else random.Random(seed).randbytes(size)
    return data if at is None else data[:at] + b"X" + data[at:]


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_golden_vector_is_cut_as_it_always_was(vector: Vector) -> None:
    data = bytes_of(vector)
    assert hashlib.sha256(data).hexdigest() == vector["sha256"]
    assert cut(data) == vector["lengths"]
    assert [len(chunk) for chunk in iter_chunks(io.BytesIO(data).readinto)] == vector["lengths"]


def test_the_golden_vectors_belong_to_this_cutter() -> None:
    assert json.loads(GOLDEN.read_text())["cutter"] == CUTTER


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["size"] <= 4_000_000], ids=lambda v: v["name"])
def test_a_second_implementation_cuts_alike(vector: Vector) -> None:
    from pyfastcdc.py import FastCDC  # noqa: PLC0415  # the slow twin, only for this comparison

    twin = FastCDC(1 << 20, min_size=256 << 10, max_size=4 << 20, normalized_chunking=1, seed=0)
    assert [chunk.length for chunk in twin.cut_buf(bytes_of(vector))] == vector["lengths"]


@pytest.mark.parametrize("size", [262_144, 262_145, 1_000_001, 4_194_304, 4_200_001])
def test_the_plain_cutter_cuts_like_the_compiled_one(size: int) -> None:
    plain = PlainCutter(1 << 20, min_size=256 << 10, max_size=4 << 20)
    for data in (some_bytes(size, size), bytes(size)):
        assert [cut_.length for cut_ in plain.cut_buf(data)] == cut(data)


def test_nothing_is_cut_into_nothing() -> None:
    assert cut(b"") == []
    assert list(iter_chunks(io.BytesIO().readinto)) == []


@pytest.mark.parametrize("size", [1, 1_000, ONE_CHUNK_BYTES - 1, ONE_CHUNK_BYTES])
def test_small_content_is_one_chunk(size: int) -> None:
    assert cut(bytes(size)) == [size]


def test_no_chunk_is_longer_than_the_longest() -> None:
    assert cut(bytes(9 << 20)) == [MAX_CHUNK_BYTES, MAX_CHUNK_BYTES, 1 << 20]


@settings(max_examples=8)
@given(st.integers(0, 14_000_000), st.integers(1, 5_000_000), st.integers(8 << 20, 12 << 20))
def test_a_stream_is_cut_like_a_buffer_however_it_is_read(
    size: int, read_bytes: int, buffer_bytes: int
) -> None:
    data = some_bytes(size)
    file = io.BytesIO(data)
    chunks = iter_chunks(lambda buffer: file.readinto(buffer[:read_bytes]), buffer_bytes=buffer_bytes)
    joined = hashlib.sha256()
    lengths = []
    for chunk in chunks:
        joined.update(chunk)
        lengths.append(len(chunk))
    assert lengths == cut(data)
    assert joined.digest() == hashlib.sha256(data).digest()


def test_one_byte_inserted_costs_one_chunk() -> None:
    def chunk_ids(data: bytes) -> set[bytes]:
        stream = iter_chunks(io.BytesIO(data).readinto)
        return {hashlib.sha256(chunk).digest() for chunk in stream}

    data = some_bytes(16 << 20)
    before, after = chunk_ids(data), chunk_ids(data[: 5 << 20] + b"X" + data[5 << 20 :])
    assert len(before) > 8
    assert len(after - before) == 1


def test_threads_do_not_disturb_each_other() -> None:
    data = [some_bytes(6 << 20, seed) for seed in range(4)]
    expected = [cut(each) for each in data]
    found: dict[int, list[int]] = {}

    def work(number: int) -> None:
        found[number] = cut(data[number])

    threads = [threading.Thread(target=work, args=[number]) for number in range(len(data))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(data))] == expected


# ---- where the cutter is missing or another --------------------------------------------------------------


def run_without_cutter(code: str) -> subprocess.CompletedProcess[str]:
    blocked = "import sys; sys.modules['pyfastcdc'] = None\n"
    return subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=False)


def test_small_content_needs_no_cutter() -> None:
    result = run_without_cutter("from protocol.chunking import cut; print(cut(bytes(1000)))")
    assert result.stdout == "[1000]\n", result.stderr


def test_who_sends_files_is_told_in_one_sentence_that_the_cutter_is_missing() -> None:
    result = run_without_cutter("from protocol.chunking import verify_cutter; verify_cutter()")
    assert (
        "LocalProblem: The library that cuts files into chunks (pyfastcdc) is not installed" in result.stderr
    )


def test_who_only_receives_cuts_alike_without_it() -> None:
    code = (
        "import random; from protocol.chunking import cut; print(cut(random.Random(9).randbytes(3_500_001)))"
    )
    result = run_without_cutter(code)
    assert result.stdout == f"{cut(some_bytes(3_500_001, 9))}\n", result.stderr


def test_a_cutter_that_cuts_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    verify_cutter()
    monkeypatch.setattr("protocol.chunking._PROOF", [1, 2, 3])
    monkeypatch.setattr("protocol.chunking._proven", threading.Event())
    monkeypatch.setattr("protocol.chunking._tools", type(sys.modules["protocol.chunking"]._tools)())
    with pytest.raises(LocalProblem, match="does not cut as fastcdc-2020"):
        cut(bytes(1_000_000))
