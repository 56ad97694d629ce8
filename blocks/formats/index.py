"""The block `index`: what the catalog should know of a file, read from its header.

Owns: which reader a kind of file has, the attributes of recordings and volumes.
May import: the standard library, msgspec, protocol, blocks.contract, blocks.dicom, blocks.formats.

For files that came in another way than through a block of ours: what `deidentify` makes is indexed as it is made.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from blocks.contract.job import IN, Job
from blocks.contract.manifest import read_manifest
from blocks.contract.result import FileResult, Reason, Result, Verdict
from blocks.dicom import files
from blocks.dicom.attributes import attributes_of
from blocks.formats.cleaned import Held
from blocks.formats.edf import FIXED_BYTES, MOST_SIGNALS, SIGNAL_BYTES, is_annotations, read_header
from protocol.attributes import Value

_MANIFEST = Path(__file__).with_name("index.toml")
_NIFTI_HEAD = 544  # of NIfTI-2, the longer one
Table = Mapping[str, list[Value]]


class Index:
    """One worker's copy."""

    def __init__(self) -> None:
        files.be_silent()
        self.manifest = read_manifest(_MANIFEST.read_bytes())

    def run(self, job: Job, folder: Path) -> Result:
        return Result(
            files=[_one(source, file.kind, folder / IN / file.file) for source, file in enumerate(job.files)]
        )


def _one(source: int, kind: str, path: Path) -> FileResult:
    try:
        table = _READERS[kind](path)
    except (MemoryError, OSError):
        raise
    except Exception as error:
        text = f"Its header could not be read ({type(error).__name__})."
        return FileResult(
            source=source, verdict=Verdict.UNCHANGED, reasons=[Reason(code="not-readable", text=text)]
        )
    return FileResult(source=source, verdict=Verdict.UNCHANGED, attributes=dict(table))


def described(kind: str, path: Path, *, patient: str) -> dict[str, list[Value]]:
    """Of a file that a cleaner made and that names its patient nowhere itself; patient: the pseudonym."""
    try:
        table = dict(_READERS[kind](path)) if kind in _READERS else {}
    except (MemoryError, OSError):
        raise
    except Exception:
        table = {}
    return table | {"PatientID": [patient]}


def _dicom(path: Path) -> Table:
    return attributes_of(files.read(path))


def _edf(path: Path) -> Table:
    """Of the signals, not of the annotations between them."""
    with path.open("rb") as file:
        head = file.read(FIXED_BYTES + SIGNAL_BYTES * MOST_SIGNALS)
    header = read_header(head, size_bytes=path.stat().st_size)
    rates = [
        round(samples / header.duration, 6)
        for label, samples in zip(header.of_signals["label"], header.samples, strict=True)
        if not is_annotations(label) and header.duration
    ]
    table: dict[str, list[Value]] = {
        "Modality": ["EEG"],
        "NumberOfWaveformChannels": [len(rates)],
        "AcquisitionDuration": [round(header.records * header.duration, 6)],
    }
    if 0 < len(set(rates)) <= 16:
        table["SamplingFrequency"] = sorted(set(rates))
    return table


def _nifti(path: Path) -> Table:
    """The grid: NIfTI-1 has it in 16-bit numbers and floats, NIfTI-2 in 64-bit ones."""
    with path.open("rb") as file:
        head = file.read(64 << 10)
    if head.startswith(b"\x1f\x8b"):
        head = zlib.decompressobj(31).decompress(head, _NIFTI_HEAD)
    order = "<" if struct.unpack_from("<i", head)[0] in (348, 540) else ">"
    if struct.unpack_from(f"{order}i", head)[0] == 348:
        dims = struct.unpack_from(f"{order}8h", head, 40)
        sizes = struct.unpack_from(f"{order}8f", head, 76)
    else:
        dims = struct.unpack_from(f"{order}8q", head, 16)
        sizes = struct.unpack_from(f"{order}8d", head, 104)
    if not 1 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1:
        raise Held("not-readable", "The grid of the volume makes no sense.")
    columns, rows, slices = (dims[axis] if axis <= dims[0] else 1 for axis in (1, 2, 3))
    table: dict[str, list[Value]] = {"Columns": [columns], "Rows": [rows], "NumberOfFrames": [slices]}
    if all(0 < size < 1e6 for size in sizes[1:4]):
        table["PixelSpacing"] = [round(sizes[2], 6), round(sizes[1], 6)]
        table["SpacingBetweenSlices"] = [round(sizes[3], 6)]
    return table


_READERS: Mapping[str, Callable[[Path], Table]] = {
    "dicom": _dicom,
    "dicom-without-header": _dicom,
    "edf": _edf,
    "bdf": _edf,
    "nifti": _nifti,
    "nifti-gz": _nifti,
}
