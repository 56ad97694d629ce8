"""How far a long piece of work has come, for people.

Owns: the bar in a terminal, the plain lines elsewhere.  May import: the standard library, rich, screens.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from sync_client.control import Json
from sync_client.screens import progress_line

PLAIN_SECONDS = 2.0  # a log is not a place for an animation

Tell = Callable[[Json], None]


@contextmanager
def shown_progress(stream: TextIO | None = None) -> Iterator[Tell]:
    """tell(progress) shows it on standard error: a bar in a terminal, now and then a line elsewhere."""
    stream = stream or sys.stderr
    with _bar(stream) if stream.isatty() else _lines(stream) as tell:
        yield tell


@contextmanager
def _lines(stream: TextIO) -> Iterator[Tell]:
    told_at = -PLAIN_SECONDS
    last = ""

    def tell(progress: Json) -> None:
        nonlocal told_at, last
        now = time.monotonic()
        finished = progress["done_files"] >= progress["total_files"] > 0
        line = progress_line(progress)
        if line != last and (finished or now - told_at >= PLAIN_SECONDS):
            told_at, last = now, line
            print(line, file=stream, flush=True)

    yield tell


@contextmanager
def _bar(stream: TextIO) -> Iterator[Tell]:
    from rich.console import Console  # noqa: PLC0415 - 0.1 s that only a terminal is worth
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("Syncing"),
        BarColumn(),
        TextColumn("{task.fields[files]}"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("Syncing", total=None, files="")

        def tell(progress: Json) -> None:
            bar.update(
                task,
                total=progress["total_bytes"] or None,
                completed=progress["done_bytes"],
                files=f"{progress['done_files']:,}/{progress['total_files']:,} files",
            )

        yield tell
