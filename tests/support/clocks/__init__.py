"""A computer whose clock is wrong: the test's end of `clock.c`.

Owns: building the library, the environment of a program that is to believe such a clock, setting it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


def built(folder: Path) -> Path:
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"],
        check=True,
        capture_output=True,
    )
    return library


@dataclass(frozen=True)
class Clock:
    """setting: a file that says by how many seconds it is ahead."""

    library: Path
    setting: Path

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        return (("LD_PRELOAD", str(self.library)), ("MB_CLOCK_AHEAD", str(self.setting)))

    def set(self, seconds_ahead: int) -> None:
        """At once, also for what runs already."""
        new = self.setting.with_suffix(".new")
        new.write_text(f"{seconds_ahead}\n")
        new.replace(self.setting)
