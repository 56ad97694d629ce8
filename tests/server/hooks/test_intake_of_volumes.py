"""Volumes and what lies beside them, through a real intake: of their person nothing is where a researcher can look."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from server.hooks.jobs import State
from tests.support.dicom_studies import found_in, in_any_encoding
from tests.support.intake import an_imaging_project
from tests.support.volumes import SIDECAR, MetaImage, Nifti, gzipped

NAMES = ("Zweistein", "Jane", "19800401", "PID-4711", "1980-04-01", "Quacksalver", "2024.02.29")
GOOD = {
    "Zweistein_T1w.nii.gz": gzipped(Nifti().as_bytes()),
    "Zweistein_T1w.json": json.dumps(SIDECAR).encode(),
    "Zweistein 2.nii": Nifti(version=2, order=">").as_bytes(),
    "Zweistein.mha": MetaImage().as_bytes(),
    "Zweistein_dwi.bval": b"0 1000 1000\n",
    "Zweistein_dwi.bvec": b"0 1 0\n0 0 1\n0 0 0\n",
}
HELD = {
    "Zweistein.mhd": (MetaImage().changed(ElementDataFile="Zweistein.raw").as_bytes(), "data-elsewhere"),
    "Zweistein.raw": (MetaImage().data, "no-cleaner"),
    "Zweistein.hdr": (Nifti().as_bytes().replace(b"n+1\0", b"ni1\0"), "data-elsewhere"),
    "patients.json": (b'{"Zweistein": "1980-04-01"}', "no-cleaner"),
    "Zweistein.bvec.txt": (b"0 1 0\n0 0 1\n0 0 0\n", "no-cleaner"),
    "Jane.bval": (b"Zweistein", "not-readable"),
    "Zweistein cut.nii": (Nifti(behind=b"").as_bytes()[:-5], "wrong-size"),
    "Zweistein slice.nii": (Nifti(shape=(40, 30)).as_bytes(), "burned-in-risk"),
    "Zweistein.dcm.gz": (gzipped(b"Zweistein"), "no-cleaner"),
}


async def test_nothing_planted_in_a_volume_or_beside_one_is_seen_by_a_researcher(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with an_imaging_project(tmp_path / "data") as imaging:
        folder = await imaging.clinician.folder("Zweistein Jane 19800401")
        for name, data in GOOD.items():
            await imaging.clinician.file(name, data, folder)
        for name, (data, _) in HELD.items():
            await imaging.clinician.file(name, data, folder)
        jobs = await imaging.ended(len(GOOD) + len(HELD))
        held = [job for job in jobs if job.state is State.QUARANTINED]
        assert sorted(job.reasons[0][0] for job in held) == sorted(code for _, code in HELD.values())
        assert {job.state for job in jobs if job not in held} == {State.PUBLISHED}
        assert [job.reasons[0][0] for job in held if job.can_release] == ["burned-in-risk"]

        out = await imaging.out()
        assert len(out) == len(GOOD)
        assert len({path.split("/")[1] for path in out}) == 1  # one folder, one pseudonym
        names = [path.rsplit("/", 1)[1] for path in out]
        [sidecar] = [name for name in names if name.endswith(".json")]
        assert sidecar.startswith("T1w-")
        assert sidecar.replace(".json", ".nii.gz") in names
        assert sorted(name.split("-")[0] for name in names) == [
            "T1w",
            "T1w",
            "dwi",
            "dwi",
            "volume",
            "volume",
        ]

        seen = b"".join(out.values()) + repr(imaging.researcher.known).encode()
        told = caplog.text + repr(jobs) + "".join(str(job.report) for job in imaging.jobs())
        for name in NAMES:
            assert not in_any_encoding(name, seen), name
        assert found_in(NAMES, told.encode()) == []
        assert sum(Nifti().voxels in data or MetaImage().data in data for data in out.values()) >= 2
