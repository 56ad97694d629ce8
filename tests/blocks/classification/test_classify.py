"""The block: one answer for each file, of the vocabulary, whatever stands in the file."""

from __future__ import annotations

import gzip
import os
import random
import struct
import time
from pathlib import Path

import msgspec
import nibabel
import numpy as np
import pytest
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from blocks.classification.classify import Classify, classify
from blocks.classification.vocabulary import vocabulary
from blocks.contract.job import IN, OUT, InputFile, Job
from blocks.contract.output import check_finished
from blocks.contract.result import FileResult, Label, Verdict, encode_result
from blocks.contract.sniff import HEAD_BYTES, sniff
from tests.blocks.dicom.test_damaged import damage
from tests.support.dicom_studies import an_image, file_bytes, found_in
from tests.support.recordings import Recording

SEED = int(os.environ.get("MB_SEED", "1"), 0)
BUDGET_SECONDS = min(float(os.environ.get("MB_BUDGET_SECONDS", "2")), 120.0)
LONGEST_SECONDS = 10.0  # of one small file, on a busy machine
SECRET = "Zweistein"
TEXT = {"LO", "LT", "SH", "ST", "UT", "PN", "CS", "UC", "AE"}
CLASSIFY = Classify()


def run(folder: Path, *contents: bytes) -> list[FileResult]:
    """As a worker does, with the check of what it answers."""
    for name in (IN, OUT):
        (folder / name).mkdir(parents=True)
    given = []
    for number, data in enumerate(contents):
        (folder / IN / str(number)).write_bytes(data)
        kind = sniff(data[:HEAD_BYTES])
        given.append(InputFile(file=str(number), path=[f"{number}"], kind=kind, size_bytes=len(data)))
    job = Job(id="1", block="classify", version="1", parameters={}, files=given, keys={})
    result = CLASSIFY.run(job, folder)
    (folder / "result.json").write_bytes(encode_result(result))
    return list(check_finished(folder, job, CLASSIFY.manifest).result.files)


def said(labels: list[Label], name: str) -> list[str]:
    return [label.value for label in labels if label.name == name]


def labels_of(tmp_path: Path, data: bytes) -> list[Label]:
    path = tmp_path / "file"
    path.write_bytes(data)
    return classify(path, sniff(data[:HEAD_BYTES]))


# ---- nothing of a header comes out -----------------------------------------------------------------------


def test_an_identifier_in_every_text_of_the_dictionary_stands_in_no_label(tmp_path: Path) -> None:
    """In every attribute of the standard that can hold text, alone and inside of true words."""
    texts = [tag for tag, (vr, *_) in DicomDictionary.items() if vr in TEXT and tag >> 16 not in {0, 2}]
    assert len(texts) > 1_000
    for form in (SECRET, f"MRT Knie {SECRET} rechts", f"{SECRET}^Jane 19800401"):
        dataset = an_image()
        for tag in texts:
            keyword = keyword_for_tag(tag)
            if keyword and keyword not in {"SpecificCharacterSet", "Modality", "PhotometricInterpretation"}:
                setattr(dataset, keyword, form[:64])
        nested = Dataset()
        nested.CodeValue, nested.CodingSchemeDesignator, nested.CodeMeaning = SECRET, "SCT", form[:64]
        dataset.AnatomicRegionSequence = dataset.ReasonForRequestedProcedureCodeSequence = [nested]
        dataset.PrimaryAnatomicStructureSequence = [nested]
        [answer] = run(tmp_path / form[:12], file_bytes(dataset))
        assert answer.verdict is Verdict.RELEASED
        told = msgspec.json.encode(answer)
        assert found_in([SECRET, "Jane", "19800401"], told) == []


@pytest.mark.parametrize("keyword", ["EchoNumbers", "NumberOfFrames", "TemporalPositionIdentifier"])
def test_numbers_that_cannot_be_counts_are_no_labels(tmp_path: Path, keyword: str) -> None:
    labels = labels_of(tmp_path, file_bytes(an_image(**{keyword: "19800401"})))
    assert "19800401" not in {label.value for label in labels}


