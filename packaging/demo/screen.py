"""What the demo prints.

Owns: the look of the lines, and how sizes and times are written.  May import: rich.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape

LABEL_WIDTH = 14


def as_size(size_bytes: int) -> str:
    """A size as a person reads it: "2.1 MB"; units of 1,000, as most file explorers show them."""
    if size_bytes < 1_000:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        size /= 1_000
        if size < 999.5 or unit == "GB":
            return f"{size:.1f} {unit}" if size < 99.5 else f"{size:.0f} {unit}"
    raise AssertionError("unreachable")


def as_seconds(seconds: float) -> str:
    return f"{seconds * 1_000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def as_count(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _console() -> Console:
    # Without a terminal rich would fold at 80 columns; what a log holds should not be folded at all.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


@dataclass(slots=True)
class Screen:
    """Headings, facts and ticks, one line each; colours only on a terminal."""

    console: Console = field(default_factory=_console)
    failures: list[str] = field(default_factory=list)

    def title(self, text: str, below: str) -> None:
        self.console.print(f"\n[bold]{escape(text)}[/]")
        self.console.print(f"[dim]{escape(below)}[/]")

    def heading(self, text: str) -> None:
        self.console.print(f"\n[bold]{escape(text)}[/]")

    def fact(self, label: str, text: str, aside: str = "") -> None:
        end = f" [dim]· {escape(aside)}[/]" if aside else ""
        self.console.print(f"  [cyan]{escape(label):<{LABEL_WIDTH}}[/]{escape(text)}{end}")

    def verbatim(self, text: str) -> None:
        """The output of a command, set in."""
        for line in text.rstrip().splitlines():
            self.console.print(f"  [dim]│[/] {escape(line)}".rstrip())

    def check(self, claim: str, problem: str | None) -> None:
        """A tick, or a cross with what is wrong; the demo ends with 1 if there was any cross."""
        if problem is None:
            self.console.print(f"  [green]✓[/] {escape(claim)}")
        else:
            self.failures.append(f"{claim}: {problem}")
            self.console.print(f"  [red]✗ {escape(claim)}[/]: {escape(problem)}")

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """A spinner while something takes its time; nothing where there is no terminal."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(f"[dim]{escape(text)} …[/]", spinner="dots"):
            yield


class Stopwatch:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._began
