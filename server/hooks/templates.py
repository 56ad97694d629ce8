"""The rules that a template promises its projects, and how a project made by an older version comes by them.

Owns: what each version of a template lacked, and what is done about it.
May import: sqlalchemy, protocol, server.access, server.database, server.hooks.

A rule keeps its id, so what it published before goes on as it was; its parameters stay, since somebody may have chosen
them.  Nothing is done twice but what was held back for the sole reason that no block of then took such files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from blocks.contract.parameters import with_defaults
from blocks.runners.trying import find_block
from protocol.errors import Refused
from server.access.projects import INTAKE_NAME
from server.database.tables import JobRow, ProjectRow, RuleRow
from server.hooks.jobs import State
from server.hooks.rules import (
    CLASSIFY,
    DEIDENTIFY,
    Folder,
    Rule,
    classify_intake,
    deidentify_intake,
    folder_at,
    list_rules,
)

DICOM_ONLY = "dicom-deidentify"  # what the template had before EDF
NO_CLEANER = "no-cleaner"

Step = Callable[[Session, str, Sequence[Rule], int], str]


def bring_up_to_date(session: Session, project: str, *, now_ms: int) -> list[str]:
    """What was changed, a sentence for each; empty: it has all that a new project of its template has.

    Raises NotFound: no such project.  Raises Refused: it has no intake, so no template promises it anything.
    """
    intake = _intake_of(session, project)
    said = []
    for step in _STEPS:
        mine = [rule for rule in list_rules(session) if rule.source == intake]
        if words := step(session, project, mine, now_ms):
            said.append(words)
    return said


def _intake_of(session: Session, project: str) -> Folder:
    folder_at(session, f"/Projects/{project}")  # raises NotFound
    names = session.scalars(select(ProjectRow.name).where(ProjectRow.intake.is_not(None)))
    if project.casefold() not in {name.casefold() for name in names}:
        raise Refused(
            f"Project {project[:80]} has no intake", hint="Only the template `imaging` comes with rules."
        )
    return folder_at(session, f"/Projects/{project}/{INTAKE_NAME}")


def _every_kind_comes_out(session: Session, project: str, rules: Sequence[Rule], now_ms: int) -> str:
    """Since 0045: EDF and more, not DICOM alone."""
    leading_out = [rule for rule in rules if rule.leads_out_of_an_intake]
    if any(rule.block == DEIDENTIFY for rule in leading_out):
        return ""
    old = next((rule for rule in leading_out if rule.block == DICOM_ONLY), None)
    if old is None:
        made = deidentify_intake(session, project, now_ms=now_ms)
        return f"Rule {made.short} is new: what comes into the intake appears de-identified in Data."
    manifest, _ = find_block(DEIDENTIFY)
    parameters = json.dumps(with_defaults(manifest.parameters, dict(old.parameters)), sort_keys=True)
    session.execute(
        update(RuleRow).where(RuleRow.id == old.id.bytes).values(block=DEIDENTIFY, parameters=parameters)
    )
    again = _again_without_cleaner(session, old, now_ms)
    return (
        f"Rule {old.short} takes every kind that can be made safe now, not DICOM alone;"
        f" {again} {'file is' if again == 1 else 'files are'} looked at once more."
    )


def _again_without_cleaner(session: Session, rule: Rule, now_ms: int) -> int:
    """What was held back because no block took it."""
    held = (JobRow.rule == rule.id.bytes) & (JobRow.state == State.QUARANTINED) & JobRow.digest.is_(None)
    found = [
        job
        for job, reasons in session.execute(select(JobRow.id, JobRow.reasons).where(held))
        if {one["code"] for one in json.loads(reasons)} == {NO_CLEANER}
    ]
    for job in found:
        again = {"state": State.WAITING, "tries": 0, "due_at_ms": now_ms}
        session.execute(update(JobRow).where(JobRow.id == job).values(**again))
    return len(found)


def _originals_are_labelled(session: Session, project: str, rules: Sequence[Rule], now_ms: int) -> str:
    """Since there is a block that classifies."""
    if any(rule.block == CLASSIFY and not rule.shadow for rule in rules):
        return ""
    made = classify_intake(session, project, now_ms=now_ms)
    return f"Rule {made.short} is new: what comes into the intake is labelled, and so is what is made of it."


_STEPS: tuple[Step, ...] = (_every_kind_comes_out, _originals_are_labelled)  # a later version adds at the end
