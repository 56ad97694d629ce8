"""A rule does again what somebody chooses, also what it left alone, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.errors import NotFound
from protocol.hooks import RuleRun
from server.hooks.rules import Rule, add_rule, folder_at
from tests.server.hooks.test_intake import a_slice
from tests.server.hooks.test_ruling import an_owner, ask
from tests.support.intake import Imaging, an_imaging_project
from tests.support.server import mb_server

RAW = "/Projects/Nerves/Raw"


def a_rule(imaging: Imaging, *, new_only: bool) -> Rule:
    with imaging.server.service.database.writing() as session:
        raw = folder_at(session, RAW)
        now_ms = imaging.server.service.clock()
        return add_rule(session, "classify", raw, raw, {}, now_ms=now_ms, new_only=new_only)


async def run(imaging: Imaging, rule: Rule, node: UUID) -> int:
    done: RuleRun = await ask(imaging.researcher, "POST", f"/{rule.id}/run?node={node}", RuleRun)
    return done.files


async def test_a_file_or_a_folder_is_done_by_hand_and_nothing_beside_it(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        owner = await an_owner(imaging)
        raw = await owner.folder("Raw")
        first = await owner.folder("first", raw)
        files = [await owner.file(f"{n}.dcm", a_slice(n), first if n < 2 else raw) for n in range(3)]
        rule = a_rule(imaging, new_only=True)
        assert await run(imaging, rule, files[2]) == 1
        [job] = await imaging.ended(1)
        assert await run(imaging, rule, first) == 2
        assert {one.node for one in await imaging.ended(3)} == set(files)
        before = {one.id: one.ended_at_ms for one in imaging.jobs()}
        assert await run(imaging, rule, files[2]) == 1  # again
        await imaging.until(lambda jobs: all(one.state == "published" for one in jobs))
        after = {one.id: one.ended_at_ms for one in imaging.jobs()}
        assert {number for number in after if after[number] != before[number]} == {job.id}

        elsewhere = await owner.file("elsewhere.dcm", a_slice(9))
        for node in (elsewhere, uuid4()):
            with pytest.raises(NotFound, match="None of the rule's files"):
                await run(imaging, rule, node)


async def test_an_operator_names_a_path(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        owner = await an_owner(imaging)
        raw = await owner.folder("Raw")
        for number in range(2):
            await owner.file(f"{number}.dcm", a_slice(number), raw)
        rule = a_rule(imaging, new_only=True)

        async def operator(path: str) -> tuple[int, str]:
            words = ("rule", "run", rule.short, path, "--data", str(imaging.server.data))
            done = await asyncio.to_thread(mb_server, *words)
            return done.returncode, done.stderr

        assert await operator(f"{RAW}/1.dcm") == (0, "1 file is done again.\n")
        assert (await operator(f"{RAW}/2.dcm"))[0] == 1
        assert (await operator("/Home/ada"))[0] == 1
        assert len(await imaging.ended(1)) == 1
