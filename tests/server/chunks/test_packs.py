"""What goes into a pack comes out of it, and a changed bit never passes."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ContentDamaged
from protocol.frames import Frame, open_frame
from server.chunks.keys import StoreKeys
from server.chunks.pack_format import KeptPack, PackWriter, digest_of, read_places
from server.chunks.packs import FolderPacks
from server.chunks.seal import open_record, seal_into
from tests.support.store import frames_of

KEYS = StoreKeys(b"k" * 32)
CHUNKS = st.lists(st.binary(min_size=1, max_size=2_000) | st.integers(1, 3).map(lambda n: bytes(n * 700_000)))


def a_pack(packs: FolderPacks, frames: list[Frame]) -> KeptPack:
    writer = PackWriter(packs.begin(), KEYS)
    for frame in frames:
        writer.add(frame)
    return writer.keep()


def payloads(packs: FolderPacks, kept: KeptPack) -> list[bytes]:
    records = packs.read(kept.name, [(place.offset, place.stored_length) for place in kept.places])
    return [
        open_frame(open_record(memoryview(record), place.chunk, KEYS))
        for record, place in zip(records, kept.places, strict=True)
    ]


def sealed(frame: Frame) -> bytes:
    buffer = memoryview(bytearray(len(frame.payload) + 100))
    return bytes(buffer[: seal_into(buffer, frame, KEYS)])


@settings(max_examples=40, deadline=None)
@given(CHUNKS)
def test_a_pack_gives_back_what_it_was_given(datas: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        packs = FolderPacks(Path(folder))
        kept = a_pack(packs, frames_of(datas))
        assert payloads(packs, kept) == datas
        assert read_places(packs, kept.name) == kept.places
        assert (packs.size(kept.name), digest_of(packs, kept.name)) == (kept.size, kept.digest)
        assert list(packs.names()) == [kept.name]


def test_a_chunk_larger_than_the_buffer_goes_in_whole(tmp_path: Path) -> None:
    packs = FolderPacks(tmp_path)
    datas = [b"a", os.urandom(4 << 20), b"b", os.urandom(3 << 20)]
    kept = a_pack(packs, frames_of(datas))
    assert payloads(packs, kept) == datas


def test_two_encryptions_of_one_chunk_differ() -> None:
    [frame] = frames_of([b"the same bytes"])
    one, two = sealed(frame), sealed(frame)
    assert one != two
    assert one[56:] != two[56:]  # not in the nonce alone
    assert b"the same bytes" not in one


@given(st.data())
def test_no_bit_of_a_record_may_differ(data: st.DataObject) -> None:
    [frame] = frames_of([b"some bytes of a chunk"])
    record = bytearray(sealed(frame))
    bit = data.draw(st.integers(0, 8 * len(record) - 1))
    record[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ContentDamaged):
        open_record(memoryview(record), frame.id, KEYS)


def test_a_record_does_not_open_as_another_chunk_or_in_another_store() -> None:
    one, two = frames_of([b"one", b"two"])
    with pytest.raises(ContentDamaged):
        open_record(memoryview(sealed(one)), two.id, KEYS)
    with pytest.raises(ContentDamaged):
        open_record(memoryview(sealed(one)), one.id, StoreKeys(b"another store's key, of 32 bytes"))


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_cut_pack_is_not_read_as_a_whole_one(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        packs = FolderPacks(Path(folder))
        kept = a_pack(packs, frames_of([b"one", b"two"]))
        os.truncate(Path(folder) / kept.name, data.draw(st.integers(0, kept.size - 1)))
        with pytest.raises(ContentDamaged):
            read_places(packs, kept.name)


def test_opening_the_folder_removes_what_was_never_finished_and_nothing_else(tmp_path: Path) -> None:
    packs = FolderPacks(tmp_path)
    kept = a_pack(packs, frames_of([b"one"]))
    packs.begin().write(b"half a pa")
    FolderPacks.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
