"""The engine against a real server: what is lost, refused or in the way holds up itself and nothing else."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from itertools import pairwise
from uuid import uuid4

import pytest

from protocol.errors import DeviceCloned, LocalProblem, Unavailable
from protocol.ids import NodeId
from protocol.messages import Commit, Content, Kind, Make, to_msgpack
from sync_client.engine import looking
from tests.support.one_engine import SOON_SECONDS, Setting, names, shown, soon
from tests.sync_client.engine.test_names_on_disk import another_computer

FOLDER = Content(kind=Kind.FOLDER)


# ---- answers that are lost, batches that are refused -----------------------------------------------------


async def test_edited_after_a_lost_answer_a_file_is_no_conflict_and_goes_up_once(setting: Setting) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "notes.txt").write_bytes(b"first")
        (study / "known.txt").write_bytes(b"first")
        assert await engine.once()
        (study / "notes.txt").write_bytes(b"second, not yet known to be there")
        (study / "new.txt").write_bytes(b"new, not yet known to be there")
        setting.proxy.lose = "/commit"
        with pytest.raises(Unavailable):
            await engine.once()
    held = await setting.on_server("/study")
    assert {name: size for name, (_, size) in held.items()} == {
        "known.txt": 5,
        "new.txt": 30,
        "notes.txt": 33,
    }
    (study / "notes.txt").write_bytes(b"third")
    (study / "new.txt").write_bytes(b"edited")
    setting.proxy.lose = ""
    setting.proxy.requests.clear()
    async with setting.engine() as engine:
        assert await engine.once()
        assert await engine.conflicts() == []
    assert names(study) == {"notes.txt", "new.txt", "known.txt"}
    after = await setting.on_server("/study")
    assert {name: size for name, (_, size) in after.items()} == {"known.txt": 5, "new.txt": 6, "notes.txt": 5}
    assert after["notes.txt"][0] == held["notes.txt"][0]
    assert (setting.proxy.count("/chunks"), setting.proxy.count("/commit")) == (1, 2)


async def test_a_thousand_small_files_go_up_and_come_down_in_a_few_requests(setting: Setting) -> None:
    """A request for each would make them slow whatever each costs."""
    async with another_computer(setting) as there, setting.engine() as here:
        study = await setting.follow(here, "study")
        await there.add_folder("/Home/study", setting.base / "b", create=False)
        for folder in range(10):
            (study / f"{folder}").mkdir()
            for image in range(100):
                (study / f"{folder}" / f"{image}.dcm").write_bytes(b"DICM %d %d" % (folder, image))
        setting.proxy.requests.clear()
        assert await here.once()
        sent = len(setting.proxy.requests)
        assert await there.once()
        assert len(list((setting.base / "b").rglob("*.dcm"))) == 1_000
        assert (sent < 60, len(setting.proxy.requests) - sent < 60) == (True, True), setting.proxy.requests


async def test_a_batch_that_the_server_refuses_stops_its_folder_only_until_the_next_try(
    setting: Setting,
) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "scan.dcm").write_bytes(b"DICM")
        [sync] = engine.syncs.values()
        ops = [Make(node=uuid4(), parent=sync.folder.root, name="x", content=FOLDER)]
        number = engine.state.next_batch_number()
        batch = Commit(operation=uuid4(), number=number, ops=list(ops), cursor="of no server")
        engine.state.write_batch(sync.folder.id, number, to_msgpack(batch))
        assert not await engine.once()
        assert shown(engine) == {"": "bad-request"}
        assert await engine.once()
        assert shown(engine) == {}
    assert set(await setting.on_server("/study")) == {"scan.dcm"}


async def test_what_the_server_refuses_is_named_and_asked_for_seldom(setting: Setting) -> None:
    """Below a deep folder the server's limit is reached before ours, which counts from the followed folder."""
    assert setting.other.view is not None
    parents = [setting.other.view.root] + [uuid4() for _ in range(100)]
    await setting.other.commit(
        *(
            Make(node=node, parent=above, name=f"{at}", content=FOLDER)
            for at, (above, node) in enumerate(pairwise(parents))
        )
    )
    deep = "/".join(str(at) for at in range(100))
    async with setting.running() as engine:
        await engine.add_folder(f"/Home/{deep}", setting.base / "study", create=False)
        too_deep = setting.base.joinpath("study", *("d" * 29))
        too_deep.mkdir(parents=True)
        assert not await engine.wait_synced()
        assert set(shown(engine).values()) == {"name-refused"}
        setting.proxy.requests.clear()
        began = time.monotonic()
        for turn in range(15):  # each wakes the folder
            await setting.other.put_file(f"{turn}.txt", b"from elsewhere", parent=parents[-1])
            await asyncio.sleep(0.2)
        tries = 3 + (time.monotonic() - began) // 8  # after 0.5 and 2 s, then ever later
        assert setting.proxy.count("/commit") <= tries
        (setting.base / "study" / "beside.txt").write_bytes(b"goes on")
        await soon(lambda: setting.proxy.count("/chunks") == 1)
        shutil.rmtree(setting.base / "study" / "d")
        assert await engine.wait_synced()
    assert set(await setting.on_server(f"/{deep}")) == {"beside.txt", *(f"{turn}.txt" for turn in range(15))}


