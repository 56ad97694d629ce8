"""Files that are hard to read: each holds up itself at most, and none goes up as what never stood there."""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Self

import pytest
from msgspec.structs import replace

from protocol.http import ServerApi
from protocol.ids import NodeId
from sync_client.engine import troubles
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.reading import ReadFile, Unreadable, read_files
from sync_client.engine.snapshots import drop_snapshot, take_snapshot
from tests.support.followed import a_node
from tests.support.one_engine import Setting, shown, soon

LINE = b"0123456789abcde\n"


class Writer:
    """A program that writes without an end, until the block ends."""

    def __init__(self, path: Path, *, appends: bool) -> None:
        self._path = path
        self._appends = appends
        self.words = [bytes(16)]  # what the file was filled with, write by write
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        with self._path.open("ab" if self._appends else "r+b", buffering=0) as file:
            while not self._stop.wait(0.0005):
                if self._appends:
                    file.write(LINE * 64)
                    continue
                self.words.append(os.urandom(16))
                file.seek(0)
                file.write(self.words[-1] * 40_000)

    def stood_there(self, whole: bytes) -> bool:
        """At some moment: filled by one write, or, while it was under way, up to where it had come.

        A write is no single step: the system may stop its program in the middle of it, for as long as a copy takes.
        """
        after, before = (word * (len(whole) // 16) for word in (whole[:16], whole[-16:]))
        come = next((at for at, (one, other) in enumerate(zip(whole, after, strict=True)) if one != other), 0)
        return whole[come:] == before[come:] and (
            before == after or (before[:16], after[:16]) in pairwise(self.words)
        )


@pytest.fixture
def root(tmp_path: Path) -> FollowedRoot:
    (tmp_path / "disk").mkdir()
    return FollowedRoot(tmp_path / "disk")


def test_of_a_file_that_only_grows_a_copy_is_what_stood_there_at_one_moment(root: FollowedRoot) -> None:
    log = root.path / "a.log"
    log.write_bytes(LINE * 40_000)
    with Writer(log, appends=True):
        time.sleep(0.01)
        seen = root.fingerprint(("a.log",))
        assert seen is not None
        copy = take_snapshot(root, (a_node(), ("a.log",), seen))
    assert not isinstance(copy, Unreadable)
    assert copy.read.content.size >= 40_000 * len(LINE)
    whole = root.path.joinpath(*copy.parts).read_bytes()
    assert log.read_bytes().startswith(whole)
    assert len(whole) == copy.read.content.size
    drop_snapshot(root, copy.parts)
    assert os.listdir(root.path / ".mb-sync/tmp") == []


def test_of_a_file_that_is_written_over_and_over_nothing_is_taken_that_never_stood_there(
    root: FollowedRoot,
) -> None:
    data = root.path / "a.bin"
    data.write_bytes(bytes(640_000))
    with Writer(data, appends=False) as writer:
        for _ in range(20):
            seen = root.fingerprint(("a.bin",))
            assert seen is not None
            copy = take_snapshot(root, (a_node(), ("a.bin",), seen))
            if isinstance(copy, Unreadable):
                assert copy.code == "changing"
                continue
            whole = root.path.joinpath(*copy.parts).read_bytes()
            assert len(whole) == 640_000
            assert writer.stood_there(whole)
            drop_snapshot(root, copy.parts)
    assert os.listdir(root.path / ".mb-sync/tmp") == []


async def test_a_log_without_an_end_holds_up_nothing_and_goes_up_as_a_copy(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(troubles, "QUIET_SECONDS", (0.05,))
    monkeypatch.setattr(troubles, "COPY_AFTER", 4)
    async with setting.running() as engine:
        folder = await setting.follow(engine, "logs")
        log = folder / "a.log"
        log.write_bytes(LINE * 200_000)  # long enough to be caught while it is read
        with Writer(log, appends=True):
            (folder / "beside.txt").write_bytes(b"does not wait")
            held: dict[str, tuple[NodeId, int]] = {}
            while "a.log" not in held or "beside.txt" not in held:
                held = await setting.on_server("/logs")  # type: ignore[assignment]  # NodeId is a UUID
                await _pause()
        node, size = held["a.log"]
        prefix = log.read_bytes()[:size]
        assert setting.other.view is not None
        view = setting.other.view.view
        async with ServerApi(setting.server.url, setting.other.token) as api:
            versions = await api.versions(view, node)
            first = versions.versions[-1]
            content = await api.version(view, node, first.revision)
        (tmp_path / "prefix").write_bytes(prefix[: first.size])
        assert content.manifest == read_whole(tmp_path, "prefix").manifest
        await engine.wait_synced()
        assert shown(engine) == {}
        assert (await setting.on_server("/logs"))["a.log"][1] == log.stat().st_size
        assert os.listdir(folder / ".mb-sync/tmp") == []


async def _pause() -> None:
    import asyncio  # noqa: PLC0415 - only here

    await asyncio.sleep(0.1)


def read_whole(folder: Path, name: str) -> ReadFile:
    with FollowedRoot(folder) as disk:
        seen = disk.fingerprint((name,))
        assert seen is not None
        [read] = read_files(disk, [(a_node(), (name,), seen)], keep=False)
    assert isinstance(read, ReadFile)
    return read


async def test_locked_mapped_linked_and_empty_files_are_files_like_others(setting: Setting) -> None:
    async with setting.running() as engine:
        folder = await setting.follow(engine, "odd")
        (folder / "locked").write_bytes(b"locked")
        (folder / "mapped").write_bytes(b"before")
        (folder / "linked").write_bytes(b"one inode")
        os.link(folder / "linked", folder / "linked too")
        (folder / "empty").write_bytes(b"")
        with (folder / "locked").open("r+b") as lock, (folder / "mapped").open("r+b") as file:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            assert await engine.wait_synced()
            with mmap.mmap(file.fileno(), 6) as memory:
                memory[:] = b"after!"
                memory.flush()
            assert await engine.wait_synced()
        held = await setting.on_server("/odd")
        assert {name: size for name, (_, size) in held.items()} == {
            "locked": 6,
            "mapped": 6,
            "linked": 9,
            "linked too": 9,
            "empty": 0,
        }
        view = setting.other.view
        assert view is not None
        async with ServerApi(setting.server.url, setting.other.token) as api:
            versions = (await api.versions(view.view, held["mapped"][0])).versions
            content = await api.version(view.view, held["mapped"][0], versions[0].revision)
        assert content.manifest == read_whole(folder, "mapped").manifest


async def test_an_edit_that_keeps_size_and_time_is_seen(setting: Setting) -> None:
    async with setting.running() as engine:
        folder = await setting.follow(engine, "sly")
        file = folder / "sheet.xls"
        file.write_bytes(b"first")
        os.utime(file, ns=(10**18, 10**18))
        assert await engine.wait_synced()
        before = (await setting.on_server("/sly"))["sheet.xls"]
        file.write_bytes(b"other")
        os.utime(file, ns=(10**18, 10**18))
        assert await engine.wait_synced()
        view = setting.other.view
        assert view is not None
        async with ServerApi(setting.server.url, setting.other.token) as api:
            versions = (await api.versions(view.view, before[0])).versions
        assert [version.size for version in versions] == [5, 5]


async def test_an_item_in_error_says_when_it_is_tried_again(setting: Setting) -> None:
    async with setting.running() as engine:
        folder = await setting.follow(engine, "closed")
        (folder / "good").write_bytes(b"good")
        assert await engine.wait_synced()
        sync = next(iter(engine.syncs.values()))
        node = sync.trees.at_path(1, ("good",))  # type: ignore[arg-type]  # Side.LOCAL
        assert node is not None
        sync.troubles.put_off(node, "good", "over-quota", "No room.", now=time.monotonic())
        [problem] = engine.status()["folders"][0]["problems"]
        assert 20 <= problem["next_try_seconds"] <= 25
        (folder / "good").write_bytes(b"changed")
        await soon(lambda: shown(engine) == {})


if sys.platform != "linux":
    pytest.skip("these files are Linux's", allow_module_level=True)


async def test_what_a_power_cut_made_of_a_file_is_read_once_more_and_not_sent_for_ever(
    setting: Setting,
) -> None:
    """Its rows say what it held, its times are as they were, and its bytes are others."""
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        for name, data in (("lost", b"1"), ("other", b"2")):
            (study / name).write_bytes(data * 1_000)
        assert await engine.once()
        [sync] = engine.syncs.values()
        lost, other = (
            row
            for name in ("lost", "other")
            for row in sync.trees.all_rows()
            if row.local is not None and row.local.place.name == name
        )
        assert lost.local is not None
        assert other.local is not None
        with sync.trees.transaction():
            believed = replace(lost.local, content=other.local.content)
            sync.trees.save(replace(lost, local=believed), dirty=True)
        setting.proxy.requests.clear()
        async with asyncio.timeout(90):
            assert await engine.once()
        assert setting.proxy.count("/chunks") <= 2
        now = sync.trees.row(lost.node)
        assert now is not None
        assert now.local is not None
        assert now.remote is not None
        assert now.local.content == now.remote.content == lost.local.content
