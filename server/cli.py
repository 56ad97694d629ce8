"""`mb-server`: what an operator types.

Owns: commands, their words, exit codes (0 done, 1 error, 2 usage).
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import click

from protocol.errors import LocalProblem, MedicalBlocksError
from server.cli_blocks import block
from server.cli_care import backup, gc, restore, scrub, thin, user_quota
from server.cli_sharing import project, team
from server.cli_words import (
    EXIT_CODES,
    command,
    data_option,
    folder_at,
    json_option,
    now_ms,
    open_data,
    open_database,
    password_option,
    read_password,
    shown_time,
)

SWITCH_INTERVAL_SECONDS = 0.0005  # a cutter or a cipher in a thread gets its turn beside the event loop
GARBAGE_THRESHOLD = (
    50_000  # a page of the feed makes as many values, none of them in a cycle: look more rarely
)


def main() -> None:
    """The console script: every error on purpose is one sentence on stderr and exit code 1."""
    try:
        commands.main(prog_name="mb-server", standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except MedicalBlocksError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except BrokenPipeError:  # whoever read our lines has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@click.group(
    epilog="\b\nExample:\n  mb-server init --data /srv/medical-blocks --admin ada --password-stdin\n"
    f"  mb-server serve --data /srv/medical-blocks\n\n{EXIT_CODES}"
)
@click.version_option(package_name="medical-blocks", prog_name="mb-server")
def commands() -> None:
    """The Medical-Blocks server: make a data folder, serve it, look after its users and its data."""


# ---- init and serve --------------------------------------------------------------------------------------


@command("init", example="mb-server init --data /srv/medical-blocks --admin ada --password-stdin < password")
@data_option
@click.option("--admin", required=True, metavar="NAME", help="The first user, who administers the server.")
@password_option
def init(data: Path, admin: str, *, password_stdin: bool) -> None:
    """Make a new data folder with its keys, its database and a first user.

    Prints the recovery key once, to stderr: keep it away from the server.  A folder that holds a
    server's data already is left as it is.
    """
    from server.initialise import initialise

    folder = folder_at(data)
    folder.check_free()
    password = read_password(from_stdin=password_stdin)
    recovery_key = initialise(folder, admin=admin, password=password, clock=now_ms)
    click.echo(f"A new server lies in {data}; {admin} may sign in.", err=True)
    click.echo("Its recovery key, shown only this once (write it down, keep it elsewhere):", err=True)
    click.echo(f"\n    {recovery_key}\n", err=True)
    click.echo(f"Start it with: mb-server serve --data {data}", err=True)


@command("serve", example="mb-server serve --data /srv/medical-blocks --listen 127.0.0.1:8850")
@data_option
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes any free one.")
@click.option("--tls", metavar="auto|off", help="auto: with a certificate of this server's own authority.")
@click.option("--tls-names", metavar="NAMES", help="For auto: what people call this computer, with commas.")
@click.option("--tls-certificate", metavar="FILE", help="A certificate of your own, PEM with its chain …")
@click.option("--tls-key", metavar="FILE", help="… and its key, PEM.")
@click.option("--behind-proxy", is_flag=True, default=None, help="A proxy in front does TLS.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
def serve(
    data: Path,
    listen: str | None,
    *,
    tls: str | None,
    tls_names: str | None,
    tls_certificate: str | None,
    tls_key: str | None,
    behind_proxy: bool | None,
    log_level: str | None,
) -> None:
    """Serve a data folder until SIGTERM or Ctrl-C.

    Prints `listening on http://HOST:PORT` (or https://) to stdout when it is ready.  It listens beyond
    this computer only with TLS or --behind-proxy.
    """
    import gc as garbage
    import logging

    from server.app import serve_until_told
    from server.config import listen_address, load_settings

    logging.basicConfig(
        level="WARNING", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    folder = folder_at(data)
    folder.check_there()
    flags = {
        "listen": listen,
        "tls": tls,
        "tls_names": tls_names,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "behind_proxy": behind_proxy,
        "log_level": log_level,
    }
    settings = load_settings(data, environment=os.environ, flags=flags)
    listen_address(settings)
    logging.getLogger().setLevel(settings.log_level.upper())
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    garbage.freeze()  # what was imported stays
    garbage.set_threshold(GARBAGE_THRESHOLD)
    with folder.locked():
        asyncio.run(serve_until_told(folder, settings, ready=_say_ready))


def _say_ready(url: str) -> None:
    click.echo(f"listening on {url}")
    sys.stdout.flush()


@command("tls", example="mb-server tls --data /srv/medical-blocks")
@data_option
@json_option
def tls(data: Path, *, as_json: bool) -> None:
    """Show the fingerprint of this server's own authority, for people to compare when they sign in."""
    from protocol.trust import fingerprint, shown_fingerprint
    from server.tls import AUTHORITY

    folder = folder_at(data)
    folder.check_there()
    try:
        digits = fingerprint((folder.keys / AUTHORITY).read_text("ascii"))
    except FileNotFoundError as error:
        raise LocalProblem(
            "This server has no authority of its own yet", hint="`mb-server serve --tls auto` makes one."
        ) from error
    if as_json:
        click.echo(json.dumps({"fingerprint": digits, "authority": str(folder.keys / AUTHORITY)}))
    else:
        click.echo(shown_fingerprint(digits))


# ---- users -----------------------------------------------------------------------------------------------


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

    with open_database(data) as database, database.writing() as session:
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

    with open_database(data) as database, database.writing() as session:
        disable_user(session, name, now_ms=now_ms())
    click.echo(f"{name} is disabled.", err=True)


@command("enable", example="mb-server user enable ben --data /srv/medical-blocks")
@click.argument("name")
@data_option
def user_enable(name: str, data: Path) -> None:
    """Let a disabled user in again."""
    from server.access.users import enable_user

    with open_database(data) as database, database.writing() as session:
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

    with open_database(data) as database, database.writing() as session:
        set_password(session, name, password)
    click.echo(f"{name} has a new password.", err=True)


# ---- looking after the data ------------------------------------------------------------------------------


@command(
    "check",
    example="mb-server check --data /srv/medical-blocks --deep",
    codes="Exit codes: 0 every invariant holds, 1 something is broken (listed) or an error, 2 usage.",
)
@data_option
@click.option("--deep", is_flag=True, help="Also read, decrypt and hash every chunk.")
@json_option
def check(data: Path, *, deep: bool, as_json: bool) -> None:
    """Look at every invariant of the data: rows, packs and, with --deep, all bytes.  Changes nothing."""
    from server.upkeep.check import check as check_all

    with open_data(data) as (database, packs, keys):
        findings = [
            {"code": found.code, "message": found.message}
            for found in check_all(database, packs, keys, deep=deep)
        ]
    if as_json:
        click.echo(json.dumps({"deep": deep, "findings": findings}, ensure_ascii=False))
    else:
        for found in findings:
            click.echo(f"{found['code']}  {found['message']}")
    words = "Every invariant holds." if not findings else f"{len(findings)} broken: see the lines above."
    click.echo(words, err=True)
    sys.exit(1 if findings else 0)


@command("manifest", example="mb-server manifest --data /srv/medical-blocks --versions --trash")
@data_option
@click.option("--versions", is_flag=True, help="Also older versions of files.")
@click.option("--trash", is_flag=True, help="Also files in the trash.")
def manifest(data: Path, *, versions: bool, trash: bool) -> None:
    """List every file: SHA-256, bytes, state (current, version or trash) and path, one a line."""
    from server.upkeep.manifest import manifest_lines

    with open_data(data) as (database, packs, keys):
        for line in manifest_lines(database, packs, keys, versions=versions, trash=trash):
            click.echo(line)


@command("recover", example="mb-server recover --data /srv/medical-blocks < recovery-key.txt")
@data_option
def recover(data: Path) -> None:
    """Make the keys anew from the recovery key that `init` printed, in a restored backup too.

    The recovery key is read from standard input, one line.  Nothing else is changed.
    """
    from server.chunks.keys import recover_keys
    from server.database.facts import kept_store_key

    folder = folder_at(data)
    with open_database(data) as database, database.reading() as session:
        kept = kept_store_key(session)
    recover_keys(folder.keys, sys.stdin.readline().strip(), kept=kept)
    click.echo("The master key is back.", err=True)


commands.add_command(init)
commands.add_command(serve)
commands.add_command(tls)
commands.add_command(user)
commands.add_command(team)
commands.add_command(project)
commands.add_command(check)
commands.add_command(manifest)
commands.add_command(recover)
commands.add_command(gc)
commands.add_command(thin)
commands.add_command(scrub)
commands.add_command(backup)
commands.add_command(restore)
commands.add_command(block)
for subcommand in (user_add, user_list, user_disable, user_enable, user_passwd, user_quota):
    user.add_command(subcommand)
