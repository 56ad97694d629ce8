"""DICOM files that packages ship, through a real intake: each ends released, or held back with a reason.

Some of them may carry real names: nothing of a file is ever shown, not even when a test fails.
"""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from blocks.dicom.cleaning import gather
from blocks.dicom.identifiers import Identifiers
from server.hooks.jobs import State
from tests.blocks.dicom.test_corpus import shipped
from tests.support.intake import an_imaging_project

SEED = int(os.environ.get("MB_SEED", "1"), 0)
HOW_MANY = None if float(os.environ.get("MB_BUDGET_SECONDS", "20")) > 100 else 12
MOST_BYTES = 3 << 20  # uploads of this test go in one piece


@pytest.mark.timeout(900)
async def test_each_shipped_file_is_published_clean_or_held_back_with_a_reason(tmp_path: Path) -> None:
    files = [path for path in shipped() if path.stat().st_size < MOST_BYTES]
    contents = list({path.read_bytes(): path for path in files}.items())
    random.Random(SEED).shuffle(contents)
    contents = contents[:HOW_MANY]
    async with an_imaging_project(tmp_path / "data") as imaging:
        for number, (data, _) in enumerate(contents):
            await imaging.clinician.file(f"{number}.dcm", data)
        jobs = await imaging.until(
            lambda jobs: len(jobs) == len(contents) and all(job.ended_at_ms for job in jobs), seconds=600
        )
        out = await imaging.out()
        assert {job.state for job in jobs} <= {State.PUBLISHED, State.QUARANTINED}
        assert all(job.reasons for job in jobs if job.state is State.QUARANTINED)
        assert len(out) == sum(job.state is State.PUBLISHED for job in jobs)
        left = await asyncio.to_thread(whose_names_are_left, [path for _, path in contents], out)
        assert left == []
        assert not set(out.values()) & {data for data, _ in contents}
        for data in out.values():
            assert pydicom.dcmread(BytesIO(data)).PatientIdentityRemoved == "YES"


def whose_names_are_left(paths: list[Path], out: dict[str, bytes]) -> list[str]:
    """The names of the shipped files (not of patients) whose identifiers stand in some path of what came out."""
    told = "\n".join(out).lower()
    found = []
    for path in paths:
        identifiers = Identifiers()
        with suppress(Exception):  # a damaged file is held back; what was read of it until then counts
            gather(pydicom.dcmread(path, force=True), identifiers, ["iso8859"])
        if identifiers.needles().in_code(
            told
        ):  # a name may hold the word CT, and a folder says it of its series
            found.append(path.name)
    return found
