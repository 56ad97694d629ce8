"""How fast and when: limits by the hour, pauses of one folder and for a time."""

from __future__ import annotations

import os
import time
from datetime import datetime

import pytest

from sync_client.engine import engine as engine_module
from sync_client.engine.limits import Limits, read_limits
from tests.support.one_engine import Setting, names, soon


@pytest.mark.parametrize(
    ("begins", "ends", "hour", "applies"),
    [
        (480, 1080, 7, False),
        (480, 1080, 8, True),
        (480, 1080, 17, True),
        (480, 1080, 18, False),
        (1320, 360, 23, True),
        (1320, 360, 5, True),
        (1320, 360, 6, False),
        (1320, 360, 12, False),
        (None, None, 3, True),
    ],
)
def test_hours_may_stretch_over_midnight(
    begins: int | None, ends: int | None, hour: int, *, applies: bool
) -> None:
    limits = Limits(up=1, begins=begins, ends=ends)
    assert limits.apply_at(datetime(2026, 11, 22, hour, 0)) is applies  # noqa: DTZ001 - a clock on the wall


async def test_a_limit_slows_down_what_goes_up_and_counts_at_once_when_it_is_lifted(setting: Setting) -> None:
    async with setting.running() as engine:
        folder = await setting.follow(engine, "slow")
        engine.set_limits(Limits(up=50_000))
        (folder / "big").write_bytes(os.urandom(3_000_000))
        began = time.monotonic()
        await soon(lambda: engine.api.bytes_sent > 25_000)
        sent, moment = engine.api.bytes_sent, time.monotonic()
        await soon(lambda: time.monotonic() > moment + 1)
        assert engine.api.bytes_sent - sent < 50_000 * (time.monotonic() - moment + 1.5)
        assert "big" not in await setting.on_server("/slow")
        (sync,) = engine.syncs.values()
        assert sync.progress is not None
        assert (sync.progress.done_bytes, sync.progress.total_bytes) == (0, 3_000_000)  # not "0 of 0 bytes"
        assert read_limits(engine.state) == Limits(up=50_000)
        engine.set_limits(Limits())
        assert await engine.wait_synced()
        assert time.monotonic() - began < 45  # at that limit it would have been sixty
        assert "big" in await setting.on_server("/slow")


async def test_one_folder_is_paused_and_the_other_goes_on_also_after_a_restart(setting: Setting) -> None:
    async with setting.running() as engine:
        rests = await setting.follow(engine, "rests")
        works = await setting.follow(engine, "works")
        assert await engine.wait_synced()
        await engine.set_paused(True, folder=rests)
    async with setting.running() as engine:
        (rests / "later").write_bytes(b"later")
        (works / "now").write_bytes(b"now")
        while "now" not in await setting.on_server("/works"):
            pass
        states = {folder["local"]: folder["state"] for folder in engine.status()["folders"]}
        assert states[str(rests)] == "paused"
        assert await setting.on_server("/rests") == {}
        await engine.set_paused(False, folder=rests)
        assert await engine.wait_synced()
        assert set(await setting.on_server("/rests")) == {"later"}
        assert names(rests) == {"later"}


async def test_a_pause_for_a_time_ends_by_itself(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "PAUSE_LOOK_SECONDS", 0.1)
    async with setting.running() as engine:
        folder = await setting.follow(engine, "soon")
        assert await engine.wait_synced()
        await engine.set_paused(True, seconds=1)
        (folder / "file").write_bytes(b"file")
        assert engine.status()["state"] == "paused"
        assert 0 < engine.status()["paused_until"] - time.time() < 2
        await soon(lambda: engine.status()["state"] == "synced")
        assert set(await setting.on_server("/soon")) == {"file"}
