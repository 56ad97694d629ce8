"""`mb-server rule`: which block works on the files of which folder.

Owns: these commands and their words.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from protocol.limits import MAX_BATCH_FILES, MAX_RUNS
from protocol.names import shown
from protocol.parameters import read_parameters, read_patterns
from server.commands.words import changing, command, data_option, json_option, now_ms, open_database

if TYPE_CHECKING:
    from protocol.hooks import Progress
    from server.hooks.rules import Rule

_rule_argument = click.argument("rule", metavar="RULE")
_batch_option = click.option(
    "--batch",
    type=click.IntRange(0, MAX_BATCH_FILES),
    metavar="N",
    help="At most N files in one run; 0: as many as the block takes.",
)
_at_once_option = click.option(
    "--at-once",
    type=click.IntRange(0, MAX_RUNS),
    metavar="N",
    help="At most N runs beside each other; 0: as many as the server allows.",
)
_only_option = click.option(
    "--only",
    "names",
    multiple=True,
    metavar="PATTERN",
    help="Only files of this name, as *.nii.gz; may be said several times. '*' is every file.",
)


@click.group()
def rule() -> None:
    """Rules: which block works on the files of which folder; works while the server runs."""


@command(
    "add",
    example="mb-server rule add ./count-slices /Projects/Nerves/Data /Projects/Nerves/Counts --data /srv/mb",
)
@click.argument("block")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@data_option
@click.option("--parameters", metavar="JSON", default="{}", help="What the block is told; see its manifest.")
@click.option("--new-only", is_flag=True, help="Leave alone what is there already.")
@click.option(
    "--priority",
    type=click.IntRange(0, 9),
    default=5,
    show_default=True,
    help="The highest goes first; new files always go before those that were there already.",
)
@_batch_option
@_at_once_option
@_only_option
@click.option(
    "--shadow",
    is_flag=True,
    help="Only who has a role in TO, a folder of another project, learns what the block says.",
)
def rule_add(
    block: str,
    source: str,
    target: str,
    data: Path,
    *,
    parameters: str,
    new_only: bool,
    priority: int,
    batch: int | None,
    at_once: int | None,
    names: tuple[str, ...],
    shadow: bool,
) -> None:
    """Have BLOCK work on every file in FROM, now and later; its results appear in TO.

    BLOCK is one that is shipped or installed, or a folder with a block.toml.  FROM and TO are folders of the server:
    /Projects/NAME/…, /Projects/NAME/Intake or /Home/USER/….
    """
    from server.hooks.rules import add_rule, folder_at

    values = read_parameters(parameters)
    block = _block_named(block)
    with changing(data, "rule add") as session:
        made = add_rule(
            session,
            block,
            folder_at(session, source),
            folder_at(session, target),
            values,
            now_ms=now_ms(),
            new_only=new_only,
            priority=priority,
            batch=batch or None,
            at_once=at_once or None,
            shadow=shadow,
            names=read_patterns(names) or (),
        )
    click.echo(made.short)
    click.echo(f"Undo: mb-server rule remove {made.short}", err=True)


def _block_named(block: str) -> str:
    """A folder by its whole path; else the name of one that is shipped or installed."""
    return str(Path(block).resolve()) if Path(block).is_dir() else block


@command("list", example="mb-server rule list --data /srv/medical-blocks")
@data_option
@json_option
def rule_list(data: Path, *, as_json: bool) -> None:
    """All rules, how far they are, and what became of their jobs."""
    from server.hooks.progress import paces, progress_of
    from server.hooks.rules import list_rules

    now = now_ms()
    with open_database(data) as database, database.reading() as session:
        rules = list_rules(session)
        pace = paces(session, now_ms=now)
    far = {one.id: progress_of(one.jobs or {}, pace.get(one.id.bytes), now_ms=now) for one in rules}
    if as_json:
        click.echo(json.dumps([_rule_facts(one, far[one.id]) for one in rules], indent=1))
        return
    if not rules:
        click.echo("There are no rules yet: mb-server rule add BLOCK FROM TO", err=True)
    for one in rules:
        counts = ", ".join(f"{count} {state}" for state, count in sorted((one.jobs or {}).items()))
        notes = ("  (shadow)" if one.shadow else "") + ("" if one.enabled else "  (off)")
        if one.settle_ms is not None:
            notes += f"  whole folders, at rest for {one.settle_ms // 1_000} s"
        if one.names:
            notes += f"  only {', '.join(one.names)}"
        click.echo(f"{one.short}  {one.block}{notes}")
        click.echo(f"          {shown(one.source_path)} → {shown(one.target_path)}")
        click.echo(f"          {far[one.id].words}{f' ({counts})' if counts else ''}")


def _rule_facts(one: Rule, far: Progress) -> dict[str, object]:
    return {
        "rule": one.short,
        "block": one.block,
        "from": one.source_path,
        "to": one.target_path,
        "parameters": dict(one.parameters),
        "enabled": one.enabled,
        "priority": one.priority,
        "batch": one.batch,
        "at_once": one.at_once,
        "shadow": one.shadow,
        "names": list(one.names),
        "unit": "file" if one.settle_ms is None else "folder",
        "progress": {
            "done": far.done,
            "total": far.total,
            "running": far.running,
            "failed": far.failed,
            "a_minute": far.a_minute,
            "seconds_left": far.seconds_left,
        },
        "jobs": dict(one.jobs or {}),
    }


@command("remove", example="mb-server rule remove 3f9a21c0 --data /srv/medical-blocks")
@_rule_argument
@data_option
def rule_remove(rule: str, data: Path) -> None:
    """End a rule.  What it made stays; what it held back is forgotten."""
    from server.hooks.rules import find_rule, remove_rule

    with changing(data, f"rule remove {rule}") as session:
        remove_rule(session, find_rule(session, rule))
    click.echo(f"Rule {rule} is gone.", err=True)


@command("disable", example="mb-server rule disable 3f9a21c0 --data /srv/medical-blocks")
@_rule_argument
@data_option
def rule_disable(rule: str, data: Path) -> None:
    """Stop a rule for a while; what comes meanwhile is done when it is enabled again."""
    _switch(rule, data, enabled=False)
    click.echo(f"Rule {rule} is off.  Undo: mb-server rule enable {rule}", err=True)


@command("enable", example="mb-server rule enable 3f9a21c0 --data /srv/medical-blocks")
@_rule_argument
@data_option
def rule_enable(rule: str, data: Path) -> None:
    """Let a rule go on."""
    _switch(rule, data, enabled=True)
    click.echo(f"Rule {rule} is on.", err=True)


def _switch(rule: str, data: Path, *, enabled: bool) -> None:
    from server.hooks.rules import change_rule, find_rule

    with changing(data, f"rule {'enable' if enabled else 'disable'} {rule}") as session:
        change_rule(session, find_rule(session, rule), enabled=enabled)


@command(
    "change",
    example="""mb-server rule change 3f9a21c0 --parameters '{"preset": "basic"}' --data /srv/medical-blocks""",
)
@_rule_argument
@data_option
@click.option("--block", help="In place of the one there is; shipped, or a folder with a block.toml.")
@click.option("--parameters", metavar="JSON", help="In place of all that the block was told.")
@click.option("--priority", type=click.IntRange(0, 9), help="The highest goes first.")
@_batch_option
@_at_once_option
@_only_option
def rule_change(
    rule: str,
    data: Path,
    *,
    block: str | None,
    parameters: str | None,
    priority: int | None,
    batch: int | None,
    at_once: int | None,
    names: tuple[str, ...],
) -> None:
    """Give a rule another block, other parameters, files, priority or limits, from now on.

    `rule run` does what is there again: results of another block become new versions of what the one before made.
    """
    from server.hooks.rules import change_rule, find_rule

    given = None if parameters is None else read_parameters(parameters)
    block = None if block is None else _block_named(block)
    with changing(data, f"rule change {rule}") as session:
        found = find_rule(session, rule)
        change_rule(
            session,
            found,
            parameters=given,
            priority=priority,
            batch=batch,
            at_once=at_once,
            names=read_patterns(names),
            block=block,
        )
    click.echo(f"Rule {rule} is changed.  For what it did already: mb-server rule run {rule}", err=True)


@command("run", example="mb-server rule run 3f9a21c0 --data /srv/medical-blocks")
@_rule_argument
@click.argument("path", metavar="[PATH]", required=False)
@data_option
def rule_run(rule: str, path: str | None, data: Path) -> None:
    """Do all files of a rule again: after its block changed.  Results become new versions of what is there.

    With PATH only that file, or all below that folder, also what the rule left alone so far.
    """
    from server.hooks.choosing import run_chosen_at
    from server.hooks.rules import find_rule, run_again
    from server.spaces.paths import nodes_at

    with changing(data, f"rule run {rule}") as session:
        found = find_rule(session, rule)
        if path is None:
            count = run_again(session, found)
        else:
            count = run_chosen_at(session, found, list(nodes_at(session, path)), now_ms=now_ms())
    click.echo(f"{count} {'file is' if count == 1 else 'files are'} done again.", err=True)


for member in (rule_add, rule_list, rule_change, rule_remove, rule_disable, rule_enable, rule_run):
    rule.add_command(member)


COMMANDS = (rule,)
