"""What the rules look at: facts of one image's header, each with the attribute that it stands in.

Owns: their shape.
May import: the standard library.

A value is as the header says it, never checked against another: that is for the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Vector = tuple[float, ...]


class Said(NamedTuple):
    """source: the attribute's keyword in the standard, or its tag."""

    source: str
    text: str


class Code(NamedTuple):
    """A coded entry: SNOMED CT or its older form, or an entry of DICOM's own."""

    source: str
    value: str


class Number(NamedTuple):
    source: str
    value: float


@dataclass(frozen=True, slots=True)
class Facts:
    """None or empty: the header does not say it, or it is damaged.  Times in ms, lengths in mm, angles in degrees.

    texts: of the series.  study_texts: of the whole study, which may cover more than this series.  reasons: why it was
    asked for.  orientations: row and column of each distinct plane, six numbers.  anatomy, structures: coded.
    """

    sop_class: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    body_parts: tuple[Said, ...] = ()
    anatomy: tuple[Code, ...] = ()
    structures: tuple[Code, ...] = ()
    sides: tuple[Said, ...] = ()
    texts: tuple[Said, ...] = ()
    study_texts: tuple[Said, ...] = ()
    reasons: tuple[Said, ...] = ()
    coil: str = ""

    scanning: frozenset[str] = frozenset()
    scan_options: frozenset[str] = frozenset()
    sequence_name: str = ""
    acquisition_contrast: str = ""
    acquisition_type: str = ""
    repetition_time: float | None = None
    echo_time: float | None = None
    inversion_time: float | None = None
    flip_angle: float | None = None
    field_strength: float | None = None  # tesla
    suppression: str = ""
    excitation: str = ""
    b_values: tuple[Number, ...] = ()
    echo_numbers: tuple[int, ...] = ()
    temporal_positions: int | None = None
    temporal_position: int | None = None

    contrast_agent: str | None = None
    contrast_agents: int = 0  # coded entries
    contrast_given: str = ""  # YES or NO, of coded entries
    contrast_volume: float | None = None
    contrast_route: str = ""

    orientations: tuple[Vector, ...] = ()
    position: Vector = ()
    spacing: Vector = ()
    thickness: float | None = None
    slice_spacing: float | None = None
    rows: int = 0
    columns: int = 0
    frames: int | None = None
    mosaic: int | None = None  # slices beside each other in one picture

    @property
    def is_derived(self) -> bool:
        return self.image_type[:1] == ("DERIVED",)
