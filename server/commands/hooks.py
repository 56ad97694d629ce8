"""`mb-server rule`, `job`, `quarantine`, `withdraw`, `label`: what blocks do by themselves, and what people decide.

Owns: these commands and their words.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import BadRequest, LocalProblem, NotFound
from protocol.names import shown
from server.commands.words import (
    changing,
    command,
    data_option,
    folder_at,
    json_option,
    now_ms,
    open_data,
    open_database,
    shown_time,
)

if TYPE_CHECKING:
    from server.hooks.progress import Progress
    from server.hooks.reviewing import Job
    from server.hooks.rules import Rule

_job_argument = click.argument("job", type=int, metavar="JOB")
_rule_argument = click.argument("rule", metavar="RULE")
_names_option = click.option(
    "--names", is_flag=True, help="With the files' names, which in an intake are names of patients."
)


# ---- rules -----------------------------------------------------------------------------------------------


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
@click.option(
    "--batch",
    type=click.IntRange(1, 32),
    metavar="N",
    help="At most N files in one run; else as many as the block takes.",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, 256),
    metavar="N",
    help="At most N runs beside each other; else as many as the server allows.",
)
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
    shadow: bool,
) -> None:
    """Have BLOCK work on every file in FROM, now and later; its results appear in TO.

    BLOCK is one that is shipped, or a folder with a block.toml.  FROM and TO are folders of the server:
    /Projects/NAME/…, /Projects/NAME/Intake or /Home/USER/….
    """
    from server.hooks.rules import add_rule, folder_at

    values = _parameters(parameters)
    block = str(Path(block).resolve()) if Path(block).is_dir() else block
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
            batch=batch,
            at_once=at_once,
            shadow=shadow,
        )
    click.echo(made.short)
    click.echo(f"Undo: mb-server rule remove {made.short}", err=True)


def _parameters(text: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest("--parameters is not JSON", hint='Say {"name": "value"}.') from error
    if not isinstance(values, dict):
        raise BadRequest("--parameters is no object", hint='Say {"name": "value"}.')
    return values


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
@click.option("--parameters", metavar="JSON", help="In place of all that the block was told.")
@click.option("--priority", type=click.IntRange(0, 9), help="The highest goes first.")
def rule_change(rule: str, data: Path, *, parameters: str | None, priority: int | None) -> None:
    """Give a rule other parameters or another priority, from now on; `rule run` does what is there again."""
    from server.hooks.rules import change_rule, find_rule

    given = None if parameters is None else _parameters(parameters)
    with changing(data, f"rule change {rule}") as session:
        found = find_rule(session, rule)
        change_rule(session, found, parameters=given, priority=priority)
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


# ---- jobs ------------------------------------------------------------------------------------------------


@click.group()
def job() -> None:
    """Jobs: one file that a rule works on, and what became of it."""


@command("list", example="mb-server job list --state failed --data /srv/medical-blocks")
@data_option
@click.option(
    "--state", "states", multiple=True, metavar="STATE", help="Only these: waiting, running, failed, …"
)
@_names_option
@json_option
def job_list(data: Path, *, states: tuple[str, ...], names: bool, as_json: bool) -> None:
    """The newest jobs, at most a thousand."""
    from server.hooks.jobs import State
    from server.hooks.reviewing import list_jobs

    try:
        wanted = tuple(State(state) for state in states)
    except ValueError as error:
        known = ", ".join(state.value for state in State)
        raise BadRequest(f"{error}", hint=f"States are: {known}.") from error
    with open_database(data) as database, database.reading() as session:
        jobs = list_jobs(session, states=wanted, names=names)
    _show(jobs, as_json=as_json, empty="There are no such jobs.")


@command("show", example="mb-server job show 17 --data /srv/medical-blocks")
@_job_argument
@data_option
@json_option
def job_show(job: int, data: Path, *, as_json: bool) -> None:
    """One job, with the name of its file and the block's report."""
    _show_one(job, data, as_json=as_json)


