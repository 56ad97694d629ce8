"""The watcher on a real folder: what it tells, how soon, and that it says so when it lost something."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sync_client.engine.disk import Parts
from sync_client.engine.inotify import InotifyWatcher
from sync_client.engine.watcher import WatchdogWatcher, Watcher

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


class Told:
    """What a watcher told."""

    def __init__(self, watcher: Watcher) -> None:
        self.dirty: set[Parts] = set()
        self.lost: list[str] = []
        self.first_at = 0.0
        self._news = threading.Condition()
        self.watcher = watcher
        watcher.start(self._on_dirty, self._on_lost)

    def _on_dirty(self, folders: set[Parts]) -> None:
        with self._news:
            self.first_at = self.first_at or time.monotonic()
            self.dirty |= folders
            self._news.notify_all()

    def _on_lost(self, reason: str) -> None:
        with self._news:
            self.lost.append(reason)
            self._news.notify_all()

    def soon(self, true: Callable[[], bool], seconds: float = 60.0) -> bool:
        with self._news:
            return self._news.wait_for(true, seconds)

    def forget(self) -> None:
        """When all of what happened so far has been told."""
        with self._news:
            while self._news.wait(0.3):
                pass
            self.dirty.clear()
            self.first_at = 0.0


@pytest.fixture(params=[pytest.param(InotifyWatcher, marks=LINUX_ONLY), WatchdogWatcher])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    (tmp_path / "old/deep").mkdir(parents=True)
    (tmp_path / ".mb-sync/tmp").mkdir(parents=True)
    told = Told(request.param(tmp_path))
    yield told
    told.watcher.stop()


def test_a_new_file_makes_its_folder_dirty(told: Told, tmp_path: Path) -> None:
    (tmp_path / "old/deep/a").write_text("one")
    assert told.soon(lambda: ("old", "deep") in told.dirty)


def test_files_in_a_folder_that_came_with_them_are_told(told: Told, tmp_path: Path) -> None:
    (tmp_path / "new/x/y").mkdir(parents=True)
    (tmp_path / "new/x/y/a").write_text("one")
    assert told.soon(lambda: ("new", "x", "y") in told.dirty)


def test_our_own_folder_is_not_told(told: Told, tmp_path: Path) -> None:
    (tmp_path / ".mb-sync/tmp/a").write_text("one")
    (tmp_path / "b").write_text("two")
    assert told.soon(lambda: () in told.dirty)
    assert not [parts for parts in told.dirty if parts[:1] == (".mb-sync",)]


def test_reading_tells_nothing(told: Told, tmp_path: Path) -> None:
    (tmp_path / "old/a").write_text("one")
    assert told.soon(lambda: ("old",) in told.dirty)
    told.forget()
    (tmp_path / "old/a").read_text()
    list((tmp_path / "old").iterdir())
    time.sleep(0.2)
    assert not told.dirty


def test_a_moved_folder_is_told_by_its_new_path(told: Told, tmp_path: Path) -> None:
    (tmp_path / "old").rename(tmp_path / "renamed")
    assert told.soon(lambda: () in told.dirty)
    told.forget()
    (tmp_path / "renamed/deep/a").write_text("one")
    assert told.soon(lambda: ("renamed", "deep") in told.dirty)


@LINUX_ONLY
def test_the_first_event_comes_within_twenty_milliseconds(tmp_path: Path) -> None:
    told = Told(InotifyWatcher(tmp_path))
    delays = []
    for number in range(9):
        told.forget()
        began = time.monotonic()
        (tmp_path / f"a{number}").write_text("one")
        assert told.soon(lambda: told.first_at > 0)
        delays.append(told.first_at - began)
    told.watcher.stop()
    assert min(delays) < 0.02  # the quickest: others waited for a core


@LINUX_ONLY
def test_a_folder_that_left_is_watched_no_more(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "old/deep").mkdir(parents=True)
    told = Told(InotifyWatcher(root))
    (root / "old").rename(tmp_path / "left")
    assert told.soon(lambda: () in told.dirty)
    told.forget()
    (tmp_path / "left/deep/a").write_text("one")
    time.sleep(0.2)
    assert not told.dirty
    told.watcher.stop()


@LINUX_ONLY
def test_a_folder_whose_rights_changed_is_told_itself(tmp_path: Path) -> None:
    """It could not be listed before, or cannot any more: looking at its parent would not show that."""
    (tmp_path / "closed/deep").mkdir(parents=True)
    told = Told(InotifyWatcher(tmp_path))
    (tmp_path / "closed").chmod(0o500)
    assert told.soon(lambda: ("closed",) in told.dirty)
    told.watcher.stop()


@LINUX_ONLY
def test_a_root_that_went_away_is_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    told = Told(InotifyWatcher(root))
    shutil.rmtree(root)
    assert told.soon(lambda: "gone" in told.lost)
    told.watcher.stop()


def test_what_watchdog_only_logs_is_told(tmp_path: Path) -> None:
    told = Told(WatchdogWatcher(tmp_path))
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; events were lost")
    assert told.lost == ["overflow"]
    told.watcher.stop()


@LINUX_ONLY
def test_a_queue_that_really_overflows_is_told(tmp_path: Path) -> None:
    """The watcher's process is stopped while more happens than the kernel keeps for it."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    script = (
        "import sys, time; from pathlib import Path; "
        "from sync_client.engine.inotify import InotifyWatcher; watcher = InotifyWatcher(Path(sys.argv[1])); "
        "watcher.start(lambda dirty: None, lambda reason: print(reason, flush=True)); "
        "print('ready', flush=True); time.sleep(300)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        one, other = tmp_path / "one", tmp_path / "other"
        one.touch()
        for _ in range(limit // 4 + 500):
            one.rename(other)
            other.rename(one)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.readline() == "overflow\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@LINUX_ONLY
def test_too_few_watches_are_told_and_the_rest_still_works(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"d{number}").mkdir()
    script = (
        "import sys; from pathlib import Path; from sync_client.engine.inotify import InotifyWatcher; "
        "told = []; watcher = InotifyWatcher(Path(sys.argv[1])); "
        "watcher.start(lambda dirty: None, told.append); print(told); watcher.stop()"
    )
    limited = 'echo 10 > /proc/sys/user/max_inotify_watches && exec "$@"'
    command = ["unshare", "-Ur", "sh", "-c", limited, "sh", sys.executable, "-c", script, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "unshare" in answer.stderr or "max_inotify" in answer.stderr:
        pytest.skip("this machine gives no user namespace")
    assert answer.stdout == "['limit']\n", answer.stderr
