"""`mb-server audit …`: who did what, and whether the log is still the one that was written.

Owns: these commands.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from protocol.errors import BadRequest
from protocol.names import shown
from server.commands.words import (
    command,
    data_option,
    folder_at,
    json_option,
    open_data,
    open_database,
    shown_time,
)

if TYPE_CHECKING:
    from server.audit.reading import Between

_since = click.option("--since", metavar="TIME", help="From then on: 2026-11-01 or 2026-11-01T12:00, UTC.")
_until = click.option("--until", metavar="TIME", help="Until before then.")


@click.group(
    epilog="\b\nExample:\n  mb-server audit verify --data /srv/medical-blocks\n"
    "  mb-server audit who-read ada/Home/scan.dcm --data /srv/medical-blocks"
)
def audit() -> None:
    """Who did what when: read the log, prove that nobody changed it; works while the server runs."""


@command(
    "verify",
    example="mb-server audit verify --heads /mnt/elsewhere/audit-heads --data /srv/medical-blocks",
    codes="Exit codes: 0 the log is whole, 1 it was tampered with (said how) or an error, 2 usage.",
)
@data_option
@click.option(
    "--heads",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Heads that you kept elsewhere (`audit heads`), besides those in the data folder.",
)
@json_option
def verify(data: Path, heads: Path | None, *, as_json: bool) -> None:
    """Find whether rows were changed, dropped, put in, reordered, cut off or chained anew.

    A head that was kept elsewhere vouches for all that came before it, also against whoever owns this computer.
    """
    from server.audit.chain import HEADS_KEY_INFO, public_key
    from server.audit.sealing import read_heads
    from server.audit.verifying import verify as verify_all

    with open_data(data) as (database, _, keys), database.reading() as session:
        own = read_heads(folder_at(data).audit_heads)
        found = verify_all(session, own, own_key=public_key(keys.subkey(HEADS_KEY_INFO)))
        if heads is not None:
            kept = read_heads(heads)
            if not kept:
                raise BadRequest(f"{heads} holds no heads", hint="Give what `mb-server audit heads` printed.")
            restored = [head for head in own if head.kind == "restored"]
            later = verify_all(session, [*kept, *restored])
            found.broken += [sentence for sentence in later.broken if sentence not in found.broken]
            found.explained += [sentence for sentence in later.explained if sentence not in found.explained]
    if as_json:
        facts = {
            "rows": found.rows,
            "seals": found.seals,
            "waiting": found.waiting,
            "broken": found.broken,
            "explained": found.explained,
        }
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        for sentence in (*found.broken, *found.explained):
            click.echo(f"{shown(sentence)}.")
    words = f"{found.rows} rows in {found.seals} seals"
    words += f", {found.waiting} not sealed yet" if found.waiting else ""
    click.echo(
        f"{words}: {'NOT as they were written' if found.broken else 'as they were written'}.", err=True
    )
    sys.exit(1 if found.broken else 0)


@command("export", example="mb-server audit export --since 2026-11-01 --data /srv/medical-blocks > log.jsonl")
@data_option
@_since
@_until
def export(data: Path, since: str | None, until: str | None) -> None:
    """Print the rows of the log, one JSON object a line, each with its hash; docs/formats.md says how to check."""
    from server.audit.reading import export_lines

    with open_database(data) as database, database.reading() as session:
        for line in export_lines(session, _between(since, until)):
            click.echo(line.decode("ascii"))


@command("heads", example="mb-server audit heads --data /srv/medical-blocks > /mnt/elsewhere/audit-heads")
@data_option
def heads(data: Path) -> None:
    """Print the signed heads; keep them where nobody of this computer can write.

    The last line is signed now: it vouches for all that is sealed by now.
    """
    from server.audit.chain import HEADS_KEY_INFO
    from server.audit.sealing import head_of, read_heads
    from server.commands.words import now_ms

    with open_data(data) as (database, _, keys), database.reading() as session:
        for head in read_heads(folder_at(data).audit_heads):
            click.echo(head.line())
        click.echo(head_of(session, now_ms=now_ms()).signed(keys.subkey(HEADS_KEY_INFO)).line())


@command(
    "who-read",
    example="mb-server audit who-read ada/Home/scan.dcm --since 2026-11-01 --data /srv/medical-blocks",
)
@click.argument("path")
@data_option
@_since
@_until
@json_option
def who_read(path: str, data: Path, since: str | None, until: str | None, *, as_json: bool) -> None:
    """Say who was given the bytes of a file, or of anything in a folder, and when.

    PATH is written as `mb-server manifest` does, also of what was deleted; of what was purged, the node's id.
    """
    from server.upkeep.who_read import who_read as find

    with open_database(data) as database, database.reading() as session:
        found = list(find(session, path, _between(since, until)))
    if as_json:
        facts = [
            {
                "at": shown_time(one.at_ms),
                "who": one.who,
                "device": one.device,
                "did": one.did,
                "node": one.node.hex(),
                "version": one.version,
                "address": one.address,
                "request": one.request,
            }
            for one in found
        ]
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for one in found:
        who, device = shown(one.who), shown(one.device)
        click.echo(
            f"{shown_time(one.at_ms)}  {who}  {one.did}  version {one.version}  {device}  {one.address}"
        )
    click.echo(f"{len(found)} times read." if found else "Nobody read it in that time.", err=True)


def _between(since: str | None, until: str | None) -> Between:
    from server.audit.reading import Between

    return Between(_parsed(since), _parsed(until))


def _parsed(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"{text[:40]!r} is no time", hint="Write 2026-11-01 or 2026-11-01T12:00.") from error
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


for _subcommand in (verify, export, heads, who_read):
    audit.add_command(_subcommand)

COMMANDS = (audit,)
