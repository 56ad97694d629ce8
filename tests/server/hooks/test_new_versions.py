"""What a block makes of a file becomes its next version: never over a person's edit, never round in a circle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from uuid import UUID

import pytest

from blocks.contract.result import Output, OutputKind
from blocks.runners.trying import find_block
from protocol.errors import Refused
from protocol.messages import Content, Kind, Make, Status
from server.access.devices import HOOKS
from server.hooks import job_folder
from server.hooks import jobs as job_table
from server.hooks.job_folder import Chunked
from server.hooks.jobs import State
from server.hooks.publishing import Made, publish
from server.hooks.rules import Rule, add_rule, folder_at
from server.hooks.tracing import trace
from server.hooks.withdrawing import withdraw
from tests.server.hooks.test_intake import put
from tests.server.http.test_sharing import Person
from tests.support.intake import Imaging, an_imaging_project
from tests.support.service import manifest_of

MANIFEST = """
contract = 1
name = "append"
version = "1"
summary = "Writes a word behind a file."
produces = ["version"]
program = { type = "command", command = ["/usr/bin/python3", "{block}/run.py"] }
accepts = [{}]
resources = { batch_files = 8 }
parameters = { properties = { word = { type = "string" } } }
"""
RUN = """
import json
from pathlib import Path
job = json.loads(Path("job.json").read_text())
answers = []
for number, file in enumerate(job["files"]):
    data = (Path("in") / file["file"]).read_bytes() + job["parameters"]["word"].encode()
    (Path("out") / str(number)).write_bytes(data)
    outputs = [{"file": str(number), "kind": "version"}]
    answers.append({"source": number, "verdict": "released", "outputs": outputs})
Path("result.json").write_text(json.dumps({"contract": 1, "files": answers}))
"""


@pytest.fixture
def block(tmp_path: Path) -> str:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed: .ci/run does it")
    folder = tmp_path / "append"
    folder.mkdir()
    (folder / "block.toml").write_text(MANIFEST)
    (folder / "run.py").write_text(RUN)
    return str(folder)


def a_rule(imaging: Imaging, block: str, word: str, *places: str) -> Rule:
    with imaging.server.service.database.writing() as session:
        source, target = (folder_at(session, f"/Projects/Nerves/{place}") for place in (places * 2)[:2])
        now_ms = imaging.server.service.clock()
        return add_rule(session, block, source, target, {"word": word}, now_ms=now_ms)


def data_folder(imaging: Imaging) -> UUID:
    with imaging.server.service.database.reading() as session:
        return folder_at(session, "/Projects/Nerves/Data").node


async def test_a_result_is_the_next_version_and_is_not_worked_on_again(tmp_path: Path, block: str) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        rules = [a_rule(imaging, block, word, "Data") for word in ("+a", "+b")]
        node = await imaging.researcher.file("x", b"x", data_folder(imaging))
        await imaging.until(lambda jobs: [job.state for job in jobs].count(State.PUBLISHED) == 2)
        [(path, data)] = (await imaging.out()).items()
        assert (path, data) in [("Data/x", b"x+a+b"), ("Data/x", b"x+b+a")]

        await put(imaging.researcher, node, b"edited")
        await imaging.until(lambda jobs: [job.state for job in jobs].count(State.PUBLISHED) == 4)
        [(path, data)] = (await imaging.out()).items()
        assert (path, data) in [("Data/x", b"edited+a+b"), ("Data/x", b"edited+b+a")]
        revision = imaging.researcher.known[node].content_revision
        assert revision.number == 6
        with imaging.server.service.database.reading() as session:
            steps = trace(session, rules[0].source.space, imaging.researcher.known[node].node, revision)
        assert {step.rule for step in steps} == {rule.id for rule in rules}
        assert [step.revision.number for step in steps] == [5, 4]

        await imaging.researcher.file("y", b"y", data_folder(imaging))  # the next round: nothing more of x
        await imaging.until(lambda jobs: [job.state for job in jobs].count(State.PUBLISHED) == 6)
        await imaging.researcher.follow()
        assert imaging.researcher.known[node].content_revision == revision
        assert {job.state for job in imaging.jobs()} <= {State.PUBLISHED, State.GONE}


async def test_an_edit_meanwhile_is_not_written_over(tmp_path: Path, block: str) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        service = imaging.server.service
        rule = a_rule(imaging, block, "!", "Data")
        node = await imaging.researcher.file("x", b"x", data_folder(imaging))
        with service.database.writing() as session:
            for one in job_table.behind(session):
                job_table.follow(session, one, now_ms=1)
            [leased] = job_table.claim(session, now_ms=1)
        assert leased.rule.id == rule.id
        folder = tmp_path / "run"
        job_folder.make_folder(folder)
        (folder / "out" / "0").write_bytes(b"x!")  # what the block made of the version that it was given
        made = Chunked(folder, Output(file="0", kind=OutputKind.VERSION))
        await service.store.take(HOOKS, job_folder.frames_of([made]))
        await put(imaging.researcher, node, b"edited by ada")
        with service.database.writing() as session:
            ended = publish(
                session,
                service.store,
                service.cursors,
                [Made(leased, find_block(block)[0], [made])],
                now_ms=2,
                default_quota=None,
            )
        assert ended == {leased.id: State.GONE}
        assert await imaging.out() == {"Data/x": b"edited by ada"}


async def test_in_an_intake_it_stays_in_the_intake_for_every_person(tmp_path: Path, block: str) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        with pytest.raises(Refused, match="out of an intake"):
            a_rule(imaging, block, "!", "Intake", "Data")
        with pytest.raises(Refused, match="stay where they are"):
            a_rule(imaging, block, "!", "Data", "")
        a_rule(imaging, block, "!", "Intake")
        node = await imaging.clinician.file("x", b"Jane Zweistein")
        await imaging.until(
            lambda jobs: [job.state for job in jobs if job.block == block] == [State.PUBLISHED]
        )
        await imaging.clinician.follow()
        assert imaging.clinician.known[node].content_revision.number == 2
        assert await imaging.out() == {}

        data = b"Jane Zweistein!"
        home = await Person(imaging.clinician.caller).look_at("/Home")
        home.caller.batches = 50_000
        await home.caller.upload(data)
        assert home.caller.view is not None
        content = Content(kind=Kind.FILE, manifest=manifest_of(data))
        make = Make(
            node=UUID(int=7 << 76 | 2 << 62 | 1), parent=home.caller.view.root, name="x", content=content
        )
        assert await home.try_to(make) is Status.IDENTIFIED


async def test_what_is_withdrawn_goes_with_its_versions(tmp_path: Path, block: str) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        service = imaging.server.service
        rule = a_rule(imaging, block, "!", "Data")
        node = await imaging.researcher.file("x", b"x", data_folder(imaging))
        await imaging.ended(1)
        with service.database.writing() as session:
            done = withdraw(
                session,
                service.store,
                service.cursors,
                (rule.source.space, node.bytes),
                now_ms=service.clock(),
            )
        assert (done.sources, done.derived) == (1, 0)
        assert await imaging.out() == {}
        assert json.dumps(done.copies) == "[]"
