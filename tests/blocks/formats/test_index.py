"""The block `index` says what stands in a file's header, and of a damaged one nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from blocks.contract.job import InputFile, Job
from blocks.contract.output import check_finished
from blocks.contract.result import FileResult, Verdict, encode_result
from blocks.contract.sniff import sniff
from blocks.formats.index import Index
from tests.support.dicom_studies import an_image, file_bytes
from tests.support.recordings import Recording


def a_volume() -> bytes:
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 64, 48, 20, 1, 1, 1, 1)
    struct.pack_into("<8f", head, 76, 1, 0.5, 0.75, 3, 0, 0, 0, 0)
    head[344:348] = b"n+1\0"
    return bytes(head)


def index(folder: Path, data: bytes) -> FileResult:
    for name in ("in", "out"):
        (folder / name).mkdir()
    (folder / "in/0").write_bytes(data)
    file = InputFile(file="0", path=["a"], kind=sniff(data[:4_096]), size_bytes=len(data))
    job = Job(id="1", block="index", version="1", parameters={}, files=[file])
    block = Index()
    assert block.manifest.accepts_file(file.kind, "a")
    (folder / "result.json").write_bytes(encode_result(block.run(job, folder)))
    [found] = check_finished(folder, job, block.manifest).result.files
    assert found.verdict is Verdict.UNCHANGED
    return found


def test_a_dicom_file(tmp_path: Path) -> None:
    given = {
        "EchoTime": "80.5",
        "RepetitionTime": "4000",
        "PixelSpacing": ["0.5", "0.25"],
        "SeriesDescription": "  T2\ttse  sagittal ",
        "FlipAngle": "",
        "SeriesNumber": "7",
    }
    told = dict(index(tmp_path, file_bytes(an_image(**given))).attributes)
    assert told["EchoTime"] == [80.5]
    assert told["PixelSpacing"] == [0.5, 0.25]
    assert told["SeriesDescription"] == ["T2 tse sagittal"]
    assert told["SeriesNumber"] == [7]
    assert told["Modality"] == ["MR"]
    assert told["StudyDate"] == ["20240229"]
    assert not {"FlipAngle", "PatientName", "PixelData"} & told.keys()


def test_a_recording(tmp_path: Path) -> None:
    told = index(tmp_path, Recording().as_bytes()).attributes
    assert told["Modality"] == ["EEG"]
    assert int(told["NumberOfWaveformChannels"][0]) > 0  # type: ignore[index,arg-type] # a list of one number
    assert told["AcquisitionDuration"][0] > 0  # type: ignore[index,operator] # as above


def test_a_volume(tmp_path: Path) -> None:
    assert index(tmp_path, a_volume()).attributes == {
        "Columns": [64],
        "Rows": [48],
        "NumberOfFrames": [20],
        "PixelSpacing": [0.75, 0.5],
        "SpacingBetweenSlices": [3.0],
    }


@pytest.mark.parametrize(
    "data", [bytes(128) + b"DICM" + b"x" * 9, Recording().as_bytes()[:300], a_volume()[:40] + b"\xff" * 400]
)
def test_a_damaged_file_has_no_attributes(tmp_path: Path, data: bytes) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "in/0").write_bytes(data)
    for kind in ("dicom", "edf", "nifti"):
        file = InputFile(file="0", path=["a"], kind=kind, size_bytes=len(data))
        job = Job(id="1", block="index", version="1", parameters={}, files=[file])
        [found] = Index().run(job, tmp_path).files
        assert (found.verdict, found.attributes) == (Verdict.UNCHANGED, {})
        assert [reason.code for reason in found.reasons] in (["not-readable"], [])
