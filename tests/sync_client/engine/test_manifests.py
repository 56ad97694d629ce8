"""From the digest of a content to its chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from protocol.errors import ContentDamaged
from protocol.ids import ChunkId
from protocol.manifests import content_digest, write_records
from protocol.messages import Kind, Manifest
from sync_client.engine.database import StateDatabase
from sync_client.engine.manifests import Manifests
from sync_client.engine.trees import Content

LEAVES = [(ChunkId(bytes([number]) * 32), 1_000_000) for number in range(5)]
RECORDS = write_records(LEAVES)
OWN = hashlib.sha256(RECORDS).digest()
HUGE = Manifest(5_000_000, OWN, [len(RECORDS)], indirect=True)  # of one chunk, as most of them


@pytest.fixture
def manifests(tmp_path: Path) -> Iterator[Manifests]:
    with closing(StateDatabase(tmp_path / "state.db")) as state:
        yield Manifests(state)


def a_content(manifest: Manifest) -> Content:
    return Content(Kind.FILE, content_digest(manifest), manifest.size)


@pytest.mark.parametrize(
    "manifest",
    [
        Manifest(),
        Manifest(7, b"a" * 32, [7]),
        Manifest(300_000, b"b" * 32, [300_000]),
        Manifest(3_000_000, b"a" * 32 + b"b" * 32, [2_000_000, 1_000_000]),
        HUGE,
    ],
)
def test_a_manifest_that_was_kept_is_found_by_its_digest(manifests: Manifests, manifest: Manifest) -> None:
    manifests.keep(content_digest(manifest), manifest)
    assert manifests.of(a_content(manifest)) == manifest


def test_the_chunks_of_a_huge_file_are_known_once_its_records_came(manifests: Manifests) -> None:
    content = a_content(HUGE)
    manifests.keep(content.digest, HUGE)
    assert manifests.leaves_of(content) is None
    leaves = manifests.take_records(content, RECORDS)
    assert leaves == manifests.leaves_of(content)
    assert (leaves.size, leaves.lengths) == (5_000_000, [1_000_000] * 5)
    assert leaves.chunks == b"".join(chunk for chunk, _ in LEAVES)
    assert manifests.records_of(content) == RECORDS


def test_of_a_huge_file_that_was_read_here_the_records_are_known_at_once(manifests: Manifests) -> None:
    content = a_content(HUGE)
    manifests.keep(content.digest, HUGE, RECORDS)
    assert manifests.records_of(content) == RECORDS
    assert manifests.leaves_of(content) is not None
    assert manifests.records_of(a_content(Manifest(7, b"a" * 32, [7]))) == b""


@pytest.mark.parametrize(
    "records",
    [
        write_records([(ChunkId(bytes([number + 9]) * 32), 1_000_000) for number in range(5)]),
        RECORDS + RECORDS[:36],
        RECORDS[:-36],
        b"",
    ],
    ids=["others", "more", "fewer", "none"],
)
def test_records_that_are_not_those_of_the_manifest_are_refused(manifests: Manifests, records: bytes) -> None:
    content = a_content(HUGE)
    manifests.keep(content.digest, HUGE)
    with pytest.raises(ContentDamaged):
        manifests.take_records(content, records)
    assert manifests.leaves_of(content) is None
