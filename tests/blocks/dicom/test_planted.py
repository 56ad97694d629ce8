"""Identifiers planted everywhere leave no trace in anything that comes out: searched as bytes, in every encoding."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path

import msgspec
import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from blocks.contract.job import InputFile, Job
from blocks.contract.output import check_finished
from blocks.contract.result import encode_result
from blocks.dicom.annex_e import annex_e
from blocks.dicom.deidentify import Cleaned, Deidentify, write_report
from tests.support.dicom_studies import (
    KEY,
    MR,
    PIXELS,
    a_template,
    an_image,
    cleaned,
    file_bytes,
    found_in,
    in_any_encoding,
    reread,
)

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
DOCUMENT = 0x00420011  # held back altogether: see test_risks
STRUCTURE = {0x00080005, 0x00080016, 0x00080018, 0x00020010, DOCUMENT}


def a_canary(tag: int, vr: str, number: int) -> tuple[object, str] | None:
    """A value of this VR that nothing else in the world says, and how to find it again."""
    word = f"Qzv{number}xk"
    match vr:
        case "PN":
            return f"{word}^Janine", word
        case "LO" | "LT" | "SH" | "ST" | "UC" | "UT" | "CS" | "AE":
            return word, word
        case "UR":
            return f"http://{word}.example/", word
        case "DA":
            return f"17{number % 90 + 10}0102", f"17{number % 90 + 10}0102"
        case "DT":
            return f"17{number % 90 + 10}0102030405", f"17{number % 90 + 10}0102"
        case "UI":
            return f"1.2.999.{number}.31415", f"1.2.999.{number}.31415"
        case "IS" | "DS":
            return f"8{number:05}31", f"8{number:05}31"
        case "AS":
            return "088Y", "088Y"
        case "OB" | "UN":
            return f"{word}!".encode() + b" " * (len(word) % 2 == 0), word
        case "SQ":
            below = Dataset()
            below.add_new(0x00081060, "PN", f"{word}^Read")
            below.add_new(0x0008103E, "LO", word)
            return [below], word
    return None  # binary numbers and times of day name nobody


def table_attributes() -> list[tuple[int, str]]:
    known = []
    for tag in sorted(annex_e().attributes):
        vr = DicomDictionary[tag][0].split(" or ")[0] if tag in DicomDictionary else "LO"
        if tag >> 16 >= 8 and tag not in STRUCTURE and vr != "NONE":
            known.append((tag, vr))
    return known


def plant(dataset: Dataset, *, kept: set[int], at: int, every: int = 1) -> list[str]:
    """Every (n-th) attribute of the table; returns what to look for.  kept: attributes that the options keep."""
    canaries = []
    for number, (tag, vr) in enumerate(table_attributes()[at % every :: every], start=at):
        canary = a_canary(tag, vr, number)
        if canary is None or tag in kept:
            continue
        dataset[tag] = DataElement(tag, vr, canary[0])
        canaries.append(canary[1])
    return canaries


def plant_more(dataset: Dataset) -> list[str]:
    """Private, unknown, repeating and group-length attributes; names in a private sequence."""
    dataset.add_new(0x00090010, "LO", "QZPRIVATE MAKER")
    dataset.add_new(0x00091001, "LO", "Qzprivate one")
    below = Dataset()
    below.PatientName = "Qzprivate^Two"
    dataset.add_new(0x00091002, "SQ", [below])
    dataset.add_new(0x00091003, "UN", b"Qzprivate three ")
    dataset.add_new(0x0010FFF0, "LO", "Qzunknown")
    dataset.add_new(0x50000040, "SH", "Qzcurve")
    dataset.add_new(0x60003000, "OW", b"Qzoverlay ")
    dataset.add_new(0x60000022, "LO", "Qzoverlay")
    dataset.add_new(0xFFFCFFFC, "OB", b"Qzpadding ")
    return ["qzprivate", "qzunknown", "qzcurve", "qzoverlay", "qzpadding"]


def kept_by(preset: str) -> set[int]:
    options = frozenset(a_template(preset).options)
    return {tag for tag in annex_e().attributes if annex_e().action(tag, options) == "K"}


@pytest.mark.parametrize(
    ("preset", "syntax"),
    [
        ("basic", ExplicitVRLittleEndian),
        ("paper", ExplicitVRLittleEndian),
        *(("research", syntax) for syntax in SYNTAXES),
    ],
    ids=["basic", "paper", "implicit", "explicit", "big-endian", "deflated"],
)
def test_nothing_planted_in_any_attribute_of_the_table_comes_out(
    tmp_path: Path, preset: str, syntax: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    dataset = an_image()
    canaries = plant(dataset, kept=kept_by(preset), at=1_000)
    inner = dataset
    for depth, sequence in enumerate((0x00081140, 0x00401012, 0x00400260, 0x0040A170, 0x00082218)):
        below = Dataset()
        canaries += plant(below, kept=kept_by(preset), at=2_001 + 1_001 * depth, every=1 if depth == 4 else 4)
        canaries += plant_more(below)
        inner[sequence] = DataElement(sequence, "SQ", [below])
        inner = below
    canaries += plant_more(dataset)

    result = cleaned(tmp_path, file_bytes(dataset, syntax), preset)

    assert result.data is not None, result.reasons
    assert len(canaries) > 1_500
    assert_clean(result, canaries, caplog.text)
    assert reread(result)["PixelData"].value == PIXELS


def assert_clean(result: Cleaned, canaries: list[str], log: str = "") -> None:
    assert result.data is not None
    everything = result.data + uncompressed(result) + write_report(a_template(), result)
    everything += "/".join(result.place).encode() + msgspec.json.encode(result.reasons) + log.encode()
    assert not found_in(canaries, everything)


def uncompressed(result: Cleaned) -> bytes:
    dataset = reread(result)
    dataset.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    if dataset.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        return b""
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset)
    return buffer.getvalue()


def test_the_study_s_own_names_are_found_in_every_text_that_would_stay(tmp_path: Path) -> None:
    spellings = ["jane ZWEISTEIN", "Zweistein, J.", "JaneZweistein", "for pid-4711-x"]
    spellings += ["born 01.04.1980", "QUACKSALVER"]
    dataset = an_image()
    text = {"LO", "SH", "ST", "LT", "UT", "UC", "CS", "AE", "UR"}
    table = set(annex_e().attributes)
    planted = 0
    for tag, (vr, *_) in DicomDictionary.items():
        if (
            vr in text
            and tag not in table
            and tag not in STRUCTURE
            and 8 <= tag >> 16 < 0xFFFC
            and tag & 0xFFFF
        ):
            dataset[tag] = DataElement(tag, vr, spellings[tag % len(spellings)])
            planted += 1
    below = Dataset()
    below.CodeValue, below.CodingSchemeDesignator, below.CodeMeaning = "1", "L", "Jane Zweistein"
    dataset.AnatomicRegionSequence = [below]

    result = cleaned(tmp_path, dataset)

    assert planted > 500
    assert_clean(result, ["zweistein", "pid-4711", "01.04.1980", "quacksalver", "jane"])


@pytest.mark.parametrize(
    ("charset", "name", "parts"),
    [
        ("ISO_IR 100", "Böhm^Zoë", ["Böhm", "Zoë"]),
        ("ISO_IR 144", "Люкceмбypг^Роза", ["Роза"]),
        ("ISO_IR 166", "นายสมชาย^ใจดีมาก", ["ใจดีมาก"]),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東", ["XiaoDong", "小東"]),
        ("GB18030", "Wang^XiaoDong=王^小东", ["XiaoDong", "小东"]),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", ["Yamada", "太郎", "たろう"]),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", ["Gildong", "길동"]),
    ],
)
def test_names_are_found_in_every_character_set(
    tmp_path: Path, charset: str | list[str], name: str, parts: list[str]
) -> None:
    dataset = an_image(SpecificCharacterSet=charset, PatientName=name)
    dataset.Manufacturer = f"made for {parts[-1]}"
    dataset.DeviceDescription = parts[0].upper()
    below = Dataset()
    below.CodeValue, below.CodingSchemeDesignator, below.CodeMeaning = "1", "L", parts[-1]
    dataset.AnatomicRegionSequence = [below]

    result = cleaned(tmp_path, dataset)

    assert result.data is not None
    values = "\n".join(str(element.value) for element in reread(result).iterall())
    for part in parts:
        assert part.casefold() not in values.casefold()
        assert not in_any_encoding(part, result.data) or len(part) < 3


def test_nothing_around_the_data_set_comes_along(tmp_path: Path) -> None:
    data = bytearray(file_bytes(an_image()))
    data[:20] = b"Zweistein in preambl"
    source = bytes(data).replace(b"1.2.826.0.1.99.1.1.1", b"1.2.826.0.1.99.1.1.1")
    dataset = pydicom.dcmread(BytesIO(source))
    dataset.file_meta.SourceApplicationEntityTitle = "QZSTATION"
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.999.1"
    dataset.file_meta.PrivateInformation = b"Qzinformation "
    dataset.file_meta.ImplementationVersionName = "QZVERSION"
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset)
    trailing = bytes.fromhex("1000100050") + b"N\x08\x00QzTrail " + b"Qztrailing bytes" * 4

    for end in (b"", trailing, b"Qztrailing bytes" * 64, bytes(512)):
        result = cleaned(tmp_path, buffer.getvalue() + end)
        if result.data is None:
            assert result.reasons
            continue
        for word in (
            "zweistein",
            "qzstation",
            "qzinformation",
            "qzversion",
            "qztrail",
            "1.2.999.1",
            "99.1.1.1",
        ):
            assert not in_any_encoding(word, result.data)
        assert result.data[:128] == bytes(128)
        assert reread(result).file_meta.MediaStorageSOPInstanceUID == reread(result).SOPInstanceUID


def test_group_lengths_and_command_groups_are_not_passed_on(tmp_path: Path) -> None:
    dataset = an_image()
    dataset.add_new(0x00080000, "UL", 42)
    dataset.add_new(0x00100000, "UL", 42)
    raw = bytearray(file_bytes(dataset))

    result = reread(cleaned(tmp_path, bytes(raw)))

    assert not [tag for tag in result.keys() if tag.element == 0]  # noqa: SIM118 - a Dataset iterates over elements


def test_a_file_without_header_is_cleaned_and_gets_one(tmp_path: Path) -> None:
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        with_header = file_bytes(an_image(), syntax)
        meta_length = int.from_bytes(with_header[140:144], "little")
        result = cleaned(tmp_path, with_header[144 + meta_length :])

        assert result.data is not None, result.reasons
        assert result.data[128:132] == b"DICM"
        assert not in_any_encoding("zweistein", result.data)
        assert reread(result).file_meta.MediaStorageSOPClassUID == MR


def test_a_name_left_where_no_rule_looks_holds_the_file_back(tmp_path: Path) -> None:
    dataset = an_image()
    dataset.add_new(0x00281201, "OW", b"ZWEISTEIN=")  # a palette: numbers, says the standard

    result = cleaned(tmp_path, dataset)

    assert [reason.code for reason in result.reasons] == ["identifier-left"]


def test_the_result_and_the_report_of_a_whole_job_hold_no_name(tmp_path: Path) -> None:
    for name in ("in", "out", "keys"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys/project").write_bytes(KEY)
    (tmp_path / "in/0").write_bytes(file_bytes(an_image()))
    (tmp_path / "in/1").write_bytes(b"%PDF Zweistein")
    job = Job(
        id="1",
        block="dicom-deidentify",
        version="1.0",
        parameters={"preset": "research"},
        files=[
            InputFile(
                file=f"{n}", path=["Zweistein Jane", "PID-4711-X", "knee.dcm"], kind="dicom", size_bytes=1
            )
            for n in range(2)
        ],
        keys={"project": "keys/project"},
    )

    block = Deidentify()
    result = block.run(job, tmp_path)
    (tmp_path / "result.json").write_bytes(encode_result(result))

    finished = check_finished(tmp_path, job, block.manifest)
    assert [file.verdict.value for file in finished.result.files] == ["released", "quarantined"]
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    everything += (tmp_path / "result.json").read_bytes()
    for word in ("zweistein", "pid-4711", "quacksalver", "acc7731", "knee.dcm", "1.2.826.0.1.99"):
        assert not in_any_encoding(word, everything)
    assert KEY not in everything
