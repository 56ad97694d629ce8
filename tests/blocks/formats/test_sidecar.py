"""Sidecars of volumes keep what a list knows; tables of gradients keep their numbers; other files are held back."""

from __future__ import annotations

import json
import random
from os import environ
from pathlib import Path
from typing import Any

import pytest

from blocks.dicom.pseudonyms import Pseudonyms
from blocks.formats.cleaned import Cleaned, Held
from blocks.formats.gradients import clean_gradients
from blocks.formats.sidecar import clean_sidecar
from tests.blocks.formats.test_nifti import a_task
from tests.blocks.formats.test_nifti import cleaned as cleaned_nifti
from tests.support.dicom_studies import KEY, found_in
from tests.support.volumes import SIDECAR, Nifti

NAMES = ("Zweistein", "Jane", "4711", "19800401", "1980-04-01", "Quacksalver", "Street", "knee")


def cleaned(
    folder: Path,
    values: object,
    *,
    preset: str = "research",
    name: str = "Zweistein t1.json",
    **layers: object,
) -> tuple[Any, bytes, Cleaned]:
    source, target = folder / "in", folder / "out"
    source.write_bytes(values if isinstance(values, bytes) else json.dumps(values).encode())
    answer = clean_sidecar(source, target, a_task("Zweistein Jane", name, preset=preset, **layers))
    return json.loads(target.read_bytes()), target.read_bytes(), answer


@pytest.mark.parametrize("preset", ["basic", "research", "paper"])
def test_what_names_somebody_goes_at_every_depth_and_how_it_was_acquired_stays(
    tmp_path: Path, preset: str
) -> None:
    values, data, answer = cleaned(tmp_path, SIDECAR, preset=preset)
    assert found_in(NAMES, data + repr(answer).encode()) == []
    assert answer.reasons == []
    kept = [
        "Modality", "MagneticFieldStrength", "BodyPartExamined", "EchoTime", "RepetitionTime", "FlipAngle",
        "SliceTiming", "PhaseEncodingDirection", "ScanningSequence", "ScanOptions", "ConversionSoftware",
        "ConversionSoftwareVersion",
    ]  # fmt: skip
    assert {key: values[key] for key in kept} == {key: SIDECAR[key] for key in kept}
    assert values["Manufacturer"] == "Siemens"
    assert values["ImageType"] == ["ORIGINAL", "PRIMARY"]
    assert values["global"] == {"const": {"EchoTime": 3.0}, "slices": {}}
    assert values["SeriesInstanceUID"] == Pseudonyms(KEY).uid(SIDECAR["SeriesInstanceUID"])
    assert not {"Notes", "InversionTime", "SeriesDescription"} & values.keys()
    assert answer.changes["unknown keys", "removed"] == 3


def test_dates_ages_and_weights_are_treated_as_those_of_images(tmp_path: Path) -> None:
    days = Pseudonyms(KEY).days_back("place Zweistein Jane")
    research, _, _ = cleaned(tmp_path, SIDECAR)
    assert 366 <= days <= 1096
    assert research["AcquisitionDateTime"] < "2023-03"
    assert research["AcquisitionDateTime"].endswith("T10:11:12.500000")
    assert research["AcquisitionTime"] == "10:11:12.500000"
    assert (research["PatientSex"], research["PatientAge"], research["PatientWeight"]) == ("F", "090Y", 61.5)
    basic, _, _ = cleaned(tmp_path, SIDECAR, preset="basic")
    assert (
        not {"AcquisitionDateTime", "AcquisitionTime", "PatientSex", "PatientAge", "PatientWeight"}
        & basic.keys()
    )
    full, _, _ = cleaned(tmp_path, SIDECAR, preset="basic", options=["full-dates"])
    assert full["AcquisitionDateTime"] == SIDECAR["AcquisitionDateTime"]
    ages = [
        cleaned(tmp_path, {"EchoTime": 1, "PatientAge": age})[0]["PatientAge"]
        for age in (89, 90, 104.5, "034Y")
    ]
    assert ages == [89, 90, 90, "034Y"]


def test_of_descriptions_the_words_of_imaging_stay_where_the_template_says_so(tmp_path: Path) -> None:
    values, data, _ = cleaned(tmp_path, SIDECAR, options=["descriptors"])
    assert values["SeriesDescription"] == "t1 mprage sag"
    assert found_in(NAMES[:-1], data) == []
    hand, _, _ = cleaned(tmp_path, {**SIDECAR, "PatientName": "Knee^Jane"}, options=["descriptors"])
    assert "ProtocolName" not in hand or "knee" not in hand["ProtocolName"]


