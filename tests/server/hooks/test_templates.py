"""A project that an older version made comes by the rules of a new one, and loses nothing on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from protocol.errors import NotFound, Refused
from server.access.projects import Template, create_project
from server.app import worked
from server.data_folder import DataFolder
from server.database.tables import AuditRow, RuleRow
from server.hooks.jobs import State
from server.hooks.rules import list_rules, work_on_intake
from server.hooks.templates import bring_up_to_date
from tests.server.hooks.test_intake import a_slice, put
from tests.support.intake import an_imaging_project
from tests.support.recordings import Recording
from tests.support.server import mb_server


async def test_a_project_from_before_edf_lets_recordings_out_and_keeps_what_it_made(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        database = imaging.server.service.database
        with database.writing() as session:  # as the version that made it did
            session.execute(update(RuleRow).values(block="dicom-deidentify"))
        image = await imaging.clinician.file("a.dcm", a_slice(1))
        await imaging.clinician.file("a.edf", Recording().as_bytes())
        await imaging.clinician.file("notes.txt", b"of a patient")
        folder = DataFolder(tmp_path / "data")
        async with worked(folder, imaging.server.service):
            assert sorted(job.state for job in await imaging.ended(3)) == ["published", *["quarantined"] * 2]
        [before] = await imaging.out()
        [rule] = [rule for rule in imaging.rules() if rule.leads_out_of_an_intake]

        words = ["project", "update", "Nerves", "--data", tmp_path / "data"]
        would = await asyncio.to_thread(mb_server, *words, "--dry-run")
        assert would.stdout.startswith("Would be done: ")
        assert {one.block for one in imaging.rules() if one.id == rule.id} == {"dicom-deidentify"}
        done = await asyncio.to_thread(mb_server, *words)
        assert f"Rule {rule.short} takes every kind" in done.stdout
        assert "2 files are looked at once more" in done.stdout
        again = await asyncio.to_thread(mb_server, *words)
        assert (again.returncode, again.stdout) == (0, "")
        assert "has all that a new one has" in again.stderr
        with database.reading() as session:
            assert "project update Nerves" in session.scalars(select(AuditRow.detail)).all()

        await put(imaging.clinician, image, a_slice(1, ImageComments="once more"))
        async with worked(folder, imaging.server.service):
            await imaging.until(
                lambda jobs: (
                    sum(job.state is State.PUBLISHED and job.rule == rule.short for job in jobs) == 3
                    and not any(job.state in (State.WAITING, State.RUNNING) for job in jobs)
                )
            )
        out = await imaging.out()
        assert before in out  # the image is a version of what it was, not another file
        assert sorted(Path(path).suffix for path in out) == [".dcm", ".edf"]


async def test_a_project_has_after_the_update_what_a_new_one_has(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        now_ms = imaging.server.service.clock()
        with imaging.server.service.database.writing() as session:
            create_project(session, "New", Template.IMAGING, now_ms=now_ms)
            work_on_intake(session, "New", now_ms=now_ms)
            create_project(session, "Plain", Template.EMPTY, now_ms=now_ms)
            assert bring_up_to_date(session, "New", now_ms=now_ms) == []
            session.execute(delete(RuleRow).where(RuleRow.space != RuleRow.target_space))
            bring_up_to_date(session, "Nerves", now_ms=now_ms)
            bring_up_to_date(session, "nerves", now_ms=now_ms)
            bring_up_to_date(session, "New", now_ms=now_ms)
            made = {
                name: sorted(
                    (rule.block, str(rule.parameters), rule.target_path.removeprefix(f"/Projects/{name}"))
                    for rule in list_rules(session)
                    if rule.source_path.startswith(f"/Projects/{name}/")
                )
                for name in ("Nerves", "New")
            }
            assert made["Nerves"] == made["New"]
            assert len(made["New"]) >= 2
            with pytest.raises(Refused, match="has no intake"):
                bring_up_to_date(session, "Plain", now_ms=now_ms)
            with pytest.raises(NotFound):
                bring_up_to_date(session, "Nobody", now_ms=now_ms)
