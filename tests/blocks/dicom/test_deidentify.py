"""What a de-identified image says: who it is, when, and what was done to it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from blocks.dicom.deidentify import write_report
from blocks.dicom.pseudonyms import Pseudonyms, identity
from protocol.errors import BadRequest, Refused
from tests.support.dicom_studies import PIXELS, a_template, an_image, cleaned, file_bytes, reread


def test_one_patient_is_one_pseudonym_on_all_days_and_in_all_files(tmp_path: Path) -> None:
    one = reread(cleaned(tmp_path, an_image()))
    other = reread(
        cleaned(
            tmp_path,
            an_image(StudyInstanceUID="1.2.3", PatientName="ZWEISTEIN^JANE", PatientID="pid-4711-X "),
        )
    )
    stranger = reread(cleaned(tmp_path, an_image(PatientID="PID-4712-X")))

    assert one.PatientID == other.PatientID == str(one.PatientName)
    assert stranger.PatientID != one.PatientID
    assert one.StudyInstanceUID != other.StudyInstanceUID


def test_another_key_gives_other_values_and_the_same_key_the_same(tmp_path: Path) -> None:
    first, again = cleaned(tmp_path, an_image()), cleaned(tmp_path, an_image())
    other = reread(cleaned(tmp_path, an_image(), key=b"k" * 32))

    assert first.data == again.data
    for keyword in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert reread(first)[keyword].value != other[keyword].value


def test_uids_are_new_and_references_still_meet(tmp_path: Path) -> None:
    below = Dataset()
    below.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    below.ReferencedSOPInstanceUID = "1.2.826.0.1.99.1.1.1"
    other = an_image(SOPInstanceUID="1.2.826.0.1.99.1.1.2", ReferencedImageSequence=[below])

    one, two = reread(cleaned(tmp_path, an_image())), reread(cleaned(tmp_path, other))

    assert one.SOPInstanceUID.startswith("2.25.")
    assert two.ReferencedImageSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert two.ReferencedImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
    assert one.SeriesInstanceUID == two.SeriesInstanceUID


def test_all_dates_of_a_patient_move_by_one_number_of_days(tmp_path: Path) -> None:
    days = {"StudyDate": "20240229", "AcquisitionDateTime": "20240301093000.5", "ContentDate": "20231224"}
    result = reread(cleaned(tmp_path, an_image(**days)))

    def moved(keyword: str) -> int:
        before, after = (
            f"{text[:4]}-{text[4:6]}-{text[6:8]}" for text in (days[keyword], str(result[keyword].value))
        )
        return (date.fromisoformat(before) - date.fromisoformat(after)).days

    assert 366 <= moved("StudyDate") <= 1_096
    assert moved("StudyDate") == moved("AcquisitionDateTime") == moved("ContentDate")
    assert str(result.AcquisitionDateTime).endswith("093000.5")
    assert result.StudyTime == "101112"


def test_a_date_that_is_none_does_not_pass(tmp_path: Path) -> None:
    result = reread(cleaned(tmp_path, an_image(StudyDate="0229-ZWE")))

    assert result.StudyDate == ""


def test_letters_in_a_uid_or_a_number_do_not_pass(tmp_path: Path) -> None:
    image = an_image(EchoTime="11.5", ContextUID="1.2.3")
    raw = file_bytes(image)
    assert raw.count(b"11.5") == 1

    result = reread(cleaned(tmp_path, raw.replace(b"11.5", b"Meie").replace(b"1.2.3\0", b"Meier\0")))

    assert not result.get("EchoTime")
    assert not result.get("ContextUID")


def test_the_basic_profile_leaves_no_date_and_the_paper_s_a_birth_date_of_1900(tmp_path: Path) -> None:
    basic, paper = (
        reread(cleaned(tmp_path, an_image(), "basic")),
        reread(cleaned(tmp_path, an_image(), "paper")),
    )

    assert basic.StudyDate == ""
    assert basic.PatientBirthDate == ""
    assert "PatientAge" not in basic
    assert paper.PatientBirthDate == "19000101"


def test_what_was_done_is_written_as_the_standard_asks(tmp_path: Path) -> None:
    result = reread(cleaned(tmp_path, an_image()))

    assert result.PatientIdentityRemoved == "YES"
    assert "2026d" in result.DeidentificationMethod
    codes = [code.CodeValue for code in result.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113104", "113107", "113108", "113111"]
    assert result.LongitudinalTemporalInformationModified == "MODIFIED"


def test_pixels_and_geometry_are_untouched(tmp_path: Path) -> None:
    result = reread(cleaned(tmp_path, an_image()))

    assert result.PixelData == PIXELS
    assert list(result.ImagePositionPatient) == [-12.5, 0.25, 88]
    assert (result.EchoTime, result.RepetitionTime, result.BodyPartExamined) == (11.5, 600, "KNEE")


def test_the_oldest_are_not_told_by_their_age(tmp_path: Path) -> None:
    assert reread(cleaned(tmp_path, an_image(PatientAge="097Y"))).PatientAge == "090Y"
    assert reread(cleaned(tmp_path, an_image())).PatientAge == "043Y"


def test_a_description_keeps_its_words_of_imaging_where_that_is_asked_for(tmp_path: Path) -> None:
    image = an_image(SeriesDescription="T1 tse sag Knie re 3mm Meierhans 20240229")

    kept = reread(cleaned(tmp_path, image, project={"options": ["descriptors"]}))

    assert kept.SeriesDescription == "T1 tse sag Knie re 3mm"
    assert "SeriesDescription" not in reread(cleaned(tmp_path, image))


def test_known_safe_private_numbers_stay_and_their_neighbours_do_not(tmp_path: Path) -> None:
    image = an_image()
    image.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    image.add_new(0x0019100C, "IS", "4321")
    image.add_new(0x00191008, "CS", "IMAGE NUM 4")
    image.add_new(0x00190011, "LO", "OTHER MAKER")
    image.add_new(0x0019110C, "IS", "1000")
    raw = file_bytes(image)

    result = reread(cleaned(tmp_path, raw))
    assert result[0x0019100C].value == 4321
    assert [tag for tag in (0x00191008, 0x00190011, 0x0019110C) if tag in result] == []

    for preset, source in (("basic", raw), ("research", raw.replace(b"4321", b"Jane"))):
        assert 0x0019100C not in reread(cleaned(tmp_path, source, preset))


def test_a_project_s_rules_hold_and_a_site_s_hold_over_them(tmp_path: Path) -> None:
    project = {"rules": {"Manufacturer": {"do": "replace", "value": "Nobody"}, "EchoTime": {"do": "remove"},
                         "ProtocolName": {"do": "keep"}, "StudyID": {"do": "hash"},
                         "00181030": {"do": "regex", "pattern": "tse", "value": "xxx"}}}  # fmt: skip
    site = {"rules": {"EchoTime": {"do": "keep"}}}

    result = reread(cleaned(tmp_path, an_image(), project=project, site=site))

    assert result.Manufacturer == "Nobody"
    assert result.EchoTime == 11.5
    assert result.ProtocolName == "t1_xxx_sag"
    assert result.StudyID not in {"", "S-4"}


@pytest.mark.parametrize(
    "layer",
    [
        {"rules": {"NoSuchThing": {"do": "keep"}}},
        {"rules": {"StudyID": {"do": "forget"}}},
        {"rules": {"StudyID": {"do": "regex", "pattern": "("}}},
        {"options": ["everything"]},
        {"options": ["full-dates"]},
        {"boxes": [{"modality": "US", "areas": [[5, 0, 1, 1]]}]},
        {"colour": "red"},
    ],
)
def test_a_template_with_anything_wrong_is_refused(layer: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        a_template("research", project=layer)


def test_areas_that_a_site_knows_are_made_black_and_the_file_passes(tmp_path: Path) -> None:
    image = an_image(SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1", Modality="US", PixelData=b"\xff" * 512)
    box = {"modality": "US", "manufacturer": "ACME", "areas": [[0, 0, 16, 2]]}

    result = cleaned(tmp_path, image, site={"boxes": [box]})

    assert not result.reasons
    pixels = reread(result).PixelData
    assert pixels == bytes(64) + b"\xff" * 448
    assert "113101" in [code.CodeValue for code in reread(result).DeidentificationMethodCodeSequence]
    assert reread(result).BurnedInAnnotation == "NO"


def test_a_report_says_where_what_and_why(tmp_path: Path) -> None:
    result = cleaned(tmp_path, an_image())
    report = msgspec.json.decode(write_report(a_template(), result))

    changes = {change["at"]: (change["did"], change["rule"]) for change in report["changes"]}
    assert changes["00100010"] == ("pseudonym", "annex-e Z")
    assert changes["00081030"] == ("removed", "annex-e X")
    assert "00280010" not in changes


def test_the_new_place_is_made_of_pseudonyms(tmp_path: Path) -> None:
    result = cleaned(tmp_path, file_bytes(an_image(), ExplicitVRLittleEndian))

    patient, study, series, name = result.place
    assert patient == reread(result).PatientID
    assert study.startswith("study-202")
    assert series.startswith("series-003-MR-")
    assert name.startswith("00012-")
    assert name.endswith(".dcm")


def test_a_patient_without_an_id_is_known_by_name_and_birth_date() -> None:
    assert identity(" ", "Zwei^Jane", "19800401", "1") == identity("", "zwei  JANE", "19800401", "2")
    assert identity("", "", "19800401", "1") != identity("", "", "19800401", "2")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(Refused, match="key"):
        Pseudonyms(b"short")


@pytest.mark.parametrize(
    ("offset", "stays"), [("-0500", True), ("+0130", True), ("0500", False), ("-5", False), ("Zurich", False)]
)
def test_an_offset_from_utc_keeps_its_sign_or_goes(tmp_path: Path, offset: str, stays: bool) -> None:
    image = an_image(TimezoneOffsetFromUTC=offset)
    for preset in ("research", "paper"):
        after = reread(cleaned(tmp_path, image, preset))
        assert after.get("TimezoneOffsetFromUTC") == (offset if stays else None)
    assert "TimezoneOffsetFromUTC" not in reread(
        cleaned(tmp_path, image, "basic")
    )  # the Basic Profile keeps no time
