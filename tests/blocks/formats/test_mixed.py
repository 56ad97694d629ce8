"""DICOM files and recordings in one job: each answer, and each output, belongs to its own file."""

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

FILES = {
    "dicom": lambda: file_bytes(an_image()),
    "edf": lambda: Recording().as_bytes(),
    "broken": lambda: b"DICM Zweistein",
}
BEGINS = {"dicom": b"\0" * 128 + b"DICM", "edf": b"0       "}


@pytest.mark.parametrize("order", permutations(FILES), ids="-".join)
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
                kind="edf" if what == "edf" else "dicom",
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
    assert [file.source for file in files] == [0, 1, 2]
    for what, file in zip(order, files, strict=True):
        made = [output for output in file.outputs if output.kind is OutputKind.DERIVED]
        assert file.verdict.value == ("quarantined" if what == "broken" else "released")
        assert len(made) == (what != "broken")
        for output in made:
            data = (tmp_path / "out" / output.file).read_bytes()
            assert data.startswith(BEGINS[what])
            assert not in_any_encoding("zweistein", data)
            assert output.path[-1].endswith({"dicom": ".dcm", "edf": ".edf"}[what])
    pseudonyms = {output.path[0] for file in files for output in file.outputs if output.path}
    assert all("zweistein" not in name.lower() for name in pseudonyms)
