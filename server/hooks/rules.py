"""Rules: which block works on the files of which folder, and where its results appear.

Owns: making, listing, switching and removing them; a live folder by the path that an operator types.
May import: sqlalchemy, protocol, blocks, server.access, server.database, server.hooks, server.spaces.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from blocks.contract.manifest import Manifest, Produces, Unit, names_fit
from blocks.contract.parameters import with_defaults
from blocks.runners.trying import find_block
from protocol.errors import BadRequest, NotFound, Refused
from protocol.ids import NodeId, SpaceId
from protocol.messages import Kind, Revision
from protocol.names import name_key
from server.access.ancestry import folders_above, is_live
from server.access.new_spaces import fresh_id
from server.access.projects import INTAKE_NAME
from server.access.rights import INTAKE
from server.database.session import rows_of_sql
from server.database.tables import JobRow, PublishedRow, RuleRow, SpaceRow, UserRow, ViewRow
from server.hooks import shadowing, turns
from server.spaces.paths import nodes_at

DEIDENTIFY = "deidentify"  # takes every kind that we can make safe
CLASSIFY = "classify"  # labels alone, of a closed vocabulary
OUT_OF_AN_INTAKE = frozenset({DEIDENTIFY, "dicom-deidentify"})
_FILE = (
    "SELECT id, content_epoch, content_number FROM nodes WHERE space = ? AND parent = ? AND name_key = ?"
    " AND kind = 'file' AND deleted_at_ms IS NULL"
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A live folder of a space."""

    space: SpaceId
    node: NodeId
    is_intake: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """parameters: as the block's manifest completes them.  jobs: how many there are in each state.  batch: how many
    files a run may bring.  at_once: how many runs there may be.  None: as many as the block and the machine allow.
    settle_ms: it works on folders, each when it was at rest for so long; None: on files.  names: patterns of the files
    that it takes; of none: all."""

    id: UUID
    block: str
    source: Folder
    target: Folder
    parameters: Mapping[str, Any]
    enabled: bool
    priority: int
    batch: int | None = None
    at_once: int | None = None
    shadow: bool = False
    settle_ms: int | None = None
    names: tuple[str, ...] = ()
    source_path: str = ""
    target_path: str = ""
    jobs: Mapping[str, int] | None = None

    @property
    def leads_out_of_an_intake(self) -> bool:
        return self.source.is_intake and self.target.space != self.source.space

    def takes(self, name: str) -> bool:
        """name: the file's own, without its folders."""
        return names_fit(self.names, name)

    @property
    def short(self) -> str:
        """What people type."""
        return self.id.hex[-8:]


def folder_at(session: Session, path: str) -> Folder:
    """From /Home/USER[/…], /Projects/NAME[/…] or /Projects/NAME/Intake[/…], as `mb-server manifest` writes it.

    Raises BadRequest: not such a path.  Raises NotFound.
    """
    parts = path.strip().strip("/").split("/")
    if not path.startswith("/") or len(parts) < 2 or parts[0] not in ("Home", "Projects"):
        raise BadRequest(
            f"{path[:200]!r} is not the path of a folder", hint="Say /Projects/NAME/… or /Home/USER/…"
        )
    for space, node in nodes_at(session, path):
        above = folders_above(session, SpaceId(space), NodeId(UUID(bytes=node)))
        if is_live(above) and above[0].kind == Kind.FOLDER:
            return _folder(session, space, node)
    raise NotFound(f"There is no folder {path[:200]}", hint="`mb-server manifest` lists what there is.")


def file_at(session: Session, path: str) -> tuple[SpaceId, NodeId, Revision]:
    """The live file at such a path, in its present version.  Raises BadRequest, NotFound."""
    above, _, name = path.strip().rstrip("/").rpartition("/")
    folder = folder_at(session, above)
    found = rows_of_sql(session, _FILE, folder.space, folder.node.bytes, name_key(name))
    if not found:
        raise NotFound(f"There is no file {path[:200]}", hint="`mb-server manifest` lists what there is.")
    [row] = found
    revision = Revision(epoch=row.content_epoch, number=row.content_number)
    return folder.space, NodeId(UUID(bytes=row.id)), revision


