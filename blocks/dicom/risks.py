"""What no table can make safe: whole objects that are held back, and pictures that may show a name.

Owns: which objects are refused outright, and which are cleaned but wait for a person's look.
May import: pydicom, blocks.contract, blocks.dicom.
"""

from __future__ import annotations

from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from blocks.contract.result import Reason
from blocks.dicom.annex_e import attribute_types
from blocks.dicom.cleaning import UNDEFINED
from blocks.dicom.files import DEFLATED, MAX_PIXEL_BYTES

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_DIRECTORY = "1.2.840.10008.1.3.10"
_DOCUMENTS = "The object holds a document, which this block cannot look into."
# Objects of which nothing can be shown to be safe
_REFUSED = {
    f"{_STORAGE}66": ("raw-data", "The object holds raw data of a device, in a form of its own."),
    f"{_STORAGE}9.4.1": ("audio", "The object holds a recorded voice."),
    f"{_STORAGE}9.4.2": ("audio", "The object holds recorded sound."),
    **{f"{_STORAGE}104.{n}": ("encapsulated", _DOCUMENTS) for n in range(1, 6)},
}
# Kinds of pictures in which devices and people write
_WRITTEN_ON = {
    f"{_STORAGE}7": "a secondary capture",
    f"{_STORAGE}6": "an ultrasound image",
    f"{_STORAGE}3": "an ultrasound image",
    f"{_STORAGE}12": "an X-ray angiography or fluoroscopy",
    f"{_STORAGE}77.1": "a photograph or video",
}
_WRITTEN_ON_MODALITIES = {
    "US",
    "IVUS",
    "BDUS",
    "XA",
    "RF",
    "OT",
    "SC",
    "ES",
    "XC",
    "GM",
    "SM",
    "OP",
    "OPT",
    "DOC",
}
_WRITTEN_ON_MODALITIES |= {"DG", "CP", "FS", "LP", "TG", "HC", "VF"}
_CAPTURED = ("SCREEN", "CAPTURE", "DISPLAY", "SAVE", "REPORT", "PROTOCOL", "DOSE", "RESULT", "LABEL")
_CAPTURES = frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW"})
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def refused(dataset: Dataset, sop_class: str) -> Reason | None:
    """Why nothing of this object can be released, now or later."""
    if sop_class == _DIRECTORY or "DirectoryRecordSequence" in dataset:
        return Reason(code="dicomdir", text="A directory of a medium names patients; it is never passed on.")
    if not sop_class:
        return Reason(code="no-sop-class", text="The file does not say what kind of object it holds.")
    if sop_class in _REFUSED:
        code, text = _REFUSED[sop_class]
        return Reason(code=code, text=text)
    if "EncapsulatedDocument" in dataset:
        return Reason(code="encapsulated", text=_DOCUMENTS)
    if _pixel_bytes(dataset) > MAX_PIXEL_BYTES:
        return Reason(code="too-large", text="The picture is larger than the block may hold.")
    return None


def is_whole(dataset: Dataset, size_bytes: int) -> bool:
    """Does the file end where its last value ends?

    The library reads a file that was cut as far as it goes, and does not say so.
    """
    if not len(dataset) or dataset.file_meta.get("TransferSyntaxUID") in DEFLATED:
        return True
    last = dataset.get_item(max(dataset.keys()))
    if not isinstance(last, RawDataElement) or last.length == UNDEFINED:
        return True
    ends = [
        element.value_tell + element.length
        for element in dataset.values()
        if isinstance(element, RawDataElement) and element.length != UNDEFINED
    ]
    return max(ends) == size_bytes


def held(dataset: Dataset, sop_class: str, trusted: list[str], *, pixels_cleaned: bool) -> list[Reason]:
    """Why a person must look before the cleaned object may pass; empty: it may."""
    reasons = []
    if not _is_known(sop_class):
        reasons.append(Reason(code="unknown-kind", text="The kind of object is not one of the standard's."))
    if _overlay_in_pixels(dataset):
        reasons.append(Reason(code="overlay-in-pixels", text="An overlay lies in unused bits of the pixels."))
    if pixels_cleaned or not any(keyword in dataset for keyword in _PIXELS):
        return reasons
    if _word(dataset, "BurnedInAnnotation") == "YES":
        reasons.append(Reason(code="burned-in", text="The file says that text is burned into its picture."))
    if _word(dataset, "RecognizableVisualFeatures") == "YES":
        reasons.append(
            Reason(code="recognisable", text="The file says that a person can be recognised in it.")
        )
    if _is_captured(dataset):
        reasons.append(
            Reason(code="screen-capture", text="The picture was taken of a screen, a film or a paper.")
        )
    modality = _word(dataset, "Modality")
    if not is_trusted(dataset, trusted):
        kind = next((kind for start, kind in _WRITTEN_ON.items() if _is_of(sop_class, start)), None)
        if kind is not None:
            reasons.append(
                Reason(code="burned-in-risk", text=f"It is {kind}: a name may stand in the picture.")
            )
        elif modality in _WRITTEN_ON_MODALITIES:
            reasons.append(
                Reason(code="burned-in-risk", text="In pictures of this modality a name may be written.")
            )
    return reasons


def is_trusted(dataset: Dataset, trusted: list[str]) -> bool:
    """The site says that no text is burned in by its devices of this modality (into what is left of the picture)."""
    return _word(dataset, "Modality") in trusted


def _is_of(sop_class: str, start: str) -> bool:
    return sop_class == start or sop_class.startswith(start + ".")


def _is_known(sop_class: str) -> bool:
    return sop_class in attribute_types().objects or (
        not UID(sop_class).is_private and UID(sop_class).type == "SOP Class"
    )


def _is_captured(dataset: Dataset) -> bool:
    image_type = "\\".join(_words(dataset, "ImageType"))
    return any(word in image_type for word in _CAPTURED) or _word(dataset, "ConversionType") in _CAPTURES


def _overlay_in_pixels(dataset: Dataset) -> bool:
    """Retired, but seen: overlay bits beside the image's own, without overlay data (PS3.3-2004 C.9.2)."""
    return any((group, 258) in dataset and (group, 12288) not in dataset for group in range(24576, 24608, 2))


def _pixel_bytes(dataset: Dataset) -> int:
    numbers = [
        _number(dataset, keyword) for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    ]
    if not all(numbers[:2]):
        return 0
    rows, columns, samples, bits = numbers
    return (
        rows * columns * (samples or 1) * ((bits or 8) + 7 >> 3) * (_number(dataset, "NumberOfFrames") or 1)
    )


def _number(dataset: Dataset, keyword: str) -> int:
    try:
        return int(dataset.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def _word(dataset: Dataset, keyword: str) -> str:
    return next(iter(_words(dataset, keyword)), "")


def _words(dataset: Dataset, keyword: str) -> list[str]:
    try:
        value: Any = dataset.get(keyword)
    except Exception:  # a value that cannot be decoded is no word
        return []
    if value is None:
        return []
    parts = [value] if isinstance(value, str) else value
    try:
        return [str(part).strip().upper() for part in parts]
    except TypeError:
        return [str(value).strip().upper()]
