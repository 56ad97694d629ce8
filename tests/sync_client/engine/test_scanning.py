"""Where nothing tells what changes on the disk, it is looked at now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from sync_client.engine import engine as engine_module
from sync_client.engine import scan_times
from sync_client.engine.scan_times import ScanTimes
from sync_client.engine.watcher import OnDirty, OnLost
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
