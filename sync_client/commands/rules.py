"""`mb-sync rule`: which blocks work on the files of a folder, for whoever is in charge of it.

Owns: these commands and their words.  May import: click, protocol, home, operations, screens, folders, reach, words.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import BadRequest, NotFound
from protocol.limits import MAX_BATCH_FILES, MAX_RUNS
from protocol.names import shown
from protocol.parameters import read_parameters, read_patterns
from sync_client import screens
from sync_client.commands.folders import view_of
from sync_client.commands.places import node_at, remote_at
from sync_client.commands.reach import server_api
from sync_client.commands.words import as_json, help_end, notice, pass_home, tell
from sync_client.home import ClientHome, read_account
from sync_client.operations import parse_remote

if TYPE_CHECKING:
    from protocol.hooks import Block, ChangeRule, Rule
    from protocol.http import ServerApi
    from protocol.messages import View
    from sync_client.engine.account import Account

RULES = "rules"  # the right, as the server names it
_rule = click.argument("rule", metavar="RULE")
_parameters = click.option("--parameters", metavar="JSON", help="What the block is told; see its manifest.")
_priority = click.option("--priority", type=click.IntRange(0, 9), help="The highest goes first; usually 5.")
_batch = click.option(
    "--batch",
    type=click.IntRange(0, MAX_BATCH_FILES),
    metavar="N",
    help="At most N files in one run; 0: as many as the block takes.",
)
_at_once = click.option(
    "--at-once",
    type=click.IntRange(0, MAX_RUNS),
    metavar="N",
    help="At most N runs beside each other; 0: as many as the server allows.",
)
_only = click.option(
    "--only",
    "names",
    multiple=True,
    metavar="PATTERN",
    help="Only files of this name, as *.nii.gz; may be said several times. '*' is every file.",
)


@click.group("rule", epilog=help_end("mb-sync rule list"))
def rule_group() -> None:
    """Have blocks work on the files of a folder of yours, now and later."""


@rule_group.command("list", epilog=help_end("mb-sync rule list /Projects/Nerves"))
@click.argument("remote", required=False)
@as_json
@pass_home
def rule_list(home: ClientHome, remote: str | None, *, as_json: bool) -> None:
    """List the rules, and what became of their files: wherever you are in charge, or in one place."""
    found = asyncio.run(_listed(read_account(home), parse_remote(remote) if remote else None))
    lines = [line for one in found for line in _lines(one)]
    tell([_facts(one) for one in found], "\n".join(lines) or "There are no rules.", json_wanted=as_json)


@rule_group.command("blocks", epilog=help_end("mb-sync rule blocks /Projects/Nerves"))
@click.argument("remote")
@as_json
@pass_home
def rule_blocks(home: ClientHome, remote: str, *, as_json: bool) -> None:
    """List the blocks that a rule there may name, with what each may be told."""
    found = asyncio.run(_blocks(read_account(home), parse_remote(remote)))
    lines = [line for one in found for line in _described(one)]
    facts = [
        {
            "block": one.block,
            "version": one.version,
            "summary": one.summary,
            "produces": one.produces,
            "kinds": one.kinds,
            "parameters": one.parameters,
            "batch_files": one.batch_files,
        }
        for one in found
    ]
    tell(facts, "\n".join(lines), json_wanted=as_json)


@rule_group.command("show", epilog=help_end("mb-sync rule show 3f9a21c0"))
@_rule
@as_json
@pass_home
def rule_show(home: ClientHome, rule: str, *, as_json: bool) -> None:
    """Show one rule, with what its block is told."""
    found = asyncio.run(_one(read_account(home), rule))
    told = shown(json.dumps(found.parameters, sort_keys=True))
    tell(_facts(found), "\n".join([*_lines(found), f"          {told}"]), json_wanted=as_json)


@rule_group.command(
    "add", epilog=help_end("mb-sync rule add dicom-deidentify /Projects/Nerves/Raw /Projects/Nerves/Clean")
)
@click.argument("block")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@_parameters
@_priority
@_batch
@_at_once
@_only
@click.option("--new-only", is_flag=True, help="Leave alone what is there already.")
@as_json
@pass_home
def rule_add(
    home: ClientHome,
    block: str,
    source: str,
    target: str,
    *,
    parameters: str | None,
    priority: int | None,
    batch: int | None,
    at_once: int | None,
    names: tuple[str, ...],
    new_only: bool,
    as_json: bool,
) -> None:
    """Have BLOCK work on every file in FROM; its results appear in TO, a folder of the same place."""
    if parameters is not None:
        read_parameters(parameters)
    places = parse_remote(source), parse_remote(target)
    made = asyncio.run(
        _added(
            read_account(home),
            block,
            places,
            {
                "parameters": parameters or "{}",
                "new_only": new_only,
                "priority": 5 if priority is None else priority,
                "batch": batch or 0,
                "at_once": at_once or 0,
                "names": read_patterns(names) or (),
            },
        )
    )
    tell(_facts(made), "\n".join(_lines(made)), json_wanted=as_json)
    if not as_json:
        notice(f"Undo: mb-sync rule remove {made.short}")


@rule_group.command("change", epilog=help_end("mb-sync rule change 3f9a21c0 --off"))
@_rule
@click.option("--block", help="In place of the one there is; `rule blocks` lists them.")
@_parameters
@_priority
@_batch
@_at_once
@_only
@click.option("--on/--off", "enabled", default=None, help="Switch it on, or off for a while.")
@as_json
@pass_home
def rule_change(
    home: ClientHome,
    rule: str,
    *,
    block: str | None,
    parameters: str | None,
    priority: int | None,
    batch: int | None,
    at_once: int | None,
    names: tuple[str, ...],
    enabled: bool | None,
    as_json: bool,
) -> None:
    """Change a rule from now on. What it did stays as it is until `rule run`.

    Results of another block then become new versions of what the one before made.
    """
    from protocol.hooks import ChangeRule  # noqa: PLC0415 - msgspec: the --help of all commands reads this file

    patterns = read_patterns(names)
    if all(one is None for one in (block, parameters, priority, batch, at_once, patterns, enabled)):
        raise click.UsageError(
            "Say --block, --parameters, --priority, --batch, --at-once, --only, --on or --off."
        )
    if parameters is not None:
        read_parameters(parameters)
    asked = ChangeRule(
        block=block,
        parameters=parameters,
        priority=priority,
        enabled=enabled,
        batch=batch,
        at_once=at_once,
        names=patterns,
    )
    changed = asyncio.run(_changed(read_account(home), rule, asked))
    tell(_facts(changed), "\n".join(_lines(changed)), json_wanted=as_json)


@rule_group.command("remove", epilog=help_end("mb-sync rule remove 3f9a21c0"))
@_rule
@as_json
@pass_home
def rule_remove(home: ClientHome, rule: str, *, as_json: bool) -> None:
    """End a rule. What it made stays; what it held back is forgotten."""
    gone = asyncio.run(_removed(read_account(home), rule))
    tell(_facts(gone), f"Rule {gone.short} is gone. What it made stays.", json_wanted=as_json)


@rule_group.command("run", epilog=help_end("mb-sync rule run 3f9a21c0 ~/Nerves/Raw/patient-07"))
@_rule
@click.argument("path", metavar="[PATH]", required=False)
@as_json
@pass_home
def rule_run(home: ClientHome, rule: str, path: str | None, *, as_json: bool) -> None:
    """Do all files of a rule again; results become new versions of what is there.

    With PATH, here or remote, only that file, or all below that folder, also what the rule left alone so far.
    """
    remote = None if path is None else remote_at(home, path)
    files = asyncio.run(_run(read_account(home), rule, remote))
    tell({"files": files}, f"Done again: {screens.count_of(files, 'file')}.", json_wanted=as_json)


# ---- at the server -----------------------------------------------------------------------------------------


async def _rules(api: ServerApi, view: View) -> list[Rule]:
    found: list[Rule] = []
    after = ""
    while True:
        page = await api.rules(view.view, after)
        found += page.rules
        if not (after := page.next):
            return found


async def _listed(account: Account, remote: str | None) -> list[Rule]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        views = (await api.views()).views
        views = [view_of(views, remote)[0]] if remote else [view for view in views if RULES in view.rights]
        listed = [one for view in views for one in await _rules(api, view)]
        return list({one.rule: one for one in listed}.values())


async def _blocks(account: Account, remote: str) -> list[Block]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view = view_of((await api.views()).views, remote)[0]
        return (await api.blocks(view.view)).blocks


async def _found(api: ServerApi, rule: str) -> tuple[View, Rule]:
    """By what people type of it, and a view that shows it.  Raises NotFound."""
    for view in (await api.views()).views:
        if RULES in view.rights:
            for one in await _rules(api, view):
                if rule.casefold() in (one.short, one.rule.hex, str(one.rule)):
                    return view, one
    raise NotFound(f"There is no rule {rule[:40]} for you", hint="`mb-sync rule list` shows what there is.")


async def _one(account: Account, rule: str) -> Rule:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        return (await _found(api, rule))[1]


async def _added(account: Account, block: str, places: tuple[str, str], more: dict[str, Any]) -> Rule:
    """Raises BadRequest: the folders lie in two places that are apart."""
    from protocol.hooks import NewRule  # noqa: PLC0415 - msgspec, see above

    async with server_api(account.server, account.token, trust=account.trust) as api:
        views = (await api.views()).views
        (view, source), (other, target) = (view_of(views, place) for place in places)
        if view.view != other.view:
            raise BadRequest(
                f"{places[0]} and {places[1]} lie in two places",
                hint=f"Choose two folders of {view.name}, or ask the server's operator.",
            )
        nodes = [(await api.listing(view.view, inside)).node for inside in (source, target)]
        return await api.add_rule(view.view, NewRule(block=block, source=nodes[0], target=nodes[1], **more))


async def _changed(account: Account, rule: str, asked: ChangeRule) -> Rule:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, found = await _found(api, rule)
        return await api.change_rule(view.view, found.rule, asked)


async def _removed(account: Account, rule: str) -> Rule:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, found = await _found(api, rule)
        await api.remove_rule(view.view, found.rule)
        return found


async def _run(account: Account, rule: str, remote: str | None) -> int:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        view, found = await _found(api, rule)
        if remote is None:
            return (await api.run_rule(view.view, found.rule)).files
        _, node = await node_at(api, remote)
        return (await api.run_rule(view.view, found.rule, node=node)).files


# ---- what a person sees ------------------------------------------------------------------------------------


def _lines(rule: Rule) -> list[str]:
    target = screens.shown_remote(rule.target) if rule.target else "elsewhere"
    counts = ", ".join(f"{count} {state}" for state, count in sorted(rule.jobs.items()))
    far = "" if rule.progress is None or not counts else f"{rule.progress.words} "
    limits = [f"{rule.batch} files in a run"] * bool(rule.batch)
    limits += [f"{rule.at_once} {'run' if rule.at_once == 1 else 'runs'} at once"] * bool(rule.at_once)
    only = f"  only {shown(', '.join(rule.names))}" if rule.names else ""
    return [
        f"{rule.short}  {shown(rule.block)}{only}{'' if rule.enabled else '  (off)'}",
        f"          {screens.shown_remote(rule.source)} → {target}",
        f"          {far}({counts})" if counts else "          no file yet",
        *([f"          at most {', '.join(limits)}"] if limits else []),
    ]


def _described(block: Block) -> list[str]:
    """What it does, which files it takes, and each parameter with what may stand there."""
    lines = [f"{shown(block.block)} {shown(block.version)}", f"    {shown(block.summary)}"]
    lines.append(f"    takes {shown(', '.join(block.kinds)) or 'every kind of file'}")
    for name, schema in dict(block.parameters.get("properties", {})).items():
        told = schema if isinstance(schema, dict) else {}
        allowed = " | ".join(map(str, told.get("enum", []))) or str(told.get("type", "anything"))
        usual = f", usually {json.dumps(told['default'])}" if "default" in told else ""
        words = (
            f": {told.get('title') or told['description']}" if {"title", "description"} & told.keys() else ""
        )
        lines.append(f"    {shown(name)}  {shown(allowed + usual + words)}")
    return lines


def _facts(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.short,
        "block": rule.block,
        "from": rule.source,
        "to": rule.target,
        "parameters": rule.parameters,
        "enabled": rule.enabled,
        "priority": rule.priority,
        "batch": rule.batch,
        "at_once": rule.at_once,
        "names": rule.names,
        "progress": None
        if rule.progress is None
        else {
            "done": rule.progress.done,
            "total": rule.progress.total,
            "running": rule.progress.running,
            "failed": rule.progress.failed,
            "a_minute": rule.progress.a_minute,
            "seconds_left": rule.progress.seconds_left,
        },
        "jobs": rule.jobs,
    }


COMMANDS = (rule_group,)
