"""More happens than the system keeps for the watcher (T15): a scan finds it, and status says so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from sync_client.lock import holder
from tests.support.computers import Together, until


def test_what_the_watcher_lost_is_found_by_a_scan_and_status_says_so(pair: Together) -> None:
    """MB-Sync is stopped while the kernel's queue runs over; what comes after that nobody is told of."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    pair.a.write("series/one", b"one")
    pair.a.start_working()
    pair.a.wait()
    process = int(holder(pair.a.mb_sync.home / "lock"))
    os.kill(process, signal.SIGSTOP)
    try:
        one, other = pair.a.at("series/one"), pair.a.at("series/other")
        for _ in range(limit // 4 + 500):  # two events each: of half a million it takes some seconds
            one.rename(other)
            other.rename(one)
        pair.a.write("unseen/new.dcm", b"nobody was told of it")
        pair.a.delete("series/one")
    finally:
        os.kill(process, signal.SIGCONT)
    until(
        lambda: any("faster than they could be watched" in note for note in pair.a.status()["notes"]), "said"
    )
    until(lambda: pair.a.status()["state"] == "synced", "synced")
    pair.a.stop()
    pair.b.once()
    assert pair.b.tree() == pair.a.tree()
    assert set(pair.b.tree()) == {"series", "unseen", "unseen/new.dcm"}