@pytest.mark.parametrize(
    "key",
    ["EchoTime", "Modality", "PatientPosition", "ScanOptions", "TaskName", "Units", "Manufacturer", "SeriesInstanceUID",
     "AcquisitionTime", "SpoilingState", "PatientSex", "ConversionSoftwareVersion", "ImageType"],
)  # fmt: skip
@pytest.mark.parametrize(
    "value",
    ["Zweistein", ["Zweistein"], {"Zweistein": "Jane"}, 19800401, "19800401", [[[[4711]]]], "JANE"],
)  # fmt: skip
def test_a_value_of_another_kind_goes_with_its_key(tmp_path: Path, key: str, value: object) -> None:
    _, data, _ = cleaned(tmp_path, {"FlipAngle": 9, key: value})
    assert found_in(NAMES, data) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", "not-readable"),
        (b"\xff\xfe{}", "not-readable"),
        (b'{"EchoTime": NaN}', "not-readable"),
        (b"[" * 100_000, "not-readable"),
        (b'{"a":' * 50_000, "not-readable"),
        (b"[]", "no-cleaner"),
        (b"{}", "no-cleaner"),
        (b'{"resourceType": "Patient", "name": "Zweistein"}', "no-cleaner"),
        (b'{"global": {"PatientName": "Zweistein"}}', "no-cleaner"),
        (b'{"EchoTime": 1}' + b" " * (8 << 20), "too-large"),
    ],
    ids=range(10),
)
def test_what_is_no_sidecar_is_held_back(tmp_path: Path, data: bytes, code: str) -> None:
    with pytest.raises(Held) as held:
        cleaned(tmp_path, data)
    assert held.value.code == code
    assert not (tmp_path / "out").exists()


def test_a_sidecar_has_the_name_of_its_volume(tmp_path: Path) -> None:
    _, _, sidecar = cleaned(tmp_path, SIDECAR, name="sub-01_v1.2_T1w.json")
    _, volume = cleaned_nifti(
        tmp_path, Nifti().as_bytes(), a_task("Zweistein Jane", "sub-01_v1.2_T1w.nii.gz")
    )
    assert sidecar.place[:-1] == volume.place[:-1]
    assert sidecar.place[-1].removesuffix(".json") == volume.place[-1].removesuffix(".nii")


def gradients(folder: Path, data: bytes, name: str) -> tuple[bytes, Cleaned]:
    (folder / "in").write_bytes(data)
    answer = clean_gradients(folder / "in", folder / "out", a_task("Zweistein", name))
    return (folder / "out").read_bytes(), answer


def test_tables_of_gradients_keep_their_numbers(tmp_path: Path) -> None:
    assert gradients(tmp_path, b"0 1000\t1000.5 \r\n", "a.bval")[0] == b"0 1000 1000.5\n"
    table = b"0 0.5 -1\n0 0.5 0\n0 -0.7071 1e-8\n"
    data, answer = gradients(tmp_path, table, "a.bvec")
    assert data == table
    assert answer.place[-1].endswith(".bvec")
    for wrong, name in [
        (b"", "a.bval"), (b"0 Zweistein", "a.bval"), (b"19800401", "a.bval"), (b"0 1\n2", "a.bval"), (b"2 0", "a.bvec"),
        (b"0 0\n0 0", "a.bvec"), ("0 ü".encode(), "a.bval"), (b"nan", "a.bval"), (b"1 2\n3 4", "a.bval"),
    ]:  # fmt: skip
        with pytest.raises(Held):
            gradients(tmp_path, wrong, name)


def test_any_bytes_are_a_sidecar_or_are_held(tmp_path: Path) -> None:
    seed = int(environ.get("MB_SEED", "1"))
    chance = random.Random(seed)
    source = json.dumps(SIDECAR).encode()
    for _ in range(300 if not environ.get("MB_BUDGET_SECONDS") else 20_000):
        data = bytearray(source)
        for _ in range(chance.randint(1, 5)):
            data[chance.randrange(len(data))] = chance.choice(
                b'{}[]",:0 e-\\u' + bytes([chance.randrange(256)])
            )
        try:
            values, out, _ = cleaned(tmp_path, bytes(data))
        except Held:
            continue
        assert isinstance(values, dict)
        assert found_in(("Quacksalver", "PID-4711", "1980-04-01"), out) == [], seed
