"""A large folder that is new on the server waits for a person on this computer; nothing else does."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol.messages import ResetCause
from sync_client.engine.engine import Engine
from sync_client.engine.limits import NEW_FOLDERS, Limits
from tests.support.one_engine import Setting, shown
from tests.sync_client.engine.test_exclusion import tree
from tests.sync_client.engine.test_names_on_disk import another_computer
from tests.sync_client.engine.test_resets import reset

LIMIT = 1_000


@dataclass
class Pair:
    """Two computers that follow one folder; `there` asks above 1 kB."""

    here: Engine
    a: Path
    there: Engine
    b: Path
    setting: Setting

    async def settle(self) -> None:
        for engine in (self.here, self.there, self.here, self.there):
            await engine.once()


@pytest.fixture
async def pair(setting: Setting) -> AsyncIterator[Pair]:
    async with setting.engine() as here, another_computer(setting) as there:
        folder = await setting.follow(here, "study")
        there.set_limits(Limits(new_folders=LIMIT))
        a_folder(folder / "first", [2_000])
        assert await here.once()
        await there.add_folder("/Home/study", setting.base / "b", create=False)
        made = Pair(here, folder, there, setting.base / "b", setting)
        await made.settle()
        assert set(tree(made.b)) == {"first", "first/0.dcm"}, "who follows a folder wants what is in it"
        assert shown(made.there) == {}
        yield made


def a_folder(path: Path, sizes: list[int]) -> None:
    (path / "series").mkdir(parents=True) if len(sizes) > 1 else path.mkdir(parents=True)
    for number, size in enumerate(sizes):
        inside = path / "series" if number else path
        (inside / f"{number}.dcm").write_bytes(bytes([number + 1]) * size)


async def test_it_waits_through_renames_and_new_files_and_comes_when_it_is_wanted(pair: Pair) -> None:
    a_folder(pair.a / "raw", [600, 600])
    (pair.a / "notes.txt").write_bytes(b"notes")
    pair.setting.proxy.requests.clear()
    await pair.settle()
    assert shown(pair.there) == {"raw": "large-folder"}
    assert pair.there.status()["state"] == "attention"
    [folder] = pair.there.status()["folders"]
    assert "(2 files, 0.0 MB)" in folder["problems"][0]["message"]
    assert not (pair.b / "raw").exists()
    assert (pair.b / "notes.txt").read_bytes() == b"notes", "the rest goes on"
    assert shown(pair.here) == {}

    (pair.a / "raw").rename(pair.a / "first" / "renamed")
    (pair.a / "first" / "renamed" / "more.dcm").write_bytes(b"more")
    await pair.settle()
    assert shown(pair.there) == {"first/renamed": "large-folder"}
    assert pair.there.file_status([pair.b / "first" / "renamed"])[0]["state"] == "excluded"
    [listed] = pair.there.excluded()
    assert (listed["waits"], listed["files"], listed["bytes"]) == (True, 2, 1_200)

    pair.there.include(pair.b / "first" / "renamed")
    await pair.settle()
    assert tree(pair.b) == tree(pair.a)
    assert shown(pair.there) == {}
    a_folder(pair.a / "first" / "renamed" / "inside", [2_000])  # a later one is asked about again
    await pair.settle()
    assert shown(pair.there) == {"first/renamed/inside": "large-folder"}


async def test_kept_off_it_is_excluded_like_any_other(pair: Pair) -> None:
    a_folder(pair.a / "raw", [2_000])
    await pair.settle()
    pair.there.exclude(pair.b / "raw")
    await pair.settle()
    assert shown(pair.there) == {}
    assert pair.there.status()["state"] == "synced"
    [listed] = pair.there.excluded()
    assert (listed["path"], listed["waits"]) == (str(pair.b / "raw"), False)
    assert len(tree(pair.a)) == 4
    pair.there.include(pair.b / "raw")
    await pair.settle()
    assert tree(pair.b) == tree(pair.a)


async def test_nothing_else_waits(pair: Pair) -> None:
    a_folder(pair.a / "small", [999])
    (pair.a / "first" / "large.dcm").write_bytes(b"x" * 5_000)  # a file in a folder that is known
    a_folder(pair.b / "own", [3_000])  # made here
    await pair.settle()
    (pair.a / "own").rename(pair.a / "moved")
    (pair.a / "moved" / "grown.dcm").write_bytes(b"y" * 5_000)  # what was made here may grow there
    await pair.settle()
    assert tree(pair.b) == tree(pair.a)
    pair.there.set_limits(Limits(new_folders=None))
    a_folder(pair.a / "raw", [5_000])
    await pair.settle()
    assert tree(pair.b) == tree(pair.a)
    assert shown(pair.there) == {}


async def test_what_came_while_it_was_small_keeps_what_is_here_and_asks_about_the_rest(pair: Pair) -> None:
    """As a folder comes that is being filled on another computer."""
    a_folder(pair.a / "day", [300, 300])
    await pair.settle()
    (pair.a / "day" / "2.dcm").write_bytes(b"2" * 300)
    await pair.settle()
    assert tree(pair.b) == tree(pair.a)
    before = tree(pair.b)
    a_folder(pair.a / "day" / "more", [300, 10])
    (pair.a / "day" / "series" / "3.dcm").write_bytes(b"3" * 300)
    await pair.settle()
    assert shown(pair.there) == {"day": "large-folder"}
    assert pair.there.status()["state"] == "attention"
    assert tree(pair.b) == before, "nothing more came, and nothing went"
    [listed] = pair.there.excluded()
    assert (listed["waits"], listed["grown"], listed["files"], listed["bytes"]) == (True, True, 6, 1_510)

    (pair.a / "day" / "0.dcm").write_bytes(b"edited there")  # what is here is synced
    (pair.b / "day" / "2.dcm").write_bytes(b"edited here")
    (pair.b / "day" / "own.dcm").write_bytes(b"new here")
    (pair.a / "day" / "more" / "4.dcm").write_bytes(b"4")
    await pair.settle()
    assert (pair.b / "day" / "0.dcm").read_bytes() == b"edited there"
    assert (pair.a / "day" / "2.dcm").read_bytes() == b"edited here"
    assert (pair.a / "day" / "own.dcm").read_bytes() == b"new here"
    assert not (pair.b / "day" / "more").exists()

    for cause in ResetCause:  # listed anew it is as before
        await reset(pair.there, pair.setting, cause)
        await pair.settle()
        assert sorted(tree(pair.b / "day")) == ["0.dcm", "2.dcm", "own.dcm", "series", "series/1.dcm"]

    shutil.rmtree(pair.b / "day" / "series")  # on the server lies something that was not seen here
    (pair.b / "day" / "more").write_bytes(b"a name that is taken there")
    await pair.settle()
    assert (pair.a / "day" / "series" / "3.dcm").exists()
    assert shown(pair.there)["day/series"] == shown(pair.there)["day/more"] == "excluded"
    (pair.b / "day" / "more").unlink()
    await pair.settle()

    pair.there.include(pair.b / "day")
    await pair.settle()
    assert shown(pair.there) == {}
    assert (pair.b / "day" / "more" / "4.dcm").read_bytes() == b"4"
    assert tree(pair.b) == tree(pair.a)
    (pair.a / "day" / "5.dcm").write_bytes(b"5" * 5_000)  # it is wanted, however it grows
    await pair.settle()
    assert tree(pair.b) == tree(pair.a)


async def test_what_has_grown_may_be_kept_off_as_a_whole(pair: Pair) -> None:
    a_folder(pair.a / "day", [900, 50])
    await pair.settle()
    (pair.a / "day" / "2.dcm").write_bytes(b"2" * 300)
    await pair.settle()
    assert shown(pair.there) == {"day": "large-folder"}
    pair.there.exclude(pair.b / "day")
    await pair.settle()
    assert (shown(pair.there), pair.there.status()["state"]) == ({}, "synced")
    assert not (pair.b / "day").exists()
    assert len(tree(pair.a)) == 7, "the server and the others keep it"
    (pair.a / "day" / "3.dcm").write_bytes(b"3" * 300)
    await pair.settle()
    pair.there.include(pair.b / "day")
    await pair.settle()
    assert tree(pair.b) == tree(pair.a)


async def test_deleted_on_the_server_it_waits_no_more(pair: Pair) -> None:
    a_folder(pair.a / "raw", [2_000])
    await pair.settle()
    (pair.a / "raw" / "0.dcm").unlink()
    (pair.a / "raw").rmdir()
    await pair.settle()
    assert shown(pair.there) == {}
    assert pair.there.status()["state"] == "synced"


async def test_what_waits_and_what_was_decided_outlive_a_restart_and_lost_records(setting: Setting) -> None:
    async with another_computer(setting) as there:
        folder = await setting.follow(there, "study")
        home = setting.base / "home"
        async with setting.engine() as here:
            here.set_limits(Limits(new_folders=LIMIT))
            await here.add_folder("/Home/study", setting.base / "b", create=False)
            assert await here.once()
            a_folder(folder / "raw", [2_000])
            a_folder(folder / "wanted", [2_000])
            a_folder(folder / "day", [900])
            assert await there.once()
            await here.once()
            assert set(shown(here)) == {"raw", "wanted"}
            (folder / "day" / "1.dcm").write_bytes(b"1" * 900)
            assert await there.once()
            here.include(setting.base / "b" / "wanted")
            await here.once()
        for lost in (False, True):
            if lost:
                for path in home.glob("state.db*"):
                    path.unlink()
            async with setting.engine() as here:
                await here.once()
                assert shown(here) == {"raw": "large-folder", "day": "large-folder"}
                assert set(tree(setting.base / "b")) == {"day", "day/0.dcm", "wanted", "wanted/0.dcm"}


def test_unasked_only_what_is_larger_than_most_studies_waits() -> None:
    assert Limits().new_folders == NEW_FOLDERS == 10_000_000_000


async def test_with_its_records_lost_what_is_here_is_not_asked_about(setting: Setting) -> None:
    async with another_computer(setting) as there:
        folder = await setting.follow(there, "study")
        a_folder(folder / "first", [2_000, 10])
        assert await there.once()
        async with setting.engine() as here:
            here.set_limits(Limits(new_folders=LIMIT))
            await here.add_folder("/Home/study", setting.base / "b", create=False)
            assert await here.once()
            here.set_limits(Limits(new_folders=LIMIT - 1))  # noted with what else a person said
        for path in (setting.base / "home").glob("state.db*"):
            path.unlink()
        async with setting.engine() as here:
            assert await here.once()
            assert shown(here) == {}
            assert tree(setting.base / "b") == tree(folder)
