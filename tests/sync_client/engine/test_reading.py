"""Local files become manifests: what was all there at one moment, or nothing."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from pathlib import Path

import pytest

from protocol.chunking import cut
from protocol.ids import ChunkId
from protocol.manifests import EMPTY_DIGEST, content_digest, read_records
from protocol.messages import Kind, Manifest
from sync_client.engine import reading
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.reading import (
    FileChanged,
    ReadFile,
    Unreadable,
    chunk_list,
    read_chunks,
    read_files,
)
from sync_client.engine.trees import Fingerprint
from tests.support.followed import a_node


@pytest.fixture
def root(tmp_path: Path) -> FollowedRoot:
    return FollowedRoot(tmp_path)


def seen(root: FollowedRoot, name: str) -> Fingerprint:
    found = root.fingerprint((name,))
    assert found is not None
    return found


def read(root: FollowedRoot, name: str, *, keep: bool = False) -> ReadFile:
    [result] = read_files(root, [(a_node(), (name,), seen(root, name))], keep=keep)
    assert isinstance(result, ReadFile), result
    return result


def the_code(root: FollowedRoot, name: str, expected: Fingerprint) -> str:
    [result] = read_files(root, [(a_node(), (name,), expected)], keep=False)
    assert isinstance(result, Unreadable), result
    return result.code


def old(file: Path) -> Path:
    os.utime(file, ns=(10**18, 10**18))
    return file


def test_a_small_file_is_one_chunk_named_by_its_sha256(root: FollowedRoot, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    result = read(root, "a", keep=True)
    assert result.manifest == Manifest(3, hashlib.sha256(b"one").digest(), [3])
    assert result.content.digest == result.manifest.chunks
    assert result.data == b"one"


def test_an_empty_file_has_no_chunk(root: FollowedRoot, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    result = read(root, "a", keep=True)
    assert result.manifest == Manifest()
    assert (result.content.digest, result.data) == (EMPTY_DIGEST, b"")


def test_a_big_file_is_cut_as_the_protocol_says_and_read_again_for_upload(
    root: FollowedRoot, tmp_path: Path
) -> None:
    data = random.Random(1).randbytes(24 << 20)
    (tmp_path / "a").write_bytes(data)
    old(tmp_path / "a")
    result = read(root, "a", keep=True)
    assert result.manifest.lengths == cut(data)
    assert result.data is None
    positions = [5, 0, len(result.manifest.lengths) - 1]
    starts = [sum(result.manifest.lengths[:position]) for position in positions]
    chunks = list(read_chunks(root, ("a",), result.fingerprint, result.manifest, positions))
    assert [hashlib.sha256(piece).digest() for _, piece in chunks] == [chunk for chunk, _ in chunks]
    assert [data[start : start + len(piece)] for start, (_, piece) in zip(starts, chunks, strict=True)] == [
        piece for _, piece in chunks
    ]


def test_a_very_big_file_has_an_indirect_manifest(
    root: FollowedRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_DIRECT_CHUNKS", 4)
    data = random.Random(2).randbytes(10 << 20)
    (tmp_path / "a").write_bytes(data)
    result = read(root, "a")
    assert result.manifest.indirect
    assert [length for _, length in read_records(result.records, size=len(data))] == cut(data)
    assert content_digest(result.manifest) == result.content.digest
    everything = chunk_list(result.manifest, result.records)
    chunks = list(
        read_chunks(
            root, ("a",), result.fingerprint, result.manifest, range(len(everything)), records=result.records
        )
    )
    assert [(chunk, len(piece)) for chunk, piece in chunks] == everything
    assert b"".join(piece for _, piece in chunks) == data + result.records


def test_the_text_of_a_link_is_its_content(root: FollowedRoot, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc/passwd")
    result = read(root, "a", keep=True)
    assert (result.content.kind, result.data) == (Kind.LINK, b"/etc/passwd")
    [(chunk, text)] = read_chunks(root, ("a",), result.fingerprint, result.manifest, [0])
    assert (chunk, text) == (ChunkId(result.manifest.chunks), b"/etc/passwd")


def test_what_cannot_be_read_is_told_and_the_rest_is_read(root: FollowedRoot, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    os.link(tmp_path / "a", tmp_path / "keeps the inode number in use")
    expected = seen(root, "a")
    (tmp_path / "a").unlink()
    assert the_code(root, "a", expected) == "vanished"
    os.mkfifo(tmp_path / "a")
    assert the_code(root, "a", expected) == "not-a-file"
    (tmp_path / "a").unlink()
    (tmp_path / "a").symlink_to("b")
    assert the_code(root, "a", expected) == "not-a-file"
    (tmp_path / "a").unlink()
    (tmp_path / "a").write_bytes(b"two")
    assert the_code(root, "a", expected) == "changed"


def test_a_file_that_is_being_written_is_never_a_mixture(root: FollowedRoot, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"0" * 200_000)
    stop = threading.Event()

    def write_on() -> None:
        with file.open("r+b", buffering=0) as open_file:
            for digit in range(10_000_000):
                if stop.is_set():
                    return
                open_file.seek(0)
                open_file.write(str(digit % 10).encode() * 200_000)

    writer = threading.Thread(target=write_on)
    writer.start()
    codes = set()
    try:
        for _ in range(200):
            [result] = read_files(root, [(a_node(), ("a",), seen(root, "a"))], keep=True)
            if isinstance(result, Unreadable):
                codes.add(result.code)
            else:
                assert result.data is not None
                if result.fingerprint.ctime_ns:  # trusted, so it must be whole
                    assert len(set(result.data)) == 1
    finally:
        stop.set()
        writer.join()
    assert codes <= {"changing"}


def test_a_young_file_is_not_trusted_for_long(root: FollowedRoot, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    assert read(root, "a").fingerprint.ctime_ns == 0
    old(tmp_path / "a")
    assert read(root, "a").fingerprint == seen(root, "a")


def test_chunks_of_a_file_that_changed_are_refused(root: FollowedRoot, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    result = read(root, "a")
    time.sleep(0.02)
    (tmp_path / "a").write_bytes(b"two")
    with pytest.raises(FileChanged):
        list(read_chunks(root, ("a",), result.fingerprint, result.manifest, [0]))
