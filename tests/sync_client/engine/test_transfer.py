"""Bytes between a folder and the server: only what lacks is sent, only what is verified is kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import web
from msgspec.structs import replace
from sqlalchemy import select, update

from protocol.errors import ContentDamaged, OverQuota, Unavailable
from protocol.frames import HEAD, Codec, Frame, encode_frames, end_of_stream, frame_of
from protocol.http import ServerApi
from protocol.ids import ChunkId, ViewId
from protocol.messages import FRAMES, Kind, Manifest, Revision, Status
from server.database.tables import SpaceRow, ViewRow
from sync_client.engine import reading
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.manifests import leaves_of_records
from sync_client.engine.room import Room
from sync_client.engine.transfer import Fetched, Outgoing, Wanted, fetch, upload
from sync_client.engine.trees import Content
from tests.support.followed import a_node
from tests.support.service import ServiceUnderTest, a_service
from tests.support.uploads import IMPATIENT, Device, a_device, a_proxy

VIEW = ViewId(UUID(int=1))
DICE = random.Random(5)
SMALL = DICE.randbytes(20_000)
BIG = DICE.randbytes(5_000_000)  # several chunks


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path_factory.mktemp("server"), users=("ada",)) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def device(server: ServiceUnderTest, tmp_path: Path) -> AsyncIterator[Device]:
    async with a_device(server, tmp_path / "followed") as device:
        yield device


async def uploaded(device: Device, *files: Outgoing) -> set[object]:
    unsent = await upload(device.api, device.view, device.root, files, Room())
    assert not unsent.too_large
    return {*unsent.changed}


async def on_the_server(device: Device, name: str, data: bytes) -> Wanted:
    """A file that was uploaded, committed, and is gone from the folder."""
    file = device.outgoing(name, data)
    content = device.read(name).content
    assert not await uploaded(device, file)
    [result] = await device.commit(file)
    assert result.status is Status.DONE
    assert result.content_revision is not None
    (device.folder / name).unlink()
    manifest = file.manifest
    if manifest.indirect:
        manifest = leaves_of_records(file.records, manifest.size)
    return Wanted(file.node, result.content_revision, content, manifest)


async def fetched(device: Device, *wanted: Wanted) -> Fetched:
    return await fetch(device.api, device.view, device.root, wanted)


# ---- up --------------------------------------------------------------------------------------------------


async def test_what_the_server_has_is_not_sent_again(device: Device) -> None:
    file = device.outgoing("scan.dcm", BIG)
    assert not await uploaded(device, file)
    assert device.api.bytes_sent > len(BIG)
    await device.commit(file)
    before = device.api.bytes_sent
    assert not await uploaded(device, device.outgoing("copy.dcm", BIG))
    assert device.api.bytes_sent - before < 2_000


async def test_an_edit_in_the_middle_sends_the_chunks_around_it(device: Device) -> None:
    await on_the_server(device, "scan.dcm", BIG)
    before = device.api.bytes_sent
    edited = device.outgoing("scan.dcm", BIG[:2_500_000] + b"!" + BIG[2_500_000:])
    assert not await uploaded(device, edited)
    assert 200_000 < device.api.bytes_sent - before < 3_500_000
    assert (await device.commit(replace(edited, node=edited.node)))[0].status is Status.NAME_TAKEN


async def test_equal_files_of_one_batch_are_sent_once(device: Device) -> None:
    files = [device.outgoing(f"{number}.dcm", SMALL) for number in range(20)]
    assert not await uploaded(device, *files)
    assert device.api.bytes_sent < 2 * len(SMALL)
    assert {result.status for result in await device.commit(*files)} == {Status.DONE}


async def test_chunks_known_to_be_there_are_not_even_asked_for(device: Device) -> None:
    file = device.outgoing("scan.dcm", BIG)
    known = frozenset(chunk for chunk, _ in reading.chunk_list(file.manifest))
    assert not await uploaded(device, replace(file, known=known))
    assert device.api.bytes_sent == 0


@pytest.mark.parametrize("keep", [True, False])
async def test_a_file_that_changes_is_left_out_and_the_others_arrive(device: Device, keep: bool) -> None:
    first = device.outgoing("first.dcm", SMALL + b"1", keep=keep)
    changing = device.outgoing("changing.dcm", BIG)
    last = device.outgoing("last.dcm", SMALL + b"2", keep=keep)
    device.write("changing.dcm", BIG[:-1] + b"!")
    assert await uploaded(device, first, changing, last) == {changing.node}
    assert [result.status for result in await device.commit(first, last)] == [Status.DONE, Status.DONE]
    assert [result.status for result in await device.commit(changing)] == [Status.MISSING_CHUNKS]


async def test_what_was_to_bring_a_chunk_for_another_takes_that_with_it(device: Device) -> None:
    changing = device.outgoing("changing.dcm", BIG)
    twin = device.outgoing("twin.dcm", BIG)
    other = device.outgoing("other.dcm", SMALL)
    (device.folder / "changing.dcm").unlink()
    assert await uploaded(device, changing, twin, other) == {changing.node, twin.node}
    assert not await uploaded(device, twin)  # alone it brings its own


async def test_bytes_that_are_not_what_their_chunk_says_are_not_committed(device: Device) -> None:
    good = device.outgoing("good.dcm", SMALL)
    bad = replace(device.outgoing("bad.dcm", SMALL[::-1]), data=b"other bytes")
    assert await uploaded(device, bad, good) == {bad.node}
    assert [result.status for result in await device.commit(good)] == [Status.DONE]


async def test_a_link_and_an_empty_file_are_uploaded_as_well(device: Device) -> None:
    (device.folder / "link").symlink_to("elsewhere/scan.dcm")
    link, empty = device.outgoing("link", keep=False), device.outgoing("empty", b"")
    assert not await uploaded(device, link, empty)
    assert {result.status for result in await device.commit(link, empty)} == {Status.DONE}


async def test_a_connection_lost_in_an_upload_is_tried_again(device: Device) -> None:
    file = device.outgoing("scan.dcm", SMALL)
    async with (
        a_proxy(device.api.url, cut_after=[0, 0]) as url,
        ServerApi(url, device.caller.token, patience=IMPATIENT) as api,
    ):
        assert not (await upload(api, device.view, device.root, [file], Room())).changed
    assert [result.status for result in await device.commit(file)] == [Status.DONE]


def limited(server: ServiceUnderTest, device: Device, quota: int) -> None:
    assert device.caller.view is not None
    with server.service.database.writing() as session:
        home = session.scalar(select(ViewRow.space).where(ViewRow.id == device.view.bytes))
        session.execute(update(SpaceRow).where(SpaceRow.id == home).values(quota_bytes=quota))


async def test_where_others_took_the_room_meanwhile_what_fits_still_goes(
    server: ServiceUnderTest, device: Device
) -> None:
    limited(server, device, 100_000)
    await device.caller.upload(DICE.randbytes(70_000))
    room = Room()
    room.left_bytes = 100_000  # as it was a while ago, so that it does not ask
    files = [device.outgoing(f"{name}.dcm", DICE.randbytes(20_000)) for name in "ab"]
    files = [replace(file, grows_bytes=20_000) for file in files]
    unsent = await upload(device.api, device.view, device.root, files, room)
    assert (unsent.changed, unsent.too_large) == (set(), {files[1].node})
    assert (await device.commit(files[0]))[0].status is Status.DONE


async def test_an_edit_goes_up_where_no_room_is_left(server: ServiceUnderTest, device: Device) -> None:
    limited(server, device, len(SMALL))
    await on_the_server(device, "scan.dcm", SMALL)
    room = Room()
    room.left_bytes = 0
    edited = replace(device.outgoing("scan.dcm", SMALL[::-1]), grows_bytes=0)
    unsent = await upload(device.api, device.view, device.root, [edited], room)
    assert not unsent.too_large
    larger = replace(device.outgoing("scan.dcm", SMALL * 2), grows_bytes=len(SMALL))
    unsent = await upload(device.api, device.view, device.root, [larger], room)
    assert unsent.too_large == {larger.node}


async def test_a_stream_for_which_there_is_no_room_ends_with_that_sentence(
    server: ServiceUnderTest, device: Device
) -> None:
    limited(server, device, 1_500_000)
    pieces = [DICE.randbytes(250_000) for _ in range(100)]
    frames = [[frame_of(ChunkId(hashlib.sha256(data).digest()), data)] for data in pieces]
    with pytest.raises(OverQuota, match="This space on the server is full"):
        await device.api.upload(device.view, frames)
    assert device.api.bytes_sent < 20_000_000  # of 25 MB
    with pytest.raises(OverQuota, match="full"):
        await device.api.upload(device.view, frames)


# ---- down ------------------------------------------------------------------------------------------------


async def test_files_of_all_sizes_arrive_as_they_were(device: Device) -> None:
    data = {
        "empty": b"",
        "small": SMALL,
        "big": BIG,
        "same twice": bytes(9_000_000),
        "one chunk": BIG[:300_000],
    }
    wanted = [await on_the_server(device, name, content) for name, content in data.items()]
    result = await fetched(device, *wanted)
    assert not result.failed
    assert sorted(result.ready) == sorted(want.node for want in wanted)
    assert [device.arrived(want.node) for want in wanted] == list(data.values())
    assert result.from_disk_bytes == 0


async def test_what_lies_on_this_disk_already_is_not_fetched(device: Device) -> None:
    small, big = await on_the_server(device, "small", SMALL), await on_the_server(device, "big", BIG)
    device.write("mine", SMALL)
    device.write("edited", BIG[:4_000_000])
    partly = device.read("edited").manifest
    before = device.api.bytes_received
    result = await fetched(
        device,
        replace(small, sources=((("mine",), small.manifest),)),
        replace(big, sources=((("edited",), partly),)),
    )
    assert not result.failed
    assert device.arrived(small.node) == SMALL
    assert device.arrived(big.node) == BIG
    assert result.from_disk_bytes >= 2_000_000
    assert device.api.bytes_received - before < len(BIG) - result.from_disk_bytes + len(SMALL) + 2_000


@pytest.mark.parametrize("instead", ["other bytes", "shorter", "nothing", "a folder", "a pipe", "a link"])
async def test_a_source_that_is_not_what_was_remembered_is_not_believed(device: Device, instead: str) -> None:
    small, big = await on_the_server(device, "small", SMALL), await on_the_server(device, "big", BIG)
    path = device.folder / "source"
    match instead:
        case "other bytes":
            path.write_bytes(BIG[::-1])
        case "shorter":
            path.write_bytes(SMALL[:-1])
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "a link":
            path.symlink_to(device.folder / "elsewhere")
            device.write("elsewhere", SMALL)
    result = await fetched(
        device, *(replace(want, sources=((("source",), want.manifest),)) for want in (small, big))
    )
    assert not result.failed
    assert result.from_disk_bytes == 0
    assert (device.arrived(small.node), device.arrived(big.node)) == (SMALL, BIG)
    handles = [Path(handle) for handle in Path("/proc/self/fd").iterdir()]
    assert path not in [handle.readlink() for handle in handles if handle.is_symlink()]


async def test_a_download_that_is_cut_goes_on_where_it_was(
    device: Device,
) -> None:
    wanted = [await on_the_server(device, "big", BIG), await on_the_server(device, "small", SMALL)]
    async with (
        a_proxy(device.api.url, cut_after=[3_000_000]) as url,
        ServerApi(url, device.caller.token, patience=IMPATIENT) as api,
    ):
        result = await fetch(api, device.view, device.root, wanted)
        assert not result.failed
        assert api.bytes_received < 1.5 * len(BIG)
    assert [device.arrived(want.node) for want in wanted] == [BIG, SMALL]


async def test_a_download_that_gets_nowhere_gives_up_and_leaves_nothing(device: Device) -> None:
    big, small = await on_the_server(device, "big", BIG), await on_the_server(device, "small", SMALL)
    device.write("mine", SMALL)
    here = replace(small, sources=((("mine",), small.manifest),))  # whole at once, and of no use alone
    async with (
        a_proxy(device.api.url, cut_after=[500] * 50) as url,
        ServerApi(url, device.caller.token, patience=IMPATIENT) as api,
    ):
        with pytest.raises(Unavailable):
            await fetch(api, device.view, device.root, [here, big])
    assert device.temporary() == []


async def test_a_huge_file_goes_up_and_comes_down_by_the_manifest_of_its_manifest(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_DIRECT_CHUNKS", 3)
    file = device.outgoing("huge", BIG)
    assert file.manifest.indirect
    huge = await on_the_server(device, "huge", BIG)
    assert len(huge.manifest.lengths) > 3
    device.write("mine", BIG[:3_000_000])
    monkeypatch.undo()
    result = await fetched(device, replace(huge, sources=((("mine",), device.read("mine").manifest),)))
    assert result.ready == [huge.node]
    assert device.arrived(huge.node) == BIG
    assert result.from_disk_bytes > 1_000_000


async def test_no_room_for_one_file_does_not_hold_up_another(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    big, small = await on_the_server(device, "big", BIG), await on_the_server(device, "small", SMALL)
    reserve = os.posix_fallocate

    def no_room(handle: int, start: int, size: int) -> None:
        if size == len(BIG):
            raise OSError(28, "No space left on device")
        reserve(handle, start, size)

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    result = await fetched(device, big, small)
    assert result.ready == [small.node]
    assert "No space left" in str(result.failed[big.node])
    assert device.temporary() == [small.node.hex]


# ---- a server that lies ----------------------------------------------------------------------------------


@asynccontextmanager
async def a_server_that_sends(stream: bytes, *, then_waits: bool = False) -> AsyncIterator[ServerApi]:
    async def content(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": FRAMES})
        await response.prepare(request)
        await response.write(stream)
        if then_waits:
            await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_post("/api/v1/views/{view}/content", content)
    runner = web.AppRunner(app, handler_cancellation=True)  # a handler that waits ends with its client
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with ServerApi(f"http://127.0.0.1:{runner.addresses[0][1]}", patience=IMPATIENT) as api:
            yield api
    finally:
        await runner.cleanup()


def a_stream(*frames: Frame) -> bytes:
    return HEAD + encode_frames(frames) + end_of_stream(len(frames))


def a_frame(data: bytes, *, called: bytes | None = None) -> Frame:
    return frame_of(ChunkId(hashlib.sha256(data if called is None else called).digest()), data)


def a_wanted_file(*chunks: bytes) -> Wanted:
    digests = b"".join(hashlib.sha256(chunk).digest() for chunk in chunks)
    manifest = Manifest(sum(map(len, chunks)), digests, [len(chunk) for chunk in chunks])
    content = Content(Kind.FILE, digests[:32], manifest.size)
    return Wanted(a_node(), Revision(1, 1), content, manifest)


GOOD, WRONG = b"the right bytes" * 20, b"some other data" * 20
LIES = {
    "other bytes under the right name": a_frame(WRONG, called=GOOD),
    "another chunk": a_frame(WRONG),
    "longer bytes": a_frame(GOOD + b"!", called=GOOD),
    "broken compression": Frame(ChunkId(hashlib.sha256(GOOD).digest()), Codec.ZSTD, len(GOOD), b"no zstd"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_wrong_chunks_are_refused_and_nothing_is_left_of_the_file(tmp_path: Path, lie: str) -> None:
    big, small = a_wanted_file(GOOD, GOOD[::-1]), a_wanted_file(GOOD)
    with FollowedRoot(tmp_path) as root:
        async with a_server_that_sends(a_stream(LIES[lie], a_frame(GOOD[::-1]))) as api:
            result = await fetch(api, VIEW, root, [big])
        assert list(result.failed) == [big.node]
        assert isinstance(result.failed[big.node], ContentDamaged)
        async with a_server_that_sends(a_stream(LIES[lie])) as api:
            result = await fetch(api, VIEW, root, [small])
        assert isinstance(result.failed[small.node], ContentDamaged)
        assert not result.ready
        assert os.listdir(root.tmp()) == []


@pytest.mark.parametrize("stream", [a_stream(), a_stream(a_frame(GOOD), a_frame(GOOD), a_frame(GOOD))])
async def test_too_few_or_too_many_chunks_are_refused(tmp_path: Path, stream: bytes) -> None:
    with FollowedRoot(tmp_path) as root:
        async with a_server_that_sends(stream) as api:
            with pytest.raises(ContentDamaged):
                await fetch(api, VIEW, root, [a_wanted_file(GOOD, GOOD[::-1])])
        assert os.listdir(root.tmp()) == []


async def test_of_what_was_whole_nothing_is_left_when_the_rest_fails(tmp_path: Path) -> None:
    whole, lacking = a_wanted_file(GOOD), a_wanted_file(GOOD[::-1])
    with FollowedRoot(tmp_path) as root:
        async with a_server_that_sends(a_stream(a_frame(GOOD))) as api:
            with pytest.raises(ContentDamaged):
                await fetch(api, VIEW, root, [whole, lacking])
        assert os.listdir(root.tmp()) == []


async def test_of_what_was_whole_nothing_is_left_when_nobody_waits_for_the_rest(tmp_path: Path) -> None:
    whole, lacking = a_wanted_file(GOOD), a_wanted_file(GOOD[::-1])
    with FollowedRoot(tmp_path) as root:
        async with a_server_that_sends(HEAD + encode_frames([a_frame(GOOD)]), then_waits=True) as api:
            fetching = asyncio.ensure_future(fetch(api, VIEW, root, [whole, lacking]))
            while not os.listdir(root.tmp()):  # a file is what is waited for
                await asyncio.sleep(0.01)
                assert not fetching.done()
            fetching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetching
        assert os.listdir(root.tmp()) == []
