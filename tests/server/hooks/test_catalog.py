"""What comes out of an intake is found at once, by what stands in the files that came out; what went in never is."""

from __future__ import annotations

from pathlib import Path

from server.hooks.rules import add_rule, folder_at
from tests.server.hooks.test_intake import a_slice
from tests.server.http.test_search import find, names
from tests.support.dicom_studies import an_image, file_bytes
from tests.support.intake import an_imaging_project
from tests.support.recordings import Recording


async def test_what_was_published_is_in_the_catalog(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        folder = await imaging.clinician.folder("Zweistein Jane")
        for number in (1, 2, 3):
            await imaging.clinician.file(f"{number}.dcm", a_slice(number, EchoTime="80"), folder)
        await imaging.clinician.file("night.edf", Recording().as_bytes(), folder)
        await imaging.ended(4)
        ada = imaging.researcher
        [images] = (await find(ada, "EchoTime=70..90")).items
        assert (images.files, images.modalities, images.attributes["EchoTime"]) == (3, ["MR"], [80.0])
        assert images.patient.startswith("P")
        assert images.path.startswith(f"/Data/{images.patient}/")
        out = await imaging.out()
        assert {f"/{path}" for path in out} == set(await names(ada, level="file"))
        [person] = (await find(ada, level="patient")).items
        assert (person.patient, person.modalities, person.files) == (images.patient, ["EEG", "MR"], 4)
        for of_hers in ("PatientID=PID-4711-X", "Zweistein", "StudyInstanceUID=1.2.826.0.1.99.1"):
            assert (await find(ada, of_hers)).items == []
        assert (await find(imaging.clinician)).items == []


async def test_a_rule_with_the_block_index_reads_what_came_in_another_way(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        database, now_ms = imaging.server.service.database, imaging.server.service.clock()
        with database.writing() as session:
            data = folder_at(session, "/Projects/Nerves/Data")
            add_rule(session, "index", data, data, {}, now_ms=now_ms)
        await imaging.researcher.follow()
        [folder] = [node for node, state in imaging.researcher.known.items() if state.name == "Data"]
        await imaging.researcher.file("a.dcm", file_bytes(an_image(EchoTime="12")), folder)
        await imaging.researcher.file("notes.txt", b"no image", folder)
        await imaging.ended(2)
        assert await names(imaging.researcher, "EchoTime=12", level="file") == ["/Data/a.dcm"]