@command("retry", example="mb-server job retry 17 --data /srv/medical-blocks")
@click.argument("job", type=int, required=False, metavar="[JOB]")
@data_option
@click.option("--failed", is_flag=True, help="All that failed.")
def job_retry(job: int | None, data: Path, *, failed: bool) -> None:
    """Do one job again from the beginning, or all that failed."""
    from server.hooks.reviewing import retry, retry_failed

    if (job is None) == (not failed):
        raise click.UsageError("Say either JOB, or --failed.")
    with changing(data, f"job retry {'--failed' if job is None else job}") as session:
        if job is not None:
            retry(session, job, now_ms=now_ms())
            count = 1
        else:
            count = retry_failed(session, now_ms=now_ms())
    click.echo(f"{count} {'job is' if count == 1 else 'jobs are'} done again.", err=True)


# ---- quarantine ------------------------------------------------------------------------------------------


@click.group()
def quarantine() -> None:
    """Files that a block held back: nothing of them appears before a person decides."""


@command("list", example="mb-server quarantine list --data /srv/medical-blocks")
@data_option
@_names_option
@json_option
def quarantine_list(data: Path, *, names: bool, as_json: bool) -> None:
    """What waits for a person, and why."""
    from server.hooks.jobs import OPEN_ENDS
    from server.hooks.reviewing import list_jobs

    with open_database(data) as database, database.reading() as session:
        jobs = list_jobs(session, states=OPEN_ENDS, names=names)
    _show(jobs, as_json=as_json, empty="Nothing waits for you.")


@command("show", example="mb-server quarantine show 17 --save held.dcm --data /srv/medical-blocks")
@_job_argument
@data_option
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Save the cleaned output to a new file too: what `release` lets pass, to the byte.",
)
@json_option
def quarantine_show(job: int, data: Path, *, save: Path | None, as_json: bool) -> None:
    """One file that was held back, with its name, the reasons and the block's report."""
    if save is not None:
        asyncio.run(_save_held(data, job, save))
    _show_one(job, data, as_json=as_json)


async def _save_held(data: Path, job: int, file: Path) -> None:
    """To a file that is whole or not there."""
    from server.access.cursors import CURSOR_KEY_INFO, Cursors
    from server.audit.rows import operated
    from server.chunks.store import ChunkStore
    from server.hooks.looking import Looking
    from server.hooks.reviewing import held_back

    if file.exists():
        raise LocalProblem(f"{file} is there already", hint="Name a file that is not.")
    part = file.with_name(f".{file.name}.part")
    with open_data(data) as (database, packs, keys):
        with database.writing() as session:
            held_job = held_back(session, job)
            operated(session, f"quarantine show {job} --save", now_ms=now_ms())
        looking = Looking(
            database,
            ChunkStore(database, packs, keys, clock=now_ms),
            Cursors(keys.subkey(CURSOR_KEY_INFO)),
            folder_at(data).scratch,
            subkey=keys.subkey,
            clock=now_ms,
        )
        try:
            async with looking.at(held_job) as held:
                handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
                with os.fdopen(handle, "wb") as writing:
                    shutil.copyfileobj(held.file, writing)
            part.rename(file)
        except OSError as error:
            raise LocalProblem(
                f"{file} cannot be written ({error.strerror})", hint="Name another place."
            ) from error
        finally:
            part.unlink(missing_ok=True)
            await looking.close()


@command("release", example="mb-server quarantine release 17 --data /srv/medical-blocks")
@_job_argument
@data_option
def quarantine_release(job: int, data: Path) -> None:
    """Let the cleaned output of the block pass.  The original never does."""
    from server.hooks.reviewing import release

    with changing(data, f"quarantine release {job}") as session:
        release(session, job, now_ms=now_ms())
    click.echo(f"Job {job} is released: its cleaned output appears in a moment.", err=True)


@command("reject", example="mb-server quarantine reject 17 --data /srv/medical-blocks")
@_job_argument
@data_option
def quarantine_reject(job: int, data: Path) -> None:
    """Nothing of this file ever appears.  It stays in the intake.  Undo: mb-server job retry."""
    from server.hooks.reviewing import reject

    with changing(data, f"quarantine reject {job}") as session:
        reject(session, job, now_ms=now_ms())
    click.echo(f"Job {job} is rejected.  Undo: mb-server job retry {job}", err=True)


