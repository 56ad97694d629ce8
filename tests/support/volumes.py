"""NIfTI and MetaImage files with a person in them, written byte by byte: nobody's real data."""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import dataclass, field
from typing import Any

WHO = b"Zweistein^Jane 19800401 PID-4711-X"


def voxels_of(count: int) -> bytes:
    """What must not change: every value there is."""
    return bytes(n * 7 % 251 for n in range(2 * count))


@dataclass
class Nifti:
    """16-bit voxels with a name in every text, in an extension and behind the end."""

    version: int = 1
    order: str = "<"
    shape: tuple[int, ...] = (5, 4, 3)
    step: float = 2.0
    datatype: int = 4
    texts: bytes = WHO
    extension: bytes = WHO
    behind: bytes = WHO
    numbers: dict[str, Any] = field(default_factory=dict)  # at their offset: (code, value)

    @property
    def voxels(self) -> bytes:
        return voxels_of(math.prod(self.shape))

    def header(self) -> bytes:
        order, dims = self.order, [len(self.shape), *self.shape, *[1] * (7 - len(self.shape))]
        steps = [1.0, *[self.step] * 3, 2.5, 0.0, 0.0, 0.0]
        rows = [-self.step, 0, 0, 10, 0, self.step, 0, -20, 0, 0, self.step, 30]
        extra = self.packed_extension()
        if self.version == 1:
            data = bytearray(348)
            struct.pack_into(order + "i", data, 0, 348)
            struct.pack_into(order + "8h", data, 40, *dims)
            struct.pack_into(order + "2h", data, 70, self.datatype, 16)
            struct.pack_into(order + "8f", data, 76, *steps)
            struct.pack_into(order + "3f", data, 108, 352 + len(extra), 2.0, -7.0)
            data[123] = 10
            struct.pack_into(order + "2h", data, 252, 1, 2)
            struct.pack_into(order + "6f", data, 256, 0, 1, 0, 10, -20, 30)
            struct.pack_into(order + "12f", data, 280, *rows)
            data[344:348] = b"n+1\0"
            places = ((4, 10), (14, 18), (148, 80), (228, 24), (328, 16))
        else:
            data = bytearray(540)
            struct.pack_into(order + "i", data, 0, 540)
            data[4:12] = b"n+2\0\r\n\x1a\n"
            struct.pack_into(order + "2h8q", data, 12, self.datatype, 16, *dims)
            struct.pack_into(order + "8d", data, 104, *steps)
            struct.pack_into(order + "q2d", data, 168, 544 + len(extra), 2.0, -7.0)
            struct.pack_into(order + "2i6d12d", data, 344, 1, 2, 0, 1, 0, 10, -20, 30, *rows)
            struct.pack_into(order + "2i", data, 496, 0, 10)
            places = ((240, 80), (320, 24), (508, 16), (525, 15))
        for at, length in places:
            data[at : at + length] = self.texts[:length].ljust(length, b"\0")
        for at, (code, value) in self.numbers.items():
            struct.pack_into(order + code, data, int(at), value)
        return bytes(data) + (b"\1\0\0\0" if extra else bytes(4)) + extra

    def packed_extension(self) -> bytes:
        if not self.extension:
            return b""
        length = -(-(8 + len(self.extension)) // 16) * 16
        return struct.pack(self.order + "2i", length, 6) + self.extension.ljust(length - 8, b"\0")

    def as_bytes(self) -> bytes:
        return self.header() + self.voxels + self.behind


def gzipped(data: bytes, *, members: int = 1) -> bytes:
    """With a name and a comment in the header of gzip, and a name behind the end."""
    parts = [data[n * len(data) // members : (n + 1) * len(data) // members] for n in range(members)]
    packed = b"".join(gzip.compress(part, mtime=1_700_000_000) for part in parts)
    head = packed[:3] + b"\x18" + packed[4:10] + b"Zweistein Jane.nii\0" + b"born 19800401\0"
    return head + packed[10:] + b"Zweistein"


@dataclass
class MetaImage:
    """16-bit voxels; names in the comment, in known and unknown keys, and behind the end."""

    lines: dict[str, str] = field(
        default_factory=lambda: {
            "ObjectType": "Image",
            "NDims": "3",
            "Comment": "Zweistein Jane born 19800401",
            "Name": "Zweistein",
            "ID": "4711",
            "AcquisitionDate": "2024.02.29",
            "Zweistein": "Jane",
            "BinaryData": "True",
            "BinaryDataByteOrderMSB": "False",
            "CompressedData": "False",
            "TransformMatrix": "1 0 0 0 1 0 0 0 1",
            "Offset": "10 -20 30.5",
            "ElementSpacing": "2 2 2.5",
            "DimSize": "5 4 3",
            "ElementType": "MET_SHORT",
            "ElementDataFile": "LOCAL",
        }
    )
    data: bytes = voxels_of(60)
    behind: bytes = WHO

    def changed(self, **values: str | None) -> MetaImage:
        """With these lines in place of its own; None: without."""
        last = self.lines["ElementDataFile"]
        lines = {key: value for key, value in {**self.lines, **values}.items() if value is not None}
        lines["ElementDataFile"] = lines.pop("ElementDataFile", last)
        return MetaImage(lines, self.data, self.behind)

    def as_bytes(self) -> bytes:
        text = "".join(f"{key} = {value}\n" for key, value in self.lines.items())
        return text.encode() + self.data + self.behind


SIDECAR: dict[str, Any] = {
    "Modality": "MR",
    "MagneticFieldStrength": 3,
    "Manufacturer": "SIEMENS",
    "InstitutionName": "Klinik Quacksalver",
    "InstitutionAddress": "Zweistein Street 7",
    "StationName": "AWP4711",
    "DeviceSerialNumber": "19800401",
    "PatientName": "Zweistein^Jane",
    "PatientID": "PID-4711-X",
    "PatientBirthDate": "1980-04-01",
    "PatientSex": "F",
    "PatientAge": "093Y",
    "PatientWeight": 61.5,
    "SeriesDescription": "t1 mprage sag Zweistein",
    "ProtocolName": "Jane knee",
    "BodyPartExamined": "BRAIN",
    "ImageType": ["ORIGINAL", "PRIMARY", "ZWEISTEIN"],
    "SeriesInstanceUID": "1.2.826.0.1.99.1",
    "AcquisitionDateTime": "2024-02-29T10:11:12.500000",
    "AcquisitionTime": "10:11:12.500000",
    "EchoTime": 0.003,
    "RepetitionTime": 2.3,
    "FlipAngle": 9,
    "SliceTiming": [0, 0.5, 1.0],
    "InversionTime": 19800401,
    "PhaseEncodingDirection": "j-",
    "ScanningSequence": "GR_IR",
    "ScanOptions": "IR_PFP",
    "Zweistein": 1,
    "Notes": {"by": "Quacksalver", "EchoTime": 0.1},
    "global": {"const": {"EchoTime": 3.0, "PatientName": "Zweistein"}, "slices": {"Zweistein": [1]}},
    "ConversionSoftware": "dcm2niix",
    "ConversionSoftwareVersion": "v1.0.20260724",
}
