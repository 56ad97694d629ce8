"""`mb-server project` and `mb-server team`: who works together, as an operator says it.

Owns: these commands and their words.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from server.commands.words import changing, command, data_option, json_option, now_ms, open_database

if TYPE_CHECKING:
    from server.access.projects import Project

ROLES = ("owner", "editor", "reader", "metadata", "clinician", "reviewer")
TEMPLATES = ("empty", "imaging")
_role_option = click.option(
    "--role",
    required=True,
    type=click.Choice(ROLES),
    help="owner: all, and may share; editor: read and write; reader: read; metadata: names only;"
    " clinician: works in the project's intake, and nowhere else; reviewer: does, and may release what a block"
    " held back.",
)


# ---- projects --------------------------------------------------------------------------------------------


@click.group()
def project() -> None:
    """Make projects and say who works in them; works while the server runs."""


@command("create", example="mb-server project create Nerves --template imaging --data /srv/medical-blocks")
@click.argument("name")
@data_option
@click.option(
    "--template",
    type=click.Choice(TEMPLATES),
    default="empty",
    show_default=True,
    help="imaging: an intake for identified data, and Data, where it appears de-identified.",
)
def project_create(name: str, data: Path, *, template: str) -> None:
    """Make a project.  Nobody sees it before somebody is given a role in it."""
    from server.access.projects import Template, create_project
    from server.hooks.rules import work_on_intake

    is_imaging = template == Template.IMAGING
    with changing(data, f"project create {name} --template {template}") as session:
        create_project(session, name, Template(template), now_ms=now_ms())
        if is_imaging:
            work_on_intake(session, name, now_ms=now_ms())
    click.echo(f"/Projects/{name} is there.", err=True)
    if is_imaging:
        click.echo(
            f"What comes into /Projects/{name}/Intake is labelled and appears de-identified in /Projects/{name}/Data"
            " (mb-server rule list).",
            err=True,
        )
    click.echo(f"Next: mb-server project grant {name} user:NAME --role owner", err=True)


@command("update", example="mb-server project update Nerves --dry-run --data /srv/medical-blocks")
@click.argument("name")
@data_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def project_update(name: str, data: Path, *, dry_run: bool) -> None:
    """Give an older project the rules that a new one of its template has.

    Rules keep their names, their parameters and what they made.  A rule that was removed on purpose comes back:
    `--dry-run` says so before.
    """
    from server.hooks.templates import bring_up_to_date

    if dry_run:
        with open_database(data) as database, database.writing() as session:
            trial = session.begin_nested()
            said = bring_up_to_date(session, name, now_ms=now_ms())
            trial.rollback()
    else:
        with changing(data, f"project update {name}") as session:
            said = bring_up_to_date(session, name, now_ms=now_ms())
    for sentence in said:
        click.echo(f"Would be done: {sentence}" if dry_run else sentence)
    if not said:
        click.echo(f"Project {name} has all that a new one has.", err=True)


@command("grant", example="mb-server project grant Nerves team:mri --role editor --data /srv/medical-blocks")
@click.argument("name")
@click.argument("who", metavar="user:NAME|team:NAME")
@data_option
@_role_option
def project_grant(name: str, who: str, data: Path, *, role: str) -> None:
    """Give a user or a team a role, in place of the one they have.  It holds within a second.

    No role on a project opens its intake, not even the owner's; clinician or reviewer does, beside another role.
    """
    from server.access.projects import give_role
    from server.access.rights import Role

    with changing(data, f"project grant {name} {who} --role {role}") as session:
        give_role(session, name, who, Role(role), now_ms=now_ms())
    click.echo(f"{who} is {role} in project {name}.", err=True)


@command("revoke", example="mb-server project revoke Nerves user:ben --data /srv/medical-blocks")
@click.argument("name")
@click.argument("who", metavar="user:NAME|team:NAME")
@data_option
@click.option("--clinician", is_flag=True, help="The role in the intake, instead of the one on the project.")
def project_revoke(name: str, who: str, data: Path, *, clinician: bool) -> None:
    """Take a role back; it ends within a second.  Copies on people's computers stay there."""
    from server.access.projects import end_role

    with changing(data, f"project revoke {name} {who}{' --clinician' if clinician else ''}") as session:
        end_role(session, name, who, clinician=clinician)
    where = "the intake of project" if clinician else "project"
    click.echo(f"{who} has no role any more in {where} {name}.", err=True)


