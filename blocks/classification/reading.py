"""Facts out of a DICOM file's header.  The one module here that meets what a stranger wrote.

Owns: which attribute a fact is read from, also of makers' own; bounds.
May import: pydicom, blocks.classification, blocks.dicom.

Whatever is damaged counts as not there: a header with one bad attribute still has the others.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydicom.dataset import Dataset

from blocks.classification.facts import Code, Facts, Number, Said, Vector
from blocks.dicom import files

T = TypeVar("T")

_TEXTS = ("SeriesDescription", "ProtocolName", "PulseSequenceName", "AcquisitionProtocolDescription")
_STUDY_TEXTS = (
    "StudyDescription",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "PerformedProcedureTypeDescription",
)
_REASONS = (
    "ReasonForStudy",
    "ReasonForTheRequestedProcedure",
    "AdmittingDiagnosesDescription",
    "AdditionalPatientHistory",
    "MedicalAlerts",
)
_CODED_REASONS = (
    "ReasonForRequestedProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "AdmittingDiagnosesCodeSequence",
)
_CODED_STUDY = ("RequestedProcedureCodeSequence", "ProcedureCodeSequence", "PerformedProtocolCodeSequence")
_SIDES = ("ImageLaterality", "Laterality", "FrameLaterality")
_SCHEMES = {"SCT", "SRT", "SNM3", "99SDM"}
_MOST_FRAMES = 5_000  # that are looked into
_MOST_ITEMS = 20
_MOST_TEXT = 1_000
_MAKERS = (  # of b-values: creator, group, element
    ("SIEMENS MR HEADER", 0x0019, 0x0C, "0019,100C"),
    ("GEMS_PARM_01", 0x0043, 0x39, "0043,1039"),
    ("Philips Imaging DD 001", 0x2001, 0x03, "2001,1003"),
)
_GE_OFFSET = 1_000_000_000  # that newer scanners of GE add
_MOST_B = 100_000
_MOST_COUNTED = 100_000  # no date and no telephone number


def read_facts(path: Path) -> Facts:
    """Raises blocks.dicom.files.Unreadable: it is no DICOM file that could be read."""
    return facts_of(files.read(path, pixels=False))


def facts_of(dataset: Dataset) -> Facts:
    groups = _Groups(dataset)
    mr = _number(groups.first("MREchoSequence"), "EffectiveEchoTime")
    timing = groups.first("MRTimingAndRelatedParametersSequence")
    modifier = groups.first("MRModifierSequence")
    anatomy = groups.first("FrameAnatomySequence")
    measures = groups.first("PixelMeasuresSequence")
    agents = _items(dataset, "ContrastBolusAgentSequence")
    usage = groups.first("ContrastBolusUsageSequence")
    segments = _items(dataset, "SegmentSequence")
    return Facts(
        sop_class=_text(dataset, "SOPClassUID") or _class_in_header(dataset),
        modality=_text(dataset, "Modality").upper(),
        image_type=_words(dataset, "ImageType"),
        body_parts=tuple(_said(dataset, ("BodyPartExamined",))),
        anatomy=(
            *_codes(dataset, "AnatomicRegionSequence"),
            *_codes(anatomy, "AnatomicRegionSequence"),
        ),
        structures=(
            *_codes(dataset, "PrimaryAnatomicStructureSequence"),
            *(code for item in segments for code in _codes(item, "SegmentedPropertyTypeCodeSequence")),
            *(code for item in segments for code in _codes(item, "AnatomicRegionSequence")),
            *(code for keyword in _CODED_REASONS for code in _codes(dataset, keyword)),
        ),
        sides=(*_said(dataset, _SIDES), *_said(anatomy, ("FrameLaterality",))),
        texts=tuple(_said(dataset, _TEXTS)),
        study_texts=(*_said(dataset, _STUDY_TEXTS), *_meanings(dataset, _CODED_STUDY)),
        reasons=(*_said(dataset, _REASONS), *_meanings(dataset, _CODED_REASONS)),
        coil=_text(dataset, "ReceiveCoilName"),
        scanning=frozenset(_words(dataset, "ScanningSequence")) or _pulses(dataset),
        scan_options=frozenset(_words(dataset, "ScanOptions")),
        sequence_name=_text(dataset, "SequenceName"),
        acquisition_contrast=_text(dataset, "AcquisitionContrast").upper(),
        acquisition_type=_text(dataset, "MRAcquisitionType").upper(),
        repetition_time=_number(dataset, "RepetitionTime") or _number(timing, "RepetitionTime"),
        echo_time=_number(dataset, "EchoTime") or mr,
        inversion_time=_number(dataset, "InversionTime") or _number(modifier, "InversionTimes"),
        flip_angle=_number(dataset, "FlipAngle") or _number(timing, "FlipAngle"),
        field_strength=_tesla(_number(dataset, "MagneticFieldStrength")),
        suppression=_first_text("SpectrallySelectedSuppression", dataset, modifier),
        excitation=_first_text("SpectrallySelectedExcitation", dataset, modifier),
        b_values=_b_values(dataset, groups),
        echo_numbers=tuple(int(number) for number in _numbers(dataset, "EchoNumbers") if 0 < number < 1_000),
        temporal_positions=_count(dataset, "NumberOfTemporalPositions"),
        temporal_position=_count(dataset, "TemporalPositionIdentifier"),
        contrast_agent=_text(dataset, "ContrastBolusAgent") or None,
        contrast_agents=len(agents),
        contrast_given=_text(usage, "ContrastBolusAgentAdministered").upper(),
        contrast_volume=_number(dataset, "ContrastBolusVolume"),
        contrast_route=_text(dataset, "ContrastBolusRoute"),
        orientations=_orientations(dataset, groups),
        position=_vector(dataset, "ImagePositionPatient", 3),
        spacing=_vector(dataset, "PixelSpacing", 2),
        thickness=_number(dataset, "SliceThickness") or _number(measures, "SliceThickness"),
        slice_spacing=_number(dataset, "SpacingBetweenSlices") or _number(measures, "SpacingBetweenSlices"),
        rows=_count(dataset, "Rows") or 0,
        columns=_count(dataset, "Columns") or 0,
        frames=_count(dataset, "NumberOfFrames"),
        mosaic=_mosaic(dataset),
    )


class _Groups:
    """The functional groups of a multi-frame object: what all frames share, then what each has."""

    def __init__(self, dataset: Dataset) -> None:
        self._shared = _items(dataset, "SharedFunctionalGroupsSequence")[:1]
        self._frames = _items(dataset, "PerFrameFunctionalGroupsSequence", most=_MOST_FRAMES)

    def every(self, keyword: str) -> Iterator[Dataset]:
        for group in (*self._shared, *self._frames):
            yield from _items(group, keyword)[:1]

    def first(self, keyword: str) -> Dataset:
        return next(self.every(keyword), Dataset())


# ---- one attribute ---------------------------------------------------------------------------------------


def _safely(work: Callable[[], T], otherwise: T) -> T:
    """A damaged attribute is one that is not there."""
    try:
        return work()
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception:
        return otherwise


def _raw(dataset: Dataset, keyword: str) -> Any:
    return _safely(lambda: dataset.get(keyword), None)


def _text(dataset: Dataset, keyword: str) -> str:
    value = _raw(dataset, keyword)
    return "" if value is None else _safely(lambda: str(value), "")[:_MOST_TEXT].strip()


def _first_text(keyword: str, *datasets: Dataset) -> str:
    return next((text.upper() for one in datasets if (text := _text(one, keyword))), "")


def _several(dataset: Dataset, keyword: str) -> list[Any]:
    value = _raw(dataset, keyword)
    if value is None or value == "":
        return []
    if isinstance(value, str | bytes | float | int):
        return [value]
    return _safely(lambda: list(value)[:_MOST_TEXT], [value])


def _words(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    return tuple(
        _safely(lambda: str(one)[:64].strip().upper(), "")  # noqa: B023 - called at once
        for one in _several(dataset, keyword)
    )


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    found = (_safely(lambda: float(one), math.nan) for one in _several(dataset, keyword))  # noqa: B023 - called at once
    return [number for number in found if math.isfinite(number)]


def _number(dataset: Dataset, keyword: str) -> float | None:
    return next(iter(_numbers(dataset, keyword)), None)


def _count(dataset: Dataset, keyword: str) -> int | None:
    number = _number(dataset, keyword)
    return int(number) if number is not None and 0 < number <= _MOST_COUNTED else None


def _vector(dataset: Dataset, keyword: str, length: int) -> Vector:
    numbers = tuple(_numbers(dataset, keyword))
    return numbers if len(numbers) == length else ()


def _items(dataset: Dataset, keyword: str, *, most: int = _MOST_ITEMS) -> list[Dataset]:
    value = _raw(dataset, keyword)
    if value is None or isinstance(value, str | bytes):
        return []
    found: Sequence[Any] = _safely(lambda: [value[place] for place in range(min(len(value), most))], [])
    return [item for item in found if isinstance(item, Dataset)]


# ---- several together ------------------------------------------------------------------------------------


def _said(dataset: Dataset, keywords: Sequence[str]) -> Iterator[Said]:
    for keyword in keywords:
        if text := _text(dataset, keyword):
            yield Said(keyword, text)


def _codes(dataset: Dataset, keyword: str) -> Iterator[Code]:
    for item in _items(dataset, keyword):
        if _text(item, "CodingSchemeDesignator").upper() in _SCHEMES:
            yield Code(keyword, _text(item, "CodeValue"))


def _meanings(dataset: Dataset, keywords: Sequence[str]) -> Iterator[Said]:
    for keyword in keywords:
        for item in _items(dataset, keyword):
            if text := _text(item, "CodeMeaning"):
                yield Said(keyword, text)


def _class_in_header(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    return _text(meta, "MediaStorageSOPClassUID") if isinstance(meta, Dataset) else ""


def _pulses(dataset: Dataset) -> frozenset[str]:
    """What enhanced MR says in other words."""
    found = set()
    pulses = _text(dataset, "EchoPulseSequence").upper()
    if pulses in {"SPIN", "BOTH"}:
        found.add("SE")
    if pulses in {"GRADIENT", "BOTH"}:
        found.add("GR")
    if _text(dataset, "InversionRecovery").upper() == "YES":
        found.add("IR")
    if _text(dataset, "EchoPlanarPulseSequence").upper() == "YES":
        found.add("EP")
    return frozenset(found)


def _tesla(strength: float | None) -> float | None:
    """Some scanners say gauss."""
    return strength / 10_000 if strength is not None and strength > 100 else strength


def _orientations(dataset: Dataset, groups: _Groups) -> tuple[Vector, ...]:
    found: dict[Vector, None] = {}
    for one in (dataset, *groups.every("PlaneOrientationSequence")):
        if vector := _vector(one, "ImageOrientationPatient", 6):
            found[tuple(round(part, 3) for part in vector)] = None
    return tuple(found)


def _b_values(dataset: Dataset, groups: _Groups) -> tuple[Number, ...]:
    found: dict[Number, None] = {}
    for one in (dataset, *groups.every("MRDiffusionSequence")):
        number = _number(one, "DiffusionBValue")
        if number is not None and 0 <= number <= _MOST_B:
            found[Number("DiffusionBValue", number)] = None
    if not found:
        for creator, group, element, tag in _MAKERS:
            number = _safely(lambda: _private_number(dataset, creator, group, element), None)  # noqa: B023 - called at once
            if number is not None and 0 <= number <= _MOST_B:
                found[Number(tag, number)] = None
    return tuple(found)


def _private_number(dataset: Dataset, creator: str, group: int, element: int) -> float | None:
    block = dataset.private_block(group, creator)
    value = block[element].value
    if isinstance(value, bytes):  # kept as unknown
        text = value.decode("ascii", "ignore").strip(" \0")
        try:
            number = float(text.split("\\")[0])
        except ValueError:
            if len(value) != 4:
                return None
            [number] = struct.unpack("<f", value)
    else:
        number = float(value if isinstance(value, str | int | float) else value[0])
    return number % _GE_OFFSET if math.isfinite(number) else None


def _mosaic(dataset: Dataset) -> int | None:
    number = _safely(lambda: _private_number(dataset, "SIEMENS MR HEADER", 0x0019, 0x0A), None)
    return int(number) if number is not None and 0 < number < 10_000 else None
