"""The attributes of files that the catalog knows: keywords of the DICOM standard, each with the kind of its value.

Owns: that list, which stands for "nothing else is taken over from a file"; the check of a value.  Pure.
May import: protocol.

Recordings and volumes in other formats are described by the same keywords, where the standard has one for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from enum import Enum

from protocol.errors import Refused
from protocol.limits import MAX_ATTRIBUTE_TEXT, MAX_ATTRIBUTE_VALUES

Value = str | int | float
Values = tuple[Value, ...]


class AttributeKind(Enum):
    TEXT = "text"  # words of people, looked through by `text`
    CODE = "code"
    UID = "uid"
    DATE = "date"  # YYYYMMDD
    NUMBER = "number"
    WHOLE = "whole"


_KEYWORDS: Mapping[AttributeKind, str] = {
    AttributeKind.TEXT: """
        PatientID Manufacturer ManufacturerModelName StudyDescription SeriesDescription ProtocolName
        BodyPartExamined SequenceName ContrastBolusAgent ReceiveCoilName
    """,
    AttributeKind.CODE: """
        Modality PatientSex PatientPosition Laterality ImageLaterality ImageType ScanningSequence SequenceVariant
        ScanOptions MRAcquisitionType PhotometricInterpretation ConversionType
    """,
    AttributeKind.UID: "StudyInstanceUID SeriesInstanceUID SOPInstanceUID SOPClassUID FrameOfReferenceUID",
    AttributeKind.DATE: "StudyDate SeriesDate AcquisitionDate",
    AttributeKind.NUMBER: """
        SliceThickness SpacingBetweenSlices PixelSpacing EchoTime RepetitionTime InversionTime FlipAngle
        MagneticFieldStrength PixelBandwidth ImagingFrequency DiffusionBValue KVP XRayTubeCurrent
        SamplingFrequency AcquisitionDuration
    """,
    AttributeKind.WHOLE: """
        SeriesNumber AcquisitionNumber InstanceNumber EchoNumbers EchoTrainLength Rows Columns NumberOfFrames
        SamplesPerPixel BitsAllocated BitsStored NumberOfWaveformChannels
    """,
}
KINDS: Mapping[str, AttributeKind] = {
    keyword: kind for kind, keywords in _KEYWORDS.items() for keyword in keywords.split()
}
BY_LOWER: Mapping[str, str] = {keyword.casefold(): keyword for keyword in KINDS}

_CODE = re.compile(r"[A-Za-z0-9 _.+/-]{1,64}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_DATE = re.compile(r"[0-9]{8}")
_MOST_WHOLE = 1 << 53  # what a float of a database's index still tells apart


def is_value(kind: AttributeKind, value: object) -> bool:
    """Whether it can be one value of an attribute of this kind."""
    match kind:
        case AttributeKind.TEXT:
            return _is_text(value)
        case AttributeKind.CODE:
            return isinstance(value, str) and _CODE.fullmatch(value) is not None
        case AttributeKind.UID:
            return isinstance(value, str) and len(value) <= 64 and _UID.fullmatch(value) is not None
        case AttributeKind.DATE:
            return isinstance(value, str) and _DATE.fullmatch(value) is not None and _is_date(value)
        case AttributeKind.NUMBER:
            return _is_number(value) and math.isfinite(value)  # type: ignore[arg-type] # a number, see the left
        case AttributeKind.WHOLE:
            return isinstance(value, int) and _is_number(value) and abs(value) < _MOST_WHOLE


def check_attributes(given: Mapping[str, object]) -> dict[str, Values]:
    """As they are kept.  Raises Refused: a keyword that is not taken over, or a value that is none of its kind; it
    names the keyword, never the value."""
    checked: dict[str, Values] = {}
    for keyword, value in given.items():
        kind = KINDS.get(keyword)
        if kind is None:
            raise Refused("The block names an attribute that is not taken over", hint="See docs/blocks.md.")
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        if len(values) > MAX_ATTRIBUTE_VALUES or not all(is_value(kind, one) for one in values):
            raise Refused(
                f"The block gives no {kind.value} as {keyword}", hint="The block needs to be mended."
            )
        if values:
            checked[keyword] = values
    return checked


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ATTRIBUTE_TEXT and value.isprintable()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(text: str) -> bool:
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True
