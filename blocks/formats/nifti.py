"""NIfTI-1 and NIfTI-2 headers as bytes: where each number stands, and writing a new header of numbers alone.

Owns: the two layouts, both byte orders, what a header's numbers must be.
May import: the standard library, blocks.formats.

Source: nifti1.h and nifti2.h (nifti.nimh.nih.gov); extensions: nifti1_io "esize, ecode, edata".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blocks.formats.cleaned import Held

MOST_HEADER_BYTES = 548  # with the four bytes that tell of extensions, and the length of the first
MOST_DIMENSIONS = 7
LARGEST_NUMBER = 1e7  # millimetres, seconds, parameters: beyond it is a date or an id, not a measure
_BITS = {
    2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64,
    1536: 128, 1792: 128, 2048: 256, 2304: 32,
}  # fmt: skip
COLOURS = frozenset({128, 2304})


@dataclass(frozen=True, slots=True)
class _Layout:
    """numbers: the place and the struct code of each that may stay.  texts: place and length of what people fill in."""

    size: int
    magic_at: int
    magics: Mapping[bytes, bool]  # whether the voxels are in this file
    numbers: Mapping[str, tuple[int, str]]
    texts: Mapping[str, tuple[int, int]]


_LAYOUTS = {
    348: _Layout(
        348,
        344,
        {b"n+1\0": True, b"ni1\0": False},
        {
            "dim_info": (39, "B"), "dim": (40, "8h"), "intent": (56, "3f"), "intent_code": (68, "h"),
            "datatype": (70, "h"), "bitpix": (72, "h"), "slice_start": (74, "h"), "pixdim": (76, "8f"),
            "vox_offset": (108, "f"), "scale": (112, "2f"), "slice_end": (120, "h"), "slice_code": (122, "B"),
            "units": (123, "B"), "display": (124, "2f"), "slice_duration": (132, "f"), "offset": (136, "f"),
            "qform_code": (252, "h"), "sform_code": (254, "h"), "qform": (256, "6f"), "sform": (280, "12f"),
        },
        {
            "data_type": (4, 10), "db_name": (14, 18), "extents": (32, 6), "glmax, glmin": (140, 8),
            "descrip": (148, 80), "aux_file": (228, 24), "intent_name": (328, 16),
        },
    ),
    540: _Layout(
        540,
        4,
        {b"n+2\0\r\n\x1a\n": True, b"ni2\0\r\n\x1a\n": False},
        {
            "datatype": (12, "h"), "bitpix": (14, "h"), "dim": (16, "8q"), "intent": (80, "3d"),
            "pixdim": (104, "8d"), "vox_offset": (168, "q"), "scale": (176, "2d"), "display": (192, "2d"),
            "slice_duration": (208, "d"), "offset": (216, "d"), "slice_start": (224, "q"), "slice_end": (232, "q"),
            "qform_code": (344, "i"), "sform_code": (348, "i"), "qform": (352, "6d"), "sform": (400, "12d"),
            "slice_code": (496, "i"), "units": (500, "i"), "intent_code": (504, "i"), "dim_info": (524, "B"),
        },
        {"descrip": (240, 80), "aux_file": (320, 24), "intent_name": (508, 16), "unused_str": (525, 15)},
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """numbers: of each field, in the words of `_Layout`."""

    order: str  # "<" or ">", as struct writes it
    size: int  # of the header: 348 or 540
    numbers: Mapping[str, Sequence[float]]
    texts: Sequence[str]  # the fields of text that hold something

    @property
    def shape(self) -> list[int]:
        dim = self.numbers["dim"]
        return [int(length) for length in dim[1 : int(dim[0]) + 1]]

    @property
    def voxel_bytes(self) -> int:
        """Of all voxels together."""
        return math.prod(self.shape) * _BITS[self.one("datatype")] // 8

    @property
    def voxels_at(self) -> int:
        return int(self.numbers["vox_offset"][0])

    @property
    def spacing_mm(self) -> list[float]:
        """Of the first three dimensions."""
        unit = {1: 1_000.0, 3: 0.001}.get(self.one("units") & 7, 1.0)
        return [abs(step) * unit for step in self.numbers["pixdim"][1 : min(3, len(self.shape)) + 1]]

    def one(self, name: str) -> int:
        return int(self.numbers[name][0])

    def as_bytes(self) -> bytes:
        """A header of these numbers, no text, no extension; the voxels follow at once."""
        layout = _LAYOUTS[self.size]
        data = bytearray(self.size + 4)
        struct.pack_into(self.order + "i", data, 0, self.size)
        magic = next(magic for magic, is_here in layout.magics.items() if is_here)
        data[layout.magic_at : layout.magic_at + len(magic)] = magic
        if self.size == 348:
            data[38:39] = b"r"  # "regular": what Analyze wrote there
        for name, values in {**self.numbers, "vox_offset": [len(data)]}.items():
            at, code = layout.numbers[name]
            whole = code[-1] not in "fd"
            struct.pack_into(
                self.order + code, data, at, *(int(value) if whole else value for value in values)
            )
        return bytes(data)


def read_header(data: bytes) -> Header:
    """data: the beginning, at least `MOST_HEADER_BYTES` if the file has them.

    Its numbers are already those that may stay.  Raises Held: it is none, its voxels lie elsewhere, or a number
    is none.
    """
    order, layout = _layout(data)
    magic = bytes(data[layout.magic_at : layout.magic_at + len(next(iter(layout.magics)))])
    if magic not in layout.magics or len(data) < layout.size:
        raise _damaged("its header is cut short or has no known mark")
    if not layout.magics[magic]:
        raise Held("data-elsewhere", "Its voxels lie in another file (.img). Bring both as one .nii file.")
    raw = {name: struct.unpack_from(order + code, data, at) for name, (at, code) in layout.numbers.items()}
    texts = [
        name for name, (at, length) in layout.texts.items() if bytes(data[at : at + length]).strip(b"\0 ")
    ]
    header = Header(order, layout.size, _checked(raw), texts)
    if not layout.size + 4 <= header.voxels_at == raw["vox_offset"][0]:
        raise _damaged("it does not say where its voxels begin")
    if data[layout.size : layout.size + 1] not in {
        b"",
        b"\0",
    }:  # what it takes for voxels must be none of its texts
        length = data[layout.size + 4 : layout.size + 8]
        if len(length) == 4 and layout.size + 4 + struct.unpack(order + "i", length)[0] > header.voxels_at:
            raise _damaged("its extensions reach into its voxels")
    return header


def _layout(data: bytes) -> tuple[str, _Layout]:
    for order in "<>":
        if len(data) >= 4 and (found := _LAYOUTS.get(struct.unpack_from(order + "i", data)[0])):
            return order, found
    raise _damaged("it has no header of NIfTI")


def _checked(raw: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """Of each field what may stay: geometry must be right, of all else a number that is none becomes 0."""
    dimensions = int(raw["dim"][0])
    lengths = raw["dim"][1 : dimensions + 1]
    if not 1 <= dimensions <= MOST_DIMENSIONS or min(lengths) < 1:
        raise _damaged("its dimensions are none")
    if _BITS.get(int(raw["datatype"][0])) != raw["bitpix"][0]:
        raise _damaged("its kind of voxel is none that is known")
    intent = int(raw["intent_code"][0])
    if 3_000 <= intent < 4_000:
        raise Held("cifti", "It is a CIFTI file: what describes its voxels is text that cannot be cleaned.")
    forms = {code: int(raw[code][0]) for code in ("qform_code", "sform_code")}
    if not all(0 <= code <= 10 for code in forms.values()):
        raise _damaged("its orientation is none")
    if forms["qform_code"] and sum(part * part for part in raw["qform"][:3]) > 1.001:
        raise _damaged("its orientation is none")
    kept: dict[str, Sequence[float]] = {
        "dim": [dimensions, *lengths, *[1] * (MOST_DIMENSIONS - dimensions)],
        "datatype": raw["datatype"],
        "bitpix": raw["bitpix"],
        "vox_offset": [_whole(raw["vox_offset"][0])],
        "dim_info": [int(raw["dim_info"][0]) & 63],
        "units": [int(raw["units"][0]) & 63],
        "intent_code": [intent if 0 <= intent < 3_000 else 0],
        "intent": _plain(raw["intent"]) if 0 < intent < 3_000 else [0.0] * 3,
        "pixdim": [_sign(raw["pixdim"][0]), *_geometry(raw["pixdim"][1 : min(dimensions, 3) + 1])],
        "scale": [value if math.isfinite(value) else 0.0 for value in raw["scale"]],
        "display": _plain(raw["display"]),
        "slice_start": _slice(raw["slice_start"][0], lengths),
        "slice_end": _slice(raw["slice_end"][0], lengths),
        "slice_code": [int(raw["slice_code"][0]) if 0 <= raw["slice_code"][0] <= 6 else 0],
        "slice_duration": _plain(raw["slice_duration"]),
        "offset": _plain(raw["offset"]),
        **{code: [number] for code, number in forms.items()},
        "qform": _geometry(raw["qform"]) if forms["qform_code"] else [0.0] * 6,
        "sform": _geometry(raw["sform"]) if forms["sform_code"] else [0.0] * 12,
    }
    steps = [*kept["pixdim"], *_plain(raw["pixdim"][len(kept["pixdim"]) :])]
    return {**kept, "pixdim": steps}


def _plain(values: Sequence[float]) -> list[float]:
    return [value if math.isfinite(value) and abs(value) < LARGEST_NUMBER else 0.0 for value in values]


def _geometry(values: Sequence[float]) -> list[float]:
    if _plain(values) != list(values):
        raise _damaged("a number of its geometry is none")
    return list(values)


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) else -1


def _sign(value: float) -> float:
    return value if value in {-1.0, 0.0, 1.0} else 1.0


def _slice(value: float, lengths: Sequence[float]) -> list[float]:
    return [int(value) if 0 <= value < max(lengths) else 0]


def _damaged(what: str) -> Held:
    return Held("not-readable", f"The file cannot be read as NIfTI: {what}.")
