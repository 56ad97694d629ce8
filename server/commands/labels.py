"""`mb-server label`: what is known of a file, and how it was made.

Owns: this command and its words.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import json
from pathlib import Path

import click

from protocol.names import shown
from server.commands.words import command, data_option, json_option, open_database


@click.group()
def label() -> None:
    """Labels: what blocks found out about files."""


@command("list", example="mb-server label list /Projects/Nerves/Data/a.dcm --data /srv/medical-blocks")
@click.argument("path")
@data_option
@json_option
def label_list(path: str, data: Path, *, as_json: bool) -> None:
    """What blocks said of the present version of the file at PATH, and how the file was made.

    PATH is one of the server: /Projects/NAME/…, /Projects/NAME/Intake/… or /Home/USER/….
    """
    from server.catalog.labels import Version, labels_of
    from server.hooks.rules import file_at
    from server.hooks.tracing import trace

    with open_database(data) as database, database.reading() as session:
        version = Version(*file_at(session, path))
        found = labels_of(session, version)
        steps = trace(session, version.space, version.node, version.revision)
    if as_json:
        facts = {
            "labels": [
                {
                    "name": one.name,
                    "value": one.value,
                    "said_by": one.said_by,
                    "confidence": one.confidence,
                    "source": one.source,
                    "block": source.block,
                    "block_version": source.block_version,
                    "parameters": source.parameters.hex(),
                    "rule": source.rule.hex[-8:],
                }
                for one, source in found
            ],
            "made_by": [
                {
                    "block": step.block,
                    "block_version": step.block_version,
                    "rule": step.rule.hex[-8:],
                    "source": str(step.source),
                    "source_version": f"{step.revision.epoch}.{step.revision.number}",
                }
                for step in steps
            ],
        }
        click.echo(json.dumps(facts, indent=1))
        return
    if not found:
        click.echo("No block has said anything of this version.", err=True)
    for one, source in found:
        by = f"{source.block} {source.block_version}"
        said_by = f"{one.said_by} from {one.source}" if one.source else one.said_by
        click.echo(f"{one.name} = {shown(one.value)}  ({by}, {said_by}, {one.confidence:.0%})")
    for step in steps:
        click.echo(f"made by {step.block} {step.block_version}, rule {step.rule.hex[-8:]}")


label.add_command(label_list)


COMMANDS = (label,)
