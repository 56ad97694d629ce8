"""The demo's files: real images, laid out by patient; those for an intake name one, and what is left is found."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

from pydicom import dcmread

DEMO = Path(__file__).resolve().parents[2] / "packaging" / "demo"


def run_there(expression: str, *arguments: object) -> list[str]:
    """The lines that it prints: what the expression gives is a list of text, or is not looked at."""
    script = f"import dicom_files, folders, pathlib, sys; print(*({expression}), sep='\\n')"
    words = [sys.executable, "-B", "-c", script, *map(str, arguments)]
    done = subprocess.run(words, cwd=DEMO, check=True, timeout=240, capture_output=True, text=True)
    return done.stdout.splitlines()


def laid_out(folder: Path) -> list[Path]:
    """In a process of its own: the demo's modules are a program's, not a package's."""
    run_there("dicom_files.lay_out_dicom(pathlib.Path(sys.argv[1])).files", folder)
    return sorted(folder.rglob("*.dcm"))


def test_the_images_lie_by_patient_study_and_series_and_share_no_uid(tmp_path: Path) -> None:
    files = laid_out(tmp_path / "one")
    assert len(files) > 100
    shape = re.compile(r"patient-\d\d/study-\d+/series-\d+-[A-Z]+/image-\d{3}\.dcm")
    assert all(shape.fullmatch(path.relative_to(tmp_path / "one").as_posix()) for path in files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's own files are odd on purpose
        uids = Counter(dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files)
    assert max(uids.values()) == 1


def test_laying_them_out_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = laid_out(tmp_path / "one"), laid_out(tmp_path / "two")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_each_word_about_a_patient_stands_in_the_files_for_the_intake(tmp_path: Path) -> None:
    words = run_there("dicom_files.lay_out_identified(pathlib.Path(sys.argv[1])).words", tmp_path)
    assert len(words) > 20
    found = run_there("folders.traces(sys.argv[2:], [pathlib.Path(sys.argv[1])])", tmp_path, *words)
    assert {line.split("'")[1] for line in found} == set(words)


def test_a_word_is_found_in_names_and_in_bytes_in_any_case_and_in_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0ZWEIstein\0")
    (tmp_path / "b").write_bytes("zweistein".encode("utf-16-le"))
    (tmp_path / "Zweistein").mkdir()
    (tmp_path / "c").write_bytes(b"Zweist")
    found = run_there("folders.traces(['Zweistein'], [pathlib.Path(sys.argv[1])])", tmp_path)
    assert found == [f"'Zweistein' in {name}" for name in ("Zweistein", "a", "b")]