# ---- several folders -------------------------------------------------------------------------------------


async def test_a_change_in_either_of_two_folders_does_not_wait_for_the_next_long_poll(
    setting: Setting,
) -> None:
    async with setting.running() as engine:
        first = await setting.follow(engine, "first")
        assert await engine.wait_synced()
        await asyncio.sleep(0.5)  # a long poll for the first alone is open
        second = await setting.follow(engine, "second")
        assert await engine.wait_synced()
        await asyncio.sleep(0.5)
        places = await setting.on_server("/")
        for turn in range(3):
            for folder in (second, first):
                name = f"{turn}.dcm"
                await setting.other.put_file(name, b"DICM" + name.encode(), parent=places[folder.name][0])
                await soon((folder / name).exists)
        (first / "own.txt").write_bytes(b"while both listen")
        await setting.other.put_file("last.dcm", b"DICM last", parent=places["second"][0])
        await soon((second / "last.dcm").exists)


async def test_a_folder_that_is_away_does_not_hold_up_the_others(setting: Setting) -> None:
    async with setting.engine() as engine:
        first, second = await setting.follow(engine, "first"), await setting.follow(engine, "second")
        assert await engine.once()
        (first / ".mb-sync" / "marker.json").unlink()
        (second / "scan.dcm").write_bytes(b"DICM")
        assert not await engine.once()
        states = {folder["remote"]: folder["state"] for folder in engine.status()["folders"]}
        assert states == {"/Home/first": "error", "/Home/second": "synced"}
    assert set(await setting.on_server("/second")) == {"scan.dcm"}


# ---- what cannot be followed -----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["moved", "moved out", "deleted"])
async def test_what_was_odd_in_a_folder_goes_with_it(setting: Setting, way: str) -> None:
    async with setting.running() as engine:
        study = await setting.follow(engine, "study")
        (study / "series" / "inner").mkdir(parents=True)
        os.mkfifo(study / "series" / "inner" / "pipe")
        assert not await engine.wait_synced()
        assert shown(engine) == {"series/inner/pipe": "not-a-file"}
        if way == "moved":
            (study / "series").rename(study / "series-2")
            await soon(lambda: shown(engine) == {"series-2/inner/pipe": "not-a-file"})
            return
        if way == "deleted":
            shutil.rmtree(study / "series")
        else:
            (study / "series").rename(setting.base / "elsewhere")
        await soon(lambda: shown(engine) == {})


# ---- server and device -----------------------------------------------------------------------------------


