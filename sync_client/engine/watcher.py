"""Tells early which folders may have changed.  A hint: whoever listens looks at the disk, and scans now and then.

Owns: the choice of a watcher for this system; what a watcher reports.
May import: watchdog (where there is no inotify), sync_client.engine.{disk,inotify}.

On Linux inotify is asked directly (engine.inotify): watchdog costs five times the processor time for each event,
and reports our own reading as well.  Elsewhere watchdog is used, through the same interface.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sync_client.engine.disk import PRIVATE, Parts

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

OnDirty = Callable[[set[Parts]], None]
OnLost = Callable[[str], None]


class Watcher(Protocol):
    """Both callbacks come from the watcher's own thread."""

    def start(self, on_dirty: OnDirty, on_lost: OnLost) -> None:
        """From when this returns nothing is missed silently; it walks the folders, so call it in a thread.

        on_dirty: folders in which names came, went or changed (also ones that are not there any more).
        on_lost: something was missed, so look at everything; the reason is a code: "overflow" (too much at
        once), "limit" (the system allows no more watches: folders are unwatched from now on), "gone" (the
        root itself was moved, deleted or unmounted), "failed".
        """

    def stop(self) -> None: ...


def watcher_for(root: Path) -> Watcher:
    if sys.platform == "linux":
        from sync_client.engine.inotify import InotifyWatcher  # noqa: PLC0415  # its library is Linux's

        return InotifyWatcher(root)
    return WatchdogWatcher(root)


class WatchdogWatcher:
    """Any system that watchdog knows.  It only logs what it lost, so its log is listened to."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def start(self, on_dirty: OnDirty, on_lost: OnLost) -> None:
        from watchdog.events import FileSystemEventHandler  # noqa: PLC0415  # needed on few systems
        from watchdog.observers import Observer  # noqa: PLC0415

        root, folder_of = self._root, self._folder_of

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                if event.event_type in ("opened", "closed_no_write"):
                    return
                paths = [os.fsdecode(path) for path in (event.src_path, event.dest_path) if path]
                if event.event_type in ("deleted", "moved") and paths[0] == root:
                    on_lost("gone")
                dirty = {parts for parts in map(folder_of, paths) if parts is not None}
                if dirty:
                    on_dirty(dirty)

        self._listener = _LostListener(on_lost)
        logging.getLogger("watchdog").addHandler(self._listener)
        self._observer = Observer()
        self._observer.schedule(Handler(), root, recursive=True)
        try:
            self._observer.start()
        except OSError as error:
            on_lost("limit" if "limit" in str(error) else "failed")

    def stop(self) -> None:
        logging.getLogger("watchdog").removeHandler(self._listener)
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def _folder_of(self, path: str) -> Parts | None:
        """The folder that this path stands in, if it is one of ours."""
        relative = os.path.relpath(os.path.dirname(path), self._root)
        if relative.startswith(".."):
            return None
        parts = () if relative == "." else tuple(relative.split(os.sep))
        return None if PRIVATE in (*parts, os.path.basename(path))[:1] else parts


class _LostListener(logging.Handler):
    def __init__(self, on_lost: OnLost) -> None:
        super().__init__(logging.WARNING)
        self._on_lost = on_lost

    def emit(self, record: logging.LogRecord) -> None:
        self._on_lost("overflow" if "overflow" in record.getMessage().lower() else "failed")
