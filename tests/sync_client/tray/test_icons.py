"""The pictures: told apart without colour, seen on light and on dark, the same as vectors and as pixels."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from PIL import Image, ImageDraw

from sync_client import screens
from sync_client.tray import icons
from sync_client.tray.pixels import Area, Disc, Line, Shape, pixels

LIGHT, DARK = (250, 250, 250), (30, 30, 34)


def grey_on(ground: tuple[int, int, int], state: str, size: int) -> list[float]:
    """How light each pixel is (0-255) on a panel of this colour."""
    pixels = icons.rgba(state, size)
    greys = []
    for at in range(0, len(pixels), 4):
        alpha = pixels[at + 3] / 255
        mixed = [pixels[at + one] * alpha + ground[one] * (1 - alpha) for one in range(3)]
        greys.append(0.2126 * mixed[0] + 0.7152 * mixed[1] + 0.0722 * mixed[2])
    return greys


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_there_is_one_for_each_state_that_is_shown() -> None:
    assert set(icons.STATES) == set(screens.WORDS)


@pytest.mark.parametrize("size", icons.SIZES)
def test_any_two_differ_by_their_shape_alone(size: int) -> None:
    for ground in (LIGHT, DARK):
        for one, other in combinations(icons.STATES, 2):
            pairs = zip(grey_on(ground, one, size), grey_on(ground, other, size), strict=True)
            different = sum(abs(a - b) > 60 for a, b in pairs)
            assert different >= size * size / 40, f"{one} and {other} at {size} pixels"


def test_the_mark_stands_out_on_black_and_on_white() -> None:
    mark = luminance(icons.MARK) + 0.05
    assert mark / 0.05 >= 3
    assert 1.05 / mark >= 3


@pytest.mark.parametrize("colour", [icons.GREEN, icons.BLUE, icons.AMBER, icons.RED, icons.GREY])
def test_what_is_drawn_upon_a_badge_stands_out_from_it(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


@pytest.mark.parametrize("state", icons.STATES)
def test_nothing_is_cut_off_at_the_edge_and_the_vectors_are_well_formed(state: str) -> None:
    root = ET.fromstring(icons.svg(state))
    assert root.get("viewBox") == "0 0 24 24"
    assert len(root) == len(icons.shapes(state))
    for shape in icons.shapes(state):
        for x, y, around in reach(shape):
            assert min(x, y) - around >= 0
            assert max(x, y) + around <= icons.GRID


def reach(shape: Shape) -> list[tuple[float, float, float]]:
    """Points, and how far it goes around each."""
    match shape:
        case Disc(centre=(x, y), radius=radius):
            return [(x, y, radius)]
        case Area(corners=corners):
            return [(x, y, 0) for x, y in corners]
        case Line(points=points, width=width):
            return [(x, y, width / 2) for x, y in points]


def test_the_panel_gets_alpha_first() -> None:
    pixels, swapped = icons.rgba("synced", 16), icons.argb("synced", 16)
    at = 4 * (16 * 8 + 3)
    assert swapped[at : at + 4] == bytes([pixels[at + 3], *pixels[at : at + 3]])


@pytest.mark.parametrize("state", icons.STATES)
def test_the_pixels_are_what_a_library_of_images_draws(state: str) -> None:
    """Of the same shapes; each has its own way with edges."""
    side, fine = 48, 8
    scale = side * fine / icons.GRID
    image = Image.new("RGBA", (side * fine, side * fine))
    draw = ImageDraw.Draw(image)
    for shape in icons.shapes(state):
        match shape:
            case Area(corners=corners, colour=colour):
                draw.polygon([(x * scale, y * scale) for x, y in corners], fill=colour)
            case Line(points=points, width=width, colour=colour):
                scaled = [(x * scale, y * scale) for x, y in points]
                draw.line(scaled, fill=colour, width=round(width * scale))
        for x, y, around in reach(shape) if not isinstance(shape, Area) else ():
            draw.ellipse(
                [scale * one for one in (x - around, y - around, x + around, y + around)], shape.colour
            )
    theirs, ours = image.resize((side, side), Image.Resampling.BOX).tobytes(), icons.rgba(state, side)
    apart = [abs(a - b) for a, b in zip(theirs[3::4], ours[3::4], strict=True)]  # how much of each is covered
    assert sum(apart) / len(apart) < 4
    inside = [at for at in range(0, len(ours), 4) if theirs[at + 3] == ours[at + 3] == 255]
    off = sum(max(abs(theirs[at + one] - ours[at + one]) for one in range(3)) > 64 for at in inside)
    assert off < len(inside) / 40


def test_what_covers_half_a_pixel_is_half_seen_and_what_lies_above_hides() -> None:
    left, above = Area(((0, 0), (1.5, 0), (1.5, 2), (0, 2)), "#102030"), Disc((0, 0), 9, "#ffffff")
    assert pixels([left], 2, 2) == (b"\x10\x20\x30\xff" + b"\x10\x20\x30\x80") * 2
    assert pixels([left, above], 2, 2) == b"\xff" * 16
    assert pixels([], 2, 1) == bytes(4)
