"""The demo's chapter about labels: what the files show, read from the originals, seen with what came out.

Owns: the order of these events, and what must be true after each.  May import: the demo's own modules.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dicom_files import Identified
from folders import contents
from people import Cast, comes_true
from screen import Screen, as_count

SHOWN = ("modality", "region", "sequence", "weighting", "plane", "fat-saturation", "derived")


def what_the_files_show(cast: Cast, screen: Screen, made: Identified) -> None:
    """Counts by label, as a researcher may know them who never sees an original."""
    screen.heading("What the files show")
    with screen.busy("reading labels"):
        files = [path for path, digest in sorted(contents(cast.adas_data).items()) if digest]
        labelled = comes_true(lambda: all("modality" in _labels(one) for one in _asked(cast, files)))
        found = _asked(cast, files)
    screen.fact("block", "classify", "reads the headers of the originals, in the intake")
    counts = {name: Counter(value for one in found for value in _labels(one).get(name, ())) for name in SHOWN}
    for name, counted in counts.items():
        if counted:
            values = ", ".join(f"{count} {value}" for value, count in counted.most_common())
            screen.fact(name, values)
    said = next((one for one in found[0] if one["name"] == "region"), None)
    if said is not None and said["said"]:
        first = said["said"][0]
        sure = f"{first['confidence']:.0%} sure"
        screen.fact("why", f"region is {first['value']}: {first['said_by']} of {first['source']}", sure)
    missing = None if labelled else "some have none"
    screen.check(
        f"ada reads the labels of all her {as_count(len(files), 'file')}, and of no original", missing
    )
    told = json.dumps(found)
    left = [word for word in made.words if word.lower() in told.lower()]
    screen.check("no label holds a name, number or UID of the patient", ", ".join(left[:3]) if left else None)


def _asked(cast: Cast, files: list[str]) -> list[Any]:
    """What `mb-sync label list` says of each."""
    with ThreadPoolExecutor(2) as pool:
        paths = [str(cast.adas_data / file) for file in files]
        return list(pool.map(lambda path: cast.laptop.asked("label", "list", path), paths))


def _labels(listed: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {one["name"]: one["values"] for one in listed}
