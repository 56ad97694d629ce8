"""Progress where there is no terminal: lines, not an animation."""

from __future__ import annotations

import io
from typing import Any

from sync_client.progress import shown_progress


def at(done: int) -> dict[str, Any]:
    return {
        "done_files": done,
        "total_files": 100,
        "done_bytes": done * 1_000,
        "total_bytes": 100_000,
        "bytes_per_second": 0,
    }


def test_a_log_gets_a_first_and_a_last_line_and_no_flood() -> None:
    stream = io.StringIO()
    with shown_progress(stream) as tell:
        for done in range(101):
            tell(at(done))
    assert stream.getvalue().splitlines() == [
        "0 of 100 files, 0 B of 100 kB",
        "100 of 100 files, 100 kB of 100 kB",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_leaves_nothing_behind() -> None:
    stream = Terminal()
    with shown_progress(stream) as tell:
        tell(at(50))
        tell(at(100))
    assert "100/100 files" in stream.getvalue()