def _show_one(job: int, data: Path, *, as_json: bool) -> None:
    from server.hooks.reviewing import find_job

    with open_database(data) as database, database.reading() as session:
        found = find_job(session, job)
    _show([found], as_json=as_json, empty="", whole=True)


def _show(jobs: list[Job], *, as_json: bool, empty: str, whole: bool = False) -> None:
    if as_json:
        facts = [_job_facts(one) for one in jobs]
        click.echo(json.dumps(facts[0] if whole else facts, indent=1))
        return
    if not jobs:
        click.echo(empty, err=True)
    for one in jobs:
        ended = shown_time(one.ended_at_ms or one.made_at_ms)
        click.echo(f"{one.id:>6}  {one.state.value:<11}  {ended}  {one.block}  {shown(one.source)}")
        if one.file:
            click.echo(f"        {shown(one.file)}")
        for code, text in one.reasons:
            click.echo(f"        {code}: {shown(text)}")
        if one.can_release:
            click.echo("        a cleaned output can be released")
        if whole and one.report is not None:
            click.echo(shown(one.report.decode("utf-8", "replace")))


def _job_facts(one: Job) -> dict[str, object]:
    return {
        "job": one.id,
        "state": one.state.value,
        "block": one.block,
        "rule": one.rule,
        "from": one.source,
        "file": one.file or None,
        "reasons": [{"code": code, "text": text} for code, text in one.reasons],
        "can_release": one.can_release,
        "tries": one.tries,
        "made_at_ms": one.made_at_ms,
        "ended_at_ms": one.ended_at_ms,
        "report": None if one.report is None else json.loads(one.report),
    }


# ---- labels ----------------------------------------------------------------------------------------------


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


# ---- withdrawing -----------------------------------------------------------------------------------------


@command("withdraw", example="mb-server withdraw /Projects/Nerves/Intake/Doe --data /srv/medical-blocks")
@click.argument("path")
@data_option
@json_option
def withdraw(path: str, data: Path, *, as_json: bool) -> None:
    """Take a file, or all below a folder, out together with all that blocks made of it.

    PATH as `mb-server manifest --trash` writes it.  All of it goes to the trash, wherever it was moved to, and leaves
    the server when the trash does (`mb-server gc` after keep_trash).  Copies that people made are listed: they stay.
    """
    from server.access.cursors import CURSOR_KEY_INFO, Cursors
    from server.audit.rows import operated
    from server.chunks.store import ChunkStore
    from server.hooks.withdrawing import withdraw as take_out
    from server.spaces.paths import nodes_at

    with open_data(data) as (database, packs, keys):
        store = ChunkStore(database, packs, keys, clock=now_ms)
        cursors = Cursors(keys.subkey(CURSOR_KEY_INFO))
        with database.writing() as session:
            named = list(nodes_at(session, path))
            if not named:
                raise NotFound(
                    f"No tree of this server knows {path[:200]!r}",
                    hint="Write it as `mb-server manifest --trash` does.",
                )
            done = take_out(session, store, cursors, *named, now_ms=now_ms())
            operated(session, f"withdraw: {done.words}", now_ms=now_ms())
    if as_json:
        facts = {"sources": done.sources, "derived": done.derived, "jobs": done.jobs}
        click.echo(json.dumps(facts | {"copies": list(done.copies)}, indent=1))
        return
    click.echo(f"In the trash now: {done.sources} of its files, and {done.derived} that blocks made of them.")
    for copy in done.copies:
        click.echo(f"not withdrawn, made by a person: {shown(copy)}")


for group, members in (
    (label, (label_list,)),
    (rule, (rule_add, rule_list, rule_change, rule_remove, rule_disable, rule_enable, rule_run)),
    (job, (job_list, job_show, job_retry)),
    (quarantine, (quarantine_list, quarantine_show, quarantine_release, quarantine_reject)),
):
    for member in members:
        group.add_command(member)


COMMANDS = (rule, job, quarantine, label, withdraw)
