"""`mb-sync quarantine`, `job` and `withdraw`.

Owns: what blocks held back or could not do, as a person with the right to judge it sees it and decides.
May import: click, protocol, home, looked_at, operations, screens, folders, reach, words.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from protocol.errors import LocalProblem, NotFound, Refused
from protocol.names import name_key, shown
from sync_client import screens
from sync_client.commands.folders import view_of
from sync_client.commands.reach import server_api
from sync_client.commands.words import as_json, command, help_end, notice, pass_home, tell
from sync_client.home import ClientHome, read_account
from sync_client.looked_at import digest_seen, note_seen
from sync_client.operations import parse_remote

if TYPE_CHECKING:
    from uuid import UUID

    from protocol.hooks import Job, Withdrawn
    from protocol.http import ServerApi
    from protocol.messages import View
    from sync_client.engine.account import Account

REVIEW = "review"  # the right, as the server names it
_NOTHING_SEEN = "0" * 64  # no output has this digest
HELD = "held"
_remote = click.argument("remote", required=False)
_job = click.argument("job", type=click.IntRange(0), metavar="JOB")


@click.group("quarantine", epilog=help_end("mb-sync quarantine list"))
def quarantine() -> None:
    """Judge what a block held back: nothing of it appears before somebody decides."""


@quarantine.command("list", epilog=help_end("mb-sync quarantine list /Projects/Nerves/Intake"))
@_remote
@as_json
@pass_home
def quarantine_list(home: ClientHome, remote: str | None, *, as_json: bool) -> None:
    """List what waits for somebody, and why: everywhere that you may judge it, or in one folder."""
    _list(home, remote, HELD, "Nothing waits for you.", json_wanted=as_json)


@quarantine.command("show", epilog=help_end("mb-sync quarantine show 482913007"))
@_job
@as_json
@pass_home
def quarantine_show(home: ClientHome, job: int, *, as_json: bool) -> None:
    """Show one file that was held back, with the report of the block."""
    _, found = asyncio.run(_asked(read_account(home), job))
    words = "\n".join([*_lines(found, time.time()), *([shown(found.report)] if found.report else [])])
    tell(_facts(found) | {"report": found.report}, words, json_wanted=as_json)


@quarantine.command("fetch", epilog=help_end("mb-sync quarantine fetch 482913007 held.dcm"))
@_job
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--output", default="", metavar="WORD", help="Which one, where the block made several.")
@as_json
@pass_home
def quarantine_fetch(home: ClientHome, job: int, file: Path, *, output: str, as_json: bool) -> None:
    """Save the cleaned output to a new FILE, to look at it: what `release` lets pass, to the byte.

    It may still show who the patient is, so keep it where the original may lie, and delete it after.
    """
    size, digest = asyncio.run(_fetch(read_account(home), job, file, output))
    note_seen(home, job, digest)
    facts = {"job": job, "file": str(file), "size": size}
    tell(
        facts,
        f"{screens.path(str(file))}: {screens.size(size)}. Delete it when you have seen it.",
        json_wanted=as_json,
    )


@quarantine.command("release", epilog=help_end("mb-sync quarantine release 482913007"))
@_job
@as_json
@pass_home
def quarantine_release(home: ClientHome, job: int, *, as_json: bool) -> None:
    """Let the cleaned output pass that you fetched and looked at, and no other. The original never does."""
    from protocol.hooks import Release  # noqa: PLC0415 - msgspec: the --help of all commands reads this file

    seen = digest_seen(home, job)

    async def release(api: ServerApi, view: View, found: Job) -> Job:
        try:
            return await api.release(view.view, job, Release(held=seen or _NOTHING_SEEN))
        except Refused as error:
            if not found.held or found.held == seen:
                raise
            what = "Another output of it waits by now" if seen else "Nobody looked at it from this computer"
            raise LocalProblem(
                what, hint=f"Look first: mb-sync quarantine fetch {job} FILE; then release it."
            ) from error

    done = asyncio.run(_decided(read_account(home), job, release))
    tell(_facts(done), f"Job {job} is released: its cleaned output appears in a moment.", json_wanted=as_json)


@quarantine.command("reject", epilog=help_end("mb-sync quarantine reject 482913007"))
@_job
@as_json
@pass_home
def quarantine_reject(home: ClientHome, job: int, *, as_json: bool) -> None:
    """Let nothing of this file ever appear. It stays where it is."""

    async def reject(api: ServerApi, view: View, _: Job) -> Job:
        return await api.reject(view.view, job)

    done = asyncio.run(_decided(read_account(home), job, reject))
    tell(_facts(done), f"Job {job} is rejected. Undo: mb-sync job retry {job}", json_wanted=as_json)


@click.group("job", epilog=help_end("mb-sync job list --state failed"))
def job_group() -> None:
    """See what blocks made of the files of a folder, and have it done again."""


@job_group.command("list", epilog=help_end("mb-sync job list /Projects/Nerves --state failed"))
@_remote
@click.option("--state", "states", multiple=True, metavar="STATE", help="Only these: waiting, failed, …")
@as_json
@pass_home
def job_list(home: ClientHome, remote: str | None, *, states: tuple[str, ...], as_json: bool) -> None:
    """List the newest jobs: everywhere that you may see them, or of one folder."""
    _list(home, remote, ",".join(states), "There are no such jobs.", json_wanted=as_json)


@job_group.command("retry", epilog=help_end("mb-sync job retry 482913007"))
@_job
@as_json
@pass_home
def job_retry(home: ClientHome, job: int, *, as_json: bool) -> None:
    """Do a job again from the beginning."""

    async def retry(api: ServerApi, view: View, _: Job) -> Job:
        return await api.retry(view.view, job)

    done = asyncio.run(_decided(read_account(home), job, retry))
    tell(_facts(done), f"Job {job} is done again.", json_wanted=as_json)


@command("withdraw", "mb-sync withdraw /Projects/Nerves/Intake/Doe")
@click.argument("remote")
@as_json
@pass_home
def withdraw(home: ClientHome, remote: str, *, as_json: bool) -> None:
    """Take a file or folder of an intake out together with all that blocks made of it.

    All of it goes to the trash, wherever it was moved to. Copies that people made by hand stay: the operator's
    `mb-server withdraw` names them.
    """
    done = asyncio.run(_withdrawn(read_account(home), parse_remote(remote)))
    facts = {"sources": done.sources, "derived": done.derived, "jobs": done.jobs}
    words = (
        f"In the trash now: {screens.count_of(done.sources, 'file')} of {screens.shown_remote(remote)},"
        f" and {screens.count_of(done.derived, 'file')} that blocks made of them.\n"
        "Undo, by a reviewer: restore the sources (mb-sync trash); blocks then do them again."
    )
    tell(facts, words, json_wanted=as_json)


# ---- at the server -----------------------------------------------------------------------------------------


@asynccontextmanager
async def _server(account: Account) -> AsyncIterator[ServerApi]:
    async with server_api(account.server, account.token, trust=account.trust) as api:
        yield api


async def _listed(account: Account, remote: str | None, states: str) -> list[Job]:
    async with _server(account) as api:
        views = (await api.views()).views
        views = [view_of(views, remote)[0]] if remote else [view for view in views if REVIEW in view.rights]
        found: list[Job] = []
        for view in views:
            after = ""
            while True:
                page = await api.jobs(view.view, states=states, after=after)
                found += page.jobs
                if not (after := page.next) or (states != HELD and len(found) >= 1_000):
                    break
        return sorted({job.job: job for job in found}.values(), key=lambda job: job.job)


async def _found(api: ServerApi, job: int) -> tuple[View, Job]:
    """The job, and a view that shows it.  Raises NotFound."""
    for view in (await api.views()).views:
        if REVIEW in view.rights:
            with suppress(NotFound):
                return view, await api.job(view.view, job)
    raise NotFound(f"There is no job {job} for you", hint="`mb-sync quarantine list` shows what waits.")


async def _withdrawn(account: Account, remote: str) -> Withdrawn:
    """remote: a folder, or a file that its folder lists.  Raises NotFound."""
    async with _server(account) as api:
        view, inside = view_of((await api.views()).views, remote)
        try:
            node = (await api.listing(view.view, inside)).node
        except NotFound:
            node = await _file_at(api, view, inside)
        return await api.withdraw(view.view, node)


async def _file_at(api: ServerApi, view: View, inside: str) -> UUID:
    folder, _, name = inside.rpartition("/")
    after = ""
    while True:
        page = await api.listing(view.view, folder or "/", after)
        for item in page.items:
            if name_key(item.name) == name_key(name):
                return item.node
        if not (after := page.next):
            raise NotFound(f"There is no {view.name}{inside}", hint="`mb-sync ls` shows what there is.")


async def _asked(account: Account, job: int) -> tuple[View, Job]:
    async with _server(account) as api:
        return await _found(api, job)


async def _decided(
    account: Account, job: int, decide: Callable[[ServerApi, View, Job], Awaitable[Job]]
) -> Job:
    async with _server(account) as api:
        return await decide(api, *await _found(api, job))


async def _fetch(account: Account, job: int, file: Path, output: str) -> tuple[int, str]:
    """To a file that is whole or not there: its size, and the digest of what waits.

    Raises LocalProblem: there is one, it cannot be written, or another output waits since.
    """
    if file.exists():
        raise LocalProblem(f"{shown(str(file))} is there already", hint="Name a file that is not.")
    part = file.with_name(f".{file.name}.part")
    try:
        async with _server(account) as api:
            view, found = await _found(api, job)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as writing:
                async for piece in api.held(view.view, job, output):
                    writing.write(piece)
            if (await api.job(view.view, job)).held != found.held:
                raise LocalProblem("It was made anew just now", hint="Fetch it once more.")
        part.rename(file)
    except OSError as error:
        raise LocalProblem(
            f"{shown(str(file))} cannot be written ({error.strerror})", hint="Name another place."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return file.stat().st_size, found.held


# ---- what a person sees ------------------------------------------------------------------------------------


def _list(home: ClientHome, remote: str | None, states: str, empty: str, *, json_wanted: bool) -> None:
    account = read_account(home)
    found = asyncio.run(_listed(account, parse_remote(remote) if remote else None, states))
    now = time.time()
    tell(
        [_facts(one) for one in found],
        "\n".join(line for one in found for line in _lines(one, now)) or empty,
        json_wanted=json_wanted,
    )
    if found and states == HELD and not json_wanted and sys.stdout.isatty():
        notice("Look: mb-sync quarantine fetch JOB FILE   Then: mb-sync quarantine release|reject JOB")


def _lines(job: Job, now: float) -> list[str]:
    when = screens.ago(job.ended_at_ms or job.made_at_ms, now)
    lines = [
        f"{job.job:>6}  {job.state:<11}  {screens.shown_remote(f'{job.folder}/{job.file}')}",
        f"        {job.block}, {when}" + ("; a cleaned output can be looked at" if job.held else ""),
    ]
    return lines + [f"        {reason.code}: {shown(reason.text)}" for reason in job.reasons]


def _facts(job: Job) -> dict[str, Any]:
    return {
        "job": job.job,
        "state": job.state,
        "block": job.block,
        "rule": job.rule,
        "folder": job.folder,
        "file": job.file,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in job.reasons],
        "can_release": bool(job.held),
        "tries": job.tries,
        "made_at_ms": job.made_at_ms,
        "ended_at_ms": job.ended_at_ms,
    }


COMMANDS = (quarantine, job_group, withdraw)
