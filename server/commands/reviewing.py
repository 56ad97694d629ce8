"""`mb-server job`, `quarantine`, `withdraw`: what became of files that blocks work on, and what people decide.

Owns: these commands and their words.
May import: click, protocol, server.  All that is heavy is imported inside the commands that need it.

What was held back is a job like any other: `quarantine list` is a list of those that wait for a person, and `show` is
the same command in both groups.
"""

# ruff: noqa: PLC0415 - what is heavy is imported inside the commands that need it

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

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
    from server.hooks.reviewing import Job

_job_argument = click.argument("job", type=int, metavar="JOB")
_names_option = click.option(
    "--names", is_flag=True, help="With the files' names, which in an intake are names of patients."
)


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


@command("retry", example="mb-server job retry 482913007 --data /srv/medical-blocks")
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


@command("release", example="mb-server quarantine release 482913007 --data /srv/medical-blocks")
@_job_argument
@data_option
def quarantine_release(job: int, data: Path) -> None:
    """Let the cleaned output of the block pass.  The original never does."""
    from server.hooks.reviewing import release

    with changing(data, f"quarantine release {job}") as session:
        release(session, job, now_ms=now_ms())
    click.echo(f"Job {job} is released: its cleaned output appears in a moment.", err=True)


@command("reject", example="mb-server quarantine reject 482913007 --data /srv/medical-blocks")
@_job_argument
@data_option
def quarantine_reject(job: int, data: Path) -> None:
    """Nothing of this file ever appears.  It stays in the intake.  Undo: mb-server job retry."""
    from server.hooks.reviewing import reject

    with changing(data, f"quarantine reject {job}") as session:
        reject(session, job, now_ms=now_ms())
    click.echo(f"Job {job} is rejected.  Undo: mb-server job retry {job}", err=True)


# ---- one job -----------------------------------------------------------------------------------------------


@command("show", example="mb-server job show 482913007 --save held.dcm --data /srv/medical-blocks")
@_job_argument
@data_option
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Save the cleaned output that was held back to a new file too: what `release` lets pass, to the byte.",
)
@json_option
def show(job: int, data: Path, *, save: Path | None, as_json: bool) -> None:
    """One job, with the name of its file, the reasons and the block's report."""
    from server.hooks.reviewing import find_job

    if save is not None:
        asyncio.run(_save_held(data, job, save))
    with open_database(data) as database, database.reading() as session:
        found = find_job(session, job)
    _show([found], as_json=as_json, empty="", whole=True)


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
            operated(session, f"job show {job} --save", now_ms=now_ms())
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


# ---- withdrawing -------------------------------------------------------------------------------------------


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
    (job, (job_list, show, job_retry)),
    (quarantine, (quarantine_list, show, quarantine_release, quarantine_reject)),
):
    for member in members:
        group.add_command(member)


COMMANDS = (job, quarantine, withdraw)
