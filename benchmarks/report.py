"""The figures as a table, on the screen and in docs/performance.md.

Owns: what was measured, and how it is written down.  May import: the standard library.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

BEGIN, END = "<!-- bench: begin (written by `make bench`) -->", "<!-- bench: end -->"
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Measured:
    """One workload of one peer in one round.  problem: why there is no time."""

    seconds: float | None = None
    wire_bytes: int | None = None
    problem: str = ""


@dataclass(slots=True)
class Figures:
    peers: Sequence[str]
    workloads: dict[str, str]  # key: words
    rounds: int
    scale: float
    runs: dict[tuple[str, str], list[Measured]] = field(default_factory=dict)  # (workload, peer)
    memory: dict[tuple[str, str], int] = field(default_factory=dict)  # (peer, process): peak bytes

    def add(self, workload: str, peer: str, measured: Measured) -> None:
        self.runs.setdefault((workload, peer), []).append(measured)

    def remember_memory(self, peer: str, process: str, size_bytes: int) -> None:
        self.memory[peer, process] = max(size_bytes, self.memory.get((peer, process), 0))

    def seconds(self, workload: str, peer: str) -> float | None:
        times = [one.seconds for one in self.runs.get((workload, peer), []) if one.seconds is not None]
        return min(times, default=None)

    def wire(self, workload: str, peer: str) -> int | None:
        sizes = [one.wire_bytes for one in self.runs.get((workload, peer), []) if one.wire_bytes is not None]
        return min(sizes, default=None)

    def problems(self) -> list[str]:
        """Each said once, however many rounds it came in."""
        return list(
            dict.fromkeys(
                f"{workload}, {peer}: {one.problem}"
                for (workload, peer), runs in self.runs.items()
                for one in runs
                if one.problem
            )
        )


def as_markdown(figures: Figures) -> str:
    """Three tables: seconds (with ours against each peer), bytes on the wire, memory."""
    others = [peer for peer in figures.peers if peer != "ours"]
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}; the best of {figures.rounds} interleaved "
        f"round{'s' if figures.rounds > 1 else ''}"
        + ("." if figures.scale == 1 else f", at {figures.scale:g} of the full size: for a look only.")
    )
    parts = [
        head,
        "Seconds from the change in A until B holds it; in brackets ours divided by the peer's (below 1: faster).",
        _table(
            ["", "workload", *figures.peers],
            [
                [key, words, *(_seconds_cell(figures, key, peer) for peer in figures.peers)]
                for key, words in figures.workloads.items()
            ],
        ),
        "Bytes on the wire; ours goes A → server → B, and both hops are counted.",
        _table(
            ["", *figures.peers],
            [[key, *(_size(figures.wire(key, peer)) for peer in figures.peers)] for key in figures.workloads],
        ),
    ]
    if figures.memory:
        rows = [[peer, process, _size(size)] for (peer, process), size in sorted(figures.memory.items())]
        parts += ["Most memory that a process held.", _table(["", "process", "peak"], rows)]
    if problems := figures.problems():
        parts += ["Not measured:", "\n".join(f"* {problem}" for problem in problems)]
    if not others:
        parts.append("No peer was run beside ours: there is nothing to compare with.")
    return "\n\n".join(parts)


def write_into(page: Path, markdown: str) -> None:
    """Replace what stands between the two marks of the page."""
    page.write_text(between(page.read_text(), BEGIN, END, markdown))


def between(text: str, begin: str, end: str, markdown: str) -> str:
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    return f"{before}{begin}\n\n{markdown}\n\n{end}{after}"


def _seconds_cell(figures: Figures, workload: str, peer: str) -> str:
    seconds = figures.seconds(workload, peer)
    if seconds is None:
        return NOTHING
    ours = figures.seconds(workload, "ours")
    ratio = f" ({ours / seconds:.2g})" if ours is not None and peer != "ours" and seconds > 0 else ""
    return f"{seconds:.2f}{ratio}" if seconds >= 0.1 else f"{seconds:.3f}{ratio}"


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return NOTHING
    if size_bytes < 1024 * 1024:
        return f"{size_bytes / 1024:.1f} KiB"
    return f"{size_bytes / 1024 / 1024:.1f} MiB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    lines = [_line(head, widths), _line(["-" * width for width in widths], widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