def add_rule(
    session: Session,
    block: str,
    source: Folder,
    target: Folder,
    parameters: Mapping[str, Any],
    *,
    now_ms: int,
    new_only: bool = False,
    priority: int = 5,
    batch: int | None = None,
    at_once: int | None = None,
    shadow: bool = False,
    names: Sequence[str] = (),
) -> Rule:
    """From now on, and for what is there already unless `new_only`.

    Raises NotFound: no such block.  Raises BadRequest: parameters that it does not take.  Raises Refused: results
    would come out of an intake by a block that is not made for it, out of the shadow, or be worked on again for ever.
    priority: 0 to 9.  shadow: see server.hooks.shadowing.  names: of `Rule`.
    """
    manifest, _ = find_block(block)
    complete = with_defaults(manifest.parameters, dict(parameters))
    _refuse(session, block, manifest, source, target, shadow=shadow, names=names)
    row = RuleRow(
        id=fresh_id(now_ms).bytes,
        space=source.space,
        node=source.node.bytes,
        block=block,
        parameters=json.dumps(complete, sort_keys=True),
        target_space=target.space,
        target=target.node.bytes,
        enabled=True,
        seen_stamp=_stamp(session, source.space) if new_only else 0,
        priority=priority,
        batch=batch,
        at_once=at_once,
        shadow=shadow,
        settle_ms=_settle_ms(manifest),
        names=json.dumps(list(names)),
        made_stamp=_stamp(session, source.space),
        created_at_ms=now_ms,
    )
    session.add(row)
    session.flush()
    return _value(session, row)


def _settle_ms(manifest: Manifest) -> int | None:
    return manifest.settle_seconds * 1_000 if manifest.unit is Unit.FOLDER else None


def _refuse(
    session: Session,
    block: str,
    manifest: Manifest,
    source: Folder,
    target: Folder,
    *,
    shadow: bool,
    names: Sequence[str],
) -> None:
    """Raises Refused: such a rule may not be."""
    shadowing.refuse(
        session, manifest, shadow=shadow, source=source.space, target=target.space, intake=source.is_intake
    )
    if source.is_intake and target.space != source.space and block not in OUT_OF_AN_INTAKE:
        raise Refused(
            f"{block} may not bring anything out of an intake",
            hint=f"Only {' and '.join(sorted(OUT_OF_AN_INTAKE))} may; let other blocks work on what it made.",
        )
    makes_files = Produces.DERIVED in manifest.produces  # labels alone go round in no circle
    if makes_files and _is_below(session, target, source):
        raise Refused(
            "The results would lie in the folder that they are made from", hint="Choose another target."
        )
    if makes_files and (round_trip := _way_back(session, source, target)):
        raise Refused(
            f"The results would come back to the folder that they are made from, by the rules {round_trip}",
            hint="Choose another target, or remove one of those rules.",
        )
    if Produces.VERSION in manifest.produces and not makes_files and target != source:
        raise Refused(
            f"{block} makes new versions of the files themselves, which stay where they are",
            hint="Name the folder of the files as the target too.",
        )
    if names and source.is_intake and target.space != source.space:
        raise Refused(
            "What comes into an intake is cleaned or held back, whatever it is called",
            hint="Leave the names away; outside of an intake a rule may choose.",
        )


def work_on_intake(session: Session, project: str, *, now_ms: int) -> list[Rule]:
    """What the template `imaging` promises: originals are labelled, and come out de-identified."""
    return [
        deidentify_intake(session, project, now_ms=now_ms),
        classify_intake(session, project, now_ms=now_ms),
    ]


