"""Projects: spaces that belong to nobody's home.

Owns: making them from a template, their members and quotas as an operator sets them.
May import: sqlalchemy, protocol, server.access, server.database.

An intake is a space of its own beside the project's.  A role on the project never reaches it: a clinician is
given that role on the intake's root, or a reviewer that of one, and by an operator only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from protocol.errors import NotFound, Refused
from protocol.ids import NodeId, SpaceId
from protocol.names import name_key
from server.access.grants import Seer, find_somebody, give, take_back, who_sees
from server.access.new_spaces import check_name, fresh_id, make_space
from server.access.rights import IN_AN_INTAKE, INTAKE, PROJECT, Role
from server.database.tables import ProjectRow, SpaceRow

INTAKE_NAME = "Intake"


class Template(StrEnum):
    EMPTY = "empty"
    IMAGING = "imaging"  # a folder for de-identified data, and an intake for what is not


_FOLDERS: dict[Template, Sequence[str]] = {Template.EMPTY: (), Template.IMAGING: ("Data",)}


@dataclass(frozen=True, slots=True)
class Project:
    name: str
    has_intake: bool
    members: tuple[Seer, ...]


def create_project(session: Session, name: str, template: Template, *, now_ms: int) -> None:
    """Nobody sees it until somebody is given a role.

    Raises BadRequest: such a name cannot be taken.  Raises Refused: it is taken.
    """
    check_name(name, of="project")
    if session.scalar(select(ProjectRow.id).where(ProjectRow.name_key == name_key(name))) is not None:
        raise Refused(f"There is a project {name} already", hint="Choose another name.")
    at = f"/Projects/{name}"
    space = make_space(session, PROJECT, at, folders=_FOLDERS[template], now_ms=now_ms)
    intake = None
    if template is Template.IMAGING:
        intake = make_space(session, INTAKE, f"{at}/{INTAKE_NAME}", now_ms=now_ms)
    session.add(
        ProjectRow(
            id=fresh_id(now_ms).bytes,
            name=name,
            name_key=name_key(name),
            space=space,
            intake=intake,
            created_at_ms=now_ms,
        )
    )
    session.flush()


def give_role(session: Session, project: str, who: str, role: Role, *, now_ms: int) -> None:
    """As an operator: any role, also one in the intake.  who: `user:NAME` or `team:NAME`.

    Raises NotFound, BadRequest.  Raises Refused: the project has no intake for such a role.
    """
    row = _found(session, project)
    somebody = find_somebody(session, who)
    if somebody.kind == "project":
        raise Refused("A project cannot be a member of a project", hint="Name a user or a team.")
    space = row.space
    if role in IN_AN_INTAKE:
        if row.intake is None:
            raise Refused(
                f"Project {row.name} has no intake to be a {role} of",
                hint="Make one with `mb-server project create NAME --template imaging`.",
            )
        space = row.intake
    give(session, SpaceId(space), _root(session, space), somebody, role, by=None, now_ms=now_ms)


def end_role(session: Session, project: str, who: str, *, clinician: bool = False) -> None:
    """Take back the role on the project or, clinician, the one in its intake.  Raises NotFound."""
    row = _found(session, project)
    somebody = find_somebody(session, who)
    space = row.intake if clinician else row.space
    if space is None or not take_back(session, SpaceId(space), _root(session, space), somebody.id):
        raise NotFound(
            f"{who[:80]} has no such role in project {row.name}",
            hint="`mb-server project list` shows who has.",
        )


def set_project_quota(
    session: Session, project: str, quota_bytes: int | None, *, intake: bool = False
) -> None:
    """Of the project or, intake, of its intake; None: the server's default.  Raises NotFound."""
    row = _found(session, project)
    space = row.intake if intake else row.space
    if space is None:
        raise NotFound(f"Project {row.name} has no intake", hint="`mb-server project list` shows which have.")
    session.execute(update(SpaceRow).where(SpaceRow.id == space).values(quota_bytes=quota_bytes))


def list_projects(session: Session) -> list[Project]:
    """With all who have a role on the project or in its intake."""
    rows = session.scalars(select(ProjectRow).order_by(ProjectRow.name_key)).all()
    return [
        Project(
            name=row.name,
            has_intake=row.intake is not None,
            members=tuple(
                seer
                for space in (row.space, row.intake)
                if space is not None
                for seer in who_sees(session, SpaceId(space), _root(session, space))
            ),
        )
        for row in rows
    ]


def _found(session: Session, name: str) -> ProjectRow:
    row: ProjectRow | None = session.scalar(select(ProjectRow).where(ProjectRow.name_key == name_key(name)))
    if row is None:
        raise NotFound(f"There is no project {name[:80]}", hint="`mb-server project list` shows all.")
    return row


def _root(session: Session, space: int) -> NodeId:
    return NodeId(UUID(bytes=session.scalars(select(SpaceRow.root).where(SpaceRow.id == space)).one()))
