"""From an intake to a volume: slices come one by one, a rule on the research folder makes a file that follows them."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

from sqlalchemy import update

from server.app import worked
from server.data_folder import DataFolder
from server.database.tables import RuleRow
from server.hooks.rules import add_rule, folder_at
from tests.support.dicom_studies import found_in, in_any_encoding
from tests.support.intake import ENDS, SECONDS, Imaging, an_imaging_project
from tests.support.series import a_series

NAMES = ("Zweistein", "19800401", "ACC7731", "20240229", "PID-4711", "Quacksalver")


async def volumes(imaging: Imaging, *, of: int) -> dict[str, bytes]:
    """What lies in the folder of the results, once the jobs are through and the volume has as many slices."""
    async with asyncio.timeout(SECONDS):
        while True:
            out = {path: data for path, data in (await imaging.out()).items() if path.startswith("Volumes/")}
            shapes = [gzip.decompress(data)[46] for path, data in out.items() if path.endswith(".nii.gz")]
            if shapes == [of] and all(job.state in ENDS for job in imaging.jobs()):
                return out
            await asyncio.sleep(0.2)


async def test_a_series_becomes_a_volume_and_a_later_slice_a_new_version_of_it(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        await imaging.researcher.folder("Volumes")
        with imaging.server.service.database.writing() as session:
            places = [folder_at(session, f"/Projects/Nerves/{name}") for name in ("Data", "Volumes")]
            now_ms = imaging.server.service.clock()
            add_rule(session, "dicom-to-volume", *places, {}, now_ms=now_ms)
            add_rule(session, "dicom-preview", *places, {}, now_ms=now_ms)
            session.execute(update(RuleRow).where(RuleRow.settle_ms.is_not(None)).values(settle_ms=1_500))
        files = a_series(slices=6)
        folder = await imaging.clinician.folder("Zweistein Jane")
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            for number, data in enumerate(files[:3]):  # not the last ones, nor in order
                await imaging.clinician.file(f"Zweistein {number}.dcm", data, folder)
            for number, data in enumerate(files[3:], start=3):
                await imaging.clinician.file(f"Zweistein {number}.dcm", data, folder)
            first = await volumes(imaging, of=6)
            assert sorted(path.rsplit(".", 1)[1] for path in first) == ["gz", "json", "png"]
            assert all(path.startswith("Volumes/P") for path in first)
            seen = b"".join(first.values()) + b"".join(
                gzip.decompress(data) for path, data in first.items() if path.endswith(".gz")
            )
            assert found_in(NAMES, "\n".join(first).encode()) == []
            assert not any(in_any_encoding(name, seen) for name in NAMES)

            nodes = {node for node in imaging.researcher.known if imaging.path_of(node) in first}
            [late] = [data for data in a_series(slices=7) if data not in files]
            await imaging.clinician.file("Zweistein late.dcm", late, folder)
            second = await volumes(imaging, of=7)
            assert second.keys() == first.keys()
            assert nodes == {node for node in imaging.researcher.known if imaging.path_of(node) in second}
