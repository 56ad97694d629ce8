"""A new listing after a reset: what it lacks is gone, with all guards; after a restore no absence is believed."""

from __future__ import annotations

import pytest

from protocol.messages import DeleteTree, Reset, ResetCause, Revision
from sync_client.engine.engine import Engine
from tests.support.one_engine import Setting, names, shown


async def reset(engine: Engine, setting: Setting, cause: ResetCause) -> None:
    """As the server answers to a cursor that is of no use any more."""
    [sync] = engine.syncs.values()
    assert setting.other.view is not None
    sync.looker.list_again(Reset(cause=cause, cursor=setting.other.view.cursor))


async def delete_there(setting: Setting, name: str) -> None:
    node = (await setting.on_server("/study"))[name][0]
    cursor = await setting.head()
    [done] = await setting.other.commit(DeleteTree(node=node, place_revision=Revision(1, 1), cursor=cursor))
    assert done.status == "done"


@pytest.mark.parametrize("cause", [ResetCause.PURGED, ResetCause.RIGHTS])
async def test_what_the_new_listing_lacks_is_gone_and_an_edit_stays(
    setting: Setting, cause: ResetCause
) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        for name in ("goes", "edited", "stays"):
            (study / name).mkdir()
            (study / name / "scan.dcm").write_bytes(name.encode())
        assert await engine.once()
        for name in ("goes", "edited"):
            await delete_there(setting, name)
        (study / "edited" / "scan.dcm").write_bytes(b"edited after all")
        setting.proxy.requests.clear()
        await reset(engine, setting, cause)
        assert await engine.once()
        assert names(study) == set(await setting.on_server("/study")) == {"edited", "stays"}
        assert (study / "edited" / "scan.dcm").read_bytes() == b"edited after all"
        assert setting.proxy.count("/content") == 0


@pytest.mark.parametrize("cause", [ResetCause.PURGED, ResetCause.RIGHTS])
async def test_a_mass_that_the_new_listing_lacks_asks(setting: Setting, cause: ResetCause) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "series").mkdir()
        for image in range(120):
            (study / "series" / f"{image}.dcm").write_bytes(b"DICM %d" % image)
        assert await engine.once()
        await delete_there(setting, "series")
        await reset(engine, setting, cause)
        assert not await engine.once()
        assert shown(engine) == {"": "guard"}
        assert len(names(study / "series")) == 120


@pytest.mark.parametrize("cause", list(ResetCause))
async def test_a_listing_that_says_the_same_moves_not_a_byte(setting: Setting, cause: ResetCause) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "series").mkdir()
        (study / "series" / "scan.dcm").write_bytes(b"DICM")
        assert await engine.once()
        setting.proxy.requests.clear()
        await reset(engine, setting, cause)
        assert await engine.once()
        assert setting.proxy.count("/content") == setting.proxy.count("/chunks") == 0
        assert names(study) == {"series"}


@pytest.mark.parametrize("cause", [ResetCause.PURGED, ResetCause.RIGHTS])
async def test_a_followed_folder_that_is_not_listed_any_more_stops_and_keeps_its_files(
    setting: Setting, cause: ResetCause
) -> None:
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "scan.dcm").write_bytes(b"DICM")
        assert await engine.once()
        node = (await setting.on_server("/"))["study"][0]
        cursor = await setting.head()
        await setting.other.commit(DeleteTree(node=node, place_revision=Revision(1, 1), cursor=cursor))
        await reset(engine, setting, cause)
        assert not await engine.once()
        assert "deleted on the server" in engine.status()["folders"][0]["words"]
        assert names(study) == {"scan.dcm"}
