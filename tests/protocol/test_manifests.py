from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ContentDamaged
from protocol.ids import ChunkId
from protocol.manifests import EMPTY_DIGEST, check_shape, content_digest, read_records, write_records
from protocol.messages import Manifest

CHUNKS = st.lists(
    st.tuples(st.binary(min_size=32, max_size=32).map(ChunkId), st.integers(1, 4 << 20)), max_size=20
)


def a_manifest(*chunks: bytes, indirect: bool = False) -> Manifest:
    return Manifest(
        size=sum(map(len, chunks)),
        chunks=b"".join(hashlib.sha256(chunk).digest() for chunk in chunks),
        lengths=[len(chunk) for chunk in chunks],
        indirect=indirect,
    )


def test_the_digest_of_one_chunk_is_the_sha256_of_the_file() -> None:
    assert content_digest(a_manifest(b"hello")) == hashlib.sha256(b"hello").digest()
    assert content_digest(a_manifest()) == EMPTY_DIGEST == hashlib.sha256(b"").digest()


def test_a_digest_tells_a_file_from_the_manifest_of_a_file() -> None:
    one, two = a_manifest(b"x" * 36), a_manifest(b"a", b"b")
    digests = {content_digest(one), content_digest(two), content_digest(a_manifest(b"b", b"a"))}
    digests |= {content_digest(a_manifest(b"x" * 36, indirect=True))}
    digests |= {content_digest(a_manifest(b"a", b"b", indirect=True))}
    assert len(digests) == 5


@given(CHUNKS)
def test_the_records_of_an_indirect_manifest_come_back(chunks: list[tuple[ChunkId, int]]) -> None:
    size = sum(length for _, length in chunks)
    assert list(read_records(write_records(chunks), size=size)) == chunks


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"x" * 35, 1),
        (write_records([(ChunkId(bytes(32)), 5)]), 6),
        (write_records([(ChunkId(bytes(32)), 0)]), 0),
        (write_records([(ChunkId(bytes(32)), (4 << 20) + 1)]), (4 << 20) + 1),
    ],
)
def test_records_that_cannot_be_true_are_damaged_content(data: bytes, size: int) -> None:
    with pytest.raises(ContentDamaged):
        list(read_records(data, size=size))


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (a_manifest(b"a", b"bc"), ""),
        (a_manifest(), ""),
        (Manifest(size=99, chunks=bytes(32), lengths=[36], indirect=True), ""),
        (Manifest(size=1, chunks=bytes(33), lengths=[1]), "no multiple"),
        (Manifest(size=1, chunks=bytes(64), lengths=[1]), "2 chunk ids but 1 lengths"),
        (Manifest(size=2, chunks=bytes(32), lengths=[1]), "the file has 2 bytes"),
        (Manifest(size=2, chunks=bytes(32), lengths=[35], indirect=True), "broken records"),
    ],
)
def test_a_manifest_whose_parts_do_not_go_together_says_why(manifest: Manifest, said: str) -> None:
    assert (said in check_shape(manifest)) if said else check_shape(manifest) == ""
