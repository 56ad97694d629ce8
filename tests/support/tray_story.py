"""What a story about an icon in the tray says again and again: it shows a state, offers a line, opens something.

Owns: the checks of icon and words, of lines that nobody clicked, of what was opened on the desktop.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sync_client import screens
from sync_client.tray import icons
from tests.support.computers import until
from tests.support.panel import Panel


async def shows(panel: Panel, state: str, title: str = "", detail: str = "") -> None:
    """Icon and words, of one look.  detail: how the line below the title begins."""
    title = title or screens.WORDS[state]
    size, urgent = icons.SIZES[1], state in ("attention", "error")

    def is_so(icon: dict[str, Any], labels: list[str]) -> bool:
        return (
            bytes(icon["IconPixmap"][1][2]) == icons.argb(state, size)
            and icon["Status"] == ("NeedsAttention" if urgent else "Active")
            and icon["ToolTip"][2] == title == labels[0]
            and icon["ToolTip"][3].startswith(detail)
            and (not detail or labels[1].startswith(detail))
        )

    await panel.until(is_so, f"{state}: {title} {detail}")


async def offers(panel: Panel, beginning: str, *, no_more: bool = False) -> None:
    await panel.until(
        lambda _, labels: any(one.startswith(beginning) for one in labels) is not no_more,
        f"{'no more' if no_more else 'now'} {beginning}",
    )


def all_lines_were_clicked(panel: Panel, lines: Iterable[str]) -> None:
    """lines: patterns of all that do something, with those above them.  None was offered that is not among them."""
    unknown = {one for one in panel.offered if not any(re.fullmatch(line, one) for line in lines)}
    assert not unknown
    left = [line for line in lines if not any(re.fullmatch(line, one) for one in panel.clicked)]
    assert not left


class Opened:
    """What `a_tray` opens on the desktop, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._written = folder / "opened"

    async def is_next(self, what: Path) -> None:
        await self._next(lambda line: line == str(what), str(what))

    async def is_page_next(self, place: str) -> None:
        """Of ours, on this computer."""
        address = re.compile(rf"http://127\.0\.0\.1:\d+/#[\w-]+/{place}")
        await self._next(lambda line: address.fullmatch(line) is not None, f"the page {place!r}")

    async def _next(self, is_it: Callable[[str], bool], what: str) -> None:
        def is_there() -> bool:
            return self._written.exists() and self._written.read_text().endswith("\n")

        await asyncio.to_thread(until, is_there, f"{what} is opened")
        [line] = self._written.read_text().splitlines()
        assert is_it(line), f"{what} was to be opened, not {line}"
        self._written.unlink()


@contextmanager
def stands_still(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
