"""What lies in an intake is labelled there, and a researcher reads the labels of what came out, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from protocol.ids import NodeId, SpaceId
from server.app import worked
from server.catalog.labels import Label, Source, Version, labels_of, set_labels
from server.data_folder import DataFolder
from server.hooks.jobs import State
from server.hooks.rules import Rule, classify_intake, list_rules, run_again
from tests.server.hooks.test_intake import a_slice, put
from tests.server.hooks.test_withdrawing import node_of, withdraw
from tests.support.dicom_studies import found_in
from tests.support.intake import Imaging, an_imaging_project
from tests.support.recordings import Recording

NAMES = ("Zweistein", "Jane", "19800401", "ACC7731", "PID-4711", "Quacksalver")
TEXTS = (  # each that a rule looks at
    "SeriesDescription",
    "ProtocolName",
    "StudyDescription",
    "RequestedProcedureDescription",
    "ReasonForStudy",
    "AdmittingDiagnosesDescription",
    "AdditionalPatientHistory",
    "ContrastBolusAgent",
    "SequenceName",
)
PLANTED = dict.fromkeys(TEXTS, "MRT Knie Zweistein ACC7731 rechts PID-4711")


def classifying(imaging: Imaging) -> Rule:
    with imaging.server.service.database.writing() as session:
        return classify_intake(session, "Nerves", now_ms=imaging.server.service.clock())


def said(
    imaging: Imaging, space: SpaceId, node: UUID, revision: object, block: str = "classify"
) -> set[tuple[str, str]]:
    version = Version(space, NodeId(node), revision)  # type: ignore[arg-type] # as the feed has it
    with imaging.server.service.database.reading() as session:
        return {(label.name, label.value) for label, by in labels_of(session, version) if by.block == block}


async def labels_in_data(imaging: Imaging, block: str = "classify") -> Mapping[str, set[tuple[str, str]]]:
    """Of each file that the researcher sees."""
    paths = await imaging.out()
    with imaging.server.service.database.reading() as session:
        space = list_rules(session)[0].target.space
    found = {}
    for path in paths:
        state = imaging.researcher.known[node_of(imaging, path)]
        found[path] = said(imaging, space, state.node, state.content_revision, block)
    return found


async def test_labels_of_an_original_stand_with_its_copy_and_hold_no_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with an_imaging_project(tmp_path / "data") as imaging:
        rule = classifying(imaging)
        folder = await imaging.clinician.folder("Zweistein Jane")
        await imaging.clinician.file("Zweistein.dcm", a_slice(1, **PLANTED), folder)
        await imaging.clinician.file("Zweistein.edf", Recording().as_bytes(), folder)
        await imaging.clinician.file("letter.txt", b"Jane Zweistein", folder)
        jobs = await imaging.ended(6)
        mine = [job for job in jobs if job.block == "classify"]
        assert sorted(job.state for job in mine) == ["published", "published", "unchanged"]
        assert [job.state for job in jobs if job.block != "classify"].count(State.QUARANTINED) == 1

        labels = await labels_in_data(imaging)
        [image] = [found for path, found in labels.items() if path.endswith(".dcm")]
        [recording] = [found for path, found in labels.items() if path.endswith(".edf")]
        assert image >= {("modality", "MR"), ("region", "knee"), ("plane", "axial"), ("side", "right")}
        assert recording >= {("modality", "EEG"), ("channel", "Fp1"), ("channels", "2")}

        with imaging.server.service.database.reading() as session:
            rows = repr(session.execute(text("SELECT * FROM labels")).all())
            told = repr(session.execute(text("SELECT * FROM jobs")).all())
            about = repr(session.execute(text("SELECT name, value, source, said_by FROM labels")).all())
            nodes = {
                row.node
                for row in session.execute(
                    text("SELECT node FROM labels WHERE space = :s"), {"s": rule.source.space}
                )
            }
            others = session.execute(
                text("SELECT node FROM labels WHERE space <> :s"), {"s": rule.source.space}
            )
            assert not nodes & {row.node for row in others}
        assert found_in(NAMES, (rows + told + about + caplog.text).encode()) == []


@pytest.mark.parametrize("first", ["classify", "deidentify"])
async def test_it_does_not_matter_which_rule_works_first(tmp_path: Path, first: str) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        classifying(imaging)
        await imaging.clinician.file("a.dcm", a_slice(1))
        database = imaging.server.service.database

        def switch(on: str) -> None:
            with database.writing() as session:
                session.execute(text("UPDATE rules SET enabled = (block = :b OR :b = '')"), {"b": on})

        switch(first)
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            await imaging.ended(1)
            switch("")
            await imaging.clinician.file("b.txt", b"a letter")
            await imaging.ended(4)
            [found] = (await labels_in_data(imaging)).values()
            assert ("region", "knee") in found


async def test_a_new_version_a_new_run_and_a_withdrawal_change_what_is_read(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        rule = classifying(imaging)
        source = await imaging.clinician.file("a.dcm", a_slice(1))
        await imaging.ended(2)
        [(path, before)] = (await labels_in_data(imaging)).items()
        assert ("region", "knee") in before

        await put(imaging.clinician, source, a_slice(1, BodyPartExamined="SHOULDER", StudyDescription=""))
        await imaging.ended(4)
        [after] = (await labels_in_data(imaging)).values()
        assert ("region", "shoulder") in after
        assert ("region", "knee") not in after

        database = imaging.server.service.database
        state = imaging.researcher.known[node_of(imaging, path)]
        with database.writing() as session:  # as if a person had said it, or another rule
            version = Version(list_rules(session)[0].target.space, NodeId(state.node), state.content_revision)
            theirs = Source(UUID(int=1), "someone", "1", bytes(32))
            set_labels(session, version, theirs, [Label("region", "hip", "person", 1.0)], now_ms=1)
            assert run_again(session, rule) == 2  # the version before has nothing more to say
        await imaging.until(
            lambda jobs: all(job.state != "waiting" for job in jobs if job.block == "classify")
        )
        await imaging.ended(4)
        assert (await labels_in_data(imaging))[path] == after
        assert (await labels_in_data(imaging, "someone"))[path] == {("region", "hip")}

        await withdraw(imaging.clinician, source)
        assert await labels_in_data(imaging) == {}
