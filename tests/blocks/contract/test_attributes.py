"""What the catalog takes over of a file: keywords that are known, values of their kind, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword

from blocks.contract.output import check_finished
from protocol.attributes import KINDS, check_attributes
from protocol.errors import Refused
from tests.blocks.contract.test_output import MANIFEST, RELEASED, a_job, a_manifest, answer

TELLS = MANIFEST.replace('"derived", ', '"derived", "attributes", ')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out/a").mkdir(parents=True)
    (tmp_path / "out/a/b.dcm").write_bytes(b"image")
    return tmp_path


def told(folder: Path, manifest: str = TELLS, **attributes: Any) -> dict[str, Any]:
    output = {"file": "a/b.dcm", "attributes": attributes}
    answer(folder, RELEASED | {"outputs": [output]})
    [file] = check_finished(folder, a_job(), a_manifest(manifest)).result.files
    return dict(file.outputs[0].attributes)


def test_every_keyword_is_one_of_the_standard() -> None:
    assert not [keyword for keyword in KINDS if tag_for_keyword(keyword) is None]


def test_known_attributes_pass(folder: Path) -> None:
    given = {
        "EchoTime": [1.5, 80],
        "StudyDate": "20200229",
        "Modality": "MR",
        "Rows": 512,
        "PatientID": "ä" * 64,
    }
    assert told(folder, **given) == given


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Zweistein"),
        ("echotime", 80),
        ("EchoTime", "80"),
        ("EchoTime", True),
        ("Rows", 1.5),
        ("Rows", 1 << 53),
        ("StudyDate", "20200230"),
        ("StudyDate", "2020"),
        ("StudyInstanceUID", "1.2.x"),
        ("StudyInstanceUID", "1" * 65),
        ("Modality", "M\nR"),
        ("PatientID", ""),
        ("PatientID", "a\x00b"),
        ("PatientID", "x" * 65),
        ("EchoTime", [1] * 17),
        ("EchoTime", {"a": 1}),
        ("EchoTime", None),
    ],
)
def test_anything_else_refuses_the_answer_and_is_not_repeated(folder: Path, keyword: str, value: Any) -> None:
    with pytest.raises(Refused) as refused:
        told(folder, **{keyword: value})
    assert "Zweistein" not in str(refused.value)


def test_no_number_that_is_none(folder: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(Refused):
            check_attributes({"EchoTime": value})
    assert json.loads("1e400") == float("inf")  # so this is how one would arrive


def test_they_are_announced(folder: Path) -> None:
    with pytest.raises(Refused, match="attributes, which its manifest"):
        told(folder, MANIFEST, EchoTime=80)
    answer(folder, RELEASED | {"attributes": {"Rows": 1}})
    with pytest.raises(Refused, match="attributes, which its manifest"):
        check_finished(folder, a_job(), a_manifest())