def classify_intake(session: Session, project: str, *, now_ms: int) -> Rule:
    """Labels of what lies in the intake, which what is made of it will have too; people wait for the files more."""
    intake = folder_at(session, f"/Projects/{project}/{INTAKE_NAME}")
    return add_rule(session, CLASSIFY, intake, intake, {}, now_ms=now_ms, priority=4)


def deidentify_intake(session: Session, project: str, *, now_ms: int) -> Rule:
    """From the intake into Data, by the Basic Profile."""
    source = folder_at(session, f"/Projects/{project}/{INTAKE_NAME}")
    target = folder_at(session, f"/Projects/{project}/Data")
    return add_rule(session, DEIDENTIFY, source, target, {"preset": "basic"}, now_ms=now_ms)


def _way_back(session: Session, source: Folder, target: Folder) -> str:
    """The rules that would bring results in `target` to `source` again; empty if none do."""
    rules = list_rules(session)
    ways: list[tuple[Folder, tuple[str, ...]]] = [(target, ())]
    taken: set[str] = set()
    while ways:
        at, by = ways.pop()
        if by and _is_below(session, at, source):
            return ", ".join(by)
        for rule in rules:
            if rule.short not in taken and _is_below(session, at, rule.source):
                taken.add(rule.short)
                ways.append((rule.target, (*by, rule.short)))
    return ""


def _is_below(session: Session, folder: Folder, above: Folder) -> bool:
    if folder.space != above.space:
        return False
    node = folder.node.bytes
    while any(node):
        if node == above.node.bytes:
            return True
        [(node,)] = rows_of_sql(
            session, "SELECT parent FROM nodes WHERE space = ? AND id = ?", folder.space, node
        )
    return False


def _stamp(session: Session, space: SpaceId) -> int:
    return session.scalar(select(SpaceRow.stamp).where(SpaceRow.id == space)) or 0


def list_rules(session: Session, *, within: Collection[bytes] | None = None) -> list[Rule]:
    """All of them, or those of these ids, the oldest first, with the numbers of their jobs."""
    counts: dict[bytes, dict[str, int]] = {}
    counted = select(JobRow.rule, JobRow.state, func.count()).group_by(JobRow.rule, JobRow.state)
    known = select(RuleRow).order_by(RuleRow.created_at_ms, RuleRow.id)
    if within is not None:
        counted, known = counted.where(JobRow.rule.in_(within)), known.where(RuleRow.id.in_(within))
    for rule, state, count in session.execute(counted):
        counts.setdefault(rule, {})[state] = count
    rows = session.scalars(known).all()
    return [_value(session, row, jobs=counts.get(row.id, {})) for row in rows]


def find_rule(session: Session, short: str) -> Rule:
    """By the last eight digits of its id.  Raises NotFound."""
    for rule in list_rules(session):
        if short and rule.id.hex.endswith(short.casefold()):
            return rule
    raise NotFound(f"There is no rule {short[:40]}", hint="`mb-server rule list` shows all.")


def rule_with(session: Session, rule: bytes) -> Rule:
    """Raises NotFound: it was removed."""
    row = session.get(RuleRow, rule)
    if row is None:
        raise NotFound("The rule was removed", hint="Nothing needs to be done.")
    return _value(session, row)


