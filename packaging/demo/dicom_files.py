"""Real DICOM files, laid out as a researcher has them: patient / study / series / image.

Owns: which of the files that pydicom ships are used, what their folders are called.
May import: pydicom.

Nothing of a patient appears in a name or on the screen: patients are numbered.  Files that share a SOP
Instance UID with another get a new one, since two images never share one.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pydicom.data
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_files
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, generate_uid

T = TypeVar("T")

PLACED_BY = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Layout:
    """What was laid out.  files: paths below the folder, sorted."""

    files: tuple[str, ...]
    size_bytes: int
    patients: int
    studies: int
    series: int


class _Numbers:
    """The first thing seen is 1, the next other thing 2: the same input gives the same names."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], int] = {}
        self._next: dict[tuple[str, ...], int] = {}

    def of(self, *path: str) -> int:
        if path not in self._seen:
            self._next[path[:-1]] = self._next.get(path[:-1], 0) + 1
            self._seen[path] = self._next[path[:-1]]
        return self._seen[path]

    def count(self, depth: int) -> int:
        return sum(len(path) == depth for path in self._seen)


def lay_out_dicom(folder: Path) -> Layout:
    """Copy below `folder` every DICOM file that pydicom ships and that names patient, study and series."""
    numbers = _Numbers()
    seen_uids: set[str] = set()
    files: list[str] = []
    size_bytes = 0
    own = Path(
        pydicom.data.__file__
    ).parent  # it also lists the files of pydicom-data, where that is installed
    for source in sorted(path for path in get_testdata_files() if Path(path).is_relative_to(own)):
        image = _read(Path(source))
        if image is None:
            continue
        patient, study, series, instance = (str(image[keyword].value) for keyword in PLACED_BY)
        modality = str(image.get("Modality") or "OT")
        path = "/".join(
            (
                f"patient-{numbers.of(patient):02}",
                f"study-{numbers.of(patient, study)}",
                f"series-{numbers.of(patient, study, series)}-{modality}",
                f"image-{numbers.of(patient, study, series, source):03}.dcm",
            )
        )
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        if instance in seen_uids:
            _quietly(lambda: _set_uid(target, generate_uid(entropy_srcs=[path])))  # noqa: B023 -- it is called at once, in this turn of the loop
        seen_uids.add(instance)
        files.append(path)
        size_bytes += target.stat().st_size
    return Layout(tuple(sorted(files)), size_bytes, numbers.count(1), numbers.count(2), numbers.count(3))


def describe_study(file: Path, description: str) -> None:
    """A real edit of a DICOM file: another StudyDescription, the pixels untouched."""
    _quietly(lambda: _set_description(file, description))


def _set_description(file: Path, description: str) -> None:
    image = dcmread(file)
    image.StudyDescription = description
    image.save_as(file)


def _set_uid(file: Path, uid: UID) -> None:
    image = dcmread(file)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid
    image.save_as(file)


def _read(source: Path) -> Dataset | None:
    """The header, or None where the file is no image of a known patient (DICOMDIR, damaged on purpose, …)."""
    try:
        image: Dataset = _quietly(lambda: dcmread(source, stop_before_pixels=True))
        return image if all(image.get(keyword) for keyword in PLACED_BY) else None
    except (InvalidDicomError, OSError, ValueError, AttributeError, KeyError, TypeError):
        return None  # pydicom ships broken files too, for its own tests


def _quietly(work: Callable[[], T]) -> T:
    """pydicom warns about what is odd in its own test files; that would be noise here."""
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()
