"""What a block says in shadow mode reaches its study team, and nobody else by any way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from protocol.catalog import Labels
from protocol.errors import AccessDenied, NotFound, Refused
from protocol.hooks import Job, Jobs, Rule, Rules
from protocol.messages import Kind, Part, WantedContent
from server.access.projects import Template, create_project, give_role
from server.access.rights import Role
from server.hooks import rules
from server.hooks.jobs import State
from tests.server.hooks.test_intake import a_slice, put
from tests.server.http.test_search import find
from tests.server.http.test_sharing import Person
from tests.support.intake import Imaging, an_imaging_project
from tests.support.server import mb_server

DATA, MODEL = "/Projects/Nerves/Data", "/Projects/Model"
OTHERS = {  # who works with the files; the owner of them too
    "owner": ("Nerves", Role.OWNER),
    "editor": ("Nerves", Role.EDITOR),
    "reader": ("Nerves", Role.READER),
    "metadata": ("Nerves", Role.METADATA),
    "clinician": ("Nerves", Role.CLINICIAN),
    "reviewer": ("Nerves", Role.REVIEWER),
}
TEAM = {
    "leader": ("Model", Role.OWNER),
    "scientist": ("Model", Role.EDITOR),
    "looker": ("Model", Role.READER),
}


@dataclass
class Study:
    imaging: Imaging
    rule: rules.Rule
    node: UUID  # the file that the block looked at

    async def person(self, name: str) -> Person:
        project, role = (OTHERS | TEAM)[name]
        is_clinic = role in {Role.CLINICIAN, Role.REVIEWER}
        path = f"/Projects/{project}{'/Intake' if is_clinic else ''}"
        return await Person(await self.imaging.server.sign_in(name)).look_at(path)


def shadow_rule(imaging: Imaging, **more: object) -> rules.Rule:
    service = imaging.server.service
    with service.database.writing() as session:
        source, target = rules.folder_at(session, DATA), rules.folder_at(session, f"{MODEL}/Data")
        return rules.add_rule(
            session,
            "classify",
            source,
            target,
            {},
            now_ms=service.clock(),
            shadow=True,
            **more,  # type: ignore[arg-type] # its own keywords
        )


@asynccontextmanager
async def a_study(tmp_path: Path) -> AsyncIterator[Study]:
    async with an_imaging_project(tmp_path / "data") as imaging:
        database = imaging.server.service.database
        with database.writing() as session:
            create_project(session, "Model", Template.IMAGING, now_ms=1)
        for name in OTHERS | TEAM:
            await imaging.server.add_user(name)
            project, role = (OTHERS | TEAM)[name]
            with database.writing() as session:
                give_role(session, project, f"user:{name}", role, now_ms=1)
        rule = shadow_rule(imaging)
        await imaging.researcher.follow()
        [folder] = [node for node, state in imaging.researcher.known.items() if state.name == "Data"]
        node = await imaging.researcher.file("a.dcm", a_slice(1), folder)
        [job] = await imaging.ended(1)
        assert job.state is State.PUBLISHED
        yield Study(imaging, rule, node)


async def labels_of(person: Person, node: UUID) -> dict[str, list[str]]:
    found = await person.caller.ask("GET", f"{person.caller.at}/nodes/{node}/labels", answer=Labels)
    return {one.name: one.values for one in found.labels}


async def files_of(person: Person) -> dict[str, UUID]:
    await person.follow()
    return {
        state.name: node
        for node, state in person.known.items()
        if state.content is None or state.content.kind is Kind.FILE
    }


async def denied(person: Person, path: str, answer: object) -> bool:
    try:
        await person.caller.ask("GET", f"{person.caller.at}{path}", answer=answer)  # type: ignore[arg-type] # a type of answer
    except (AccessDenied, NotFound):
        return True
    return False


@pytest.mark.timeout(600)
async def test_for_every_role_only_the_study_team_learns_what_the_block_says(tmp_path: Path) -> None:
    async with a_study(tmp_path) as study:
        [job] = study.imaging.jobs()
        for name in OTHERS:
            person = await study.person(name)
            assert not any("Model" in view for view in await person.views()), name
            assert "a.dcm.labels.json" not in await files_of(person), name
            if name not in {"clinician", "reviewer"}:
                assert await labels_of(person, study.node) == {}, name
                assert (await find(person, "region=knee", level="file")).items == [], name
            if name == "owner":
                found = await person.caller.ask("GET", f"{person.caller.at}/rules", answer=Rules)
                assert found.rules == []
            else:
                assert await denied(person, "/rules", Rules)
            assert await denied(person, f"/rules/{study.rule.id}", Rule), name
            assert await denied(person, f"/jobs/{job.id}", Job), name
            if not await denied(person, "/jobs", Jobs):
                jobs = await person.caller.ask("GET", f"{person.caller.at}/jobs", answer=Jobs)
                assert jobs.jobs == [], name

        for name in TEAM:
            person = await study.person(name)
            files = await files_of(person)
            node = files["a.dcm.labels.json"]
            found = await labels_of(person, node)
            assert (found["modality"], found["region"]) == (["MR"], ["knee"]), name
            [item] = (await find(person, "region=knee", level="file")).items
            assert item.path.endswith("a.dcm.labels.json"), name
            revision = person.known[node].content_revision
            wanted = WantedContent(parts=[Part(node=node, revision=revision)])
            told = json.loads(b"".join(await person.caller.fetch(wanted)))
            assert told["file"] == "a.dcm"
            assert {"modality", "region"} <= {label["name"] for label in told["labels"]}
        leader = await study.person("leader")
        [rule] = (await leader.caller.ask("GET", f"{leader.caller.at}/rules", answer=Rules)).rules
        assert rule.rule == study.rule.id

        with study.imaging.server.service.database.reading() as session:
            spaces = set(session.execute(text("SELECT DISTINCT space FROM labels")).scalars())
        assert spaces == {study.rule.target.space}


async def test_a_new_version_changes_what_the_team_reads_and_no_label_follows_the_file(
    tmp_path: Path,
) -> None:
    async with a_study(tmp_path) as study:
        await put(
            study.imaging.researcher, study.node, a_slice(1, BodyPartExamined="SHOULDER", StudyDescription="")
        )
        await study.imaging.ended(2)
        leader = await study.person("leader")
        files = await files_of(leader)
        found = await labels_of(leader, files["a.dcm.labels.json"])
        assert found["region"] == ["shoulder"]
        await put(study.imaging.researcher, study.node, b"no image any more")
        await study.imaging.until(lambda jobs: len(jobs) == 3 and all(job.ended_at_ms for job in jobs))
        assert await labels_of(await study.person("reader"), study.node) == {}


async def test_results_cannot_be_led_to_anybody_else(tmp_path: Path) -> None:
    async with a_study(tmp_path) as study:
        database = study.imaging.server.service.database

        def refused(block: str, source: str, target: str, words: str, *, shadow: bool) -> None:
            with database.writing() as session:
                places = [rules.folder_at(session, path) for path in (source, target)]
                with pytest.raises(Refused, match=words):
                    rules.add_rule(session, block, *places, {}, now_ms=1, shadow=shadow)

        refused("dicom-deidentify", f"{MODEL}/Data", DATA, "stays in the project", shadow=False)
        refused("classify", DATA, DATA, "must not lie where the files are", shadow=True)
        refused("classify", DATA, "/Projects/Nerves", "must not lie where the files are", shadow=True)
        refused("classify", "/Projects/Nerves/Intake", f"{MODEL}/Data", "intake", shadow=True)
        refused("classify", DATA, f"{MODEL}/Intake", "appear in a project", shadow=True)
        refused("classify", DATA, "/Home/ada", "appear in a project", shadow=True)
        with database.writing() as session:
            create_project_with_a_way_out(session)
        refused("classify", DATA, "/Projects/Leaky", "brings files to another", shadow=True)


def create_project_with_a_way_out(session: Session) -> None:
    create_project(session, "Leaky", Template.EMPTY, now_ms=1)
    source = rules.folder_at(session, "/Projects/Leaky")
    target = rules.folder_at(session, DATA)
    rules.add_rule(session, "dicom-deidentify", source, target, {}, now_ms=1)


async def test_an_operator_says_shadow_and_sees_which_rules_are(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        data = str(imaging.server.data)
        await asyncio.to_thread(mb_server, "project", "create", "Model", "--data", data)
        words = ("rule", "add", "classify", DATA, MODEL, "--data", data)
        done = await asyncio.to_thread(mb_server, *words, "--shadow")
        assert done.returncode == 0, done.stderr
        listed = await asyncio.to_thread(mb_server, "rule", "list", "--data", data)
        assert f"{done.stdout.strip()}  classify  (shadow)" in listed.stdout
        told = json.loads(
            (await asyncio.to_thread(mb_server, "rule", "list", "--json", "--data", data)).stdout
        )
        assert [one["shadow"] for one in told] == [False, True]
