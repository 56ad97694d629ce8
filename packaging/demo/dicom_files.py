"""Real DICOM files, laid out as a researcher has them: patient / study / series / image.

Owns: which of the files that pydicom ships are used, what their folders are called; a study that names a patient.
May import: pydicom.

Nothing of a patient appears in a name or on the screen: patients are numbered.  Only what goes into an intake bears a
name, an invented one, wherever a hospital's files bear one.  Files that share a SOP
Instance UID with another get a new one, since two images never share one.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pydicom.data
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_files
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, generate_uid

T = TypeVar("T")

# No part of a name is so short that it turns up by chance in a key or a hash: they are looked for in every byte.
PATIENT, PATIENT_ID, BORN = "Zweistein^Wilma", "PID-4711-X", "19610314"
DOCTOR, ACCESSION = "Quacksalver^Hubert", "ACC-7731-Q"
PLACED_BY = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Layout:
    """What was laid out.  files: paths below the folder, sorted."""

    files: tuple[str, ...]
    size_bytes: int
    patients: int
    studies: int
    series: int


@dataclass(frozen=True, slots=True)
class Identified:
    """Studies as a hospital has them.  words: all that tells whose they are, as it stands in names and in bytes."""

    images: int
    size_bytes: int
    words: tuple[str, ...]
    picture: str
    letter: str


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
    for path_there in _shipped():
        source = str(path_there)
        image = _read(path_there)
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


def lay_out_identified(folder: Path) -> Identified:
    """Below `folder`: slices of an invented patient, a picture by ultrasound of hers, and a letter about her."""
    slices = [path for path in _shipped() if path.parent.parent.name == "98892003"]
    picture = next(path for path in _shipped() if path.name == "examples_rgb_color.dcm")
    uids = {old: generate_uid(entropy_srcs=[old]) for path in (*slices, picture) for old in _uids(path)}
    home = folder / f"{PATIENT.replace('^', ' ')} {PATIENT_ID}"
    for number, source in enumerate(slices, 1):
        _quietly(lambda: _identify(source, home / "Knee" / f"{ACCESSION}-{number:03}.dcm", uids))  # noqa: B023 -- it is called at once, in this turn of the loop
    shown, letter = (
        home / "Ultrasound" / "picture.dcm",
        home / f"letter about {PATIENT.split('^', maxsplit=1)[0]}.txt",
    )
    _quietly(lambda: _identify(picture, shown, uids))
    letter.write_text(f"Dear {DOCTOR.replace('^', ' ')}, your patient {PATIENT}, born {BORN}, came again.\n")
    files = [path for path in home.rglob("*") if path.is_file()]
    return Identified(
        images=len(slices),
        size_bytes=sum(path.stat().st_size for path in files),
        words=(*PATIENT.split("^"), *DOCTOR.split("^"), PATIENT_ID, ACCESSION, BORN, *uids.values()),
        picture=shown.relative_to(folder).as_posix(),
        letter=letter.relative_to(folder).as_posix(),
    )


def _uids(file: Path) -> list[str]:
    image: Dataset = _quietly(lambda: dcmread(file, stop_before_pixels=True))
    return [str(image[keyword].value) for keyword in PLACED_BY[1:]]


def _identify(source: Path, target: Path, uids: Mapping[str, str]) -> None:
    """A copy that says whose it is where a hospital's files do: on top, in free text, nested, in private attributes."""
    image = dcmread(source)
    for keyword in PLACED_BY[1:]:
        setattr(image, keyword, uids[str(image[keyword].value)])
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.PatientName, image.PatientID, image.PatientBirthDate = PATIENT, PATIENT_ID, BORN
    image.ReferringPhysicianName, image.AccessionNumber = DOCTOR, ACCESSION
    image.StudyDescription = f"Knee of {PATIENT.split('^', maxsplit=1)[0]}"
    request = Dataset()
    request.RequestedProcedureDescription = f"asked for by {DOCTOR.split('^', maxsplit=1)[0]}"
    image.RequestAttributesSequence = [request]
    image.private_block(0x0009, "MAKER OF THE DEMO", create=True).add_new(0x01, "LO", PATIENT_ID)
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(target)


def _shipped() -> list[Path]:
    """What comes with pydicom itself: it also lists the files of pydicom-data, where that is installed."""
    own = Path(pydicom.data.__file__).parent
    return sorted(path for path in map(Path, get_testdata_files()) if path.is_relative_to(own))


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
