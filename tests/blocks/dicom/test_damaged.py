"""Files with random damage: each ends released or held back, soon, and no name comes out.

MB_SEED chooses which damage (CI takes it from the commit), MB_BUDGET_SECONDS how long to go on.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from blocks.dicom.decisions import Decisions
from blocks.dicom.deidentify import deidentify
from blocks.dicom.pseudonyms import Pseudonyms
from tests.support.dicom_studies import KEY, a_template, an_image, file_bytes, found_in

SEED = int(os.environ.get("MB_SEED", "1"), 0)
BUDGET_SECONDS = min(float(os.environ.get("MB_BUDGET_SECONDS", "4")), 120.0)
LONGEST_SECONDS = 10.0  # of one small file, on a busy machine
NAMES = ["zweistein", "pid-4711", "quacksalver"]


def test_damage_never_brings_a_name_out(tmp_path: Path) -> None:
    named = Dataset()
    named.PatientName, named.CodeMeaning = "Zweistein^Jane", "Zweistein"
    # said more than once: an id that stands only in a damaged tag is a word like any other
    named.PatientID, named.ReferringPhysicianName = "PID-4711-X", "Quacksalver^Hubert"
    image = an_image(AnatomicRegionSequence=[named], ReferencedStudySequence=[named])
    sources = [
        file_bytes(image, kind)
        for kind in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
    ]
    decisions, pseudonyms, chance = Decisions(a_template()), Pseudonyms(KEY), random.Random(SEED)
    path = tmp_path / "damaged.dcm"
    released, ends = 0, time.monotonic() + BUDGET_SECONDS
    while time.monotonic() < ends:
        damaged = damage(chance.choice(sources), chance)
        path.write_bytes(damaged)
        began = time.monotonic()
        result = deidentify(path, decisions, pseudonyms)
        assert time.monotonic() - began < LONGEST_SECONDS
        assert result.data is not None or result.reasons
        if result.data is not None and not result.reasons:
            released += 1
            assert not found_in(NAMES, result.data), f"MB_SEED={SEED}: {damaged.hex()}"
    assert released > 5


def damage(source: bytes, chance: random.Random) -> bytes:
    data = bytearray(source)
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(128, len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(1, 9))
            case _:
                data[at : at + 2] = b"\xff\xff"
    return bytes(data)
