"""Files that wait are worked on together, and a bad one among them holds up none of the others."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select, update

from protocol.messages import Delete
from server.app import worked
from server.data_folder import DataFolder
from server.database.tables import JobRow, RuleRow
from server.hooks import jobs as job_table
from server.hooks import turns
from server.hooks.jobs import Leased, State
from server.hooks.progress import Pace, progress_of
from server.hooks.rules import DEIDENTIFY, add_rule, folder_at
from tests.server.hooks.test_intake import a_slice
from tests.support.intake import Imaging, an_imaging_project
from tests.support.server import mb_server

MANIFEST = """
contract = 1
name = "careful"
version = "1"
summary = "Copies a file and says how many came with it; ends badly if there is a bad one among them."
produces = ["derived", "labels"]
program = { type = "command", command = ["/usr/bin/python3", "{block}/run.py"] }
accepts = [{}]
resources = { batch_files = 8 }
"""
RUN = """
import json, os, shutil
from pathlib import Path
files = json.loads(Path("job.json").read_text())["files"]
answers = []
for number, file in enumerate(files):
    if b"bad" in (Path("in") / file["file"]).read_bytes():
        os.abort()
    shutil.copy(Path("in") / file["file"], Path("out") / str(number))
    label = {"name": "together", "value": str(len(files))}
    outputs = [{"file": str(number), "path": ["same name"]}]
    answers.append({"source": number, "verdict": "released", "outputs": outputs, "labels": [label]})
