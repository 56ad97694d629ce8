"""Shadow mode: a block works beside everything else, and only those who study it learn what it says.

Owns: what a rule in shadow mode may be, where its labels go.
May import: msgspec, sqlalchemy, protocol, blocks.contract, server.database.

A rule in shadow mode puts its results into a project of their own: whoever has a role there is the study team, and
nobody else is told of the rule, its jobs, its files or its labels, not even whoever owns the files that it works on.
Rights stay what they are, so there is nothing to filter: a label of such a rule is never a row of the file that the
block looked at, only of what appeared in the team's project.  Out of there no rule leads anywhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from blocks.contract.job import OUT
from blocks.contract.manifest import Manifest, Produces
from blocks.contract.result import FileResult, Output, OutputKind, Verdict
from protocol.errors import Refused
from protocol.ids import SpaceId
from server.database.tables import RuleRow, SpaceRow

LABELS = "shadow-labels"  # the output that holds them
_MOST_NAME_BYTES = 200
_TEAM = "Make a project for the study team, and name a folder of it."


def refuse(
    session: Session, manifest: Manifest, *, shadow: bool, source: SpaceId, target: SpaceId, intake: bool
) -> None:
    """Raises Refused: results would be seen by others than the study team, or be brought to them.

    intake: whether the files lie in one.
    """
    if not shadow:
        comes_from_a_shadow = select(RuleRow.id).where(RuleRow.shadow, RuleRow.target_space == source)
        if target != source and session.scalar(comes_from_a_shadow) is not None:
            raise Refused(
                "What a block made in shadow mode stays in the project of its study team",
                hint="Choose a target in the same project.",
            )
        return
    if intake:
        raise Refused(
            "A block in shadow mode may not see an intake", hint="Let it work on what comes out of it."
        )
    if target == source:
        raise Refused(
            "In shadow mode results must not lie where the files are, and all who see these would see them",
            hint=_TEAM,
        )
    if session.scalar(select(SpaceRow.kind).where(SpaceRow.id == target)) != "project":
        raise Refused("In shadow mode results appear in a project", hint=_TEAM)
    if Produces.VERSION in manifest.produces:
        raise Refused(
            f"{manifest.name} makes new versions of the files themselves, which all would see",
            hint="Only blocks that make labels or other files can work in shadow mode.",
        )
    leads_out = select(RuleRow.id).where(
        RuleRow.space == target, RuleRow.target_space != target, ~RuleRow.shadow
    )
    if session.scalar(leads_out) is not None:
        raise Refused("A rule of that project brings files to another one", hint=_TEAM)


def refuse_version(shadow: bool) -> None:  # noqa: FBT001 - it is the whole question
    """A block may have changed since its rule was made."""
    if shadow:
        raise Refused(
            "The block made a new version of a file, in shadow mode", hint="The block needs to be mended."
        )


def with_labels(
    manifest: Manifest, answers: Sequence[FileResult], paths: Sequence[Sequence[str]], folder: Path
) -> list[FileResult]:
    """What a block said of each file also as a file for the study team, in the same place below the rule's target.

    Also where it found nothing: what it said before counts no more.  paths: of the job's files, below the rule's
    folder.  folder: of the run.
    """
    if Produces.LABELS not in manifest.produces:
        return list(answers)
    return [_with_labels(answer, paths[answer.source], folder) for answer in answers]


def _with_labels(answer: FileResult, path: Sequence[str], folder: Path) -> FileResult:
    if answer.verdict is Verdict.FAILED:
        return answer
    *above, name = path
    told = {"file": "/".join(path), "labels": msgspec.to_builtins(answer.labels)}
    if any(output.output == LABELS for output in answer.outputs):
        raise Refused(f"The block calls an output {LABELS}", hint="Choose another word for it.")
    file = f"{LABELS}-{secrets.token_hex(8)}.json"  # no name of the block's own
    (folder / OUT / file).write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1))
    short = name.encode()[:_MOST_NAME_BYTES].decode(errors="ignore")
    place = [*above, f"{short}.labels.json"]
    output = Output(file=file, output=LABELS, kind=OutputKind.DERIVED, path=place)
    return msgspec.structs.replace(answer, outputs=[*answer.outputs, output])
