"""A document inside a DICOM object is held back, or a project has it replaced by a page that says so."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pydicom.dataset import Dataset

from blocks.dicom.notices import CDA, PDF, WORDS, cda_notice, pdf_notice
from tests.support.dicom_studies import an_image, cleaned, found_in, reread

NAMES = ("Zweistein", "Jane", "4711", "19800401", "Quacksalver", "ACC7731")
LETTER = b"%PDF-1.7 Zweistein Jane, born 19800401, seen by Dr Quacksalver, PID-4711-X"


def a_document(sop_class: str = PDF, **attributes: object) -> Dataset:
    dataset = an_image(
        SOPClassUID=sop_class, Modality="DOC", EncapsulatedDocument=LETTER + b" " * (len(LETTER) % 2),
        EncapsulatedDocumentLength=len(LETTER), MIMETypeOfEncapsulatedDocument="application/pdf",
        BurnedInAnnotation="YES", DocumentTitle="Letter on Zweistein", ListOfMIMETypes=["image/zweistein"],
        HL7InstanceIdentifier="1.2.3^Zweistein", **attributes,
    )  # fmt: skip
    for keyword in (
        "PixelData",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "SamplesPerPixel",
    ):
        del dataset[keyword]
    return dataset


@pytest.mark.parametrize("preset", ["basic", "research", "paper"])
@pytest.mark.parametrize("sop_class", [PDF, CDA])
def test_on_request_a_notice_stands_in_its_place_and_the_object_may_pass(
    tmp_path: Path, sop_class: str, preset: str
) -> None:
    held = cleaned(tmp_path, a_document(sop_class), preset)
    assert ([reason.code for reason in held.reasons], held.data) == (["encapsulated"], None)

    result = cleaned(tmp_path, a_document(sop_class), preset, project={"documents": "notice"})
    assert result.reasons == []
    assert result.data is not None
    assert found_in(NAMES, result.data) == []
    made = reread(result)
    notice = pdf_notice() if sop_class == PDF else cda_notice()
    assert made.EncapsulatedDocument.rstrip(b"\0") == notice
    assert made.EncapsulatedDocumentLength == len(notice)
    assert made.MIMETypeOfEncapsulatedDocument == ("application/pdf" if sop_class == PDF else "text/XML")
    assert (made.DocumentTitle, made.BurnedInAnnotation, made.PatientIdentityRemoved) == (WORDS, "NO", "YES")
    assert "ListOfMIMETypes" not in made
    assert ((0x00420011,), "replaced by a notice", "documents") in result.changes


@pytest.mark.parametrize("number", [3, 4, 5])
def test_a_model_of_a_body_is_no_document_that_a_page_could_stand_for(tmp_path: Path, number: int) -> None:
    surface = a_document(f"1.2.840.10008.5.1.4.1.1.104.{number}")
    result = cleaned(tmp_path, surface, project={"documents": "notice"})
    assert ([reason.code for reason in result.reasons], result.data) == (["encapsulated"], None)


def test_a_document_in_another_object_is_held_all_the_same(tmp_path: Path) -> None:
    result = cleaned(tmp_path, an_image(EncapsulatedDocument=LETTER), project={"documents": "notice"})
    assert ([reason.code for reason in result.reasons], result.data) == (["encapsulated"], None)


def test_the_site_decides_where_the_project_says_something_else(tmp_path: Path) -> None:
    result = cleaned(tmp_path, a_document(), project={"documents": "notice"}, site={"documents": "hold"})
    assert [reason.code for reason in result.reasons] == ["encapsulated"]


def test_the_notices_are_what_they_say() -> None:
    pdf = pdf_notice()
    table = int(re.findall(rb"startxref\n(\d+)\n%%EOF\n$", pdf)[0])
    assert pdf[table:].startswith(b"xref\n0 7\n0000000000 65535 f \n")
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n \n", pdf[table:])]
    assert [pdf[place:].split(b"\n")[0] for place in places] == [b"%d 0 obj" % n for n in range(1, 7)]
    [(length, stream)] = re.findall(rb"/Length (\d+) >>\nstream\n(.*)\nendstream", pdf)
    assert int(length) == len(stream)
    assert WORDS.encode() in stream
    document = ET.fromstring(cda_notice())
    assert document.tag == "{urn:hl7-org:v3}ClinicalDocument"
    assert document.find("{urn:hl7-org:v3}title").text == WORDS  # type: ignore[union-attr] # it has one
