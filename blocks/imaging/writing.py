"""Volumes as files: NIfTI-1 (gzipped) and MetaImage, and the sidecar of either.

Owns: the headers, the orientation as a quaternion, the words of a sidecar for attributes of DICOM.
May import: the standard library, numpy, pydicom, blocks.formats, blocks.imaging.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from blocks.formats.nifti import Header
from blocks.imaging.slices import NoVolume, said
from blocks.imaging.volumes import Volume

_PIECE = 1 << 24
_KINDS = {
    "uint8": 2,
    "int16": 4,
    "int32": 8,
    "float32": 16,
    "float64": 64,
    "int8": 256,
    "uint16": 512,
    "uint32": 768,
}
_ELEMENTS = {
    "uint8": "MET_UCHAR", "int8": "MET_CHAR", "int16": "MET_SHORT", "uint16": "MET_USHORT", "int32": "MET_INT",
    "uint32": "MET_UINT", "float32": "MET_FLOAT", "float64": "MET_DOUBLE",
}  # fmt: skip
_IN_SECONDS = ("EchoTime", "RepetitionTime", "InversionTime")
_AS_THEY_ARE = (
    "Modality", "Manufacturer", "MagneticFieldStrength", "ImagingFrequency", "FlipAngle", "SliceThickness",
    "SpacingBetweenSlices", "PixelBandwidth", "EchoTrainLength", "NumberOfAverages", "SAR", "KVP", "XRayTubeCurrent",
    "ExposureTime", "ConvolutionKernel", "MRAcquisitionType", "PatientPosition", "BodyPartExamined", "SeriesNumber",
    "AcquisitionNumber", "SeriesDescription", "ProtocolName", "PatientSex", "PatientAge", "PatientWeight",
    "PatientSize", "ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions",
)  # fmt: skip
_OTHER_WORDS = {
    "PercentPhaseFieldOfView": "PercentPhaseFOV",
    "InPlanePhaseEncodingDirection": "InPlanePhaseEncodingDirectionDICOM",
    "ImageOrientationPatient": "ImageOrientationPatientDICOM",
}


def write_nifti(volume: Volume, target: Path) -> None:
    values = volume.values
    code = _KINDS.get(values.dtype.name)
    if code is None or max(values.shape) > 32_767:
        raise NoVolume("odd-values", "The values of the volume have no form in NIfTI-1.", is_fault=True)
    handed, quaternion = _quaternion(volume.affine)
    repetition = _seconds(volume.first.dataset, "RepetitionTime") if values.ndim > 3 else 0.0
    shape = [*values.shape, *[1] * (7 - values.ndim)]
    header = Header(
        "<",
        348,
        {
            "dim_info": [0], "dim": [values.ndim, *shape], "intent": [0.0] * 3, "intent_code": [0], "datatype": [code],
            "bitpix": [values.dtype.itemsize * 8], "slice_start": [0],
            "pixdim": [handed, *volume.steps, repetition, 0.0, 0.0, 0.0], "vox_offset": [352],
            "scale": list(volume.scale), "slice_end": [0], "slice_code": [0], "units": [10],
            "display": [0.0, 0.0], "slice_duration": [0.0], "offset": [0.0], "qform_code": [1], "sform_code": [1],
            "qform": [*quaternion, *volume.affine[:3, 3].tolist()], "sform": volume.affine[:3].ravel().tolist(),
        },
        [],
    )  # fmt: skip
    data = _bytes(values)
    with target.open("wb") as out, gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
        packed.write(header.as_bytes())
        for at in range(0, len(data), _PIECE):
            packed.write(data[at : at + _PIECE])


def write_metaimage(volume: Volume, target: Path) -> None:
    """Counted from above again, and in LPS, as ITK has it.  Scaled values are written as real numbers."""
    values, element = volume.values[:, ::-1], volume.affine.copy()
    element[:3, 3] += element[:3, 1] * (values.shape[1] - 1)
    element[:3, 1] *= -1
    element[:2] *= -1
    if volume.scale != (1.0, 0.0):
        real = values * volume.scale[0] + volume.scale[1]
        whole = np.array_equal(real, np.rint(real)) and abs(real).max(initial=0) < 1 << 31
        values = real.astype(np.int32 if whole else np.float32)
    kind = _ELEMENTS.get(values.dtype.name)
    if kind is None:
        raise NoVolume("odd-values", "The values of the volume have no form in MetaImage.", is_fault=True)
    extra = values.ndim - 3
    matrix = np.eye(values.ndim)
    matrix[:3, :3] = element[:3, :3] / np.linalg.norm(element[:3, :3], axis=0)
    packed = zlib.compress(_bytes(values), 6)
    lines = {
        "ObjectType": "Image",
        "NDims": values.ndim,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True",
        "CompressedDataSize": len(packed),
        "TransformMatrix": _words(matrix.T.ravel()),  # one axis after another
        "Offset": _words([*element[:3, 3], *[0.0] * extra]),
        "ElementSpacing": _words([*volume.steps, *[1.0] * extra]),
        "DimSize": " ".join(map(str, values.shape)),
        "ElementType": kind,
        "ElementDataFile": "LOCAL",
    }
    target.write_bytes("".join(f"{key} = {value}\n" for key, value in lines.items()).encode() + packed)


def sidecar_of(volume: Volume) -> dict[str, Any]:
    """What BIDS and dcm2niix call it; not cleaned yet."""
    dataset = volume.first.dataset
    told: dict[str, Any] = {}
    for keyword in _IN_SECONDS:
        if seconds := _seconds(dataset, keyword):
            told[keyword] = seconds
    for keyword in (*_AS_THEY_ARE, *_OTHER_WORDS):
        value = _plain(said(dataset, keyword))
        if value not in (None, "", []):
            told[_OTHER_WORDS.get(keyword, keyword)] = value
    for keyword in ("ScanningSequence", "SequenceVariant", "ScanOptions"):
        if isinstance(told.get(keyword), list):
            told[keyword] = "_".join(told[keyword])
    if isinstance(told.get("ImageType"), str):
        told["ImageType"] = [told["ImageType"]]
    return told | {"ConversionSoftware": "Medical-Blocks", "ConversionSoftwareVersion": "1.0"}


def _plain(value: Any) -> Any:
    """Numbers and words, without the types of the library."""
    if value is None or isinstance(value, str):
        return value if value is None else str(value)
    if isinstance(value, int | float):
        return int(value) if float(value).is_integer() else float(value)
    try:
        return [_plain(one) for one in value]
    except TypeError:
        return str(value)


def _seconds(dataset: Dataset, keyword: str) -> float:
    try:
        return round(float(said(dataset, keyword) or 0) / 1_000, 9)
    except (TypeError, ValueError):
        return 0.0


def _bytes(values: NDArray[Any]) -> memoryview:
    """Little end first, the first index fastest."""
    plain = np.asfortranarray(values, values.dtype.newbyteorder("<"))
    return memoryview(plain.T).cast("B")  # type: ignore[arg-type] # an array is a buffer; Python 3.11 cannot say so


def _words(numbers: Any) -> str:
    return " ".join(f"{float(number):.12g}" for number in numbers)


def _quaternion(affine: NDArray[np.float64]) -> tuple[float, list[float]]:
    """pixdim[0] and b, c, d of the rotation (nifti1.h, method 2)."""
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    rotation = left @ right  # cosines are written with a few digits, and are nearly square to each other
    handed = 1.0 if np.linalg.det(rotation) > 0 else -1.0
    rotation[:, 2] *= handed
    # the largest of the four squares is taken first, so that nothing small divides
    m, trace = rotation, float(np.trace(rotation))
    squares = [1 + trace, *(1 + 2 * m[n, n] - trace for n in range(3))]
    largest = int(np.argmax(squares))
    root = 2 * float(np.sqrt(squares[largest]))
    if largest == 0:
        parts = [root / 4, (m[2, 1] - m[1, 2]) / root, (m[0, 2] - m[2, 0]) / root, (m[1, 0] - m[0, 1]) / root]
    elif largest == 1:
        parts = [(m[2, 1] - m[1, 2]) / root, root / 4, (m[0, 1] + m[1, 0]) / root, (m[0, 2] + m[2, 0]) / root]
    elif largest == 2:
        parts = [(m[0, 2] - m[2, 0]) / root, (m[0, 1] + m[1, 0]) / root, root / 4, (m[1, 2] + m[2, 1]) / root]
    else:
        parts = [(m[1, 0] - m[0, 1]) / root, (m[0, 2] + m[2, 0]) / root, (m[1, 2] + m[2, 1]) / root, root / 4]
    sign = -1.0 if parts[0] < 0 else 1.0
    return handed, [float(sign * part) for part in parts[1:]]
