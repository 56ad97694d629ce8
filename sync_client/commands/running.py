"""`mb-sync start`, `stop`, `run`, `once` and `limit`.

Owns: the process in which the engine works.
May import: click, protocol, control, daemon, home, lock, own_program, progress, reach.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress

import click

from protocol.errors import LocalProblem, Refused
from sync_client import quick, screens
from sync_client.commands.reach import LOOK_SECONDS, alone_in, opened_engine, reach
from sync_client.commands.words import as_json, command, pass_home, tell
from sync_client.control import Json, NotRunning, ask
from sync_client.control_server import ControlServer
from sync_client.daemon import Daemon
from sync_client.home import ClientHome, require_sign_in
from sync_client.lock import holder, is_held
from sync_client.logs import log_to, tell_fault
from sync_client.operations import perform
from sync_client.own_program import own_environment, own_program
from sync_client.progress import Tell, shown_progress

START_SECONDS = 30.0
STOP_SECONDS = 30.0
LEAST_RATE = 20_000  # bytes a second: slower, and a server takes us for one that ties it up
WHILE_ONCE = frozenset({"status", "filestatus", "activity", "conflicts"})  # what only looks


@command("start", "mb-sync start")
@as_json
@pass_home
def start(home: ClientHome, *, as_json: bool) -> None:
    """Start syncing in the background."""
    require_sign_in(home)
    home.make()
    try:
        running = ask(home.path, "ping")
    except NotRunning:
        pid = start_background(home)
        tell({"pid": pid, "started": True}, f"MB-Sync is running (process {pid}).", json_wanted=as_json)
    else:
        pid = running["pid"]
        tell(
            {"pid": pid, "started": False},
            f"MB-Sync is running already (process {pid}).",
            json_wanted=as_json,
        )


def start_background(home: ClientHome) -> int:
    """Start the background process and wait until it answers; its process number.  Raises LocalProblem."""
    words = home.log / "start.txt"
    with words.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this program itself
            [*own_program("sync_client"), "--home", str(home.path), "run", "--background"],
            env=own_environment(),
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
    require_sign_in(home)
    home.make()
    with alone_in(home):
        log_to(home.log, on_screen=not background)
        if background:
            sys.excepthook = tell_fault
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
    require_sign_in(home)
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


@command("scan", "mb-sync scan ~/Study --every 5m")
@click.argument("folder", required=False)
@click.option("--every", metavar="T", help="Look at all of FOLDER so often: 30s, 5m, 2h (10s to 24h).")
@click.option(
    "--usual",
    is_flag=True,
    help="Every 15 minutes; every minute where the system does not tell of all.",
)
@as_json
@pass_home
def scan(home: ClientHome, folder: str | None, every: str | None, *, usual: bool, as_json: bool) -> None:
    """Show or set how often a followed folder is looked at as a whole.

    What the system tells of is synced at once, whatever stands here. On a network file system it does not tell what
    other computers change: that is found by looking. A look that takes long makes the next one come later.
    """
    if (every is not None or usual) and folder is None:
        raise click.UsageError("Name the followed folder: mb-sync scan FOLDER --every 5m.")
    if every is not None and usual:
        raise click.UsageError("Say --every or --usual.")
    where = None if folder is None else quick.absolute(os.path.expanduser(folder))
    if every is None and not usual:
        found = reach(home, "scan")
    else:
        found = reach(home, "scan", folder=where, every_seconds=None if usual else _span(every or ""))
    found = [one for one in found if where in (None, one["local"])]
    if where is not None and not found:
        raise LocalProblem(f"{where} is not a followed folder", hint="`mb-sync status` lists them.")
    tell(found, screens.scan_screen(found), json_wanted=as_json)


def _span(text: str) -> int:
    """Seconds.  Raises click.UsageError."""
    found = re.fullmatch(r"(\d{1,6})([smh])", text, re.ASCII)
    if not found:
        raise click.UsageError(f"{text!r} is no time: give 30s, 5m or 2h.")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3_600}[found[2]]


@command("limit", "mb-sync limit --up 2M --down 5M --at 08:00-18:00")
@click.option("--up", metavar="RATE", help="Send at most so many bytes a second: 500K, 2M; `off`: no limit.")
@click.option("--down", metavar="RATE", help="Receive at most so many bytes a second.")
@click.option("--at", "hours", metavar="HH:MM-HH:MM", help="Only at these hours; `always`: at all.")
@click.option("--off", is_flag=True, help="As fast as it goes, at all hours.")
@click.option(
    "--new-folders",
    metavar="SIZE",
    help="A folder that is new on the server and larger waits for you: 500M, 10G; `off`: none does.",
)
@as_json
@pass_home
def limit(
    home: ClientHome,
    up: str | None,
    down: str | None,
    hours: str | None,
    new_folders: str | None,
    *,
    off: bool,
    as_json: bool,
) -> None:
    """Show or set how fast this computer sends and receives, and how large a new folder comes unasked.

    It counts at once. What waits is told by `mb-sync status`.
    """
    limits = reach(home, "limit")
    changed = dict(limits)
    if off:
        changed |= dict.fromkeys(("up", "down", "begins", "ends"))
    if new_folders is not None:
        changed["new_folders"] = _size(new_folders)
    if up is not None:
        changed["up"] = _rate(up)
    if down is not None:
        changed["down"] = _rate(down)
    if hours is not None:
        changed["begins"], changed["ends"] = _hours(hours)
    if changed != limits:
        limits = reach(home, "limit", limits=changed)
    tell(limits, screens.limits_screen(limits), json_wanted=as_json)


def _bytes(text: str, more: str = "") -> int:
    """500K, 2M, 10G; 0: it is none of these."""
    found = re.fullmatch(rf"(\d+(?:\.\d+)?)([kKmMgGtT]?)[bB]?{more}", text, re.ASCII)
    scale = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
    return int(float(found[1]) * scale[found[2].lower()]) if found else 0


def _size(text: str) -> int | None:
    """Bytes.  Raises click.UsageError."""
    if text == "off":
        return None
    size = _bytes(text)
    if not 0 < size < 1e18:
        raise click.UsageError(f"{text!r} is no size of a folder: give 500M, 10G or `off`.")
    return size


def _rate(text: str) -> int | None:
    """Bytes a second.  Raises click.UsageError."""
    if text == "off":
        return None
    rate = _bytes(text, "(?:/s)?")
    if not LEAST_RATE <= rate < 1e12:
        raise click.UsageError(
            f"{text!r} is no limit: give 20K a second or more, such as 500K or 2M, or `off`."
        )
    return rate


def _hours(text: str) -> tuple[int | None, int | None]:
    """Minutes of the day.  Raises click.UsageError."""
    if text == "always":
        return None, None
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-4]):([0-5]\d)", text)
    if not found:
        raise click.UsageError(f"{text!r} are no hours: write 08:00-18:00, 22:00-06:00 or `always`.")
    return int(found[1]) * 60 + int(found[2]), (int(found[3]) * 60 + int(found[4])) % 1440


COMMANDS = (start, stop, run, once, limit, scan)
