"""What lies in the demo's folders.

Owns: reading a synced folder from the disk, and telling two of them apart.  May import: the standard library.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

OURS = ".mb-sync"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file and folder below `folder`, by path, with the hash of its bytes (a folder has none)."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] == OURS:
            continue
        found[inside.as_posix()] = sha256(path.read_bytes()).digest() if path.is_file() else b""
    return found


def difference(left: Path, right: Path) -> str | None:
    """None when both hold the same names and the same bytes, else the first things that differ."""
    one, other = contents(left), contents(right)
    paths = sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
    if not paths:
        return None
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(_words(path, one, other, left, right) for path in paths[:3]) + more


def _words(path: str, one: Mapping[str, bytes], other: Mapping[str, bytes], left: Path, right: Path) -> str:
    if path not in one:
        return f"{path} is only in {right.name}"
    return f"{path} is only in {left.name}" if path not in other else f"{path} differs"


def seconds_until_there(folder: Path, sizes: Mapping[str, int], *, limit_seconds: float) -> float | None:
    """How long until every file of `sizes` stands below `folder` with its size; None: too long."""
    began = time.monotonic()
    missing = list(sizes)
    while missing:
        path = folder / missing[-1]
        try:
            there = path.stat().st_size == sizes[missing[-1]]
        except OSError:
            there = False
        if there:
            missing.pop()
        elif time.monotonic() - began > limit_seconds:
            return None
        else:
            time.sleep(0.005)
    return time.monotonic() - began
