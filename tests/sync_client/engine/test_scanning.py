"""Where nothing tells what changes on the disk, it is looked at now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from protocol.errors import BadRequest, LocalProblem
from sync_client.engine import engine as engine_module
from sync_client.engine import scan_times
from sync_client.engine.scan_times import ScanTimes
from sync_client.engine.watcher import OnDirty, OnLost
from sync_client.operations import perform
from tests.support.one_engine import SOON_SECONDS, Setting


class Blind:
    """A watcher on a system that tells nothing, and may say so."""

    def __init__(self, says: str = "") -> None:
        self._says = says

    def start(self, _on_dirty: OnDirty, on_lost: OnLost) -> None:
        if self._says:
            on_lost(self._says)

    def stop(self) -> None: ...


@pytest.mark.parametrize(
    ("says", "on_network", "note"),
    [
        ("limit", False, "allows no more watches"),
        ("failed", False, "cannot be watched"),
        ("", True, "lies on a network file system"),
        ("", False, ""),  # all seems well, and yet something was missed
    ],
)
async def test_what_no_watcher_tells_of_is_found_and_status_says_how(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, says: str, note: str, *, on_network: bool
) -> None:
    is_blind = bool(says) or on_network
    monkeypatch.setattr(engine_module, "watcher_for", lambda _: Blind(says))
    monkeypatch.setattr(engine_module, "lies_on_a_network", lambda _: on_network)
    monkeypatch.setattr(scan_times, "BLIND_SECONDS" if is_blind else "WATCHED_SECONDS", 0.5)
    monkeypatch.setattr(scan_times, "SHARE", 1.0)
    async with setting.running() as engine:
        folder = await setting.follow(engine, "blind")
        assert await engine.wait_synced()
        told = [one for one in engine.status()["notes"] if "scann" in one]
        assert [note in one for one in told] == ([True] if note else [])

        (folder / "unseen.dcm").write_bytes(b"nobody was told of it")
        await on_server(setting, lambda names: "unseen.dcm" in names)
        (folder / "unseen.dcm").unlink()
        await on_server(setting, lambda names: not names)


async def on_server(setting: Setting, is_so: Callable[[set[str]], bool]) -> None:
    ends = time.monotonic() + SOON_SECONDS
    while not is_so(set(await setting.on_server("/blind"))):
        assert time.monotonic() < ends
        await asyncio.sleep(0.1)


def test_looks_cost_a_hundredth_of_a_core_at_most_and_are_more_frequent_where_nobody_tells() -> None:
    times = ScanTimes(1_000.0)
    assert times.due_at() == 1_000.0 + 15 * 60
    times.looked(2_000.0, cpu_seconds=0.1)
    assert times.due_at() == 2_000.0 + 15 * 60
    times.blind = True
    assert times.due_at() == 2_060.0
    times.looked(3_000.0, cpu_seconds=38.0)
    assert times.due_at() == 6_800.0
    times.blind = False
    assert times.due_at() == 6_800.0
    times.wished = 60.0
    assert times.due_at() == 3_380.0, "who wants it often gets a tenth of a core for it"
    times.wished = 7_200.0
    assert times.due_at() == 10_200.0


@pytest.mark.parametrize("seconds", [9, 0, -60, 86_401, float("nan"), float("inf"), True, "300", [60]])
async def test_a_time_that_makes_no_sense_is_refused_and_changes_nothing(
    setting: Setting, seconds: object
) -> None:
    async with setting.engine() as engine:
        folder = await setting.follow(engine, "study")
        with pytest.raises(BadRequest, match="every 10 seconds at most"):
            await perform(engine, "scan", {"folder": str(folder), "every_seconds": seconds})
        assert (await perform(engine, "scan", {}))[0]["scan"]["wished_seconds"] is None
        with pytest.raises(LocalProblem, match="is not a followed folder"):
            await perform(engine, "scan", {"folder": str(folder.parent), "every_seconds": 60})


async def test_a_folder_is_looked_at_as_often_as_a_person_wants_also_after_a_restart_and_a_loss_of_the_records(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "watcher_for", lambda _: Blind())
    monkeypatch.setattr(scan_times, "LEAST_WISHED_SECONDS", 0.5)
    async with setting.running() as engine:
        folder = await setting.follow(engine, "blind")
        assert await engine.wait_synced()
        await perform(engine, "scan", {"folder": str(folder), "every_seconds": 1})
        (folder / "unseen.dcm").write_bytes(b"nobody was told of it")
        await on_server(setting, lambda names: "unseen.dcm" in names)
        await perform(engine, "scan", {"folder": str(folder), "every_seconds": 3_600})
        [shown] = engine.status()["folders"]
        assert shown["scan"] == {"every_seconds": 3_600, "wished_seconds": 3_600, "on_network": False}
    for lost in (False, True):
        if lost:
            (setting.base / "home" / "state.db").unlink()
        async with setting.engine() as engine:
            [one] = await perform(engine, "scan", {})
            assert (one["local"], one["scan"]["wished_seconds"]) == (str(folder), 3_600.0), lost
    async with setting.engine() as engine:
        [one] = await perform(engine, "scan", {"folder": str(folder), "every_seconds": None})
        assert one["scan"]["every_seconds"] == 15 * 60