Path("result.json").write_text(json.dumps({"contract": 1, "files": answers}))
"""


def claimed(imaging: Imaging, *, runners: int = 1, most: int = 8) -> list[list[Leased]]:
    """What each runner would take, until nothing is left."""
    with imaging.server.service.database.writing() as session:
        for rule in job_table.behind(session):
            job_table.follow(session, rule, now_ms=1)
        taken = []
        while batch := job_table.claim(session, now_ms=1, most=lambda _: most, runners=runners):
            taken.append(batch)
        return taken


@pytest.fixture
def nothing_came_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_ALONE", 0)


@pytest.mark.usefixtures("nothing_came_alone")
async def test_what_waits_is_shared_between_the_runners_and_none_waits_for_a_batch_to_fill(
    tmp_path: Path,
) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        await imaging.clinician.file("first.dcm", a_slice(0))
        assert [len(batch) for batch in claimed(imaging)] == [1]
        for number in range(1, 12):
            await imaging.clinician.file(f"{number}.dcm", a_slice(number))
        batches = claimed(imaging, runners=2, most=4)
        assert [len(batch) for batch in batches] == [4, 4, 2, 1]  # half of what is left, four at most
        assert len({job.id for batch in batches for job in batch}) == 11
        assert [len({job.lease for job in batch}) for batch in batches] == [1, 1, 1, 1]


async def test_a_rule_has_no_more_runs_than_it_may_and_others_go_on(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        with imaging.server.service.database.writing() as session:
            session.execute(update(RuleRow).values(at_once=2))
            places = [folder_at(session, f"/Projects/Nerves/{name}") for name in ("Intake", "Data")]
            now_ms = imaging.server.service.clock()
            free = add_rule(session, DEIDENTIFY, *places, {}, now_ms=now_ms, priority=0)
        for number in range(5):
            await imaging.clinician.file(f"{number}.dcm", a_slice(number))
        runs = [batch[0].rule.id == free.id for batch in claimed(imaging, most=1)]
        assert sorted(runs) == [False] * 2 + [True] * 5
        with imaging.server.service.database.writing() as session:
            session.execute(update(JobRow).values(leased_until_ms=0))  # their server died: they are no runs
        assert len(claimed(imaging, most=1)) == 2 + 5


def test_the_pace_of_the_last_minutes_says_when_a_rule_is_through() -> None:
    counts = {"published": 300, "running": 32, "waiting": 168, "failed": 2, "quarantined": 10, "gone": 7}
    far = progress_of(counts, Pace(ended=310, since_ms=40_000), now_ms=60_000)
    assert (far.done, far.total, far.running, far.failed) == (310, 512, 32, 2)
    assert far.words == "310 of 512 done, 32 at work, 2 failed, 930 files a minute, less than a minute left"
    assert far.seconds_left == 13
    slow = progress_of({"waiting": 90, "published": 2}, Pace(ended=2, since_ms=0), now_ms=120_000)
    assert slow.words == "2 of 92 done, 1 file a minute, about 2 hours left"
    assert progress_of({"waiting": 3}, None, now_ms=1).words == "0 of 3 done"
    assert progress_of({"published": 3}, Pace(3, 0), now_ms=9).words == "3 of 3 done"
    assert progress_of({}, None, now_ms=1).words == "no file yet"


@pytest.mark.usefixtures("nothing_came_alone")
async def test_a_large_file_goes_alone_and_so_does_one_that_was_tried_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_table, "MOST_BATCH_BYTES", 3 * len(a_slice(1)))
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        for number in range(1, 8):
            await imaging.clinician.file(f"{number}.dcm", a_slice(number))
        large = await imaging.clinician.file("large.dcm", a_slice(8, ImageComments="x" * 8_000))
        batches = claimed(imaging)
        assert [len(batch) for batch in batches if large in {job.node for job in batch}] == [1]
        assert sum(map(len, batches)) == 8
        assert max(map(len, batches)) <= 3
        with imaging.server.service.database.writing() as session:
            session.execute(update(JobRow).values(leased_until_ms=0))  # their server died
        assert [len(batch) for batch in claimed(imaging)] == [1] * 8


@pytest.mark.usefixtures("nothing_came_alone")
async def test_a_bad_file_in_a_batch_spoils_none_of_the_others(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")
    block = tmp_path / "careful"
    block.mkdir()
    (block / "block.toml").write_text(MANIFEST)
    (block / "run.py").write_text(RUN)
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        database = imaging.server.service.database
        await imaging.researcher.folder("Results")
        with database.writing() as session:
            source, target = (folder_at(session, f"/Projects/Nerves/{name}") for name in ("Data", "Results"))
            add_rule(session, str(block), source, target, {}, now_ms=imaging.server.service.clock())
        for name in ("1", "2", "bad", "3", "4"):
            await imaging.researcher.file(name, name.encode(), source.node)
        with database.writing() as session:
            for rule in job_table.behind(session):
                job_table.follow(session, rule, now_ms=1)
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service, at_once=1):
            await imaging.until(
                lambda jobs: (
                    [job.state for job in jobs].count(State.PUBLISHED) == 4
                    and any(job.tries >= 2 for job in jobs if job.state is not State.PUBLISHED)
                )
            )
        with database.reading() as session:
            tries = sorted(session.scalars(select(JobRow.tries)))
        assert tries[:4] == [1] * 4  # together at first, then each alone
        out = await imaging.out()
        assert sorted(data for path, data in out.items() if path.startswith("Results/")) == [
            b"1",
            b"2",
            b"3",
            b"4",
        ]
        assert sorted(path for path in out if path.startswith("Results/")) == [
            f"Results/same name{number}" for number in ("", "-2", "-3", "-4")
        ]


async def test_a_file_that_goes_while_its_batch_is_made_stays_away_and_the_rest_is_published(
    tmp_path: Path,
) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        nodes = [await imaging.clinician.file(f"{number}.dcm", a_slice(number)) for number in range(1, 6)]
        twin = await imaging.clinician.file("twin of 5.dcm", a_slice(5))  # one instance, so one name
        await imaging.clinician.file("notes.txt", b"of a patient")
        with imaging.server.service.database.writing() as session:
            [rule] = job_table.behind(session)
            job_table.follow(session, rule, now_ms=1)
        await imaging.clinician.follow()
        gone = imaging.clinician.known[nodes[0]]
        assert twin in imaging.clinician.known
        await imaging.clinician.do(
            Delete(node=gone.node, place_revision=gone.place_revision, content_revision=gone.content_revision)
        )
        async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
            jobs = await imaging.ended(7)
        assert sorted(job.state for job in jobs) == ["gone", *["published"] * 5, "quarantined"]
        out = await imaging.out()
        assert len(out) == 5
        assert sum(path.endswith("-2.dcm") for path in out) == 1
        checked = await asyncio.to_thread(mb_server, "check", "--data", tmp_path / "data")
        assert checked.returncode == 0, checked.stdout
