"""What `make package` built: how large it is and how soon it answers: `python -m benchmarks.start_up dist`.

Owns: this one table, and its place in docs/performance.md (`--write`).  May import: benchmarks; runs hyperfine.

Warm: again and again.  Cold: before each run the system forgets what it had read of the program's files; not what it
had of its own libraries, so after a restart it takes longer still.  The page is warm: from nothing to its address, the
program that serves it started on the way.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.report import between

PAGE = Path(__file__).resolve().parents[1] / "docs/performance.md"
BEGIN = "<!-- start-up: begin (written by `python -m benchmarks.start_up dist --write`) -->"
END = "<!-- start-up: end -->"
FORGET = (
    "import os, sys\n"
    "for folder, _, names in os.walk(sys.argv[1]):\n"
    "    for name in names:\n"
    "        handle = os.open(os.path.join(folder, name), os.O_RDONLY)\n"
    "        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)\n"
)
END_WINDOW = "import os, signal, sys; os.kill(int(open(sys.argv[1]).read().split()[0]), signal.SIGTERM)"


@dataclass(frozen=True, slots=True)
class Built:
    """One program as people have it.  files: what the system reads of it.  size_bytes: as it lies there."""

    name: str
    program: Path
    files: Path
    quick: str  # a command that tells how things stand

    @property
    def size_bytes(self) -> int:
        if self.files.is_file():
            return self.files.stat().st_size
        return sum(path.lstat().st_size for path in self.files.rglob("*") if path.is_file())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start_up", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("dist", type=Path, help="where `make package` put it")
    parser.add_argument("--runs", type=int, default=10, help="of each (default: 10)")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    asked = parser.parse_args(arguments)
    if shutil.which("hyperfine") is None:
        sys.exit("hyperfine is not installed: Debian has a package of that name.")
    markdown = table(asked.dist.resolve(), asked.runs)
    if asked.write:
        PAGE.write_text(between(PAGE.read_text(), BEGIN, END, markdown))
    print(markdown)


def table(dist: Path, runs: int) -> str:
    [single] = dist.glob("mb-synclight-*-linux-*")
    programs = [
        Built("MB-Sync, a folder", dist / "programs/mb-sync/mb-sync", dist / "programs/mb-sync", "status"),
        Built(
            "MB-SyncLight, a folder",
            dist / "programs/mb-synclight/mb-synclight",
            dist / "programs/mb-synclight",
            "list",
        ),
        Built("MB-SyncLight, one file", single, single.parent / single.name, "list"),
    ]
    rows = ["| | size | package | `--version` | `status`, `list` | cold | its page |", "| -- |" + " -- |" * 6]
    for one in programs:
        with tempfile.TemporaryDirectory() as text:
            home = Path(text) / "home"
            command: list[str | Path] = [one.program, "--home", home]
            version = measured(runs, [one.program, "--version"])
            quick = measured(runs, [*command, one.quick])
            cold = measured(
                runs, [one.program, "--version"], [sys.executable, "-c", FORGET, one.files.parent]
            )
            page = ["settings"] if one.quick == "status" else ["--window"]
            lock = home / ("settings" if one.quick == "status" else "window") / "lock"
            window = measured(
                max(3, runs // 2),
                [*command, *page, "--no-browser"],
                [
                    "sh",
                    "-c",
                    shlex.join([sys.executable, "-c", END_WINDOW, str(lock)]) + " 2>/dev/null; sleep 0.3",
                ],
            )
            subprocess.run([sys.executable, "-c", END_WINDOW, lock], check=False, stderr=subprocess.DEVNULL)
        package = " · ".join(
            f"{form} {path.stat().st_size / 1e6:.0f} MB"
            for form in ("deb", "rpm")
            for path in dist.glob(f"{one.program.name}-*.{form}")
        )
        times = " | ".join(f"{clock:.2f} s, {cpu:.2f} CPU" for clock, cpu in (version, quick, cold, window))
        rows.append(f"| {one.name} | {one.size_bytes / 1e6:.0f} MB | {package or '–'} | {times} |")
    when = datetime.now().astimezone().strftime("%B %Y")
    busy = os.getloadavg()[0]
    head = (
        f"By the clock (median of {runs}) and of a processor, {os.cpu_count()} cores with a load of {busy:.0f},"
        f" {platform.system()} {platform.machine()}, {when}."
    )
    return "\n".join([head, "", *rows])


def measured(
    runs: int, command: Sequence[str | Path], before: Sequence[str | Path] | None = None
) -> tuple[float, float]:
    """Seconds of the whole command: by the clock, and of a processor.  before: what is run ahead of each."""
    with tempfile.NamedTemporaryFile(suffix=".json") as told:
        words = [
            "hyperfine",
            "--style",
            "none",
            "--runs",
            str(runs),
            "--export-json",
            told.name,
            "--shell=none",
        ]
        words += ["--warmup", "1"] if before is None else ["--prepare", shlex.join(map(str, before))]
        subprocess.run([*words, shlex.join(map(str, command))], check=True, stderr=subprocess.DEVNULL)
        [found] = json.load(told)["results"]
        return statistics.median(found["times"]), found["user"] + found["system"]


if __name__ == "__main__":
    main()
