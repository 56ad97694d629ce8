"""`GET files`: what a browser or curl may ask of one file."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from protocol.errors import NotFound
from protocol.messages import JSON, Content, Kind, Make, Move, Revision
from tests.support.service import Caller, a_service

CHUNKS = [random.Random(n).randbytes(size) for n, size in enumerate((300_000, 1_000_000, 70_000))]
WHOLE = b"".join(CHUNKS)
LAST = len(WHOLE) - 1


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with a_service(tmp_path / "data", users=("ada",)) as server:
        yield await server.sign_in("ada", codec=JSON)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, LAST),
        (f"bytes={LAST}-", LAST, LAST),
        ("bytes=-1", LAST, LAST),
        ("bytes=-100000", LAST - 99_999, LAST),
        ("bytes=299999-300000", 299_999, 300_000),
        ("bytes=300000-1299999", 300_000, 1_299_999),
        ("bytes=1-1300001", 1, 1_300_001),
        ("bytes=500000-99999999", 500_000, LAST),
    ],
)
async def test_a_range_is_exactly_those_bytes(ada: Caller, asked: str, first: int, last: int) -> None:
    node = await ada.put_file("scan.dcm", *CHUNKS)
    status, data, headers = await ada.raw("GET", f"{ada.at}/files/{node}", headers={"Range": asked})
    assert status == 206
    assert headers["Content-Range"] == f"bytes {first}-{last}/{len(WHOLE)}"
    assert data == WHOLE[first : last + 1]
    assert int(headers["Content-Length"]) == len(data)


@pytest.mark.parametrize("asked", [None, "bytes=0-1,5-6", "items=0-1", "bytes=5-4", "nonsense"])
async def test_no_range_or_one_that_is_not_understood_is_the_whole_file(
    ada: Caller, asked: str | None
) -> None:
    node = await ada.put_file("scan.dcm", *CHUNKS)
    status, data, headers = await ada.raw(
        "GET", f"{ada.at}/files/{node}", headers={"Range": asked} if asked else {}
    )
    assert (status, data) == (200, WHOLE)
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"].startswith('attachment; filename="scan.dcm"')


async def test_a_range_beyond_the_end_is_416_with_the_size(ada: Caller) -> None:
    node = await ada.put_file("scan.dcm", b"abc")
    status, _, headers = await ada.raw("GET", f"{ada.at}/files/{node}", headers={"Range": "bytes=3-"})
    assert status == 416
    assert headers["Content-Range"] == "bytes */3"


async def test_head_says_what_get_would_say_without_the_bytes(ada: Caller) -> None:
    node = await ada.put_file("scan.dcm", *CHUNKS)
    status, data, headers = await ada.raw("HEAD", f"{ada.at}/files/{node}")
    assert (status, data) == (200, b"")
    assert int(headers["Content-Length"]) == len(WHOLE)
    _, _, got = await ada.raw("GET", f"{ada.at}/files/{node}")
    assert headers["ETag"] == got["ETag"]


async def test_an_etag_spares_the_bytes_until_the_content_changes(ada: Caller) -> None:
    node = await ada.put_file("scan.dcm", b"abc")
    _, _, headers = await ada.raw("GET", f"{ada.at}/files/{node}")
    status, data, _ = await ada.raw(
        "GET", f"{ada.at}/files/{node}", headers={"If-None-Match": headers["ETag"]}
    )
    assert (status, data) == (304, b"")
    status, data, _ = await ada.raw("GET", f"{ada.at}/files/{node}", headers={"If-None-Match": '"other"'})
    assert (status, data) == (200, b"abc")
    for stale, expected in ((headers["ETag"], 206), ('"other"', 200)):
        asked = {"Range": "bytes=0-0", "If-Range": stale}
        assert (await ada.raw("GET", f"{ada.at}/files/{node}", headers=asked))[0] == expected


async def test_an_empty_file_is_empty(ada: Caller) -> None:
    node = await ada.put_file("empty")
    status, data, headers = await ada.raw("GET", f"{ada.at}/files/{node}")
    assert (status, data, headers["Content-Length"]) == (200, b"", "0")
    assert (await ada.raw("GET", f"{ada.at}/files/{node}", headers={"Range": "bytes=0-"}))[0] == 416


async def test_a_renamed_file_keeps_its_etag_and_gets_its_new_name(ada: Caller) -> None:
    assert ada.view is not None
    node = await ada.put_file("scan.dcm", b"abc")
    before = (await ada.raw("HEAD", f"{ada.at}/files/{node}"))[2]["ETag"]
    await ada.commit(Move(node=node, place_revision=Revision(1, 1), parent=ada.view.root, name="Bär.dcm"))
    headers = (await ada.raw("HEAD", f"{ada.at}/files/{node}"))[2]
    assert headers["ETag"] == before
    assert headers["Content-Disposition"].endswith("filename*=UTF-8''B%C3%A4r.dcm")


async def test_a_folder_is_no_file(ada: Caller) -> None:
    assert ada.view is not None
    folder = uuid4()
    await ada.commit(Make(node=folder, parent=ada.view.root, name="f", content=Content(kind=Kind.FOLDER)))
    for node in (folder, ada.view.root, uuid4()):
        with pytest.raises(NotFound):
            await ada.ask("GET", f"{ada.at}/files/{node}", answer=None)
