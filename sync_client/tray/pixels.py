"""Shapes as pixels, smooth at their edges, in a few milliseconds and with nothing but the standard library.

Owns: the three shapes that icons are made of, and how they are filled.
May import: the standard library.

A library of images does this too, and made half of MB-SyncLight's one file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, hypot, sqrt

FINE = 4  # each pixel is looked at in so many squared places

Point = tuple[float, float]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Disc:
    centre: Point
    radius: float
    colour: str


@dataclass(frozen=True, slots=True)
class Area:
    """A filled polygon."""

    corners: tuple[Point, ...]
    colour: str


@dataclass(frozen=True, slots=True)
class Line:
    """A stroke with round ends and joints."""

    points: tuple[Point, ...]
    width: float
    colour: str


Shape = Disc | Area | Line


def pixels(shapes: Sequence[Shape], grid: float, size: int) -> bytes:
    """size x size pixels, row by row from the top: red, green, blue, alpha, one byte each.

    shapes: on a grid of so many units a side; the back comes first.  What none of them covers is clear.
    """
    filled = [part for shape in shapes for part in _filled(shape)]
    colours = sorted({part.colour for part in filled})
    places, scale = size * FINE, size * FINE / grid
    paint = [(part, bytes([1 + colours.index(part.colour)])) for part in filled]
    mixed = [(0, 0, 0), *(tuple(bytes.fromhex(colour[1:])) for colour in colours)]
    found = bytearray()
    for row in range(size):
        lines = []
        for fine in range(FINE):
            line = bytearray(places)  # of each place which colour it has; 0 is none
            for part, colour in paint:
                for left, right in _spans(part, (row * FINE + fine + 0.5) / scale):
                    begin, end = ceil(left * scale - 0.5), ceil(right * scale - 0.5)
                    line[begin:end] = colour * (end - begin)
            lines.append(line)
        for column in range(0, places, FINE):
            seen = b"".join(line[column : column + FINE] for line in lines)
            found += _mean(seen, mixed)
    return bytes(found)


def _mean(seen: bytes, mixed: Sequence[tuple[int, ...]]) -> bytes:
    """Of the covered places the colour, of all of them how much is covered."""
    covered = len(seen) - seen.count(0)
    if not covered:
        return bytes(4)
    counts = [(mixed[one], seen.count(one)) for one in set(seen) - {0}]
    parts = (sum(colour[at] * count for colour, count in counts) for at in range(3))
    return bytes([*(round(part / covered) for part in parts), round(255 * covered / len(seen))])


def _filled(shape: Shape) -> Iterator[Disc | Area]:
    """A stroke is a slab for each of its parts, and a disc at each of its points."""
    if not isinstance(shape, Line):
        yield shape
        return
    half = shape.width / 2
    for (x1, y1), (x2, y2) in pairwise(shape.points):
        length = hypot(x2 - x1, y2 - y1)
        across, down = half * (y1 - y2) / length, half * (x2 - x1) / length
        corners = (
            (x1 + across, y1 + down),
            (x2 + across, y2 + down),
            (x2 - across, y2 - down),
            (x1 - across, y1 - down),
        )
        yield Area(corners, shape.colour)
    for point in shape.points:
        yield Disc(point, half, shape.colour)


def _spans(part: Disc | Area, y: float) -> list[Span]:
    """From where to where it reaches at this height."""
    if isinstance(part, Disc):
        x, rest = part.centre[0], part.radius**2 - (y - part.centre[1]) ** 2
        return [(x - sqrt(rest), x + sqrt(rest))] if rest > 0 else []
    crossed = sorted(
        x1 + (y - y1) / (y2 - y1) * (x2 - x1)
        for (x1, y1), (x2, y2) in pairwise((*part.corners, part.corners[0]))
        if (y1 <= y) != (y2 <= y)
    )
    return list(zip(crossed[::2], crossed[1::2], strict=True))
