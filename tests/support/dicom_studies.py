"""DICOM files with a person in them, made by the test: nobody's real data."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from blocks.dicom.decisions import Decisions
from blocks.dicom.deidentify import Cleaned, deidentify
from blocks.dicom.files import be_silent
from blocks.dicom.pseudonyms import Pseudonyms
from blocks.dicom.template import Template, read_template

be_silent()  # values that a well-behaved program would not write
MR = "1.2.840.10008.5.1.4.1.1.4"
KEY = b"the key of a project, 32 bytes.."
PIXELS = bytes(range(256)) * 2


def an_image(**attributes: object) -> Dataset:
    """A small MR slice of Jane Zweistein, born on 1 April 1980."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    dataset.SOPClassUID = MR
    dataset.SOPInstanceUID = "1.2.826.0.1.99.1.1.1"
    dataset.StudyInstanceUID = "1.2.826.0.1.99.1"
    dataset.SeriesInstanceUID = "1.2.826.0.1.99.1.1"
    dataset.FrameOfReferenceUID = "1.2.826.0.1.99.7"
    dataset.StudyDate = dataset.SeriesDate = "20240229"
    dataset.StudyTime = dataset.SeriesTime = "101112"
    dataset.AccessionNumber = "ACC7731"
    dataset.Modality = "MR"
    dataset.Manufacturer = "Acme"
    dataset.ReferringPhysicianName = "Quacksalver^Hubert"
    dataset.StudyDescription = "Knee for Dr Quacksalver"
    dataset.PatientName = "Zweistein^Jane"
    dataset.PatientID = "PID-4711-X"
    dataset.PatientBirthDate = "19800401"
    dataset.PatientSex = "F"
    dataset.PatientAge = "043Y"
    dataset.PatientWeight = "61.5"
    dataset.PatientPosition = "HFS"
    dataset.BodyPartExamined = "KNEE"
    dataset.ScanningSequence = "SE"
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.EchoTime = "11.5"
    dataset.RepetitionTime = "600"
    dataset.EchoTrainLength = "1"
    dataset.SliceThickness = "3.0"
    dataset.ProtocolName = "t1_tse_sag"
    dataset.StudyID = "S-4"
    dataset.SeriesNumber = "3"
    dataset.InstanceNumber = "12"
    dataset.ImagePositionPatient = ["-12.5", "0.25", "88"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PositionReferenceIndicator = ""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = 16
    dataset.PixelSpacing = ["0.5", "0.5"]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = PIXELS
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def file_bytes(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID") or MR
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    meta.TransferSyntaxUID = syntax
    dataset.file_meta = meta
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def a_template(preset: str = "research", **layers: object) -> Template:
    return read_template({"preset": preset, **layers})


def cleaned(
    folder: Path, source: Dataset | bytes, preset: str = "research", *, key: bytes = KEY, **layers: object
) -> Cleaned:
    """What the block makes of one file."""
    path = folder / "source.dcm"
    path.write_bytes(source if isinstance(source, bytes) else file_bytes(source))
    return deidentify(path, Decisions(a_template(preset, **layers)), Pseudonyms(key))


def reread(result: Cleaned) -> Dataset:
    assert result.data is not None, result.reasons
    return pydicom.dcmread(BytesIO(result.data))


def in_any_encoding(text: str, data: bytes) -> bool:
    """Do these bytes hold the text, in whatever case and encoding?"""
    if text.isascii():
        return bool(found_in([text], data))
    encodings = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "latin-1", "cp932", "euc_kr", "gb18030")
    for form in {text, text.lower(), text.upper()}:
        for encoding in encodings:
            with suppress(UnicodeEncodeError):
                if form.encode(encoding) in data:
                    return True
    return False


def found_in(words: Iterable[str], data: bytes) -> list[str]:
    """The words (ASCII) that these bytes hold, in whatever case, as bytes, UTF-16 or UTF-32 of either order."""
    lowered = data.lower()
    views = [lowered, lowered[::2], lowered[1::2], *(lowered[start::4] for start in range(4))]
    return [word for word in set(words) if any(word.lower().encode() in view for view in views)]
