"""A block that needs a whole folder gets it, when the folder is at rest; what it makes follows what lies there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from blocks.contract.job import InputFile, Job
from blocks.contract.manifest import read_manifest
from blocks.contract.output import check_finished
from protocol.errors import BadRequest, Refused
from protocol.messages import Content, Delete, Kind, Put
from server.app import worked
from server.data_folder import DataFolder
from server.database.tables import JobRow, ProvenanceRow
from server.hooks import jobs as job_table
from server.hooks import units
from server.hooks.jobs import State
from server.hooks.publishing import Made, publish
from server.hooks.reviewing import list_jobs
from server.hooks.rules import add_rule, folder_at
from server.hooks.withdrawing import withdraw
from tests.server.http.test_sharing import Person
from tests.support.intake import ENDS, SECONDS, Imaging, an_imaging_project
from tests.support.service import manifest_of

MANIFEST = """
contract = 1
name = "together"
version = "1"
summary = "Joins the texts of a folder, in the order of their names."
produces = ["derived", "verdict"]
program = { type = "command", command = ["/usr/bin/python3", "{block}/run.py"] }
accepts = [{ types = ["text"] }]
unit = "folder"
settle_seconds = 1
"""
RUN = """
import json
from pathlib import Path
files = json.loads(Path("job.json").read_text())["files"]
data = b"".join((Path("in") / file["file"]).read_bytes() for file in files)
(Path("out") / "all").write_bytes(data)
path = [*files[0]["path"][:-1], "together.txt"]
answer = {"source": 0, "verdict": "released", "outputs": [{"file": "all", "path": path}]}
if b"look" in data:
    answer |= {"verdict": "quarantined", "reasons": [{"code": "look"}]}