@command("quota", example="mb-server project quota Nerves 500G --data /srv/medical-blocks")
@click.argument("name")
@click.argument("size", metavar="SIZE")
@data_option
@click.option("--intake", is_flag=True, help="Of the project's intake, instead of the project.")
def project_quota(name: str, size: str, data: Path, *, intake: bool) -> None:
    """Say how much a project may hold: 500G, 1.5T, or `default` for the server's default_quota.

    Counted are the bytes of current files, the trash's too.  Holds from the next commit on; what is there
    stays, also above it.
    """
    from server.access.projects import set_project_quota
    from server.quantities import parse_bytes, say_bytes

    quota = None if size == "default" else parse_bytes(size)
    with changing(data, f"project quota {name} {size}{' --intake' if intake else ''}") as session:
        set_project_quota(session, name, quota, intake=intake)
    where = f"/Projects/{name}{'/Intake' if intake else ''}"
    click.echo(f"{where}: {'the default quota' if quota is None else say_bytes(quota)}.", err=True)


@command("list", example="mb-server project list --data /srv/medical-blocks --json")
@data_option
@json_option
def project_list(data: Path, *, as_json: bool) -> None:
    """List the projects, and for each who has which role."""
    from server.access.projects import list_projects

    with open_database(data) as database, database.reading() as session:
        projects = [_shown(found) for found in list_projects(session)]
    if as_json:
        click.echo(json.dumps(projects, ensure_ascii=False))
        return
    if not projects:
        click.echo("There is no project yet. Make one: mb-server project create NAME", err=True)
    for found in projects:
        click.echo(f"/Projects/{found['name']}" + ("  (with an intake)" if found["intake"] else ""))
        for member in found["members"]:
            click.echo(f"  {member['role']:<10} {member['who']}")


def _shown(found: Project) -> dict[str, Any]:
    members = [{"who": f"{seer.kind}:{seer.name}", "role": seer.role.value} for seer in found.members]
    return {"name": found.name, "intake": found.has_intake, "members": members}


# ---- teams -----------------------------------------------------------------------------------------------


@click.group()
def team() -> None:
    """Put people into teams, which get rights together; works while the server runs."""


@command("create", example="mb-server team create mri --data /srv/medical-blocks")
@click.argument("name")
@data_option
def team_create(name: str, data: Path) -> None:
    """Make a team without members."""
    from server.access.teams import create_team

    with changing(data, f"team create {name}") as session:
        create_team(session, name, now_ms=now_ms())
    click.echo(f"There is a team {name}.", err=True)


@command("add", example="mb-server team add mri ben --data /srv/medical-blocks")
@click.argument("name")
@click.argument("user")
@data_option
def team_add(name: str, user: str, data: Path) -> None:
    """Put a user into a team: what the team may, they may within a second."""
    from server.access.teams import add_member

    with changing(data, f"team add {name} {user}") as session:
        add_member(session, name, user)
    click.echo(f"{user} is in team {name}.", err=True)


@command("remove", example="mb-server team remove mri ben --data /srv/medical-blocks")
@click.argument("name")
@click.argument("user")
@data_option
def team_remove(name: str, user: str, data: Path) -> None:
    """Take a user out of a team: what only the team gave them ends within a second."""
    from server.access.teams import remove_member

    with changing(data, f"team remove {name} {user}") as session:
        remove_member(session, name, user)
    click.echo(f"{user} is not in team {name} any more.", err=True)


@command("list", example="mb-server team list --data /srv/medical-blocks --json")
@data_option
@json_option
def team_list(data: Path, *, as_json: bool) -> None:
    """List the teams with their members."""
    from server.access.teams import list_teams

    with open_database(data) as database, database.reading() as session:
        teams = [{"name": found.name, "members": list(found.members)} for found in list_teams(session)]
    if as_json:
        click.echo(json.dumps(teams, ensure_ascii=False))
        return
    if not teams:
        click.echo("There is no team yet. Make one: mb-server team create NAME", err=True)
    for found in teams:
        click.echo(f"{found['name']}: {', '.join(found['members']) or 'nobody'}")


for _subcommand in (
    project_create,
    project_update,
    project_grant,
    project_revoke,
    project_quota,
    project_list,
):
    project.add_command(_subcommand)
for _subcommand in (team_create, team_add, team_remove, team_list):
    team.add_command(_subcommand)


COMMANDS = (team, project)
