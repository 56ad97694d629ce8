"""Two DICOM files, attribute by attribute: what was there before, and what is there after.

Owns: what `block try` tells of them.  Run as `python -m blocks.dicom.compare BEFORE AFTER`; prints a JSON object.
May import: pydicom, protocol.names, blocks.dicom.

It shows values of the original: it is for the eyes of whoever holds that file already.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from blocks.dicom.files import be_silent
from protocol.names import shown

MAX_SHOWN = 64
UNKNOWN = "(private or unknown)"


class Value(NamedTuple):
    """where: as people read it, `OtherPatientIDsSequence[0].PatientID`.  creator: of a private attribute."""

    where: str
    text: str
    raw: object
    creator: str


def compare(before: Dataset, after: Dataset) -> tuple[list[dict[str, str]], int]:
    """One entry for each attribute that is not the same in both, in the order of the file; how many are the same."""
    old, new = dict(_values(before, "", "")), dict(_values(after, "", ""))
    lines = []
    same = 0
    for at in sorted(old.keys() | new.keys()):
        was, now = old.get(at), new.get(at)
        if was is not None and now is not None and was.raw == now.raw:
            same += 1
            continue
        known = was or now
        assert known is not None, "it is in one of them"
        lines.append(
            {
                "at": at,
                "keyword": keyword_for_tag(at[-8:]) or UNKNOWN,
                "where": known.where,
                "creator": known.creator,
                "what": _what(was, now),
                "before": "" if was is None else was.text,
                "after": "" if now is None else now.text,
            }
        )
    return lines, same


def _what(was: Value | None, now: Value | None) -> str:
    if was is None:
        return "added"
    if now is None:
        return "removed"
    return "changed" if now.text else "emptied"


def _values(dataset: Dataset, above: str, where: str) -> Iterator[tuple[str, Value]]:
    for element in dataset:
        at = f"{above}{int(element.tag):08X}"
        here = where + (keyword_for_tag(element.tag) or f"{int(element.tag):08X}")
        creator = str(element.private_creator or "") if element.tag.is_private else ""
        if element.VR == "SQ":
            for number, item in enumerate(element.value or []):
                yield from _values(item, f"{at}[{number}].", f"{here}[{number}].")
        elif isinstance(element.value, bytes):
            yield at, Value(here, f"({len(element.value)} bytes)", element.value, creator)
        else:
            text = shown(str(element.value if element.value is not None else ""))
            short = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
            yield at, Value(here, short, text, shown(creator))


def main() -> None:
    be_silent()
    before, after = (pydicom.dcmread(Path(path), force=True) for path in sys.argv[1:3])
    changes, same = compare(before, after)
    json.dump({"changes": changes, "same": same}, sys.stdout)


if __name__ == "__main__":
    main()