def test_texts_and_patients_of_a_recording_stand_in_no_label(tmp_path: Path) -> None:
    names = [b"Zweistein", b"EEG Zweistein", b"Zweistein-Fp1"]
    recording = Recording(labels=names[:2], transducer=names[0], prefilter=names[0], texts=names)
    [answer] = run(tmp_path, recording.as_bytes())
    assert answer.labels
    assert found_in([SECRET, "Jane", "4711"], msgspec.json.encode(answer)) == []


# ---- one answer for each file ----------------------------------------------------------------------------


def test_each_file_has_an_answer_and_a_damaged_one_has_no_labels(tmp_path: Path) -> None:
    whole, cut = file_bytes(an_image()), Recording().as_bytes()[:-5]
    answers = run(tmp_path, whole, b"", b"a letter", cut, whole[:140], b"\0" * 200, Recording().as_bytes())
    verdicts = [answer.verdict for answer in answers]
    assert verdicts == [
        Verdict.RELEASED,
        *[Verdict.UNCHANGED] * 5,
        Verdict.RELEASED,
    ]
    assert not any(answer.outputs or answer.reasons for answer in answers)


def test_damage_never_breaks_it(tmp_path: Path) -> None:
    kinds = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
    image = an_image(DiffusionBValue=800.0, AnatomicRegionSequence=[Dataset()])
    sources = [(file_bytes(image, kind), "dicom") for kind in kinds]
    sources += [(Recording().as_bytes(), "edf"), (a_nifti(), "nifti"), (META, "metaimage")]
    chance = random.Random(SEED)
    path = tmp_path / "damaged"
    count, ends = 0, time.monotonic() + BUDGET_SECONDS
    while time.monotonic() < ends or count < 50:
        source, kind = chance.choice(sources)
        path.write_bytes(damage(source, chance) if len(source) > 200 else source[: chance.randrange(200)])
        began = time.monotonic()
        labels = classify(path, kind)
        assert time.monotonic() - began < LONGEST_SECONDS
        assert all(vocabulary().allows(label.name, label.value) for label in labels), f"MB_SEED={SEED}"
        count += 1


