"""Parts of pictures made black, where a site knows that its devices write there.

Owns: which boxes fit a file, and blanking them in uncompressed pixels.
May import: pydicom, blocks.dicom.
"""

from __future__ import annotations

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from blocks.dicom.files import Unreadable
from blocks.dicom.template import Box

_PIXEL_DATA = 0x7FE00010
_ONE_SAMPLE, _COLOURS = {"MONOCHROME1", "MONOCHROME2"}, {"RGB"}


def fitting(dataset: Dataset, boxes: list[Box]) -> list[tuple[int, int, int, int]]:
    """The areas of every box that is meant for this device and this size of picture."""
    areas: list[tuple[int, int, int, int]] = []
    for box in boxes:
        if (
            box.modality.upper() == _text(dataset, "Modality").upper()
            and _text(dataset, "Manufacturer").casefold().startswith(box.manufacturer.casefold())
            and _text(dataset, "ManufacturerModelName").casefold().startswith(box.model.casefold())
            and box.rows in {0, dataset.get("Rows")}
            and box.columns in {0, dataset.get("Columns")}
        ):
            areas += box.areas
    return areas


def blank(dataset: Dataset, syntax: UID, areas: list[tuple[int, int, int, int]]) -> None:
    """Makes the areas black in every frame; Unreadable where the pixels are not plain bytes."""
    element = dataset.get_item(_PIXEL_DATA) if _PIXEL_DATA in dataset else None
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    samples, bits = int(dataset.get("SamplesPerPixel") or 1), int(dataset.get("BitsAllocated") or 0)
    colours = _COLOURS if samples == 3 else _ONE_SAMPLE
    if (
        element is None
        or not isinstance(element.value, bytes)
        or syntax.is_compressed
        or bits not in {8, 16}
        or _text(dataset, "PhotometricInterpretation") not in colours
        or samples not in {1, 3}
    ):
        raise Unreadable(
            "boxes-do-not-fit", "Areas were to be made black, but the pixels are compressed or odd."
        )
    planar = samples == 3 and int(dataset.get("PlanarConfiguration") or 0) == 1
    planes, width = (3, bits // 8) if planar else (1, samples * bits // 8)
    plane_bytes = rows * columns * width
    pixels = bytearray(element.value)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if plane_bytes == 0 or len(pixels) < plane_bytes * planes * frames:
        raise Unreadable("boxes-do-not-fit", "The picture is not as large as the file says.")
    lightest = _text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    ink = (b"\xff" if lightest else b"\0") * width
    for plane in range(planes * frames):
        for left, top, right, bottom in areas:
            line = ink * (min(right, columns) - min(left, columns))
            for row in range(top, min(bottom, rows)):
                start = plane * plane_bytes + (row * columns + min(left, columns)) * width
                pixels[start : start + len(line)] = line
    implicit, little = dataset.original_encoding
    vr = element.VR or ("OW" if bits == 16 else "OB")
    dataset[_PIXEL_DATA] = RawDataElement(
        Tag(_PIXEL_DATA), vr, len(pixels), bytes(pixels), 0, bool(implicit), little is not False, is_raw=True
    )


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()
