"""Parts of pictures made black, where a site knows that its devices write there.

Owns: which boxes fit a file, and blanking them in uncompressed pixels.
May import: pydicom, blocks.dicom.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from blocks.dicom.files import Unreadable
from blocks.dicom.template import Box

_PIXEL_DATA = 0x7FE00010
_EDGES = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
_MOST_REGIONS = 32
_ONE_SAMPLE, _COLOURS = {"MONOCHROME1", "MONOCHROME2"}, {"RGB"}


Area = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Blanking:
    """What is to be made black.  is_enough: the site named the areas itself; else text may stand in what is left."""

    areas: list[Area]
    is_enough: bool


def fitting(dataset: Dataset, boxes: list[Box]) -> Blanking:
    """The areas of every box that is meant for this device and this size of picture."""
    areas: list[Area] = []
    is_enough = False
    for box in boxes:
        if (
            box.modality.upper() == _text(dataset, "Modality").upper()
            and _text(dataset, "Manufacturer").casefold().startswith(box.manufacturer.casefold())
            and _text(dataset, "ManufacturerModelName").casefold().startswith(box.model.casefold())
            and box.rows in {0, dataset.get("Rows")}
            and box.columns in {0, dataset.get("Columns")}
        ):
            areas += box.areas
            is_enough = is_enough or bool(box.areas)
            if box.outside_regions:
                areas += _outside(_regions(dataset), int(dataset.Columns), int(dataset.Rows))
    return Blanking(areas, is_enough)


def _regions(dataset: Dataset) -> list[Area]:
    """Where the file says that ultrasound is shown (PS3.3 C.8.5.5); empty if one of them lies outside the picture."""
    found = []
    for region in (dataset.get("SequenceOfUltrasoundRegions") or [])[:_MOST_REGIONS]:
        try:
            left, top, right, bottom = (int(region[tag].value) for tag in _EDGES)
        except (KeyError, TypeError, ValueError):
            return []
        if not (0 <= left < right < int(dataset.Columns) and 0 <= top < bottom < int(dataset.Rows)):
            return []
        found.append((left, top, right + 1, bottom + 1))
    return found


def _outside(regions: list[Area], columns: int, rows: int) -> list[Area]:
    """All of the picture but these, as rectangles; none where there is no region."""
    if not regions:
        return []
    across = sorted({0, columns, *(edge for left, _, right, _ in regions for edge in (left, right))})
    down = sorted({0, rows, *(edge for _, top, _, bottom in regions for edge in (top, bottom))})
    return [
        (left, top, right, bottom)
        for top, bottom in pairwise(down)
        for left, right in pairwise(across)
        if not any(r[0] <= left and right <= r[2] and r[1] <= top and bottom <= r[3] for r in regions)
    ]


def blank(dataset: Dataset, syntax: UID, areas: list[Area]) -> None:
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
