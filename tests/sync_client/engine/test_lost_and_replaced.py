"""A folder, database or sign-in that is lost or put back from elsewhere deletes nothing and sends nothing twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sync_client.engine.engine import Engine
from tests.support.one_engine import Setting, names, shown

COUNT = 12


async def a_synced_study(setting: Setting) -> Path:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        for image in range(COUNT):
            (study / f"{image}.dcm").write_bytes(b"DICM %d" % image)
        assert await engine.once()
    return study


async def nothing_happens(setting: Setting, engine: Engine) -> None:
    """The folder stops, or it has nothing to do; on the server all is as it was."""
    await engine.once()
    assert len(await setting.on_server("/study")) == COUNT


# ---- the root --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["unmounted", "renamed", "emptied", "replaced", "a file", "not ours"])
async def test_a_folder_that_is_not_the_one_it_was_is_never_all_deleted(setting: Setting, way: str) -> None:
    study = await a_synced_study(setting)
    async with setting.engine() as engine:
        assert await engine.once()
        if way == "emptied":  # the marker is left: every file went, and that asks
            for path in study.glob("*.dcm"):
                path.unlink()
        else:
            study.rename(setting.base / "elsewhere")
        if way in ("unmounted", "not ours"):  # an empty place to mount at; another folder of another client
            study.mkdir()
        if way == "not ours":
            shutil.copytree(setting.base / "elsewhere" / ".mb-sync", study / ".mb-sync")
            marker = study / ".mb-sync" / "marker.json"
            marker.write_text(marker.read_text().replace('"generation"', '"other":1,"generation"'))
            [sync] = engine.syncs.values()
            marker.write_text(marker.read_text().replace(str(sync.folder.follow), str(sync.folder.root)))
        if way == "replaced":
            study.mkdir()
            (study / "unrelated.txt").write_bytes(b"something else")
        if way == "a file":
            study.write_bytes(b"not a folder")
        await nothing_happens(setting, engine)
        assert set(shown(engine)) == {""}
        if way == "emptied":
            assert shown(engine) == {"": "guard"}
            return
        assert engine.status()["state"] == "error"
        if study.is_dir():
            shutil.rmtree(study)
        elif study.exists():
            study.unlink()
        (setting.base / "elsewhere").rename(study)
        setting.proxy.requests.clear()
        assert await engine.once()
        assert len(names(study)) == COUNT
        assert setting.proxy.count("/chunks") == setting.proxy.count("/content") == 0


async def test_a_folder_that_goes_while_it_is_looked_at_deletes_nothing(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan ends with an emptied folder, and only then the look at the marker tells that it is not ours."""
    study = await a_synced_study(setting)
    async with setting.engine() as engine:
        assert await engine.once()
        [sync] = engine.syncs.values()
        look = sync.looker.look

        async def look_at_what_vanishes(root: object) -> bool:
            shutil.copytree(study, setting.base / "kept", dirs_exist_ok=True)
            shutil.rmtree(study)
            return await look(root)  # type: ignore[arg-type]  # handed through

        monkeypatch.setattr(sync.looker, "look", look_at_what_vanishes)
        await nothing_happens(setting, engine)
        assert engine.status()["state"] == "error"
        monkeypatch.undo()
        (setting.base / "kept").rename(study)
        assert await engine.once()
        assert len(names(study)) == len(await setting.on_server("/study")) == COUNT


# ---- put back from elsewhere -----------------------------------------------------------------------------


async def test_a_folder_put_back_from_last_week_deletes_nothing_and_keeps_both(setting: Setting) -> None:
    study = await a_synced_study(setting)
    shutil.copytree(study, setting.base / "last week")
    async with setting.engine() as engine:
        (study / "0.dcm").write_bytes(b"edited since")
        (study / "new.dcm").write_bytes(b"new since")
        assert await engine.once()
    shutil.rmtree(study)
    (setting.base / "last week").rename(study)
    async with setting.engine() as engine:
        assert await engine.once()
    held = await setting.on_server("/study")
    assert len(held) == COUNT + 2  # the new one, and a copy of the one with two contents
    assert (study / "new.dcm").read_bytes() == b"new since"
    assert (study / "0.dcm").read_bytes() == b"edited since"
    [copy] = [name for name in names(study) if "(conflict " in name]
    assert (study / copy).read_bytes() == b"DICM 0"


async def test_a_database_put_back_from_last_week_deletes_nothing(setting: Setting) -> None:
    study = await a_synced_study(setting)
    home = setting.base / "home" / "state.db"
    shutil.copy(home, setting.base / "last week.db")
    async with setting.engine() as engine:
        (study / "0.dcm").write_bytes(b"edited since")
        (study / "new.dcm").write_bytes(b"new since")
        (study / "1.dcm").unlink()
        assert await engine.once()
    for path in home.parent.glob("state.db*"):
        path.unlink()
    (setting.base / "last week.db").rename(home)
    setting.account = await setting.again()  # its numbers were used: it would count as a copy
    async with setting.engine() as engine:
        setting.proxy.requests.clear()
        assert await engine.once()
        assert setting.proxy.count("/chunks") == setting.proxy.count("/content") == 0
    held = await setting.on_server("/study")
    assert set(held) == names(study) == {f"{image}.dcm" for image in range(COUNT) if image != 1} | {"new.dcm"}
    assert (study / "0.dcm").read_bytes() == b"edited since"


# ---- the memory, the sign-in -----------------------------------------------------------------------------


async def test_a_lost_database_over_a_full_folder_sends_and_copies_nothing(setting: Setting) -> None:
    study = await a_synced_study(setting)
    for path in [*(setting.base / "home").glob("state.db*"), setting.base / "home" / "followed.json"]:
        path.unlink()
    before = await setting.on_server("/study")
    async with setting.engine() as engine:
        setting.proxy.requests.clear()
        await engine.add_folder("/Home/study", study, create=False)
        assert await engine.once()
        counted = [setting.proxy.count(what) for what in ("/chunks", "/content", "/commit")]
        assert counted == [0, 0, 0]
        assert len(names(study)) == COUNT
        (study / "0.dcm").write_bytes(b"edited after the loss")  # its numbers do not look like a clone's
        assert await engine.once()
    after = await setting.on_server("/study")
    assert {name: node for name, (node, _) in after.items()} == {
        name: node for name, (node, _) in before.items()
    }
    assert after["0.dcm"][1] == len(b"edited after the loss")


async def test_signed_out_and_in_again_nothing_is_deleted_or_sent_twice(setting: Setting) -> None:
    study = await a_synced_study(setting)
    async with setting.engine() as engine:  # as `mb-sync logout` does
        await engine.remove_folder(study)
    setting.account = await setting.again()
    before = await setting.on_server("/study")
    async with setting.engine() as engine:
        setting.proxy.requests.clear()
        await engine.add_folder("/Home/study", study, create=False)
        assert await engine.once()
        assert setting.proxy.count("/chunks") == setting.proxy.count("/content") == 0
    assert await setting.on_server("/study") == before
    assert len(names(study)) == COUNT