def test_noise_has_no_labels(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    path = tmp_path / "noise"
    for length in (0, 1, 132, 300, 5_000):
        path.write_bytes(chance.randbytes(length))
        for kind in ("edf", "nifti", "nifti-gz", "metaimage"):
            assert classify(path, kind) == []


# ---- what is said of a kind of file ----------------------------------------------------------------------


def test_an_image_says_its_counts_and_b_values(tmp_path: Path) -> None:
    image = an_image(EchoNumbers="2", TemporalPositionIdentifier="3", DiffusionBValue=800.0)
    labels = labels_of(tmp_path, file_bytes(image))
    assert said(labels, "frames") == ["1"]
    assert said(labels, "echo-number") == ["2"]
    assert said(labels, "temporal-position") == ["3"]
    assert said(labels, "b-value") == ["800"]
    assert said(labels, "sequence") == ["dwi"]


@pytest.mark.parametrize(
    ("creator", "group", "element", "vr", "value", "source"),
    [
        ("SIEMENS MR HEADER", 0x0019, 0x0C, "IS", "1000", "0019,100C"),
        ("SIEMENS MR HEADER", 0x0019, 0x0C, "UN", b"1000", "0019,100C"),
        ("GEMS_PARM_01", 0x0043, 0x39, "IS", ["1000001000", "8", "0", "0"], "0043,1039"),
        ("Philips Imaging DD 001", 0x2001, 0x03, "FL", 1000.0, "2001,1003"),
        ("Philips Imaging DD 001", 0x2001, 0x03, "UN", struct.pack("<f", 1000.0), "2001,1003"),
    ],
)
def test_b_values_of_makers_are_read(
    tmp_path: Path, creator: str, group: int, element: int, vr: str, value: object, source: str
) -> None:
    image = an_image()
    image.private_block(group, creator, create=True).add_new(element, vr, value)
    labels = labels_of(tmp_path, file_bytes(image))
    assert [(label.value, label.source) for label in labels if label.name == "b-value"] == [("1000", source)]


def test_many_frames_are_read_from_their_groups(tmp_path: Path) -> None:
    image = an_image(NumberOfFrames="3")
    del image.ImageOrientationPatient
    frames = []
    for b_value in (0.0, 800.0, 800.0):
        frame, diffusion, plane = Dataset(), Dataset(), Dataset()
        diffusion.DiffusionBValue = b_value
        plane.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        frame.MRDiffusionSequence, frame.PlaneOrientationSequence = [diffusion], [plane]
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    labels = labels_of(tmp_path, file_bytes(image))
    assert said(labels, "frames") == ["3"]
    assert said(labels, "b-value") == ["0", "800"]
    assert said(labels, "plane") == ["sagittal"]


@pytest.mark.parametrize("version", [b"0", b"\xffBIOSEMI"])
def test_a_recording_says_its_channels_times_and_gaps(tmp_path: Path, version: bytes) -> None:
    reserved = b"EDF+D" if version == b"0" else b"BDF+D"
    recording = Recording(version=version, reserved=reserved, onsets=[b"+0", b"+1", b"+5"])
    labels = labels_of(tmp_path, recording.as_bytes())
    assert said(labels, "modality") == ["EEG"]
    assert said(labels, "channels") == ["2"]
    assert said(labels, "channel") == ["Fp1", "ECG"]
    assert said(labels, "duration-seconds") == ["3"]
    assert said(labels, "annotations") == ["3"]
    assert said(labels, "gaps") == ["1"]
    assert "10" in said(labels, "sampling-rate-hertz")
    assert all(label.source for label in labels)


@pytest.mark.parametrize(
    ("channels", "modality"),
    [
        ([b"EEG C3-A2", b"EEG O1-A2"], "EEG"),
        ([b"ECG I", b"ECG II"], "ECG"),
        ([b"EMG left", b"EMG right"], "EMG"),
        ([b"Fp1", b"Fp2"], "EEG"),
        ([b"SpO2", b"Airflow"], "RESP"),
    ],
)
def test_channels_say_the_modality(tmp_path: Path, channels: list[bytes], modality: str) -> None:
    assert said(labels_of(tmp_path, Recording(labels=channels).as_bytes()), "modality") == [modality]


def a_nifti(shape: tuple[int, ...] = (8, 8, 5, 3)) -> bytes:
    image = nibabel.Nifti1Image(np.zeros(shape, dtype="int16"), np.eye(4))
    data: bytes = image.to_bytes()
    return data


META = (
    b"ObjectType = Image\nNDims = 3\nModality = MET_MOD_CT\nComment = Zweistein\n"
    b"DimSize = 8 8 5\nElementType = MET_SHORT\nElementDataFile = LOCAL\n" + bytes(640)
)


@pytest.mark.parametrize("packed", [False, True])
def test_a_nifti_says_its_slices_and_time_points(tmp_path: Path, packed: bool) -> None:
    data = gzip.compress(a_nifti()) if packed else a_nifti()
    labels = labels_of(tmp_path, data)
    assert said(labels, "slices") == ["5"]
    assert said(labels, "time-points") == ["3"]
    assert said(labels, "dimension") == ["3d"]


def test_a_metaimage_says_its_modality_and_slices(tmp_path: Path) -> None:
    labels = labels_of(tmp_path, META)
    assert (said(labels, "modality"), said(labels, "slices")) == (["CT"], ["5"])
    assert found_in([SECRET], msgspec.json.encode(labels)) == []
