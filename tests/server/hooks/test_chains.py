"""Rules work on what other rules published, in their turn, and never in a circle."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from protocol.errors import Refused
from server.hooks import jobs as job_table
from server.hooks.jobs import State
from server.hooks.rules import DEIDENTIFY, Rule, add_rule, folder_at, list_rules
from server.hooks.tracing import trace
from tests.server.hooks.test_intake import a_slice, put
from tests.support.intake import Imaging, an_imaging_project

BASIC = {"preset": "basic"}


def a_rule(imaging: Imaging, source: str, target: str, *, priority: int = 5) -> Rule:
    with imaging.server.service.database.writing() as session:
        places = [folder_at(session, f"/Projects/Nerves{path}") for path in (source, target)]
        now_ms = imaging.server.service.clock()
        return add_rule(session, DEIDENTIFY, places[0], places[1], BASIC, now_ms=now_ms, priority=priority)


def begun(imaging: Imaging) -> list[tuple[Rule, int]]:
    """All jobs there are, in the order in which runners would begin them."""
    with imaging.server.service.database.writing() as session:
        for rule in job_table.behind(session):
            job_table.follow(session, rule, now_ms=1)
        order = []
        while taken := job_table.claim(session, now_ms=1):
            order += [(job.rule, job.id) for job in taken]
        return order


async def test_a_changed_source_runs_through_the_chain_and_each_result_is_a_version_of_the_same_file(
    tmp_path: Path,
) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        for name in ("Second", "Third"):
            await imaging.researcher.folder(name)
        rules = [a_rule(imaging, "/Data", "/Second"), a_rule(imaging, "/Data", "/Third")]
        source = await imaging.clinician.file("a.dcm", a_slice(1))
        assert {job.state for job in await imaging.ended(3)} == {State.PUBLISHED}
        first = await imaging.out()
        assert sorted(path.partition("/")[0] for path in first) == ["Data", "Second", "Third"]

        await put(imaging.clinician, source, a_slice(1, PixelData=bytes(512)))
        assert {job.state for job in await imaging.ended(6)} == {State.PUBLISHED}
        second = await imaging.out()
        assert second.keys() == first.keys()
        assert all(second[path] != first[path] for path in first)

        with imaging.server.service.database.reading() as session:
            intake = list_rules(session)[0]
            for node, state in imaging.researcher.known.items():
                path = imaging.path_of(node)
                if path not in second:
                    continue
                folder = path.partition("/")[0]
                steps = trace(session, intake.target.space, state.node, state.content_revision)
                wanted = {"Data": [], "Second": [rules[0].id], "Third": [rules[1].id]}[folder]
                assert [step.rule for step in steps] == [*wanted, intake.id]
                assert steps[-1].source == source
                assert steps[-1].revision.number == 2


async def test_rules_in_a_circle_are_refused_and_one_made_by_moving_folders_ends(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        second = await imaging.researcher.folder("Second")
        await imaging.researcher.folder("Third")
        a_rule(imaging, "/Data", "/Second")
        a_rule(imaging, "/Second", "/Third")
        with pytest.raises(Refused, match="come back"):
            a_rule(imaging, "/Third", "/Data")
        await imaging.clinician.file("a.dcm", a_slice(1))
        await imaging.ended(3)

        await imaging.researcher.follow()
        [data] = [node for node, state in imaging.researcher.known.items() if state.name == "Data"]
        await imaging.researcher.move(second, data, "Second")
        jobs = await imaging.ended(4)
        assert [job.state for job in jobs] == [State.FAILED, *[State.PUBLISHED] * 3]
        assert "made the file itself" in jobs[0].reasons[0][1]
        assert len(await imaging.out()) == 3


async def test_new_files_go_before_those_that_were_there_and_then_by_the_priority_of_their_rule(
    tmp_path: Path,
) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        for number in range(3):
            await imaging.clinician.file(f"{number}.dcm", a_slice(number))
        urgent = a_rule(imaging, "/Intake", "/Data", priority=9)
        await imaging.clinician.file("new.dcm", a_slice(9))
        order = [rule.id == urgent.id for rule, _ in begun(imaging)]
        assert order == [True, *[False] * 4, *[True] * 3]


async def test_rules_of_one_priority_take_turns(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        a_rule(imaging, "/Intake", "/Data")
        for number in range(4):
            await imaging.clinician.file(f"{number}.dcm", a_slice(number))
        order = [rule.id for rule, _ in begun(imaging)]
        assert len(order) == 8
        assert all(one != other for one, other in pairwise(order))
