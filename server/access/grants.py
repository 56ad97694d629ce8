"""Who was given which role where.

Owns: grants, whom they reach (a user, the members of a team, those of a project), the list of who sees a folder.
May import: sqlalchemy, protocol, server.access, server.database.

Whoever changes a grant counts it (`note_changed_rights`), so that open long polls and streams look again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from protocol.errors import BadRequest, NotFound, Refused
from protocol.ids import NodeId, SpaceId, UserId
from protocol.names import name_key
from server.access.ancestry import Above, folders_above
from server.access.new_spaces import fresh_id
from server.access.rights import FOLDER, HOME, IN_AN_INTAKE, INTAKE, Role, passed_on
from server.database.facts import note_changed_rights
from server.database.session import rows_of_sql
from server.database.tables import GrantRow, ProjectRow, SpaceRow, TeamRow, UserRow, ViewRow

Roles = Mapping[tuple[int, bytes], frozenset[Role]]  # by space and node
_MINE = 'WITH mine(id) AS (SELECT ? UNION SELECT team FROM team_members WHERE "user" = ?)'
_MEMBERSHIPS = (
    "FROM mine JOIN grants own ON own.principal = mine.id JOIN projects ON projects.space = own.space"
    " JOIN spaces ON spaces.id = projects.space AND spaces.root = own.node"
)
_HELD = (
    f"{_MINE} SELECT grants.space, grants.node, grants.role, NULL FROM mine JOIN grants ON grants.principal = mine.id"  # noqa: S608 - constants
    f" UNION ALL SELECT grants.space, grants.node, grants.role, own.role {_MEMBERSHIPS}"
    " JOIN grants ON grants.principal = projects.id"
)
_MY_PROJECTS = f"{_MINE} SELECT DISTINCT projects.id {_MEMBERSHIPS}"
_MY_INTAKES = (
    f"{_MINE} SELECT DISTINCT spaces.id FROM mine JOIN grants ON grants.principal = mine.id"  # noqa: S608 - constants
    " JOIN spaces ON spaces.id = grants.space AND spaces.kind = 'intake'"
)
_TEAM_PEOPLE = (
    'SELECT users.name FROM team_members JOIN users ON users.id = team_members."user"'
    " WHERE team_members.team = ? ORDER BY users.name_key"
)
_PROJECT_PEOPLE = (
    "WITH given(id) AS (SELECT grants.principal FROM projects JOIN spaces ON spaces.id = projects.space"
    " JOIN grants ON grants.space = spaces.id AND grants.node = spaces.root WHERE projects.id = ?)"
    " SELECT users.name FROM users WHERE users.id IN (SELECT id FROM given UNION"
    ' SELECT team_members."user" FROM given JOIN team_members ON team_members.team = given.id)'
    " ORDER BY users.name_key"
)


@dataclass(frozen=True, slots=True)
class Somebody:
    """Who can be given a role.  kind: "user", "team" or "project"."""

    kind: str
    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Seer:
    """One line of "who can see this": somebody, the role, and the folder that it was given on.

    principal: None for the owner of a home, whose right is no grant.  depth: how many folders above the one asked
    for; 0 is that folder itself.
    """

    kind: str
    name: str
    principal: UUID | None
    role: Role
    on: bytes
    depth: int


# ---- whom a grant reaches --------------------------------------------------------------------------------


def roles_held(session: Session, user: UserId) -> Roles:
    """All roles of a user, their own, those of their teams, and what was shared with their projects."""
    held: defaultdict[tuple[int, bytes], set[Role]] = defaultdict(set)
    for space, node, role, member in rows_of_sql(session, _HELD, user.bytes, user.bytes):
        given = Role(role)
        held[space, node].add(given if member is None else passed_on(given, Role(member)))
    return {place: frozenset(roles) for place, roles in held.items()}


def intakes_seen_by(session: Session, user: UserId) -> list[SpaceId]:
    """The spaces of identified data in which this user works."""
    return [SpaceId(space) for (space,) in rows_of_sql(session, _MY_INTAKES, user.bytes, user.bytes)]


# ---- giving and taking back ------------------------------------------------------------------------------


def find_somebody(session: Session, text: str, *, asked_by: UserId | None = None) -> Somebody:
    """From `user:NAME`, `team:NAME` or `project:NAME`.  asked_by: sees only projects of their own; None is the
    operator.

    Raises BadRequest: written in another way.  Raises NotFound.
    """
    kind, colon, name = text.partition(":")
    tables: dict[str, type[UserRow | TeamRow | ProjectRow]] = {
        "user": UserRow,
        "team": TeamRow,
        "project": ProjectRow,
    }
    if not colon or kind not in tables or not name:
        raise BadRequest(f"{text[:80]!r} names nobody", hint="Write user:NAME, team:NAME or project:NAME.")
    table = tables[kind]
    row = session.execute(select(table.id, table.name).where(table.name_key == name_key(name))).one_or_none()
    hidden = row is not None and kind == "project" and asked_by is not None
    if row is None or (hidden and asked_by is not None and row.id not in _projects_of(session, asked_by)):
        raise NotFound(f"There is no {kind} {name[:80]}", hint="Check the name.")
    return Somebody(kind, UUID(bytes=row.id), row.name)


def _projects_of(session: Session, user: UserId) -> set[bytes]:
    return {project for (project,) in rows_of_sql(session, _MY_PROJECTS, user.bytes, user.bytes)}


def give(
    session: Session,
    space: SpaceId,
    node: NodeId,
    who: Somebody,
    role: Role,
    *,
    by: UserId | None,
    now_ms: int,
) -> None:
    """Give `who` this role on a live folder, in place of the one they had there.  The caller has checked the
    right to share.

    Raises Refused: a rule says no.
    """
    kind, root, owner = space_of(session, space)
    if (kind == INTAKE) != (role in IN_AN_INTAKE):
        raise Refused(
            f"{role.value} cannot be given there",
            hint="In an intake everyone is a clinician or a reviewer, and nobody is one elsewhere.",
        )
    if kind == HOME and node.bytes == root:
        raise Refused("A whole home cannot be shared", hint="Share a folder in it.")
    if kind == HOME and who.id.bytes == owner:
        raise Refused("This folder is theirs already", hint="Choose somebody else.")
    session.merge(
        GrantRow(
            space=space,
            node=node.bytes,
            principal=who.id.bytes,
            principal_kind=who.kind,
            role=role.value,
            granted_by=None if by is None else by.bytes,
            granted_at_ms=now_ms,
        )
    )
    if node.bytes != root:
        have_view(session, space, node, owner, now_ms=now_ms)
    note_changed_rights(session)


def take_back(session: Session, space: SpaceId, node: NodeId, principal: UUID) -> bool:
    """Whether there was such a grant on this very folder."""
    ended = session.execute(
        delete(GrantRow)
        .where(GrantRow.space == space, GrantRow.node == node.bytes, GrantRow.principal == principal.bytes)
        .returning(GrantRow.node)
    ).all()
    if ended:
        note_changed_rights(session)
    return bool(ended)


def space_of(session: Session, space: SpaceId) -> tuple[str, bytes, bytes | None]:
    """Its kind, its root, and of a home its owner."""
    row = session.execute(
        select(SpaceRow.kind, SpaceRow.root, ViewRow.owner)
        .join(ViewRow, (ViewRow.space == SpaceRow.id) & (ViewRow.root == SpaceRow.root))
        .where(SpaceRow.id == space)
    ).one()
    return row.kind, row.root, row.owner


def have_view(session: Session, space: SpaceId, node: NodeId, owner: bytes | None, *, now_ms: int) -> None:
    """A folder that was shared once has a view of its own for ever: what leaves and enters it is recorded."""
    found = session.scalar(select(ViewRow.id).where(ViewRow.space == space, ViewRow.root == node.bytes))
    if found is None:
        stamp = session.scalar(select(SpaceRow.stamp).where(SpaceRow.id == space)) or 0
        session.add(
            ViewRow(
                id=fresh_id(now_ms).bytes,
                space=space,
                root=node.bytes,
                kind=FOLDER,
                name="",
                owner=owner,
                stamp=stamp,
            )
        )
        session.flush()


# ---- who sees this ---------------------------------------------------------------------------------------


def who_sees(session: Session, space: SpaceId, node: NodeId) -> list[Seer]:
    """Everyone with a role on this folder or on one above it, from the folder itself upwards."""
    kind, root, owner = space_of(session, space)
    chain: list[Above] = folders_above(session, space, node)
    depths = {folder.id: depth for depth, folder in enumerate(chain)}
    rows = session.execute(
        select(GrantRow).where(GrantRow.space == space, GrantRow.node.in_(list(depths)))
    ).scalars()
    grants = sorted(rows, key=lambda row: (depths[row.node], row.principal_kind, row.principal))
    names = _names(session, [row.principal for row in grants] + ([owner] if owner else []))
    seers = [
        Seer(
            kind=row.principal_kind,
            name=names.get(row.principal, ""),
            principal=UUID(bytes=row.principal),
            role=Role(row.role),
            on=row.node,
            depth=depths[row.node],
        )
        for row in grants
    ]
    if kind == HOME and owner is not None:
        seers.insert(0, Seer("user", names.get(owner, ""), None, Role.OWNER, root, depths.get(root, 0)))
    return seers


def people_of(session: Session, kind: str, principal: UUID) -> list[str]:
    """The names of those whom a team or a project reaches."""
    if kind == "user":
        return []
    members = _TEAM_PEOPLE if kind == "team" else _PROJECT_PEOPLE
    return [name for (name,) in rows_of_sql(session, members, principal.bytes)]


def _names(session: Session, ids: list[bytes]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for table in (UserRow, TeamRow, ProjectRow):
        rows = session.execute(select(table.id, table.name).where(table.id.in_(ids)))
        found.update((principal, name) for principal, name in rows)
    return found
