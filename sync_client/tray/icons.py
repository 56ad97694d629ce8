"""The icon in the tray: one picture per state, told apart by shape; colour only helps.

Owns: the pictures, as shapes on a grid of 24 units, and how they become SVG text.
May import: the standard library, pixels.

All stand on light and dark panels: the mark's grey has a contrast of at least 3:1 to white and to black, and each
badge carries its own ground (WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import cos, radians, sin

from sync_client.tray.pixels import Area, Disc, Line, Point, Shape, pixels

GRID = 24
SIZES = (16, 22, 24, 32, 48)  # pixels: what panels ask for

MARK = "#7d8590"
WHITE = "#ffffff"
GREEN, BLUE, AMBER, RED, GREY = "#1a7f37", "#1f6feb", "#9a6700", "#cf222e", "#6e7781"

_BADGE = (16.5, 16.5)
_BADGE_RADIUS = 6.4

# Two blocks, one upon the other, with the cross of medicine upon them.
_BLOCKS: tuple[Shape, ...] = (
    Area(((2, 7), (12, 2), (22, 7), (12, 12)), MARK),
    Area(((2, 9), (11, 13.5), (11, 22), (2, 17.5)), MARK),
    Area(((22, 9), (13, 13.5), (13, 22), (22, 17.5)), MARK),
    Line(((12, 4.6), (12, 9.4)), 1.7, WHITE),
    Line(((8.2, 7), (15.8, 7)), 1.7, WHITE),
)


def _badge(colour: str, *signs: Shape) -> tuple[Shape, ...]:
    return (Disc(_BADGE, _BADGE_RADIUS + 1, WHITE), Disc(_BADGE, _BADGE_RADIUS, colour), *signs)


def _stroke(*points: Point, width: float = 1.9) -> Line:
    return Line(points, width, WHITE)


def _arc(begins: int, ends: int) -> tuple[Point, ...]:
    """Part of a circle around the badge's middle; degrees, clockwise from the right."""
    turns = (radians(begins + (ends - begins) * step / 8) for step in range(9))
    return tuple((_BADGE[0] + 3.6 * cos(turn), _BADGE[1] + 3.6 * sin(turn)) for turn in turns)


_BADGES: dict[str, tuple[Shape, ...]] = {
    "synced": _badge(GREEN, _stroke((13.5, 16.7), (15.7, 18.8), (19.6, 14.4))),
    "syncing": _badge(
        BLUE,
        Line(_arc(195, 320), 1.7, WHITE),
        Area(((20.9, 12.7), (21.1, 16.6), (17.7, 15.2)), WHITE),
        Line(_arc(15, 140), 1.7, WHITE),
        Area(((12.1, 20.3), (11.9, 16.4), (15.3, 17.8)), WHITE),
    ),
    "paused": _badge(
        GREY, _stroke((14.7, 13.9), (14.7, 19.1), width=2.2), _stroke((18.3, 13.9), (18.3, 19.1), width=2.2)
    ),
    "offline": (
        Disc(_BADGE, _BADGE_RADIUS + 1, WHITE),
        Disc(_BADGE, _BADGE_RADIUS, GREY),
        Disc(_BADGE, 4.3, WHITE),
        Line(((12.5, 20.5), (20.5, 12.5)), 2.2, GREY),
    ),
    "attention": (
        Area(((16.5, 7.1), (23.5, 23.1), (9.5, 23.1)), WHITE),
        Area(((16.5, 9.3), (22.3, 22.3), (10.7, 22.3)), AMBER),
        _stroke((16.5, 14.1), (16.5, 17.7)),
        Disc((16.5, 20.3), 1.15, WHITE),
    ),
    "error": _badge(RED, _stroke((14, 14), (19, 19)), _stroke((19, 14), (14, 19))),
    "starting": _badge(GREY, *(Disc((x, 16.5), 1.2, WHITE) for x in (13.1, 16.5, 19.9))),
}
STATES = tuple(_BADGES)
EXCLUDED = _badge(
    GREY, _stroke((13.3, 16.5), (19.7, 16.5), width=2.2)
)  # of a file alone: no state of MB-Sync
_FOLDER: tuple[Shape, ...] = (
    Area(((1.5, 4), (9, 4), (11, 6.5), (22.5, 6.5), (22.5, 20.5), (1.5, 20.5)), "#57606a"),
    Area(((1.5, 8.5), (22.5, 8.5), (22.5, 20.5), (1.5, 20.5)), MARK),
    Area(((12, 10), (17.5, 12.7), (12, 15.4), (6.5, 12.7)), WHITE),
    Area(((6.5, 13.9), (11.4, 16.4), (11.4, 19.6), (6.5, 17.2)), WHITE),
    Area(((17.5, 13.9), (12.6, 16.4), (12.6, 19.6), (17.5, 17.2)), WHITE),
)


def shapes(state: str) -> tuple[Shape, ...]:
    """state: one of STATES; the back comes first."""
    return _BLOCKS + _BADGES[state]


def emblem(state: str) -> str:
    """The badge alone, for the corner of a file's picture.  state: one of STATES, or "excluded"."""
    return drawing(EXCLUDED if state == "excluded" else _BADGES[state], corner=9, side=15)


def folder() -> str:
    """A folder that is followed."""
    return drawing(_FOLDER)


def svg(state: str) -> str:
    """The picture as a document of its own."""
    return drawing(shapes(state))


def mark() -> str:
    """The program's own picture, for menus of programs: no state, and in colour."""
    return drawing([replace(shape, colour=BLUE) if shape.colour == MARK else shape for shape in _BLOCKS])


def drawing(those: Sequence[Shape], *, corner: float = 0, side: float = GRID) -> str:
    """Shapes as a document: of the grid the square that begins at (corner, corner)."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{corner:g} {corner:g} {side:g} {side:g}">\n'
        + "".join(f"  {_element(shape)}\n" for shape in those)
        + "</svg>\n"
    )


def _element(shape: Shape) -> str:
    match shape:
        case Disc(centre=(x, y), radius=radius, colour=colour):
            return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{colour}"/>'
        case Area(corners=corners, colour=colour):
            return f'<polygon points="{_points(corners)}" fill="{colour}"/>'
        case Line(points=points, width=width, colour=colour):
            return (
                f'<polyline points="{_points(points)}" fill="none" stroke="{colour}" stroke-width="{width:g}"'
                ' stroke-linecap="round" stroke-linejoin="round"/>'
            )


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


@lru_cache(maxsize=64)
def rgba(state: str, size: int) -> bytes:
    """As `pixels`.  state: one of STATES."""
    return pixels(shapes(state), GRID, size)


def argb(state: str, size: int) -> bytes:
    """As StatusNotifierItem wants it: alpha first (ARGB32 in network byte order)."""
    found = rgba(state, size)
    mixed = bytearray(len(found))
    for target, source in enumerate((3, 0, 1, 2)):
        mixed[target::4] = found[source::4]
    return bytes(mixed)
