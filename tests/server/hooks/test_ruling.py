"""Whoever is in charge of a project has blocks work on its files; of rules elsewhere nobody learns anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from protocol.errors import AccessDenied, BadRequest, NotFound, Refused
from protocol.hooks import Blocks, ChangeRule, NewRule, Rule, RuleRun, Rules
from server.access.projects import give_role
from server.access.rights import Role
from server.database.tables import AuditRow, RuleRow
from server.hooks import rules
from server.http import rules as handlers
from tests.server.hooks.test_intake import NAMES, a_slice
from tests.server.http.test_sharing import Person
from tests.support.dicom_studies import in_any_encoding
from tests.support.intake import Imaging, an_imaging_project


async def an_owner(imaging: Imaging) -> Person:
    """The researcher, from now on in charge of the project."""
    with imaging.server.service.database.writing() as session:
        give_role(session, "Nerves", "user:ada", Role.OWNER, now_ms=1)
    return imaging.researcher


async def ask(person: Person, method: str, path: str, answer: Any, body: Any = None) -> Any:
    return await person.caller.ask(method, f"{person.caller.at}/rules{path}", answer=answer, body=body)


async def add(person: Person, source: UUID, target: UUID, **more: Any) -> Rule:
    asked = NewRule(**{"block": "dicom-deidentify", "source": source, "target": target} | more)
    rule: Rule = await ask(person, "POST", "", Rule, asked)
    return rule


async def test_an_owner_has_a_block_work_changes_it_runs_it_again_and_ends_it(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        owner = await an_owner(imaging)
        raw, clean = await owner.folder("Raw"), await owner.folder("Clean")
        await owner.file("a.dcm", a_slice(), raw)
        made = await add(owner, raw, clean, parameters='{"preset": "basic"}', priority=7)
        assert (made.block, made.source, made.target) == (
            "dicom-deidentify",
            "/Projects/Nerves/Raw",
            "/Projects/Nerves/Clean",
        )
        await imaging.ended(1)
        [one] = (await ask(owner, "GET", "", Rules)).rules
        assert one == await ask(owner, "GET", f"/{made.rule}", Rule)
        assert (one.rule, one.jobs, one.priority, one.enabled) == (made.rule, {"published": 1}, 7, True)
        [cleaned] = [data for path, data in (await imaging.out()).items() if path.startswith("Clean/")]
        assert not any(in_any_encoding(name, cleaned) for name in NAMES)

        changed = await ask(
            owner, "POST", f"/{made.rule}", Rule, ChangeRule(parameters='{"preset": "paper"}', priority=2)
        )
        assert (changed.parameters["preset"], changed.priority, changed.enabled) == ("paper", 2, True)
        off = await ask(owner, "POST", f"/{made.rule}", Rule, ChangeRule(enabled=False))
        assert (off.parameters, off.enabled) == (changed.parameters, False)
        await ask(owner, "POST", f"/{made.rule}", Rule, ChangeRule(enabled=True))
        assert (await ask(owner, "POST", f"/{made.rule}/run", RuleRun)).files == 1
        await imaging.ended(1)
        [again] = [data for path, data in (await imaging.out()).items() if path.startswith("Clean/")]
        assert again != cleaned  # by the other preset, at the same place

        status, _, _ = await owner.caller.raw("DELETE", f"{owner.caller.at}/rules/{made.rule}")
        assert status == 204
        assert (await ask(owner, "GET", "", Rules)).rules == []
        assert [data for path, data in (await imaging.out()).items() if path.startswith("Clean/")] == [again]
        with imaging.server.service.database.reading() as session:
            told = session.scalars(
                select(AuditRow.detail).where(AuditRow.did == "rule").order_by(AuditRow.sequence)
            ).all()
        words = ["add", "change", "change", "change", "run", "remove"]
        assert told == [f"add dicom-deidentify {made.short}", *(f"{word} {made.short}" for word in words[1:])]


async def test_of_the_rules_of_an_intake_nobody_learns_and_a_clinician_has_none(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        owner = await an_owner(imaging)
        with imaging.server.service.database.reading() as session:
            [(hidden, intake)] = session.execute(select(RuleRow.id, RuleRow.node)).all()
        hidden, intake = UUID(bytes=hidden), UUID(bytes=intake)
        assert (await ask(owner, "GET", "", Rules)).rules == []
        told = set()
        for rule in (hidden, uuid4()):
            asked: list[tuple[str, str, Any, Any]] = [
                ("GET", "", Rule, None),
                ("POST", "", Rule, ChangeRule(enabled=False)),
                ("POST", "/run", RuleRun, None),
                ("DELETE", "", Rule, None),
            ]
            for method, end, answer, body in asked:
                with pytest.raises(NotFound) as refused:
                    await ask(owner, method, f"/{rule}{end}", answer, body)
                told.add(str(refused.value))
        assert len(told) == 1
        assert owner.caller.view is not None
        root = owner.caller.view.root
        for folders in ((intake, root), (root, intake), (uuid4(), root)):
            with pytest.raises(NotFound, match="no such folder here"):
                await add(owner, *folders)
        with pytest.raises(AccessDenied):
            await ask(imaging.clinician, "GET", "", Rules)
        with pytest.raises(AccessDenied):
            await add(imaging.clinician, intake, intake)


async def test_a_rule_that_cannot_be_is_refused_with_what_would_do(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        owner = await an_owner(imaging)
        raw, clean = await owner.folder("Raw"), await owner.folder("Clean")
        below = await owner.folder("below", raw)
        with pytest.raises(NotFound, match=r"Choose one of: .*deidentify, dicom-deidentify"):
            await add(owner, raw, clean, block=str(tmp_path))  # a folder of the server is no name
        with pytest.raises(BadRequest, match="parameters"):
            await add(owner, raw, clean, parameters='{"unheard-of": 1}')
        for text in ("{", '{"preset": NaN}', "[" * 200_000):
            with pytest.raises(BadRequest, match="not JSON"):
                await add(owner, raw, clean, parameters=text)
        for text in ("[]", '{"project": ' + "[" * 60 + "]" * 60 + "}"):
            with pytest.raises(BadRequest, match="no JSON object of a few levels"):
                await add(owner, raw, clean, parameters=text)
        with pytest.raises(Refused, match="would lie in the folder"):
            await add(owner, raw, below)
        with pytest.raises(BadRequest, match="no id of a rule"):
            await ask(owner, "GET", "/17", Rule)
        assert (await ask(owner, "GET", "", Rules)).rules == []


async def test_a_rule_has_limits_and_tells_how_far_it_is(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        owner = await an_owner(imaging)
        raw, clean = await owner.folder("Raw"), await owner.folder("Clean")
        for number in range(3):
            await owner.file(f"{number}.dcm", a_slice(number), raw)
        asked = NewRule(block="dicom-deidentify", source=raw, target=clean, batch=2, at_once=1)
        made = await ask(owner, "POST", "", Rule, asked)
        assert (made.batch, made.at_once) == (2, 1)
        assert made.progress is not None
        assert made.progress.words == "no file yet"
        await imaging.ended(3)
        done = await ask(owner, "GET", f"/{made.rule}", Rule)
        assert (done.progress.words, done.progress.done, done.progress.failed) == ("3 of 3 done", 3, 0)
        free = await ask(owner, "POST", f"/{made.rule}", Rule, ChangeRule(batch=0))
        assert (free.batch, free.at_once) == (None, 1)
        for limits in ({"batch": 33}, {"at_once": 257}, {"batch": -1}):
            status, body, _ = await owner.caller.raw(
                "POST", f"{owner.caller.at}/rules/{made.rule}", body=limits
            )
            assert (status, b"bad-request" in body) == (400, True)


async def test_a_rule_takes_files_of_some_names_and_another_block(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        owner = await an_owner(imaging)
        raw, clean = await owner.folder("Raw"), await owner.folder("Clean")
        for name in ("one.DCM", "two.dcm", "three.ima"):
            await owner.file(name, a_slice(len(name)), raw)
        made = await add(owner, raw, clean, names=("*.dcm",))
        assert made.names == ("*.dcm",)
        jobs = await imaging.ended(3)
        assert sorted(job.state for job in jobs) == ["published", "published", "unchanged"]
        [passed_over] = [job.reasons for job in jobs if job.state == "unchanged"]
        assert passed_over == (("not-chosen", "The rule takes *.dcm."),)

        path = f"/{made.rule}"
        changed = await ask(owner, "POST", path, Rule, ChangeRule(names=("three*", "one*")))
        assert changed.names == ("three*", "one*")
        assert (await ask(owner, "POST", f"{path}/run", RuleRun)).files == 3
        await imaging.ended(3)
        first = {path: data for path, data in (await imaging.out()).items() if path.startswith("Clean/")}
        assert len(first) == 3  # what came out of two.dcm before stays

        other = ChangeRule(block="deidentify", names=(), parameters='{"preset": "paper"}')
        changed = await ask(owner, "POST", path, Rule, other)
        assert (changed.block, changed.names, changed.parameters["preset"]) == ("deidentify", (), "paper")
        assert (await ask(owner, "POST", f"{path}/run", RuleRun)).files == 3
        await imaging.ended(3)
        then = {path: data for path, data in (await imaging.out()).items() if path.startswith("Clean/")}
        assert then.keys() == first.keys()  # new versions of the same files
        assert not set(then.values()) & set(first.values())


async def test_a_rule_cannot_become_what_it_could_not_be_made_as(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        owner = await an_owner(imaging)
        raw, clean = await owner.folder("Raw"), await owner.folder("Clean")
        labelling = await add(owner, raw, raw, block="classify")
        made = await add(owner, raw, clean)
        for rule, asked, error, words in (
            (labelling, ChangeRule(block="deidentify"), Refused, "would lie in the folder"),
            (made, ChangeRule(block="dicom-to-volume", parameters="{}"), Refused, "whole folders"),
            (
                made,
                ChangeRule(block="classify"),
                BadRequest,
                "parameters",
            ),  # what it is told goes with the old one
            (made, ChangeRule(block=str(tmp_path)), NotFound, "Choose one of"),
        ):
            with pytest.raises(error, match=words):
                await ask(owner, "POST", f"/{rule.rule}", Rule, asked)
        assert [one.block for one in (await ask(owner, "GET", "", Rules)).rules] == [
            "classify",
            "dicom-deidentify",
        ]
        with imaging.server.service.database.writing() as session:
            [of_intake] = [one for one in rules.list_rules(session) if one.leads_out_of_an_intake]
            with pytest.raises(Refused, match="whatever it is called"):
                rules.change_rule(session, of_intake, names=("*.dcm",))
            with pytest.raises(Refused, match="may not bring anything out"):
                rules.change_rule(session, of_intake, block="classify", parameters={})


async def test_who_is_in_charge_sees_which_blocks_there_are_and_what_they_may_be_told(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        owner = await an_owner(imaging)
        found: Blocks = await owner.caller.ask("GET", f"{owner.caller.at}/blocks", answer=Blocks)
        blocks = {block.block: block for block in found.blocks}
        assert {"classify", "deidentify", "dicom-deidentify"} <= blocks.keys()
        dicom = blocks["dicom-deidentify"]
        assert dicom.kinds == ["dicom", "dicom-without-header"]
        assert "research" in dicom.parameters["properties"]["preset"]["enum"]
        assert {"derived", "verdict"} <= set(dicom.produces)
        with pytest.raises(AccessDenied):
            await imaging.clinician.caller.ask("GET", f"{imaging.clinician.caller.at}/blocks", answer=Blocks)


async def test_many_rules_come_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "PAGE", 2)
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        owner = await an_owner(imaging)
        raw = await owner.folder("Raw")
        made = [(await add(owner, raw, await owner.folder(f"Clean {n}"))).rule for n in range(3)]
        page = await ask(owner, "GET", "", Rules)
        assert [one.rule for one in page.rules] == made[:2]
        last = await ask(owner, "GET", f"?after={page.next}", Rules)
        assert ([one.rule for one in last.rules], last.next) == (made[2:], "")


async def test_an_editor_is_not_in_charge_and_is_told_so(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        editor = imaging.researcher
        raw, clean = await editor.folder("Raw"), await editor.folder("Clean")
        with pytest.raises(AccessDenied, match="rules"):
            await ask(editor, "GET", "", Rules)
        with pytest.raises(AccessDenied, match="rules"):
            await add(editor, raw, clean)
