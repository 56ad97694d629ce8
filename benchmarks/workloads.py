"""The workloads: what lies in A, and what then changes.

Owns: the files of each workload, made from a seed, and the change whose arrival in B is timed.
May import: the standard library.

A change is made aside and moved into A in one rename, so that no peer's time holds the time of writing it.
Everything of a workload lies in one top folder; whatever a peer keeps beside it is not compared.
"""

from __future__ import annotations

import filecmp
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Scale:
    """1.0 is the full size; less makes fewer files, and a smaller big one, for a quick look."""

    factor: float

    def files(self, count: int) -> int:
        return max(10, round(count * self.factor))

    def mib(self, count: int) -> int:
        return max(4, round(count * self.factor))


Change = Callable[[], None]
Prepare = Callable[[Path, Path], Change]


@dataclass(frozen=True, slots=True)
class Workload:
    """prepare(a, aside): all that may be done before the clock runs, in `aside`, a free folder on the same disk;
    what it returns makes the change in A.  top: the folder to compare afterwards."""

    key: str
    words: str
    top: str
    prepare: Prepare
    gone: str = ""  # a path that must have left B
    repeats: int = 1  # more than one: the median is taken


@dataclass(frozen=True, slots=True)
class Session:
    """Workloads that follow each other in one pair of folders, begun with `before` (not timed)."""

    workloads: tuple[Workload, ...]
    before: tuple[Workload, ...] = ()
    large: bool = False  # a few huge files: its folders are removed at once, not at the end


def sessions(scale: Scale) -> tuple[Session, ...]:
    images = Workload(
        "W1",
        f"{scale.files(4_000):,} files of 128 KiB, half compressible",
        "images",
        _moved_in("images", lambda top: _many(top, scale.files(4_000), 128 * KIB, half_zeros=True)),
    )
    small = Workload(
        "W2",
        f"{scale.files(20_000):,} files of 2 KiB in 200 folders",
        "small",
        _moved_in("small", lambda top: _many(top, scale.files(20_000), 2 * KIB, half_zeros=False)),
    )
    big = Workload(
        "W3",
        f"one file of {scale.mib(1_024):,} MiB, random",
        "big",
        _moved_in("big", lambda top: _one_big(top, scale.mib(1_024))),
    )
    inserted = Workload("W4", "one byte inserted in its middle", "big", _insert_a_byte)
    renamed = Workload("W5", "the top folder of W2 renamed", "renamed", _rename_top, gone="small")
    nothing = Workload("W6", "nothing changed, W1 and W2 in place", "images", _nothing)
    single = Workload("W7", "one new 1 KiB file appears, median of 9", "single", _one_small, repeats=9)
    copied = Workload("W8", "a copy of W1 made inside A", "images copy", _copy_inside)
    return (
        Session((images, copied)),
        Session((small, renamed)),
        Session((big, inserted), large=True),
        Session((nothing, single), before=(images, small)),
    )


def _moved_in(name: str, write: Callable[[Path], None]) -> Prepare:
    def prepare(a: Path, aside: Path) -> Change:
        write(aside / name)
        return lambda: _move(aside / name, a / name)

    return prepare


def _move(source: Path, target: Path) -> None:
    source.rename(target)


def _many(top: Path, count: int, size: int, *, half_zeros: bool) -> None:
    """`count` files in 200 folders; with `half_zeros` the second half of each is compressible."""
    draw = random.Random(f"{count} {size}")
    for folder in range(200):
        (top / f"{folder:03}").mkdir(parents=True)
    for number in range(count):
        data = draw.randbytes(size // 2) + bytes(size // 2) if half_zeros else draw.randbytes(size)
        (top / f"{number % 200:03}" / f"file-{number:05}.bin").write_bytes(data)


def _one_big(top: Path, mib: int) -> None:
    draw = random.Random(mib)
    top.mkdir()
    with (top / "volume.raw").open("wb") as file:
        for _ in range(mib):
            file.write(draw.randbytes(MIB))


def _insert_a_byte(a: Path, aside: Path) -> Change:
    source, edited = a / "big" / "volume.raw", aside / "volume.raw"
    with source.open("rb") as old, edited.open("wb") as new:
        middle = source.stat().st_size // 2
        for _ in range(middle // MIB):
            new.write(old.read(MIB))
        new.write(old.read(middle % MIB) + b"!")
        shutil.copyfileobj(old, new, MIB)
    return lambda: _move(edited, source)


def _rename_top(a: Path, _aside: Path) -> Change:
    return lambda: _move(a / "small", a / "renamed")


def _nothing(_a: Path, _aside: Path) -> Change:
    return lambda: None


def _one_small(a: Path, aside: Path) -> Change:
    (a / "single").mkdir(exist_ok=True)
    number = sum(1 for _ in (a / "single").iterdir())
    (aside / "new.bin").write_bytes(random.Random(number).randbytes(KIB))
    return lambda: _move(aside / "new.bin", a / "single" / f"new-{number:03}.bin")


def _copy_inside(a: Path, aside: Path) -> Change:
    shutil.copytree(a / "images", aside / "images copy", copy_function=shutil.copyfile)
    return lambda: _move(aside / "images copy", a / "images copy")


def sizes_below(folder: Path) -> dict[str, int]:
    """Every file below `folder` by its path, with its size; quick, since it runs while the clock does."""
    found: dict[str, int] = {}
    waiting = [str(folder)]
    skip = len(str(folder)) + 1
    while waiting:
        with os.scandir(waiting.pop()) as inside:
            for one in inside:
                if one.is_dir(follow_symlinks=False):
                    waiting.append(one.path)
                else:
                    found[one.path[skip:]] = one.stat(follow_symlinks=False).st_size
    return found


def unlike(one: Path, other: Path) -> str | None:
    """None when both folders hold the same files with the same bytes, else the first that differs."""
    left, right = sizes_below(one), sizes_below(other)
    for path in sorted(left.keys() | right.keys()):
        if left.get(path) != right.get(path) or not filecmp.cmp(one / path, other / path, shallow=False):
            return path
    return None