Path("result.json").write_text(json.dumps({"contract": 1, "files": [answer]}))
"""


@asynccontextmanager
async def a_project_that_joins(tmp_path: Path, *, working: bool = True) -> AsyncIterator[Imaging]:
    block = tmp_path / "together"
    block.mkdir()
    (block / "block.toml").write_text(MANIFEST)
    (block / "run.py").write_text(RUN)
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        ada = imaging.researcher
        for name in ("Slices", "Joined"):
            await ada.folder(name)
        with imaging.server.service.database.writing() as session:
            places = [folder_at(session, f"/Projects/Nerves/{name}") for name in ("Slices", "Joined")]
            add_rule(session, str(block), *places, {}, now_ms=imaging.server.service.clock())
        if working:
            async with worked(DataFolder(tmp_path / "data"), imaging.server.service):
                yield imaging
        else:
            yield imaging


async def folder_of(imaging: Imaging, name: str) -> UUID:
    await imaging.researcher.follow()
    return next(node for node, state in imaging.researcher.known.items() if state.name == name)


async def joined(imaging: Imaging) -> dict[str, bytes]:
    return {path: data for path, data in (await imaging.out()).items() if path.startswith("Joined/")}


async def until_joined(imaging: Imaging, wanted: dict[str, bytes]) -> None:
    async with asyncio.timeout(SECONDS):
        while await joined(imaging) != wanted or any(  # noqa: ASYNC110 - it is the server's event
            job.state not in ENDS for job in imaging.jobs()
        ):
            await asyncio.sleep(0.1)


async def delete(person: Person, node: UUID) -> None:
    await person.follow()
    state = person.known[node]
    await person.do(
        Delete(node=node, place_revision=state.place_revision, content_revision=state.content_revision)
    )


async def put(person: Person, node: UUID, data: bytes) -> None:
    await person.caller.upload(data)
    await person.follow()
    content = Content(kind=Kind.FILE, manifest=manifest_of(data))
    await person.do(Put(node=node, content_revision=person.known[node].content_revision, content=content))


async def test_one_result_follows_all_that_happens_in_its_folder(tmp_path: Path) -> None:
    async with a_project_that_joins(tmp_path) as imaging:
        ada = imaging.researcher
        slices = await folder_of(imaging, "Slices")
        one, two = await ada.folder("one", slices), await ada.folder("two", slices)
        await ada.file("b.txt", b"b", one)
        c = await ada.file("c.txt", b"c", one)
        await ada.file("a.txt", b"a", one)
        await ada.file("noise.bin", bytes(9), one)
        await ada.file("x.txt", b"x", two)
        await until_joined(imaging, {"Joined/one/together.txt": b"abc", "Joined/two/together.txt": b"x"})
        assert len(imaging.jobs()) == 2  # one for each folder, however many files
        node = await folder_of(imaging, "one")
        assert node

        await ada.file("d.txt", b"d", one)  # comes later
        await until_joined(imaging, {"Joined/one/together.txt": b"abcd", "Joined/two/together.txt": b"x"})
        await put(ada, c, b"C")  # is edited
        await until_joined(imaging, {"Joined/one/together.txt": b"abCd", "Joined/two/together.txt": b"x"})
        await ada.move(c, two, "c.txt")  # goes to another folder
        await until_joined(imaging, {"Joined/one/together.txt": b"abd", "Joined/two/together.txt": b"Cx"})
        await delete(ada, c)
        await until_joined(imaging, {"Joined/one/together.txt": b"abd", "Joined/two/together.txt": b"x"})
        assert len(imaging.jobs()) == 2
        [state] = [state for state in ada.known.values() if state.content and state.name == "together.txt"
                   and ada.known[state.parent].name == "one"]  # fmt: skip
        assert state.content_revision.number == 4  # versions of one node


async def test_what_is_withdrawn_takes_along_what_was_made_of_its_folder_wherever_it_lies_now(
    tmp_path: Path,
) -> None:
    async with a_project_that_joins(tmp_path) as imaging:
        ada, service = imaging.researcher, imaging.server.service
        slices = await folder_of(imaging, "Slices")
        one = await ada.folder("one", slices)
        a = await ada.file("a.txt", b"a", one)
        await ada.file("b.txt", b"b", one)
        await until_joined(imaging, {"Joined/one/together.txt": b"ab"})
        assert ada.caller.view is not None
        await ada.move(a, ada.caller.view.root, "elsewhere.txt")
        await until_joined(imaging, {"Joined/one/together.txt": b"b"})
        with service.database.writing() as session:
            space = folder_at(session, "/Projects/Nerves/Slices").space
            made_of = session.scalars(select(ProvenanceRow.source_node)).all()
            assert set(made_of) >= {a.bytes}
            gone = withdraw(session, service.store, service.cursors, (space, a.bytes), now_ms=service.clock())
        assert (gone.sources, gone.derived) == (1, 1)  # its older version still holds it
        assert "Joined/one/together.txt" not in await imaging.out()


async def test_a_change_while_it_is_worked_on_is_never_missed(tmp_path: Path) -> None:
    async with a_project_that_joins(tmp_path, working=False) as imaging:
        ada, service = imaging.researcher, imaging.server.service
        one = await ada.folder("one", await folder_of(imaging, "Slices"))
        await ada.file("a.txt", b"a", one)

        def claim(now_ms: int) -> list[job_table.Leased]:
            with service.database.writing() as session:
                for rule in job_table.behind(session):
                    while job_table.follow(session, rule, now_ms=now_ms):
                        pass
                return [job for job in job_table.claim(session, now_ms=now_ms) if job.rule.settle_ms]

        now_ms = 1_000_000
        assert claim(now_ms) == []  # it came a moment ago
        await ada.file("b.txt", b"b", one)
        assert claim(now_ms + 900) == []
        assert claim(now_ms + 1_800) == []  # and was not at rest since
        [job] = claim(now_ms + 1_900)
        with service.database.writing() as session:
            parts = units.parts_of(session, job)
            assert len(parts) == 2
        await ada.file("c.txt", b"c", one)
        with service.database.writing() as session:  # before the feed was followed
            made = Made(job, read_manifest(MANIFEST.encode()), [], parts=parts)
            assert (
                publish(session, service.store, service.cursors, [made], now_ms=now_ms, default_quota=None)
                == {}
            )
        [waiting] = [one for one in imaging.jobs() if one.block.endswith("together")]
        assert waiting.state is State.WAITING
        [job] = claim(now_ms + 1_901) or claim(now_ms + 3_000)
        await ada.file("d.txt", b"d", one)
        assert claim(now_ms + 3_100) == []
        with service.database.writing() as session:  # after it was: the lease is gone
            assert not job_table.end(session, job, State.PUBLISHED, now_ms=now_ms)
            assert session.scalars(select(JobRow.state).where(JobRow.id == job.id)).one() == State.WAITING


async def test_a_folder_that_is_held_back_or_holds_nothing_for_the_block(tmp_path: Path) -> None:
    async with a_project_that_joins(tmp_path) as imaging:
        ada = imaging.researcher
        slices = await folder_of(imaging, "Slices")
        await ada.file("noise.bin", bytes(9), await ada.folder("noise", slices))
        await ada.file("a.txt", b"look", await ada.folder("held", slices))
        jobs = await imaging.until(lambda jobs: len(jobs) == 2 and all(job.state in ENDS for job in jobs))
        assert {job.state for job in jobs} == {State.UNCHANGED, State.QUARANTINED}
        assert await joined(imaging) == {}
        with imaging.server.service.database.reading() as session:
            assert sorted(job.file for job in list_jobs(session, names=True)) == ["held", "noise"]


def test_a_block_of_folders_answers_once_and_makes_no_labels(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="neither versions nor labels"):
        read_manifest(MANIFEST.replace('"verdict"', '"labels"').encode())
    files = [InputFile(file=str(n), path=[str(n)], kind="text", size_bytes=1) for n in range(2)]
    job = Job(id="1", block="together", version="1", parameters={}, files=files)
    (tmp_path / "out").mkdir()
    for answers, is_right in [("0", True), ("1", False), ("0,1", False), ("", False)]:
        one = ",".join(f'{{"source": {n}, "verdict": "unchanged"}}' for n in answers.split(",") if n)
        (tmp_path / "result.json").write_text(f'{{"contract": 1, "files": [{one}]}}')
        if is_right:
            assert len(check_finished(tmp_path, job, read_manifest(MANIFEST.encode())).result.files) == 1
        else:
            with pytest.raises(Refused, match="answer"):
                check_finished(tmp_path, job, read_manifest(MANIFEST.encode()))
