"""A node that waits under its hidden name when the program ends: whatever became of it, nothing waits for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from protocol.messages import DeleteTree, Revision
from sync_client.engine.engine import Engine
from sync_client.engine.trees import PARKED, Place
from tests.support.one_engine import Setting, names

HELD = b"what both sides held"


async def parked(setting: Setting) -> Path:
    """Its hidden name, as a client leaves it that is killed in the middle of a swap."""
    async with setting.engine() as engine:
        study = await setting.follow(engine, "study")
        (study / "scan.dcm").write_bytes(HELD)
        assert await engine.once()
        [sync] = engine.syncs.values()
        [row] = [one for one in sync.trees.all_rows() if one.local and one.local.place.name == "scan.dcm"]
        assert row.local is not None
        hidden = study / ".mb-sync" / "tmp" / f"{row.node.hex}.parked"
        os.rename(study / "scan.dcm", hidden)
        with sync.trees.transaction():
            sync.trees.save(
                replace(row, local=replace(row.local, place=Place(PARKED, "scan.dcm"))), dirty=True
            )
        return hidden


async def deleted_there(setting: Setting) -> None:
    node = (await setting.on_server("/study"))["scan.dcm"][0]
    cursor = await setting.head()
    [done] = await setting.other.commit(DeleteTree(node=node, place_revision=Revision(1, 1), cursor=cursor))
    assert done.status == "done"


def nothing_waits(engine: Engine) -> bool:
    return all(sync.trees.count_dirty() == 0 for sync in engine.syncs.values())


@pytest.mark.parametrize("is_deleted_there", [False, True])
async def test_its_change_time_moved_on(setting: Setting, *, is_deleted_there: bool) -> None:
    """By the very rename that parked it, which a power cut let be seen alone."""
    hidden = await parked(setting)
    hidden.chmod(0o600)
    hidden.chmod(0o644)
    if is_deleted_there:
        await deleted_there(setting)
    async with setting.engine() as engine:
        assert await engine.once()
        assert nothing_waits(engine)
    assert names(setting.base / "study") == (set() if is_deleted_there else {"scan.dcm"})
    assert not hidden.exists()


async def test_written_to_meanwhile_it_is_an_edit(setting: Setting) -> None:
    hidden = await parked(setting)
    hidden.write_bytes(b"somebody had it open")
    await deleted_there(setting)
    async with setting.engine() as engine:
        assert await engine.once()
        assert nothing_waits(engine)
    assert (setting.base / "study" / "scan.dcm").read_bytes() == b"somebody had it open"
    assert set(await setting.on_server("/study")) == {"scan.dcm"}


@pytest.mark.parametrize("is_deleted_there", [False, True])
async def test_lost_in_a_power_cut_it_is_deleted_by_nobody(
    setting: Setting, *, is_deleted_there: bool
) -> None:
    hidden = await parked(setting)
    hidden.unlink()
    if is_deleted_there:
        await deleted_there(setting)
    async with setting.engine() as engine:
        assert await engine.once()
        assert nothing_waits(engine)
    left = set() if is_deleted_there else {"scan.dcm"}
    assert names(setting.base / "study") == set(await setting.on_server("/study")) == left
