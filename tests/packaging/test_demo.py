"""The demo's files: real images, laid out by patient, with nothing of a patient in a name."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

from pydicom import dcmread

DEMO = Path(__file__).resolve().parents[2] / "packaging" / "demo"


def laid_out(folder: Path) -> list[Path]:
    """In a process of its own: the demo's modules are a program's, not a package's."""
    script = "import dicom_files, pathlib, sys; dicom_files.lay_out_dicom(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-B", "-c", script, str(folder)], cwd=DEMO, check=True, timeout=60)
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
