"""Directions and strengths of diffusion gradients beside a volume (.bval, .bvec): numbers in lines, and no others.

Owns: reading such a table within bounds, writing it again.
May import: the standard library, blocks.formats.

Source: FSL's and BIDS' text files of b values (s/mm²) and of directions, three lines or three columns.
"""

from __future__ import annotations

import re
from pathlib import Path

from blocks.formats.cleaned import Cleaned, Held, Task

MOST_BYTES = 4 << 20
LARGEST = 100_000.0  # s/mm²
_NUMBER = re.compile(r"[+-]?(\d{1,6}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,3})?")


def clean_gradients(source: Path, target: Path, task: Task) -> Cleaned:
    """Writes `target`, to the byte as before but for spaces and line ends.  Raises Held: it holds anything else."""
    if source.stat().st_size > MOST_BYTES:
        raise Held("too-large", "The file is larger than a table of gradients may be.")
    try:
        lines = source.read_bytes().decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise _no_table() from error
    rows = [row for line in lines if (row := line.split())]
    directions = "bvec" in task.path[-1].lower()
    most = 1.0 + 1e-3 if directions else LARGEST
    if not rows or any(
        not _NUMBER.fullmatch(word) or not -most <= float(word) <= most for row in rows for word in row
    ):
        raise _no_table()
    is_even = len({len(row) for row in rows}) == 1
    if (
        not is_even
        or (directions and 3 not in {len(rows), len(rows[0])})
        or not (directions or 1 in {len(rows), len(rows[0])})
    ):
        raise _no_table()
    target.write_text("".join(" ".join(row) + "\n" for row in rows), "ascii")
    return Cleaned(task.volume_place(".bvec" if directions else ".bval"))


def _no_table() -> Held:
    return Held("not-readable", "The file holds something else than a table of gradients.")
