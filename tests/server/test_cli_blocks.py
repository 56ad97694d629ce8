"""`mb-server block`: an author's way from nothing to a block that runs, and a look at what a shipped one does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dicom_studies import an_image, file_bytes

MB_SERVER = Path(sys.executable).with_name("mb-server")


def mb_server(*words: object, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [MB_SERVER, *map(str, words)], capture_output=True, text=True, timeout=240, check=False, cwd=cwd
    )
    assert ended.returncode == code, ended.stderr
    return ended


def test_a_new_block_works_as_it_stands_and_its_test_passes(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")
    mb_server("block", "new", "first-line", cwd=tmp_path)
    (tmp_path / "a.txt").write_text("hello\nworld\n")

    subprocess.run([sys.executable, tmp_path / "first-line/test_block.py"], check=True, capture_output=True)
    words = ["block", "try", tmp_path / "first-line", tmp_path / "a.txt", "--parameters", '{"longest": 4}']
    told = json.loads(mb_server(*words, "--keep", tmp_path / "kept", "--json").stdout)

    [file] = told["files"]
    assert (told["ended"], file["verdict"], file["labels"][0]["value"]) == ("done", "released", "12")
    assert (tmp_path / "kept/out/0.txt").read_text() == "hell\n"


def test_a_block_that_fails_shows_its_last_words(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")
    mb_server("block", "new", "broken", "--into", tmp_path)
    (tmp_path / "broken/run.py").write_text("raise SystemExit('no such scanner')")
    (tmp_path / "a.txt").write_text("hello")

    ended = mb_server("block", "try", tmp_path / "broken", tmp_path / "a.txt", code=1)

    assert "did not finish" in ended.stderr
    assert "no such scanner" in ended.stderr


def test_a_shipped_block_shows_each_attribute_before_and_after(tmp_path: Path) -> None:
    (tmp_path / "scan.dcm").write_bytes(file_bytes(an_image()))

    told = json.loads(mb_server("block", "try", "dicom-deidentify", tmp_path / "scan.dcm", "--json").stdout)

    [file] = told["files"]
    changes = {change["keyword"]: change for change in file["changes"]}
    assert file["verdict"] == "released"
    assert changes["PatientName"]["before"] == "Zweistein^Jane"
    assert changes["PatientName"]["after"] == changes["PatientID"]["after"] == file["outputs"][0]["path"][0]
    assert "PixelSpacing" not in changes
    people = mb_server("block", "try", "dicom-deidentify", tmp_path / "scan.dcm").stdout
    assert "00100010 PatientName: Zweistein^Jane →" in people


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["new", "Bad Name"], 1, "cannot be a block's name"),
        (["try", "no-such-block", "a.txt"], 1, "is no block"),
        (["try", "dicom-deidentify", "a.txt"], 1, "does not take a.txt"),
        (["try", "dicom-deidentify", "missing.dcm"], 1, "cannot be read"),
        (["try", "dicom-deidentify", "a.txt", "--parameters", "{"], 1, "not JSON"),
        (["try", "dicom-deidentify", "scan.dcm", "--parameters", '{"preset": "none"}'], 1, "cannot take"),
        (["try", "dicom-deidentify"], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "scan.dcm").write_bytes(file_bytes(an_image()))

    assert said in mb_server("block", *words, code=code, cwd=tmp_path).stderr
