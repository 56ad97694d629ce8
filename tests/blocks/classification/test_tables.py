"""The labels of real and of made headers, against what a person wrote down who read them (tests/data/classification).

Some shipped files may carry real names: a failure names files and labels, never a value of a header.
"""

from __future__ import annotations

import gzip
import tomllib
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from blocks.classification.classify import Classify, classify
from blocks.classification.clues import Finding
from blocks.classification.image import labels_of
from blocks.classification.reading import facts_of
from blocks.contract.result import Label

TABLES = Path(__file__).parents[2] / "data" / "classification"
GRADED = ("modality", "region", "plane", "sequence", "contrast")
NEEDED = 0.95
PACKAGES = {  # where their DICOM files lie, below the package
    "pydicom": ("pydicom", "data"),
    "pynetdicom": ("pynetdicom", "tests/dicom_files"),
    "nibabel": ("nibabel", ""),
    "pydicom-data": ("data_store", "data"),
}
Row = dict[str, Any]

Classify()  # makes the library silent, as in a worker


@cache
def made() -> dict[str, list[Any]]:
    return tomllib.loads((TABLES / "made_headers.toml").read_text("utf-8"))


def shipped() -> Iterator[tuple[str, Path]]:
    """Package and path of every DICOM file, as the table names them."""
    for package, (module, folder) in PACKAGES.items():
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent / folder
        for path in sorted(root.rglob("*")):
            if path.is_file() and _is_dicom(path):
                yield f"{package}:{path.relative_to(root).as_posix()}", path


def _is_dicom(path: Path) -> bool:
    if path.suffix == ".gz":
        return path.name.endswith(".dcm.gz")
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" or path.suffix == ".dcm"


def row_of(name: str, rows: list[Row]) -> Row:
    [row] = [
        row
        for row in rows
        if any(fnmatch(name, pattern) for pattern in row["files"])
        and not any(fnmatch(name, pattern) for pattern in row.get("except", ()))
    ]
    return row


def wrong(expected: Row, found: dict[str, str]) -> list[str]:
    """Labels that are not as they should be, also those that should not be there."""
    return [name for name in GRADED if found.get(name) != expected.get(name)]


def values(labels: list[Label] | list[Finding]) -> dict[str, str]:
    return {one.name: one.value for one in labels}


def test_every_shipped_file_is_labelled_as_its_header_says(tmp_path: Path) -> None:
    rows: list[Row] = tomllib.loads((TABLES / "shipped_files.toml").read_text("utf-8"))["file"]
    assert all(len(row["why"]) >= 15 for row in rows)
    missed: Counter[str] = Counter()
    told, others = [], []
    files = list(shipped())
    for name, path in files:
        expected = row_of(name, rows)
        if path.suffix == ".gz":
            (tmp_path / "plain.dcm").write_bytes(gzip.decompress(path.read_bytes()))
            path = tmp_path / "plain.dcm"
        labels = classify(path, "dicom")
        assert all(label.rule and label.source for label in labels), name
        found = values(labels)
        missed.update(wrong(expected, found))
        told += [f"{name}: {label}" for label in wrong(expected, found)]
        others += [
            f"{name}: {label}"
            for label in expected.keys() - {"files", "except", "why", *GRADED}
            if found.get(label) != expected[label]
        ]
    assert len(files) > 270
    assert all(missed[name] <= (1 - NEEDED) * len(files) for name in GRADED), told
    assert others == []


def headers() -> Iterator[tuple[str, Row, Row]]:
    """Which table, the header, and what a person says of it."""
    for scanning, repetition, echo, inversion, flip, sequence in made()["numbers"]:
        has = {
            "Modality": "MR",
            "ScanningSequence": scanning.split("+"),
            "RepetitionTime": repetition,
            "EchoTime": echo,
            "FlipAngle": flip,
        }
        if inversion:
            has["InversionTime"] = inversion
        yield "numbers", has, {"sequence": sequence} if sequence else {}
    for table in ("spellings", "words", "makers", "contradictions", "coded"):
        for row in made()[table]:
            yield table, dict(row["has"]), dict(row["is"])


def modality_in(has: Row) -> str:
    """Of a made header that names none: by the first word of its study."""
    first = has.get("StudyDescription", "").split(" ")[0]
    return {
        "CT": "CT",
        "TC": "CT",
        "Scanner": "CT",
        "Röntgen": "CR",
        "RX": "CR",
        "Radiographie": "CR",
    }.get(first, "MR")


def labels_in(has: Row) -> list[Finding]:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in has.items():
        setattr(dataset, keyword, value)
    return labels_of(facts_of(dataset))


def test_made_headers_are_labelled_as_a_person_would() -> None:
    missed: Counter[str] = Counter()
    told = []
    count = 0
    for table, has, expected in headers():
        if not has.keys() & {"Modality", "SOPClassUID"}:
            has["Modality"] = modality_in(has)
        expected.setdefault("modality", has.get("Modality"))
        labels = labels_in(has)
        assert all(label.rule and label.sources for label in labels)
        found = values(labels)
        bad = wrong(expected, found)
        bad += [
            name
            for name in ("side", "fat-saturation")
            if name in expected and found.get(name) != expected[name]
        ]
        missed.update(bad)
        told += [f"{table} {has}: {name}" for name in bad]
        count += 1
    assert count > 260
    assert all(missed[name] <= (1 - NEEDED) * count for name in (*GRADED, "side", "fat-saturation")), told


def test_a_contradiction_shows_and_makes_the_label_less_sure() -> None:
    rows = made()["contradictions"]
    assert len(rows) >= 20
    for row in rows:
        has = {"Modality": "MR", **row["has"]}
        label = row["is"]["contradiction"]
        found = labels_in(has)
        [contradiction] = [one for one in found if one.name == "contradiction"]
        assert contradiction.value == label
        assert len(contradiction.sources) >= 2
        [doubtful] = [one for one in found if one.name == label]
        assert (doubtful.value, doubtful.confidence < 0.6) == (row["is"][label], True)


def test_what_agrees_contradicts_nothing() -> None:
    for table, has, _ in headers():
        if table != "contradictions":
            if "SOPClassUID" not in has:
                has.setdefault("Modality", modality_in(has))
            assert "contradiction" not in values(labels_in(has)), has
