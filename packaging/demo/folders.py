"""What lies in the demo's folders.

Owns: reading a synced folder from the disk, telling two of them apart, finding words in bytes and names.
May import: the standard library.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

OURS = ".mb-sync"
_MADE_UID = re.compile(rb"2\.25\.\d+")  # new UIDs are random numbers, in which any date may come up


def contents(folder: Path) -> dict[str, bytes]:
    """Every file and folder below `folder`, by path, with the hash of its bytes (a folder has none)."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] == OURS:
            continue
        found[inside.as_posix()] = sha256(path.read_bytes()).digest() if path.is_file() else b""
    return found


def files_in(folder: Path) -> int:
    return sum(bool(digest) for digest in contents(folder).values())


def traces(words: Sequence[str], places: Iterable[Path]) -> list[str]:
    """Where any of `words` (ASCII) stands in a name or in the bytes below `places`, in any case, in UTF-8 or UTF-16.

    Everything counts, a program's own files and databases too.
    """
    wanted = {
        (word, word.lower().encode(code)) for word in words for code in ("utf-8", "utf-16-le", "utf-16-be")
    }
    found = set()
    for place in places:
        for path in (place, *sorted(place.rglob("*"))):
            text = os.fsencode(path.relative_to(place.parent)).lower()
            text += path.read_bytes().lower() if path.is_file() else b""
            numbers = _MADE_UID.sub(b"2.25.", text)
            found |= {
                f"{word!r} in {path.name}"
                for word, form in wanted
                if form in (numbers if word.isdecimal() else text)
            }
    return sorted(found)


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
