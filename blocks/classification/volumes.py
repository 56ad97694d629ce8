"""Labels of NIfTI and MetaImage files: the little that their headers tell.

Owns: reading the numbers of both headers within bounds; these rules.
May import: the standard library, blocks.classification.

Sources: nifti.nimh.nih.gov (nifti1.h, nifti2.h), itk.org/Wiki/MetaIO (keys of a MetaImage).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from blocks.classification.clues import Finding, clue, decide

_HEAD_BYTES = 540
_META_BYTES = 64 << 10
_META_LINE = re.compile(rb"^\s*(NDims|DimSize|Modality)\s*=\s*([A-Za-z0-9_ ]{1,200}?)\s*$", re.MULTILINE)
_MODALITIES = {"MET_MOD_CT": "CT", "MET_MOD_MR": "MR", "MET_MOD_NM": "NM", "MET_MOD_US": "US"}
_MOST = 1_000_000


def nifti(path: Path) -> list[Finding]:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES * 8)
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(31).decompress(head, _HEAD_BYTES)
        except zlib.error:
            return []
    sizes = _sizes_in(head)
    return _shape(sizes, "nifti.dim") if sizes else []


def _sizes_in(head: bytes) -> Sequence[int]:
    """dim[1] to dim[7] as far as they count; empty if it is no such header."""
    for order in "<>":
        for size, place, kind in ((348, 40, "h"), (540, 16, "q")):
            if len(head) >= size and struct.unpack_from(f"{order}i", head)[0] == size:
                count, *sizes = struct.unpack_from(f"{order}8{kind}", head, place)
                return sizes[:count] if 1 <= count <= 7 else ()
    return ()


def metaimage(path: Path) -> list[Finding]:
    """A local header, or that before the pixels: both are lines of text."""
    with path.open("rb") as file:
        head = file.read(_META_BYTES)
    head = head.split(b"ElementDataFile", 1)[0]
    told = {key.decode(): value.decode() for key, value in _META_LINE.findall(head)}
    found = []
    if told.get("Modality") in _MODALITIES:
        value = _MODALITIES[told["Modality"]]
        found += decide("modality", [clue(value, "modality", "metaimage.Modality", confidence=0.9)])
    sizes = [int(part) for part in told.get("DimSize", "").split() if part.isdigit()]
    return [*found, *_shape(sizes, "metaimage.DimSize")]


def _shape(sizes: Sequence[int], source: str) -> list[Finding]:
    """How many slices and time points; a volume of one slice is a picture."""
    if not sizes or any(not 0 < size < _MOST for size in sizes):
        return []
    slices = sizes[2] if len(sizes) > 2 else 1
    value = "3d" if slices > 1 else "2d"
    found = decide("dimension", [clue(value, "array-shape", source, confidence=0.5)])
    found.append(Finding("slices", str(slices), "header", (source,), 1.0))
    if len(sizes) > 3:
        found.append(Finding("time-points", str(sizes[3]), "header", (source,), 1.0))
    return found
