"""DICOM files in and out of memory.

Owns: reading within bounds, also without a header; writing with a new header and nothing around it.
May import: pydicom, blocks.dicom.

pydicom is told to be silent in this process: its warnings repeat values.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from blocks.dicom.pseudonyms import Pseudonyms

IMPLEMENTATION_UID = "2.25.146537279042337418529062113472309718205"
IMPLEMENTATION_NAME = "MEDICAL-BLOCKS"
MAX_FILE_BYTES = 4 << 30
MAX_INFLATED_BYTES = 1 << 30
MAX_INFLATED_RATIO = 100
SMALL_BYTES = 64 << 20  # up to here no ratio is a bomb
MAX_PIXEL_BYTES = 2 << 30
_DEFERRED_BYTES = 1 << 20  # a longer value is left on the disk where only a header is wanted
DEFLATED = {DeflatedExplicitVRLittleEndian, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
_NATIVE = {
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
}


def be_silent() -> None:
    """For the whole process: no warning, no log line of the library; nothing is checked twice."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").disabled = True
    config.settings.reading_validation_mode = config.IGNORE
    config.settings.writing_validation_mode = config.IGNORE


class Unreadable(ValueError):
    """Not a file we can make safe; `code` and the words go into the reason, never a value."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def read(path: Path, *, pixels: bool = True) -> Dataset:
    """The whole file, or what stands before its pixels; Unreadable if it is none, or more than we are ready to hold."""
    size = path.stat().st_size
    if pixels and size > MAX_FILE_BYTES:
        raise Unreadable("too-large", "The file is larger than the block may hold.")
    with path.open("rb") as file:
        head = file.read(4_096)
    if head[128:132] == b"DICM" and any(uid.encode() in head for uid in DEFLATED):
        _check_inflated(path, size)
    try:
        dataset = pydicom.dcmread(
            path, force=True, stop_before_pixels=not pixels, defer_size=None if pixels else _DEFERRED_BYTES
        )
    except MemoryError:
        raise
    except Exception as error:
        raise Unreadable(
            "not-readable", f"The file cannot be read as DICOM ({type(error).__name__})."
        ) from error
    if not len(dataset):
        raise Unreadable("not-readable", "The file holds no data set.")
    return dataset


def _check_inflated(path: Path, size: int) -> None:
    """A deflated data set is unpacked once within bounds before the library may do it without."""
    try:
        meta = read_file_meta_info(str(path))
        start = 132 + 12 + int(meta.FileMetaInformationGroupLength)
    except Exception as error:
        raise Unreadable("not-readable", "The header of the deflated file cannot be read.") from error
    if str(meta.get("TransferSyntaxUID")) not in DEFLATED:
        return
    limit = min(MAX_INFLATED_BYTES, max(SMALL_BYTES, size * MAX_INFLATED_RATIO))
    inflate = zlib.decompressobj(-15)
    made = 0
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(1 << 20)
        try:
            while data and not inflate.eof:
                made += len(inflate.decompress(data, 1 << 20))
                if made > limit:
                    raise Unreadable("too-large", "The deflated file unpacks to more than is allowed.")
                data = inflate.unconsumed_tail or file.read(1 << 20)
        except zlib.error as error:
            raise Unreadable("not-readable", "The deflated file is damaged.") from error


def transfer_syntax(dataset: Dataset) -> UID:
    """The one that the bytes are really in; what a header says is believed only for compressed pixels."""
    said = getattr(dataset, "file_meta", FileMetaDataset()).get("TransferSyntaxUID")
    implicit, little = dataset.original_encoding
    if said is not None and said not in _NATIVE:
        if implicit or not little or not UID(said).is_transfer_syntax or UID(said).is_private:
            raise Unreadable("unknown-syntax", "The file is not in a transfer syntax of the standard.")
        return UID(said)
    if said == DeflatedExplicitVRLittleEndian:
        return UID(said)
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def written(dataset: Dataset, syntax: UID, sop_class: str, pseudonyms: Pseudonyms, *, instance: str) -> bytes:
    """The file's new bytes: a preamble of zeros, a header of ours, the data set, and nothing behind it."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(instance or pseudonyms.uid("no instance"))
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    dataset.file_meta = meta
    dataset.preamble = bytes(128)
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
