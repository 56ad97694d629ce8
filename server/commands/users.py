"""`mb-server user …`: who may sign in.

Owns: these commands.  May import: click, protocol, server, server.commands.{care,words}.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import json
from pathlib import Path

import click

from server.commands.care import user_quota
from server.commands.words import (
    changing,
    command,
    data_option,
    json_option,
    now_ms,
    open_database,
    password_option,
    read_password,
    shown_time,
)


@click.group()
def user() -> None:
    """Add, list, disable and enable users, or give one a new password; works while the server runs."""


@command("add", example="mb-server user add ben --data /srv/medical-blocks --password-stdin < password")
@click.argument("name")
@data_option
@click.option("--admin", is_flag=True, help="May administer the server.")
@password_option
def user_add(name: str, data: Path, *, admin: bool, password_stdin: bool) -> None:
    """Add a user, with an empty home."""
    from server.access.users import add_user

    password = read_password(from_stdin=password_stdin)

    with changing(data, f"user add {name}{' --admin' if admin else ''}") as session:
        add_user(session, name, password, is_admin=admin, now_ms=now_ms())
    click.echo(f"{name} may sign in.", err=True)


@command("list", example="mb-server user list --data /srv/medical-blocks --json")
@data_option
@json_option
def user_list(data: Path, *, as_json: bool) -> None:
    """List the users: name, whether they may sign in, when they were added."""
    from server.access.users import list_users

    with open_database(data) as database, database.reading() as session:
        users = [
            {
                "name": found.name,
                "admin": found.is_admin,
                "disabled": found.is_disabled,
                "created_at": shown_time(found.created_at_ms),
            }
            for found in list_users(session)
        ]
    if as_json:
        click.echo(json.dumps(users, ensure_ascii=False))
        return
    width = max((len(str(found["name"])) for found in users), default=0)
    for found in users:
        state = "disabled" if found["disabled"] else "admin" if found["admin"] else "user"
        click.echo(f"{found['name']!s:<{width}}  {state:<8}  {found['created_at']}")


@command("disable", example="mb-server user disable ben --data /srv/medical-blocks")
@click.argument("name")
@data_option
def user_disable(name: str, data: Path) -> None:
    """Shut a user out: no sign-in, and every device's token is dead within a second.  Files stay."""
    from server.access.users import disable_user

    with changing(data, f"user disable {name}") as session:
        disable_user(session, name, now_ms=now_ms())
    click.echo(f"{name} is disabled.", err=True)


@command("enable", example="mb-server user enable ben --data /srv/medical-blocks")
@click.argument("name")
@data_option
def user_enable(name: str, data: Path) -> None:
    """Let a disabled user in again."""
    from server.access.users import enable_user

    with changing(data, f"user enable {name}") as session:
        enable_user(session, name)
    click.echo(f"{name} may sign in again.", err=True)


@command("passwd", example="mb-server user passwd ben --data /srv/medical-blocks --password-stdin < new.txt")
@click.argument("name")
@data_option
@password_option
def user_passwd(name: str, data: Path, *, password_stdin: bool) -> None:
    """Give a user a new password.  Devices that are signed in stay so."""
    from server.access.users import set_password

    password = read_password(from_stdin=password_stdin)

    with changing(data, f"user passwd {name}") as session:
        set_password(session, name, password)
    click.echo(f"{name} has a new password.", err=True)


for subcommand in (user_add, user_list, user_disable, user_enable, user_passwd, user_quota):
    user.add_command(subcommand)

COMMANDS = (user,)
