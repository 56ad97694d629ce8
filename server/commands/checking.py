"""`mb-server check`, `manifest` and `recover`.

Owns: these commands.  May import: click, protocol, server, server.commands.words.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from server.commands.words import command, data_option, folder_at, json_option, open_data, open_database


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


COMMANDS = (check, manifest, recover)
