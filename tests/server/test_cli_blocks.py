"""`mb-server block`: an author's way from nothing to a block that runs, and a look at what a shipped one does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from server.commands.compared import lines_of
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
    assert {change["what"] for change in file["changes"]} <= {"changed", "emptied", "removed", "added"}
    assert file["same"] > 20
    people = mb_server("block", "try", "dicom-deidentify", tmp_path / "scan.dcm").stdout
    assert re.search(r"^    PatientName +Zweistein\^Jane +→ P[A-Z0-9]{12}$", people, re.MULTILINE)
    assert re.search(rf"^  as it was \({file['same']}\)$", people, re.MULTILINE)


def test_what_changed_is_told_in_groups_that_fit_the_screen() -> None:
    changes = [
        {"at": "00100010", "where": "PatientName", "what": "changed", "before": "A" * 90, "after": "B" * 90},
        {
            "at": "00080080",
            "where": "InstitutionName",
            "what": "removed",
            "before": "JFK\x1b[2J",
            "after": "",
        },
        {"at": "0040A730[0].0040A160", "where": "S" * 60 + "[0].TextValue", "what": "emptied", "before": "x"},
        {"at": "00120062", "where": "PatientIdentityRemoved", "what": "added", "after": "YES"},
        *[
            {"at": f"001910{n:02X}", "where": f"001910{n:02X}", "what": "removed", "creator": "GEMS"}
            for n in range(3)
        ],
        {"at": "00190010", "where": "00190010", "what": "removed"},
    ]
    whole = [{"before": "", "after": "", "creator": "", "keyword": "", **change} for change in changes]
    for width in (40, 80, 200):
        lines = [click.unstyle(line) for line in lines_of(whole, 66, width=width)]
        assert max(map(len, lines)) <= width, lines
        groups = [line.strip() for line in lines if not line.startswith("    ")]
        assert groups == ["changed (1)", "emptied (1)", "removed (5)", "added (1)", "as it was (66)"]
        assert any(re.fullmatch(r"    private, GEMS +3 attributes", line) for line in lines)
        assert any(re.fullmatch(r"    private +1 attribute", line) for line in lines)
        assert not any("\x1b" in line for line in lines)
        assert any(line.strip().startswith("…") and "TextValue" in line for line in lines)
    assert list(lines_of([], 3, width=80)) == ["  as it was (3)"]


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
