"""Teams: people who get a right together.

Owns: teams and their members.  May import: sqlalchemy, protocol, server.access, server.database.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from protocol.errors import NotFound, Refused
from protocol.names import name_key
from server.access.new_spaces import check_name, fresh_id
from server.database.facts import note_changed_rights
from server.database.tables import TeamMemberRow, TeamRow, UserRow


@dataclass(frozen=True, slots=True)
class Team:
    name: str
    members: tuple[str, ...]


def create_team(session: Session, name: str, *, now_ms: int) -> None:
    """Raises BadRequest: such a name cannot be taken.  Raises Refused: it is taken."""
    check_name(name, of="team")
    if session.scalar(select(TeamRow.id).where(TeamRow.name_key == name_key(name))) is not None:
        raise Refused(f"There is a team {name} already", hint="Choose another name.")
    session.add(TeamRow(id=fresh_id(now_ms).bytes, name=name, name_key=name_key(name), created_at_ms=now_ms))
    session.flush()


def add_member(session: Session, team: str, user: str) -> None:
    """Harmless when they are a member already.  Raises NotFound."""
    session.merge(TeamMemberRow(team=_team(session, team), user=_user(session, user)))
    session.flush()
    note_changed_rights(session)


def remove_member(session: Session, team: str, user: str) -> None:
    """What the team's roles gave them ends at their next request.  Raises NotFound: no such team, user, member."""
    ended = session.execute(
        delete(TeamMemberRow)
        .where(TeamMemberRow.team == _team(session, team), TeamMemberRow.user == _user(session, user))
        .returning(TeamMemberRow.team)
    ).all()
    if not ended:
        raise NotFound(f"{user[:80]} is not in team {team[:80]}", hint="`mb-server team list` shows who is.")
    note_changed_rights(session)


def list_teams(session: Session) -> list[Team]:
    members: dict[bytes, list[str]] = {}
    rows = session.execute(
        select(TeamMemberRow.team, UserRow.name)
        .join(UserRow, UserRow.id == TeamMemberRow.user)
        .order_by(UserRow.name_key)
    )
    for team, user in rows:
        members.setdefault(team, []).append(user)
    teams = session.execute(select(TeamRow.id, TeamRow.name).order_by(TeamRow.name_key))
    return [Team(name, tuple(members.get(team, ()))) for team, name in teams]


def _team(session: Session, name: str) -> bytes:
    found = session.scalar(select(TeamRow.id).where(TeamRow.name_key == name_key(name)))
    if found is None:
        raise NotFound(f"There is no team {name[:80]}", hint="`mb-server team list` shows all.")
    return found


def _user(session: Session, name: str) -> bytes:
    found = session.scalar(select(UserRow.id).where(UserRow.name_key == name_key(name)))
    if found is None:
        raise NotFound(f"There is no user {name[:80]}", hint="`mb-server user list` shows all.")
    return found
