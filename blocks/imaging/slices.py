"""The slices in DICOM files: where each lies in the patient, and its stored values.

Owns: reading one file into slices, single images and the frames of enhanced objects alike; what is no slice.
May import: numpy, pydicom, blocks.dicom.

Source: PS3.3 C.7.6.2 (image plane), C.7.6.16 (functional groups of multi-frame objects).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from blocks.dicom import files
from blocks.dicom.files import MAX_PIXEL_BYTES, Unreadable

Vector = NDArray[np.float64]
MOST_FRAMES = 20_000
_MOMENTS = ("TemporalPositionIndex", "TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber")


class NoVolume(ValueError):
    """Nothing can be made of these; `is_fault`: there should be a volume, but something is wrong with it."""

    def __init__(self, code: str, text: str, *, is_fault: bool = False) -> None:
        super().__init__(text)
        self.code, self.text, self.is_fault = code, text, is_fault


@dataclass(frozen=True, slots=True)
class Slice:
    """One plane.  row, column: unit vectors in which columns, rows count up (LPS).  spacing: between columns, rows, mm.

    group: what must be equal for two slices to be in one volume.  moment: the order of slices at one place.
    strength, direction: of the diffusion gradient, in s/mm² and a unit vector (LPS); None: it is not said.
    """

    position: Vector
    row: Vector
    column: Vector
    spacing: tuple[float, float]
    thickness: float
    scale: tuple[float, float]
    group: tuple[Any, ...]
    moment: tuple[float, ...]
    strength: float | None
    direction: Vector | None
    pixels: NDArray[Any]  # rows x columns, as stored
    dataset: Dataset

    @property
    def normal(self) -> Vector:
        return np.cross(self.row, self.column)


def read_slices(path: Path) -> list[Slice]:
    """All of one file.  Raises NoVolume: it holds none."""
    try:
        dataset = files.read(path)
    except Unreadable as error:
        raise NoVolume(error.code, error.text, is_fault=True) from error
    try:
        _check(dataset)
        return list(_slices(dataset))
    except NoVolume:
        raise
    except (MemoryError, OSError):
        raise
    except Exception as error:  # a value that is none, a decoder that fails: of this file no slice is known
        text = f"A file cannot be read as slices ({type(error).__name__})."
        raise NoVolume("not-readable", text, is_fault=True) from error


def _check(dataset: Dataset) -> None:
    """Before anything is unpacked."""
    if dataset.get("Modality") == "SEG":
        raise NoVolume("segmentation", "A file holds segments, not an image.")
    if "PixelData" not in dataset or not dataset.get("Rows") or not dataset.get("Columns"):
        raise NoVolume("no-picture", "A file holds no picture.")
    kinds = [str(word).upper() for word in dataset.get("ImageType") or []]
    if "MOSAIC" in kinds:
        raise NoVolume("mosaic", "A file holds all slices in one picture (mosaic), which is not taken apart.")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise NoVolume("colour", "A file holds a picture in colours, which is no volume.")
    frames = int(dataset.get("NumberOfFrames") or 1)
    size_bytes = (
        int(dataset.Rows) * int(dataset.Columns) * frames * (int(dataset.get("BitsAllocated") or 16) // 8)
    )
    if size_bytes > MAX_PIXEL_BYTES or not 1 <= frames <= MOST_FRAMES:
        raise NoVolume("too-large", "A picture is larger than the block may hold.", is_fault=True)


def _slices(dataset: Dataset) -> Iterator[Slice]:
    is_enhanced = "PerFrameFunctionalGroupsSequence" in dataset
    if not is_enhanced and (
        "ImagePositionPatient" not in dataset or int(dataset.get("NumberOfFrames") or 1) > 1
    ):
        raise NoVolume("no-position", "A file does not say where in the patient its picture lies.")
    try:
        pixels = dataset.pixel_array
    except (RuntimeError, NotImplementedError, AttributeError) as error:
        text = "The pixels of a file are compressed in a way for which no decoder is installed."
        raise NoVolume("compressed", text, is_fault=True) from error
    del dataset.PixelData  # hundreds of slices are held at once, each once
    if not is_enhanced:
        yield _slice(dataset, [dataset], pixels, 0)
        return
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    frames = dataset.PerFrameFunctionalGroupsSequence
    planes = pixels.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    if len(frames) != len(planes):
        raise NoVolume("wrong-size", "A file does not describe each of its frames.", is_fault=True)
    for number, (frame, plane) in enumerate(zip(frames, planes, strict=True)):
        yield _slice(dataset, [*_groups(frame), *_groups(shared), dataset], plane, number)


def _groups(functional: Dataset) -> list[Dataset]:
    """The items of all functional groups: each attribute stands in one of them."""
    return [element.value[0] for element in functional if element.VR == "SQ" and element.value]


def _slice(dataset: Dataset, places: list[Dataset], pixels: NDArray[Any], number: int) -> Slice:
    def value(keyword: str, default: Any = None) -> Any:
        return next(
            (place[keyword].value for place in places if place.get(keyword) not in (None, "")), default
        )

    orientation = np.array([float(one) for one in value("ImageOrientationPatient", [])])
    position = np.array([float(one) for one in value("ImagePositionPatient", [])])
    between_rows, between_columns = (float(one) for one in value("PixelSpacing", [0, 0]))
    if orientation.shape != (6,) or position.shape != (3,) or not (between_rows > 0 and between_columns > 0):
        raise NoVolume("no-position", "A file does not say where in the patient its picture lies.")
    row, column = orientation[:3], orientation[3:]
    if not (np.isfinite(orientation).all() and np.isfinite(position).all()) or (
        abs(np.linalg.norm(row) - 1) > 0.01
        or abs(np.linalg.norm(column) - 1) > 0.01
        or abs(row @ column) > 0.01
    ):
        raise NoVolume("no-position", "The orientation of a picture is none.", is_fault=True)
    echo = float(value("EffectiveEchoTime", value("EchoTime", 0)) or 0)
    kinds = {str(word).upper() for word in value("FrameType", value("ImageType", []))}
    return Slice(
        position=position,
        row=row / np.linalg.norm(row),
        column=column / np.linalg.norm(column),
        spacing=(between_columns, between_rows),
        thickness=float(value("SpacingBetweenSlices", value("SliceThickness", 0)) or 0),
        scale=(float(value("RescaleSlope", 1)), float(value("RescaleIntercept", 0))),
        group=(
            str(dataset.get("SeriesInstanceUID") or ""),
            *(pixels.shape, str(pixels.dtype), round(between_rows, 4), round(between_columns, 4)),
            *(np.round(orientation, 3) + 0.0).tolist(),
            round(echo, 3),
            *sorted(kinds & {"M", "P", "R", "I", "PHASE", "MAGNITUDE", "REAL", "IMAGINARY"}),
        ),
        moment=(*(_number(value(word)) for word in _MOMENTS), number),
        strength=None if (strength := value("DiffusionBValue")) is None else _number(strength),
        direction=_direction(value),
        pixels=pixels,
        dataset=dataset,
    )


def _direction(value: Callable[[str], Any]) -> Vector | None:
    """In enhanced images it stands one level deeper."""
    deeper = value("DiffusionGradientDirectionSequence")
    said = deeper[0].get("DiffusionGradientOrientation") if deeper else value("DiffusionGradientOrientation")
    vector = np.array([_number(one) for one in said or []])
    return vector if vector.shape == (3,) and abs(np.linalg.norm(vector) - 1) < 0.01 else None


def said(dataset: Dataset, keyword: str) -> Any:
    """The value, or None; one that cannot be decoded says nothing."""
    try:
        return dataset.get(keyword)
    except Exception:
        return None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
