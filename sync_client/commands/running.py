"""`mb-sync start`, `stop`, `run` and `once`.

Owns: the process in which the engine works.
May import: click, protocol, control, daemon, home, lock, progress, reach.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from contextlib import suppress

import click

from protocol.errors import LocalProblem, Refused
from sync_client import quick, screens
from sync_client.commands.reach import LOOK_SECONDS, alone_in, opened_engine
from sync_client.commands.words import as_json, command, pass_home, tell
from sync_client.control import Json, NotRunning, ask
from sync_client.control_server import ControlServer
from sync_client.daemon import Daemon
from sync_client.home import ClientHome, read_account
from sync_client.lock import holder, is_held
from sync_client.logs import log_to
from sync_client.operations import perform
from sync_client.progress import Tell, shown_progress

START_SECONDS = 30.0
STOP_SECONDS = 30.0
WHILE_ONCE = frozenset({"status", "filestatus", "activity", "conflicts"})  # what only looks


@command("start", "mb-sync start")
@as_json
@pass_home
def start(home: ClientHome, *, as_json: bool) -> None:
    """Start syncing in the background."""
    read_account(home)
    home.make()
    try:
        running = ask(home.path, "ping")
    except NotRunning:
        pid = _start(home)
        tell({"pid": pid, "started": True}, f"MB-Sync is running (process {pid}).", json_wanted=as_json)
    else:
        pid = running["pid"]
        tell(
            {"pid": pid, "started": False},
            f"MB-Sync is running already (process {pid}).",
            json_wanted=as_json,
        )


def _start(home: ClientHome) -> int:
    """Start the background process and wait until it answers; its process number."""
    words = home.log / "start.txt"
    with words.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this program itself
            # -P: a folder in which somebody types this may hold a `protocol` of its own
            [sys.executable, "-P", "-m", "sync_client", "--home", str(home.path), "run", "--background"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=home.path,
        )
    ends = time.monotonic() + START_SECONDS
    while True:
        is_over = process.poll() is not None or time.monotonic() > ends
        try:  # also when it has ended: it gives way to another one, and that one answers
            return int(ask(home.path, "ping")["pid"])
        except NotRunning:
            if is_over:
                break
        time.sleep(LOOK_SECONDS)
    said = words.read_text("utf-8", "replace").strip().splitlines()
    raise LocalProblem(
        "MB-Sync did not start",
        hint=(said[-1].removeprefix("mb-sync: ") if said else f"Look into {home.log}."),
    )


@command("stop", "mb-sync stop")
@as_json
@pass_home
def stop(home: ClientHome, *, as_json: bool) -> None:
    """End the background process; returns when it has ended."""
    pid = stop_running(home)
    words = "MB-Sync was not running." if pid is None else "MB-Sync has stopped."
    tell({"pid": pid, "stopped": pid is not None}, words, json_wanted=as_json)


def stop_running(home: ClientHome) -> int | None:
    """Stop the client that runs in `home` and wait for its end; None if there was none."""
    pid = None
    ends = time.monotonic() + STOP_SECONDS
    while True:
        if pid is None:
            with suppress(NotRunning):  # and yet one that begins, or ends already, may hold the home
                pid = int(ask(home.path, "stop")["pid"])
        if not is_held(home.lock):
            return pid
        if time.monotonic() > ends:
            which = holder(home.lock)
            raise LocalProblem(
                f"MB-Sync (process {which}) does not end",
                hint=f"End it with `kill {which}`; nothing is lost.",
            )
        time.sleep(LOOK_SECONDS)


@command("run", "mb-sync run")
@click.option("--background", is_flag=True, hidden=True)
@pass_home
def run(home: ClientHome, *, background: bool) -> None:
    """Sync in the foreground until Ctrl-C, with plain log lines."""
    read_account(home)
    home.make()
    with alone_in(home):
        log_to(home.log, on_screen=not background)
        _share_the_interpreter()
        asyncio.run(_daemon(home))


async def _daemon(home: ClientHome) -> None:
    await Daemon(home).run()


def _share_the_interpreter() -> None:
    """Cutting gives up the interpreter lock per chunk and wants it back soon (measured: 0.23 to 1.2 GB/s).  A first
    sync makes a million values that hold no cycle: looking for one less often saves a tenth of its time."""
    sys.setswitchinterval(0.0005)
    gc.set_threshold(50_000, 50, 50)


@command("once", "mb-sync once", "0 all synced · 1 error · 2 usage · 3 some items could not be synced")
@as_json
@pass_home
def once(home: ClientHome, *, as_json: bool) -> int:
    """Sync until nothing is left to do, then end."""
    read_account(home)
    home.make()
    with alone_in(home):
        log_to(home.log, on_screen=False)
        _share_the_interpreter()
        with shown_progress() as told:
            synced, status = asyncio.run(_once(home, told))
    if as_json:
        click.echo(json.dumps({"synced": synced} | status))
    else:
        click.echo(screens.status_screen(status, screens.painter(colours=screens.has_colours())))
    return quick.DONE if synced else quick.ITEMS_IN_ERROR


async def _once(home: ClientHome, told: Tell) -> tuple[bool, Json]:
    async with opened_engine(home) as engine:

        async def handle(do: str, arguments: dict[str, Json]) -> Json:
            if do not in WHILE_ONCE:
                raise Refused(
                    f"`mb-sync once` is at work (process {os.getpid()})",
                    hint="Wait for its end, or press Ctrl-C there.",
                )
            return await perform(engine, do, arguments)

        def tell_progress(status: Json) -> None:
            if status["progress"]:
                told(status["progress"])

        async with ControlServer(home.path, handle):
            synced = await engine.once(tell_progress)
        return synced, engine.status()


COMMANDS = (start, stop, run, once)
