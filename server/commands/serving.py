"""`mb-server init`, `serve` and `tls`.

Owns: making a data folder, serving it, telling who vouches for it.
May import: click, protocol, server, server.commands.words.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import click

from protocol.errors import LocalProblem
from server.commands.words import (
    command,
    data_option,
    folder_at,
    json_option,
    now_ms,
    password_option,
    read_password,
)

SWITCH_INTERVAL_SECONDS = 0.0005  # a cutter or a cipher in a thread gets its turn beside the event loop
GARBAGE_THRESHOLD = (
    50_000  # a page of the feed makes as many values, none of them in a cycle: look more rarely
)


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


COMMANDS = (init, serve, tls)
