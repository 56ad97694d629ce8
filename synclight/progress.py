"""How far it has come, for people, on standard error: one moving line in a terminal, elsewhere a line now and then.

Owns: when something is said, and that it is said once.  May import: the standard library, sync_client.screens.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

from sync_client.screens import count_of, progress_line

PLAIN_SECONDS = 2.0  # a log is no place for an animation
MOVING_SECONDS = 0.1


class Teller:
    """stream: standard error."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._moves = self._stream.isatty()
        self._moving = ""
        self._told: dict[str, str] = {}
        self._next = 0.0 if self._moves else time.monotonic() + PLAIN_SECONDS

    def say(self, words: str) -> None:
        """A line that stays."""
        self._clear()
        print(words, file=self._stream, flush=True)

    def say_once(self, about: str, words: str) -> None:
        """The same, unless it was the last thing that was said about this."""
        if self._told.get(about) != words:
            self._told[about] = words
            self.say(words)

    def said(self, about: str) -> str | None:
        return self._told.get(about)

    def progress(self, progress: dict[str, Any]) -> None:
        self._move(progress_line(progress))

    def count(self, done: int, total: int) -> None:
        self._move(f"{done:,} of {count_of(total, 'file')}")
        if done == total:
            self._clear()

    def _move(self, line: str) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (MOVING_SECONDS if self._moves else PLAIN_SECONDS)
        if not self._moves:
            self.say_once("progress", line)
        elif line != self._moving:
            self._clear()
            self._moving = line[: shutil.get_terminal_size().columns - 1]
            print(self._moving, end="", file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._moving:
            print("\r\x1b[2K", end="", file=self._stream, flush=True)
            self._moving = ""
