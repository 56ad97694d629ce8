"""What is said of a file in an intake stands with what was made of it, and leads nowhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import NodeId, SpaceId
from protocol.messages import Revision
from server.catalog import carrying
from server.catalog.labels import Label, Source, Version, labels_of, set_labels
from server.database.session import insert_rows
from server.database.tables import LabelRow, ProvenanceRow, RuleRow
from server.hooks.rules import Rule, add_rule, folder_at, list_rules
from server.retention import parse_versions
from server.upkeep.thinning import Thinning
from tests.server.hooks.test_intake import put
from tests.server.hooks.test_withdrawing import node_of, withdraw
from tests.support.intake import Imaging, an_imaging_project
from tests.support.recordings import Recording

FOUND = [Label("region", "knee", "coded", 0.9, "BodyPartExamined")]


def the_first(session: Session) -> Rule:
    """The rule that the template made."""
    return next(
        rule for rule in list_rules(session) if (rule.block, rule.source.is_intake) == ("deidentify", True)
    )


def said(imaging: Imaging, version: Version) -> set[tuple[str, str]]:
    """By the rule of the intake."""
    with imaging.server.service.database.reading() as session:
        intake = the_first(session).id
        return {(label.name, label.value) for label, by in labels_of(session, version) if by.rule == intake}


def say(session: Session, version: Version, rule: UUID, labels: list[Label], block: str = "x") -> None:
    set_labels(session, version, Source(rule, block, "1", b"\0" * 32), labels, now_ms=1)
    carrying.spread(session, version, rule)


async def in_data(imaging: Imaging, space: SpaceId) -> dict[str, Version]:
    """What the researcher sees, by its top folder."""
    paths = await imaging.out()
    nodes = {path.partition("/")[0]: node_of(imaging, path) for path in paths}
    return {
        top: Version(space, NodeId(node), imaging.researcher.known[node].content_revision)
        for top, node in nodes.items()
    }


async def test_labels_come_along_through_a_chain_whichever_rule_works_first(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        database = imaging.server.service.database
        source = await imaging.clinician.file("Zweistein.edf", Recording().as_bytes())
        await imaging.clinician.follow()
        await imaging.ended(1)
        await imaging.researcher.folder("Second")
        with database.writing() as session:
            first = the_first(session)
            places = [folder_at(session, f"/Projects/Nerves/{name}") for name in ("Data", "Second")]
            add_rule(session, "deidentify", *places, {"preset": "basic"}, now_ms=2)
        await imaging.ended(2)
        found = await in_data(imaging, first.target.space)
        assert found.keys() == {"Data", "Second"}
        original = Version(
            first.source.space, NodeId(source), imaging.clinician.known[source].content_revision
        )
        told = said(imaging, original)
        assert ("channels", "2") in told
        assert said(imaging, found["Data"]) == told
        assert said(imaging, found["Second"]) == told

        with database.writing() as session:
            say(session, original, first.id, FOUND)
        assert said(imaging, found["Data"]) == {("region", "knee")}
        assert said(imaging, found["Second"]) == {("region", "knee")}
        with database.writing() as session:
            say(session, original, first.id, [])  # it says nothing any more
        assert said(imaging, found["Data"]) == set()

        with database.writing() as session:
            say(session, original, first.id, FOUND)
        await put(imaging.clinician, source, Recording(patient=b"X X X X").as_bytes())
        await imaging.ended(4)
        newer = await in_data(imaging, first.target.space)
        assert newer["Data"].revision.number == 2
        assert said(imaging, newer["Data"]) == told  # of the version that it was made from, and no older one


async def test_only_blocks_of_ours_speak_beyond_the_folder_that_they_look_at(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        database = imaging.server.service.database
        source = await imaging.clinician.file("Zweistein.edf", Recording().as_bytes())
        await imaging.clinician.follow()
        await imaging.ended(1)
        with database.writing() as session:
            first = the_first(session)
            row = session.scalars(select(RuleRow)).one()
            values = {c.name: getattr(row, c.name) for c in RuleRow.__table__.columns}
            other = UUID(int=7)
            session.add(
                RuleRow(**values | {"id": other.bytes, "block": "/srv/blocks/classify", "enabled": False})
            )
        [derived] = (await in_data(imaging, first.target.space)).values()
        before = said(imaging, derived)
        original = Version(
            first.source.space, NodeId(source), imaging.clinician.known[source].content_revision
        )
        with database.writing() as session:
            say(session, original, other, [Label("patient", "Zweistein", "mine", 1.0)], block="classify")
        await put(imaging.clinician, source, Recording(patient=b"X X X X").as_bytes())
        await imaging.ended(2)
        [newer] = (await in_data(imaging, first.target.space)).values()
        assert said(imaging, derived) == before
        with database.reading() as session:
            rules = {by.rule for one in (original, derived, newer) for _, by in labels_of(session, one)}
            assert rules == {first.id, other}
            assert {by.rule for one in (derived, newer) for _, by in labels_of(session, one)} == {first.id}


async def test_labels_of_what_was_withdrawn_go_when_the_trash_does(tmp_path: Path) -> None:
    async with an_imaging_project(tmp_path / "data") as imaging:
        source = await imaging.clinician.file("Zweistein.edf", Recording().as_bytes())
        await imaging.clinician.follow()
        await imaging.ended(1)
        await withdraw(imaging.clinician, source)
        with imaging.server.service.database.reading() as session:
            assert len({row.space for row in session.scalars(select(LabelRow))}) == 2
        service = imaging.server.service
        thinning = Thinning(
            service.database,
            service.store,
            steps=parse_versions("all"),
            trash_seconds=0,
            clock=lambda: service.clock() + 1_000,
        )
        await asyncio.to_thread(thinning.run)
        with service.database.reading() as session:
            assert session.scalars(select(LabelRow)).all() == []


async def test_what_is_made_of_many_files_has_what_is_said_of_any_but_not_their_own_counts(
    tmp_path: Path,
) -> None:
    async with an_imaging_project(tmp_path / "data", working=False) as imaging:
        first = Revision(1, 1)
        with imaging.server.service.database.writing() as session:
            rule = the_first(session)
            space = rule.target.space
            slices = [Version(space, NodeId(UUID(int=number)), first) for number in (1, 2)]
            volume = Version(space, NodeId(UUID(int=3)), first)
            made = [
                (
                    space,
                    volume.node.bytes,
                    1,
                    1,
                    bytes(16),
                    space,
                    one.node.bytes,
                    1,
                    1,
                    "convert",
                    "1",
                    bytes(32),
                    1,
                )
                for one in slices
            ]
            insert_rows(session, ProvenanceRow, made)
            for number, one in enumerate(slices):
                said_of_it = [
                    *FOUND,
                    Label("b-value", str(number * 800), "header", 1.0, "DiffusionBValue"),
                    Label("frames", "1", "header", 1.0, "Rows"),
                ]
                say(session, one, rule.id, said_of_it)
            carrying.bring_along(session, [(space, volume.node.bytes, 1, 1)])
        expected = {("region", "knee"), ("b-value", "0"), ("b-value", "800")}
        assert said(imaging, volume) == expected
        with imaging.server.service.database.writing() as session:
            say(session, slices[1], rule.id, FOUND)
        assert said(imaging, volume) == expected - {("b-value", "800")}
