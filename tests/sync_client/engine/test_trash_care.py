"""What leaves the local trash and what never does: a real server that is asked, and real files."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.messages import Kind
from sync_client.engine.disk import FollowedRoot, Parts
from sync_client.engine.placement import remove
from sync_client.engine.room import Room
from sync_client.engine.transfer import upload
from sync_client.engine.trash import Trashed, Why, list_trash
from sync_client.engine.trash_care import KEEP_DAYS, LEAST_MS, ROOM_BYTES, due, tend
from tests.support.service import a_service
from tests.support.uploads import Device, a_device

NOW_MS = 1_800_000_000_000
HELD = b"bytes that the server holds"


def lying(name: str, *, days: float, size: int = 10) -> Trashed:
    at_ms = NOW_MS - int(days * LEAST_MS)
    return Trashed(name=name, path=name, size=size, trashed_at_ms=at_ms, why=Why.REMOVED, seen=(0,) * 7)


def names(lines: list[Trashed]) -> list[str]:
    return [line.name for line in lines]


def test_after_thirty_days_it_is_due_the_oldest_first() -> None:
    lines = [lying("older", days=KEEP_DAYS + 2), lying("new", days=3), lying("old", days=KEEP_DAYS + 1)]
    assert names(due(lines, now_ms=NOW_MS, folder_bytes=0)) == ["older", "old"]


def test_beyond_a_tenth_of_the_folder_the_oldest_are_due_but_never_within_a_day() -> None:
    tenth = 2 * ROOM_BYTES
    lines = [lying(f"{days}", days=days, size=tenth // 2) for days in (0.5, 2, 3, 4)]
    assert names(due(lines, now_ms=NOW_MS, folder_bytes=10 * tenth)) == ["4", "3"]
    lines = [lying(f"{days}", days=days, size=tenth) for days in (0.1, 0.2, 0.3)]
    assert due(lines, now_ms=NOW_MS, folder_bytes=10 * tenth) == []


def test_a_small_folder_has_room_all_the_same() -> None:
    assert due([lying("big", days=20, size=ROOM_BYTES)], now_ms=NOW_MS, folder_bytes=1_000) == []


# ---- with a server ---------------------------------------------------------------------------------------


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Device]:
    """The server holds HELD for it."""
    async with (
        a_service(tmp_path / "server") as server,
        a_device(server, tmp_path / "folder") as device,
    ):
        file = device.outgoing("held", HELD)
        await upload(device.api, device.view, device.root, [file], Room())
        await device.commit(file)
        (device.folder / "held").unlink()
        yield device


def throw_away(root: FollowedRoot, name: str, data: bytes) -> Trashed:
    (root.path / name).write_bytes(data)
    seen = root.fingerprint((name,))
    assert seen is not None
    remove(root, (name,), seen, Kind.FILE)
    return next(line for line in list_trash(root) if line.path == name)


def beside(parts: Parts) -> Parts:
    return (*parts[:-1], parts[-1] + " (copy)")


async def tended(device: Device, *, days: float, everything: bool = False) -> tuple[int, int]:
    """Dropped, and kept because the server does not hold it; so many days from now."""
    done = await tend(
        device.api,
        device.view,
        device.root,
        now_ms=int(time.time() * 1_000 + days * LEAST_MS),
        folder_bytes=0,
        beside=beside,
        everything=everything,
    )
    return done.dropped, done.unknown


async def test_what_the_server_does_not_hold_is_never_dropped(device: Device) -> None:
    throw_away(device.root, "held", HELD)
    throw_away(device.root, "only here", b"nowhere else")
    throw_away(device.root, "empty", b"")
    assert await tended(device, days=KEEP_DAYS - 1) == (0, 0)
    assert await tended(device, days=KEEP_DAYS + 1) == (2, 1)
    assert [line.path for line in list_trash(device.root)] == ["only here"]
    assert await tended(device, days=0, everything=True) == (0, 1)


async def test_emptied_by_hand_all_that_the_server_holds_goes_at_once(device: Device) -> None:
    throw_away(device.root, "held", HELD)
    assert await tended(device, days=0, everything=True) == (1, 0)
    assert list_trash(device.root) == []
    line = throw_away(device.root, "later", b"x")
    assert list_trash(device.root) == [line]


async def test_what_a_program_went_on_writing_comes_back_when_it_is_quiet(device: Device) -> None:
    (device.folder / "notes").write_bytes(HELD)
    with (device.folder / "notes").open("ab") as program:
        seen = device.root.fingerprint(("notes",))
        assert seen is not None
        remove(device.root, ("notes",), seen, Kind.FILE)
        program.write(b" and more")
    assert await tended(device, days=0) == (0, 0)
    assert os.listdir(device.folder) == [".mb-sync"]
    assert await tended(device, days=0.1) == (0, 0)
    assert (device.folder / "notes (copy)").read_bytes() == HELD + b" and more"
    assert list_trash(device.root) == []