def change_rule(
    session: Session,
    rule: Rule,
    *,
    parameters: Mapping[str, Any] | None = None,
    priority: int | None = None,
    enabled: bool | None = None,
    batch: int | None = None,
    at_once: int | None = None,
    names: Sequence[str] | None = None,
    block: str | None = None,
) -> None:
    """What is None stays.  From now on: what was done stays as it is until `run_again`.

    batch, at_once: 0: as many as the block and the machine allow.  names: of `Rule`.  block: in place of the one there
    is, which is told the same unless `parameters` are given; its results become new versions of what that one made.

    A rule that is off makes no jobs and begins none; what came meanwhile is done when it is on again.  Raises NotFound:
    no such block.  Raises BadRequest: parameters that the block does not take.  Raises Refused: as `add_rule`.
    """
    values: dict[str, Any] = {"priority": priority, "enabled": enabled, "block": block}
    manifest, _ = find_block(block or rule.block)
    if block is not None or parameters is not None:
        told = rule.parameters if parameters is None else parameters
        values["parameters"] = json.dumps(with_defaults(manifest.parameters, dict(told)), sort_keys=True)
    if block is not None or names is not None:
        if (rule.settle_ms is None) != (_settle_ms(manifest) is None):
            raise Refused(
                f"{manifest.name} and the block of this rule do not both work on whole folders",
                hint="Add a rule of its own for it, and remove this one.",
            )
        values["settle_ms"] = _settle_ms(manifest)
        chosen = rule.names if names is None else names
        values["names"] = json.dumps(list(chosen))
        _refuse(
            session, block or rule.block, manifest, rule.source, rule.target, shadow=rule.shadow, names=chosen
        )
    values = {name: value for name, value in values.items() if value is not None}
    limits = {"batch": batch, "at_once": at_once}
    values |= {name: value or None for name, value in limits.items() if value is not None}
    if values:
        session.execute(update(RuleRow).where(RuleRow.id == rule.id.bytes).values(**values))


def run_again(session: Session, rule: Rule) -> int:
    """All of its files once more, as if they were new: after the block or the parameters changed; how many."""
    again = session.execute(
        update(JobRow)
        .where(
            JobRow.rule == rule.id.bytes,
            JobRow.state.in_(("published", "unchanged", "failed", "quarantined")),
        )
        .values(
            state="waiting",
            tries=0,
            due_at_ms=0,
            digest=None,
            is_released=False,
            rank=turns.rank_of(rule.priority, turns.Tier.WAS_THERE),
        )
        .returning(JobRow.id)
    )
    return len(again.all())


def remove_rule(session: Session, rule: Rule) -> None:
    """What it published stays, with its provenance.  Its jobs and what they held back are forgotten."""
    for table in (JobRow, PublishedRow):
        session.execute(delete(table).where(table.rule == rule.id.bytes))
    session.execute(delete(RuleRow).where(RuleRow.id == rule.id.bytes))


def _value(session: Session, row: RuleRow, *, jobs: Mapping[str, int] | None = None) -> Rule:
    source, target = _folder(session, row.space, row.node), _folder(session, row.target_space, row.target)
    return Rule(
        id=UUID(bytes=row.id),
        block=row.block,
        source=source,
        target=target,
        parameters=json.loads(row.parameters),
        enabled=row.enabled,
        priority=row.priority,
        batch=row.batch,
        at_once=row.at_once,
        shadow=row.shadow,
        settle_ms=row.settle_ms,
        names=tuple(json.loads(row.names)),
        source_path=path_of(session, source),
        target_path=path_of(session, target),
        jobs=jobs,
    )


def _folder(session: Session, space: int, node: bytes) -> Folder:
    kind = session.scalar(select(SpaceRow.kind).where(SpaceRow.id == space))
    return Folder(SpaceId(space), NodeId(UUID(bytes=node)), kind == INTAKE)


def path_of(session: Session, folder: Folder) -> str:
    """As an operator writes it."""
    names: list[str] = []
    node = folder.node.bytes
    while any(node):
        [row] = rows_of_sql(
            session, "SELECT parent, name FROM nodes WHERE space = ? AND id = ?", folder.space, node
        )
        if row.name:
            names.insert(0, row.name)
        node = row.parent
    view = session.execute(
        select(ViewRow.name, UserRow.name.label("owner"))
        .join(SpaceRow, (SpaceRow.id == ViewRow.space) & (SpaceRow.root == ViewRow.root))
        .outerjoin(UserRow, UserRow.id == ViewRow.owner)
        .where(ViewRow.space == folder.space)
    ).one()
    return "/".join([f"/Home/{view.owner}" if view.owner else view.name, *names])
