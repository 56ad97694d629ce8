"""Two DICOM files, attribute by attribute: what was there before, and what is there after.

Owns: the lines of `block try`.  Run as `python -m blocks.dicom.compare BEFORE AFTER`; prints a JSON list.
May import: pydicom, protocol.names, blocks.dicom.

It shows values of the original: it is for the eyes of whoever holds that file already.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from blocks.dicom.files import be_silent
from protocol.names import shown

MAX_SHOWN = 64


def compare(before: Dataset, after: Dataset) -> list[dict[str, str]]:
    """One entry for each attribute that is not the same in both, in the order of the file."""
    old, new = dict(_values(before, "")), dict(_values(after, ""))
    lines = []
    for at in sorted(old.keys() | new.keys()):
        if old.get(at) != new.get(at):
            keyword = keyword_for_tag(at[-8:]) or "(private or unknown)"
            lines.append({"at": at, "keyword": keyword, "before": old.get(at, ""), "after": new.get(at, "")})
    return lines


def _values(dataset: Dataset, above: str) -> Iterator[tuple[str, str]]:
    for element in dataset:
        at = f"{above}{int(element.tag):08X}"
        if element.VR == "SQ":
            for number, item in enumerate(element.value or []):
                yield from _values(item, f"{at}[{number}].")
        elif isinstance(element.value, bytes):
            yield at, f"({len(element.value)} bytes)"
        else:
            text = shown(str(element.value if element.value is not None else ""))
            yield at, text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def main() -> None:
    be_silent()
    before, after = (pydicom.dcmread(Path(path), force=True) for path in sys.argv[1:3])
    json.dump(compare(before, after), sys.stdout)


if __name__ == "__main__":
    main()
