"""The pictures: told apart without colour, seen on light and on dark, the same as vectors and as pixels."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from sync_client import screens
from sync_client.tray import icons

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


def reach(shape: icons.Shape) -> list[tuple[float, float, float]]:
    """Points, and how far it goes around each."""
    match shape:
        case icons.Disc(centre=(x, y), radius=radius):
            return [(x, y, radius)]
        case icons.Area(corners=corners):
            return [(x, y, 0) for x, y in corners]
        case icons.Line(points=points, width=width):
            return [(x, y, width / 2) for x, y in points]


def test_the_panel_gets_alpha_first() -> None:
    pixels, swapped = icons.rgba("synced", 16), icons.argb("synced", 16)
    at = 4 * (16 * 8 + 3)
    assert swapped[at : at + 4] == bytes([pixels[at + 3], *pixels[at : at + 3]])
