"""DICOM files, recordings and volumes in one job: each answer, and each output, belongs to its own file."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from blocks.contract.job import InputFile, Job
from blocks.contract.output import check_finished
from blocks.contract.result import OutputKind, encode_result
from blocks.formats.deidentify import Deidentify
from tests.support.dicom_studies import KEY, an_image, file_bytes, in_any_encoding
from tests.support.recordings import Recording
from tests.support.volumes import Nifti

FILES = {
    "dicom": lambda: file_bytes(an_image()),
    "edf": lambda: Recording().as_bytes(),
    "nifti": lambda: Nifti().as_bytes(),
    "broken": lambda: b"DICM Zweistein",
}
BEGINS = {"dicom": b"\0" * 128 + b"DICM", "edf": b"0       ", "nifti": b"\x5c\x01\0\0"}


@pytest.mark.parametrize("order", [*permutations(FILES)][::3], ids="-".join)
def test_each_output_is_that_of_its_own_file(tmp_path: Path, order: tuple[str, ...]) -> None:
    for name in ("in", "out", "keys"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys/project").write_bytes(KEY)
    for number, what in enumerate(order):
        (tmp_path / f"in/{number}").write_bytes(FILES[what]())
    job = Job(
        id="1",
        block="deidentify",
        version="1.0",
        parameters={"preset": "research"},
        files=[
            InputFile(
                file=f"{number}",
                path=["Zweistein Jane", f"{number}.file"],
                kind=what if what in {"edf", "nifti"} else "dicom",
                size_bytes=1,
            )
            for number, what in enumerate(order)
        ],
        keys={"project": "keys/project"},
    )
    block = Deidentify()
    result = block.run(job, tmp_path)
    (tmp_path / "result.json").write_bytes(encode_result(result))

    files = check_finished(tmp_path, job, block.manifest).result.files
    assert [file.source for file in files] == [0, 1, 2, 3]
    for what, file in zip(order, files, strict=True):
        made = [output for output in file.outputs if output.kind is OutputKind.DERIVED]
        assert file.verdict.value == ("quarantined" if what == "broken" else "released")
        assert len(made) == (what != "broken")
        for output in made:
            data = (tmp_path / "out" / output.file).read_bytes()
            assert data.startswith(BEGINS[what])
            assert not in_any_encoding("zweistein", data)
            assert output.path[-1].endswith({"dicom": ".dcm", "edf": ".edf", "nifti": ".nii"}[what])
    pseudonyms = {output.path[0] for file in files for output in file.outputs if output.path}
    assert all("zweistein" not in name.lower() for name in pseudonyms)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("dicom", Nifti(numbers={"128": ("4s", b"DICM")}).as_bytes()),  # both at once, to `sniff`
        ("nifti", file_bytes(an_image())),
        ("nifti-gz", Nifti().as_bytes()[:200]),
        ("metaimage", b"Comment = Dear colleague, Jane Zweistein"),
        ("json", b"[1, 2]"),
        ("text", b"Jane Zweistein"),
        ("edf", Nifti().as_bytes()),
    ],
)
def test_what_only_begins_like_a_kind_is_held_back_and_nothing_is_made_of_it(
    tmp_path: Path, kind: str, data: bytes
) -> None:
    for name in ("in", "out", "keys"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys/project").write_bytes(KEY)
    (tmp_path / "in/0").write_bytes(data)
    file = InputFile(file="0", path=["Zweistein", "Jane.bval"], kind=kind, size_bytes=len(data))
    job = Job(
        id="1",
        block="deidentify",
        version="1.1",
        parameters={},
        files=[file],
        keys={"project": "keys/project"},
    )
    [answer] = Deidentify().run(job, tmp_path).files
    assert answer.verdict.value == "quarantined"
    assert [output.kind for output in answer.outputs] == [OutputKind.REPORT]
    assert not in_any_encoding("zweistein", (tmp_path / "out/0.report.json").read_bytes())
