"""Rules for how the picture lies and of what it consists: plane, 2D or 3D, derived, counts.

Owns: these rules.
May import: the standard library, blocks.classification.

Sources: PS3.3 C.7.6.2.1.1 (orientation), C.7.6.1.1.2 (type of the image), C.8.3.1 (MR).
"""

from __future__ import annotations

from collections.abc import Iterator

from blocks.classification import lexicon
from blocks.classification.clues import Clue, Finding, clue, decide
from blocks.classification.facts import Facts, Vector

_NEAR = 0.9  # of the normal along an axis: within 26 degrees
_PLANES = ("sagittal", "coronal", "axial")  # the normal along x, y, z
_THIN_MM = 1.5
_PROJECTIONS = {"CR", "DX", "MG", "RF", "XA", "IO", "PX", "NM", "US", "OT", "SC"}  # no slices
_MOST_VALUES = 64  # b-values of one file that are told


def plane(facts: Facts) -> list[Finding]:
    return decide("plane", _plane_clues(facts))


def _plane_clues(facts: Facts) -> Iterator[Clue]:
    if facts.modality in _PROJECTIONS:
        return
    planes = {name for one in facts.orientations if (name := plane_of(one))}
    if planes:
        value = planes.pop() if len(planes) == 1 else "several"
        yield clue(value, "orientation", "ImageOrientationPatient", confidence=0.97)
    if facts.is_derived and planes:
        return
    for said in facts.texts:
        if values := lexicon.words("plane", said.text):
            sure = 0.6 if said.source == "SeriesDescription" else 0.45
            if facts.is_derived:
                sure = 0.4  # a name that it has from what it was made of
            yield Clue(values if "oblique" not in values else (), "lexicon", (said.source,), sure)


def plane_of(orientation: Vector) -> str:
    """By the normal of row and column; "" if they span no plane."""
    (a, b, c), (d, e, f) = orientation[:3], orientation[3:6]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    length = sum(part * part for part in normal) ** 0.5
    if not 0.5 < length < 2:
        return ""
    for name, part in zip(_PLANES, normal, strict=True):
        if abs(part) / length > _NEAR:
            return name
    return "oblique"


def dimension(facts: Facts) -> list[Finding]:
    clues = []
    if facts.acquisition_type in {"2D", "3D"}:
        value = facts.acquisition_type.lower()
        clues.append(clue(value, "acquisition-type", "MRAcquisitionType", confidence=0.95))
    elif _is_thin_without_gap(facts):
        sources = ("SliceThickness", "SpacingBetweenSlices")
        clues.append(Clue(("3d",), "thin-without-gap", sources, 0.6))
    return decide("dimension", clues)


def _is_thin_without_gap(facts: Facts) -> bool:
    thick, apart = facts.thickness, facts.slice_spacing
    return bool(thick and apart and abs(thick - apart) < 0.01 and thick <= _THIN_MM)


def derived(facts: Facts) -> list[Finding]:
    first = facts.image_type[:1]
    if first not in {("ORIGINAL",), ("DERIVED",)}:
        return []
    value = "yes" if facts.is_derived else "no"
    return decide("derived", [clue(value, "image-type", "ImageType", confidence=0.95)])


def counts(facts: Facts) -> Iterator[Finding]:
    """What belongs to this file alone; how many there are in a series is for whoever sees all of them."""
    if facts.frames is not None:
        yield _number("frames", facts.frames, "NumberOfFrames")
    elif facts.rows and facts.columns:
        yield _number("frames", 1, "Rows")
    if facts.mosaic is not None:
        yield _number("slices", facts.mosaic, "0019,100A")
    told = dict.fromkeys((number.source, round(number.value)) for number in facts.b_values)
    for source, value in list(told)[:_MOST_VALUES]:
        yield _number("b-value", value, source)
    for echo in facts.echo_numbers[:_MOST_VALUES]:
        yield _number("echo-number", echo, "EchoNumbers")
    if facts.temporal_position is not None:
        yield _number("temporal-position", facts.temporal_position, "TemporalPositionIdentifier")
    if facts.temporal_positions is not None:
        yield _number("time-points", facts.temporal_positions, "NumberOfTemporalPositions")


def _number(name: str, value: int, source: str) -> Finding:
    return Finding(name, str(value), "header", (source,), 1.0)
