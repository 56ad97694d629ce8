"""MetaImage headers: lines of `Key = Value`, of which only those stay that say how to read the voxels.

Owns: reading such a header within bounds, the keys that stay and what their values must be.
May import: the standard library, blocks.formats.

Source: itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from blocks.formats.cleaned import Held

MOST_HEADER_BYTES = 64 << 10
MOST_LINES = 200
LARGEST_NUMBER = 1e7
_LINE = re.compile(rb"\s*([A-Za-z_][A-Za-z0-9_ .\-]{0,79}?)\s*=[ \t]*(.*?)\s*")
_DATA = "ElementDataFile"
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,25})?|\.\d{1,25})([eE][+-]?\d{1,3})?")
_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip  # a long is four bytes or eight, by the machine that wrote it: not known from the file
_ALIASES = {  # other words for the same, as the readers take them
    "elementbyteordermsb": "BinaryDataByteOrderMSB",
    "position": "Offset",
    "origin": "Offset",
    "rotation": "TransformMatrix",
    "orientation": "TransformMatrix",
}


@dataclass(frozen=True, slots=True)
class Header:
    """values: by key, in the words that are written again.  size: of the header in bytes."""

    values: Mapping[str, str]
    removed: tuple[str, ...]  # known keys; of an unknown one its name may name somebody too
    size: int

    @property
    def shape(self) -> list[int]:
        return [int(length) for length in self.values["DimSize"].split()]

    @property
    def channels(self) -> int:
        return int(self.values.get("ElementNumberOfChannels", "1"))

    @property
    def spacing_mm(self) -> list[float]:
        steps = self.values.get("ElementSpacing") or self.values.get("ElementSize") or "1 " * len(self.shape)
        return [abs(float(step)) for step in steps.split()]

    @property
    def voxel_bytes(self) -> int:
        """Of all voxels together."""
        return math.prod(self.shape) * self.channels * _BYTES[self.values["ElementType"]]

    @property
    def is_packed(self) -> bool:
        return self.values.get("CompressedData") == "True"

    def as_bytes(self, *, packed_bytes: int | None) -> bytes:
        """packed_bytes: of the voxels as they follow; None: they are not packed."""
        values = {key: value for key, value in self.values.items() if not key.startswith("Compressed")}
        if packed_bytes is not None:
            values |= {"CompressedData": "True", "CompressedDataSize": str(packed_bytes)}
        lines = [f"{key} = {values[key]}\n" for key in _KEYS if key in values]
        return ("".join(lines) + f"{_DATA} = LOCAL\n").encode()


def read_header(data: bytes) -> Header:
    """data: the beginning of the file.  Raises Held: it is none, its voxels lie elsewhere, or a value is none."""
    found: dict[str, str] = {}
    removed: list[str] = []
    at = 0
    for _ in range(MOST_LINES):
        end = data.find(b"\n", at, MOST_HEADER_BYTES)
        if end < 0:
            break
        key, value = _key_and_value(data[at:end])
        at = end + 1
        if key in found:
            raise _damaged("a key stands in it twice")
        if key == _DATA:
            if value != "LOCAL":
                text = "Its voxels lie in another file (.raw). Bring both as one .mha file."
                raise Held("data-elsewhere", text)
            return Header(_checked(found), tuple(removed), at)
        if key in _KEYS:
            found[key] = value
        else:
            removed.append(key if key in _KNOWN_TEXTS else "unknown keys")
    raise _damaged("its header does not end")


def _key_and_value(line: bytes) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise _damaged("a line of its header is none")
    word = found[1].decode().casefold()
    key = _ALIASES.get(word) or next(
        (key for key in (*_KEYS, _DATA, *_KNOWN_TEXTS) if key.casefold() == word), word
    )
    return key, found[2].decode("latin-1")


def _checked(found: dict[str, str]) -> dict[str, str]:
    dimensions = found.get("NDims", "")
    if dimensions not in {"2", "3", "4"}:
        raise _damaged("its number of dimensions is none that is known")
    values = {}
    for key, value in found.items():
        clean = _KEYS[key](value.strip(), int(dimensions))
        if clean is None:
            raise _damaged("a value of its header is none")
        values[key] = clean
    if values.get("ObjectType", "Image") != "Image" or not {"DimSize", "ElementType"} <= values.keys():
        raise _damaged("it does not say of what size and kind its voxels are")
    if values.get("BinaryData", "False") != "True":
        raise Held("ascii-data", "Its voxels are written as text, which this block does not read.")
    return values


# ---- what a value must be: the clean text, or None ------------------------------------------------------

_Check = Callable[[str, int], str | None]


def _numbers(text: str, count: int) -> str | None:
    parts = text.split()
    fits = len(parts) == count and all(
        _NUMBER.fullmatch(part) and abs(float(part)) < LARGEST_NUMBER for part in parts
    )
    return " ".join(parts) if fits else None


def _of_dimensions(text: str, dimensions: int) -> str | None:
    return _numbers(text, dimensions)


def _matrix(text: str, dimensions: int) -> str | None:
    return _numbers(text, dimensions**2)


def _one_number(text: str, dimensions: int) -> str | None:  # noqa: ARG001 - one of several checks
    return _numbers(text, 1)


def _lengths(text: str, dimensions: int) -> str | None:
    parts = text.split()
    fits = len(parts) == dimensions and all(re.fullmatch(r"[1-9]\d{0,6}", part) for part in parts)
    return " ".join(parts) if fits else None


def _yes_or_no(text: str, dimensions: int) -> str | None:  # noqa: ARG001
    return {"t": "True", "1": "True", "f": "False", "0": "False"}.get(text[:1].casefold())


def _word_of(*words: str) -> _Check:
    return lambda text, _: text if text in words else None


def _like(pattern: str) -> _Check:
    return lambda text, _: text if re.fullmatch(pattern, text) else None


_KEYS: Mapping[str, _Check] = {  # in the order in which they are written
    "ObjectType": _word_of("Image"),
    "NDims": _like(r"[234]"),
    "BinaryData": _yes_or_no,
    "BinaryDataByteOrderMSB": _yes_or_no,
    "CompressedData": _yes_or_no,
    "CompressedDataSize": _like(r"\d{1,15}"),
    "CompressionLevel": _like(r"\d"),
    "TransformMatrix": _matrix,
    "Offset": _of_dimensions,
    "CenterOfRotation": _of_dimensions,
    "AnatomicalOrientation": _like(r"[RLAPSIrlapsi?]{1,4}"),
    "ElementSpacing": _of_dimensions,
    "DimSize": _lengths,
    "Modality": _like(r"MET_MOD_(CT|MR|NM|US|OTHER|UNKNOWN)"),
    "HeaderSize": _like(r"0"),
    "ElementSize": _of_dimensions,
    "ElementMin": _one_number,
    "ElementMax": _one_number,
    "ElementNumberOfChannels": _like(r"[1-9]\d?"),
    "ElementType": _word_of(*_BYTES),
}
_KNOWN_TEXTS = (
    "Comment", "Name", "ID", "ParentID", "Color", "AcquisitionDate", "SequenceID", "ObjectSubType",
    "TransformType", "ITK_InputFilterName",
)  # fmt: skip


def _damaged(what: str) -> Held:
    return Held("not-readable", f"The file cannot be read as MetaImage: {what}.")