async def test_nothing_goes_up_to_a_server_that_cuts_files_another_way(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
    monkeypatch.setattr("server.http.hello.CUTTER", "of another release")
    (study / "scan.dcm").write_bytes(b"DICM")
    setting.proxy.requests.clear()
    async with setting.engine() as engine:
        with pytest.raises(LocalProblem, match="Update"):
            await engine.once()
        with pytest.raises(LocalProblem, match="Update"):
            await setting.follow(engine, "second")
    async with setting.running() as engine:
        assert not await engine.wait_synced()
        assert "Update" in engine.status()["folders"][0]["words"]
    assert set(setting.proxy.requests) <= {"/hello", "/notices"} | {
        path for path in setting.proxy.requests if "/wait" in path
    }
    monkeypatch.undo()
    async with setting.engine() as engine:
        assert await engine.once()
    assert set(await setting.on_server("/study")) == {"scan.dcm"}


async def test_a_copied_home_is_told_so_and_syncs_on_as_a_new_device(setting: Setting) -> None:
    """Home and followed folder are copied together, as with a virtual machine; both then go on."""
    home, study = setting.base / "home", setting.base / "study"
    async with setting.engine() as engine:
        await setting.follow(engine, "study")
        (study / "common.txt").write_bytes(b"common")
        assert await engine.once()
    shutil.copytree(home, setting.base / "copied home")
    shutil.copytree(study, setting.base / "copied study")
    (study / "original.txt").write_bytes(b"written at the original")
    async with setting.engine() as engine:
        assert await engine.once()
    study.rename(setting.base / "original study")
    home.rename(setting.base / "original home")
    (setting.base / "copied study").rename(study)
    (setting.base / "copied home").rename(home)
    (study / "copy.txt").write_bytes(b"written at the copy")
    (study / "common.txt").write_bytes(b"edited at the copy")
    async with setting.running() as engine:
        with pytest.raises(DeviceCloned):
            await engine.wait_synced()
        assert engine.status()["state"] == "error"
    async with setting.engine() as engine:  # its next number is a new one: the server alone would not notice
        with pytest.raises(DeviceCloned, match="--new-device"):
            await engine.once()
        words = engine.status()["words"]
        assert words.endswith(f"mb-sync login {setting.proxy.url} --user ada --new-device`.")
    assert "copy.txt" not in await setting.on_server("/study")
    setting.account, original = await setting.again(), setting.account
    async with setting.engine() as engine:
        assert await engine.once()
    everything = {"common.txt", "original.txt", "copy.txt"}
    assert names(study) == set(await setting.on_server("/study")) == everything
    study.rename(setting.base / "copied study")
    home.rename(setting.base / "copied home")
    (setting.base / "original study").rename(study)
    (setting.base / "original home").rename(home)
    setting.account = original
    (study / "last.txt").write_bytes(b"the original goes on")
    async with setting.engine() as engine:
        assert await engine.once()
    assert names(study) == set(await setting.on_server("/study")) == everything | {"last.txt"}
    assert (study / "common.txt").read_bytes() == b"edited at the copy"


# ---- a look in portions ----------------------------------------------------------------------------------


async def test_new_folders_are_looked_at_in_portions_and_none_is_forgotten(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "ENOUGH_ENTRIES", 5)
    monkeypatch.setattr(looking, "FOLDERS_AT_ONCE", 2)
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        assert await engine.once()
        for patient in range(9):
            series = study / f"patient-{patient}" / "series"
            series.mkdir(parents=True)
            for image in range(3):
                (series / f"{image}.dcm").write_bytes(b"DICM %d %d" % (patient, image))
        assert await engine.once()
        assert engine.status()["state"] == "synced"
    for patient in range(9):
        assert set(await setting.on_server(f"/study/patient-{patient}/series")) == {"0.dcm", "1.dcm", "2.dcm"}


async def test_what_moved_into_a_new_folder_is_the_same_file_whatever_the_portion(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "ENOUGH_ENTRIES", 2)
    monkeypatch.setattr(looking, "FOLDERS_AT_ONCE", 1)
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        for image in range(6):
            (study / f"{image}.dcm").write_bytes(b"DICM %d" % image)
        assert await engine.once()
        before = await setting.on_server("/study")
        for image in range(6):
            place = study / f"new-{image}" / "inner"
            place.mkdir(parents=True)
            (study / f"{image}.dcm").rename(place / f"{image}.dcm")
        assert await engine.once()
    for image in range(6):
        after = await setting.on_server(f"/study/new-{image}/inner")
        assert after[f"{image}.dcm"][0] == before[f"{image}.dcm"][0]


async def test_of_two_folders_that_change_places_each_keeps_what_is_in_it(setting: Setting) -> None:
    """The watcher tells of where they stand, and of both."""
    async with setting.engine() as engine:
        local = await setting.follow(engine, "study")
        for name in ("one", "two"):
            (local / name).mkdir()
            (local / name / f"of {name}").write_bytes(name.encode())
        assert await engine.once()
        before = {name: await setting.on_server(f"/study/{name}") for name in ("one", "two")}
        (local / "one").rename(local / "on its way")
        (local / "two").rename(local / "one")
        (local / "on its way").rename(local / "two")
        (local / "one" / "new").write_bytes(b"new")
        [sync] = engine.syncs.values()
        sync.disk_moved({(), ("one",), ("two",)})
        async with asyncio.timeout(SOON_SECONDS):
            await sync.round()
        one = await setting.on_server("/study/one")
        assert one.pop("new")
        assert one == before["two"]
        assert await setting.on_server("/study/two") == before["one"]


async def test_what_came_to_rest_by_itself_is_not_due_for_ever(setting: Setting) -> None:
    async with setting.running() as engine:
        folder = await setting.follow(engine, "Study")
        (folder / "Series").mkdir()
        assert await engine.wait_synced()
        [sync] = engine.syncs.values()
        [(node, _)] = (await setting.on_server("/Study")).values()
        # an edit overtook it, and then both sides turned out to be equal: nobody plans it any more
        sync.troubles.put_off(NodeId(node), "Series", "changed", "It changed.", now=time.monotonic() - 60)
        async with asyncio.timeout(SOON_SECONDS):
            assert await engine.wait_synced()
        assert node not in sync.troubles
        assert sync.is_at_rest
