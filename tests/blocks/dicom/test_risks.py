"""What cannot be made safe is held back, and says why."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tests.support.dicom_studies import an_image, cleaned, file_bytes, reread

STORAGE = "1.2.840.10008.5.1.4.1.1."


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned-in"),
        ({"RecognizableVisualFeatures": "YES"}, "recognisable"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen-capture"),
        ({"ConversionType": "SD"}, "screen-capture"),
        ({"SOPClassUID": f"{STORAGE}7"}, "burned-in-risk"),
        ({"SOPClassUID": f"{STORAGE}6.1", "BurnedInAnnotation": "NO"}, "burned-in-risk"),
        ({"SOPClassUID": f"{STORAGE}77.1.4"}, "burned-in-risk"),
        ({"Modality": "XA"}, "burned-in-risk"),
        ({"SOPClassUID": "1.2.999.1.1"}, "unknown-kind"),
    ],
)
def test_a_picture_that_may_show_a_name_is_cleaned_and_held(
    tmp_path: Path, attributes: dict[str, object], code: str
) -> None:
    result = cleaned(tmp_path, an_image(**attributes))

    assert code in [reason.code for reason in result.reasons]
    assert reread(result).PatientIdentityRemoved == "YES"  # what a person may release later


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"SOPClassUID": "1.2.840.10008.1.3.10"}, "dicomdir"),
        ({"DirectoryRecordSequence": [Dataset()]}, "dicomdir"),
        ({"SOPClassUID": f"{STORAGE}104.1"}, "encapsulated"),
        ({"EncapsulatedDocument": b"%PDF"}, "encapsulated"),
        ({"SOPClassUID": f"{STORAGE}66"}, "raw-data"),
        ({"SOPClassUID": f"{STORAGE}9.4.1"}, "audio"),
        ({"SOPClassUID": ""}, "no-sop-class"),
        ({"Rows": 60_000, "Columns": 60_000}, "too-large"),
    ],
)
def test_of_what_cannot_be_cleaned_nothing_is_made(
    tmp_path: Path, attributes: dict[str, object], code: str
) -> None:
    result = cleaned(tmp_path, an_image(**attributes))

    assert [reason.code for reason in result.reasons] == [code]
    assert result.data is None


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"x",
        bytes(128) + b"DICM",
        b"a letter to Zweistein" * 50,
        file_bytes(an_image())[:-100],
        file_bytes(an_image())[:500],
    ],
    ids=["empty", "short", "header-only", "letter", "pixels-cut", "header-cut"],
)
def test_what_is_no_whole_dicom_file_is_held(tmp_path: Path, source: bytes) -> None:
    result = cleaned(tmp_path, source)

    assert result.reasons
    assert result.data is None


def test_sequences_without_end_are_held(tmp_path: Path) -> None:
    inner = Dataset()
    for _ in range(70):
        outer = Dataset()
        outer.AnatomicRegionSequence = [inner]
        inner = outer

    result = cleaned(tmp_path, an_image(AnatomicRegionSequence=[inner]))

    assert [reason.code for reason in result.reasons] == ["too-deep"]


def test_a_deflated_bomb_is_held_before_it_is_unpacked(tmp_path: Path) -> None:
    honest = file_bytes(an_image(), DeflatedExplicitVRLittleEndian)
    start = 144 + int.from_bytes(honest[140:144], "little")
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(80)) + packer.flush()

    result = cleaned(tmp_path, honest[:start] + bomb)

    assert [reason.code for reason in result.reasons] == ["too-large"]


def a_report() -> Dataset:
    def item(kind: str, concept: tuple[str, str], **values: object) -> Dataset:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = *concept, "meaning"
        made = Dataset()
        made.RelationshipType, made.ValueType, made.ConceptNameCodeSequence = "CONTAINS", kind, [code]
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    report = an_image(SOPClassUID=f"{STORAGE}88.22", Modality="SR")
    del report.PixelData, report.Rows, report.Columns
    inner = item("TEXT", ("121106", "DCM"), TextValue="Qzcomment inside")
    report.ContentSequence = [
        item("PNAME", ("121008", "DCM"), PersonName="Qzobserver^X"),
        item("TEXT", ("99", "L"), TextValue="Qzunknown text of a finding"),
        item("DATETIME", ("99", "L"), DateTime="20240229101112"),
        item("UIDREF", ("99", "L"), UID="1.2.999.77"),
        item("CODE", ("99", "L"), ConceptCodeSequence=[inner.ConceptNameCodeSequence[0]]),
        item("CONTAINER", ("99", "L"), ContinuityOfContent="SEPARATE", ContentSequence=[inner]),
    ]
    return report


@pytest.mark.parametrize("preset", ["basic", "research"])
def test_a_structured_report_keeps_its_shape_and_loses_what_people_wrote(tmp_path: Path, preset: str) -> None:
    result = cleaned(tmp_path, a_report(), preset)

    assert not result.reasons
    assert result.data is not None
    for word in (b"qz", b"1.2.999.77", b"20240229"):
        assert word not in result.data.lower()
    kinds = [item.ValueType for item in reread(result).ContentSequence]
    assert {"CODE", "CONTAINER", "TEXT"} <= set(kinds)
