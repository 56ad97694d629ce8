"""The commands of `mb-synclight` that bring, read or let go of files.

Owns: which of them works itself and which asks the process that works in the same home.
May import: asyncio, argparse, protocol, sync_client.{lock,logs,operations,screens}, engine.claiming, synclight.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from protocol.errors import LocalProblem, MedicalBlocksError, NotSignedIn
from protocol.http import ServerApi
from protocol.names import shown
from sync_client import screens
from sync_client.engine.claiming import let_go, refuse_others
from sync_client.lock import HomeInUse, holder, is_held, only_one
from sync_client.logs import log_to
from sync_client.operations import check_local
from synclight.cli import DONE, ERROR, ITEMS_IN_ERROR
from synclight.hiding import read_secret
from synclight.home import Follow, LightHome, find_home
from synclight.keeping import Keeper
from synclight.progress import Teller
from synclight.redeeming import given_trust, read_code, redeem
from synclight.running import forget, run_all
from synclight.verifying import Verified, checksum_line, verify_files
from synclight.words import answer_of, in_our_words

ASKED_SECONDS = 30.0  # how long the process that works is given to do what it is asked
LOG_NAME = "mb-synclight.log"


def follow(asked: argparse.Namespace) -> int:
    """`mb-synclight [CODE FOLDER]`."""
    home = find_home(asked.home)
    teller = Teller()
    new: Follow | None = None
    if asked.code is not None:
        link = read_code(read_secret(asked.code, what="sync code or link"), asked.server)
        pin = read_secret(asked.pin, what="PIN") if asked.pin is not None else None
        local = _checked(home, asked.folder)
        home.make()
        if not asked.take_over:
            refuse_others(local, home.device())
        way = given_trust(asked.ca, asked.proxy)
        new = asyncio.run(redeem(home, link, local, way=way, pin=pin, teller=teller))
        if asked.take_over:
            let_go(local, home.device())
    elif not home.follows():
        raise LocalProblem(
            "No folder is followed yet",
            hint="Begin with `mb-synclight - FOLDER` and paste the code or the link.",
        )
    home.make()
    try:
        with only_one(home.lock):
            log_to(home.log, on_screen=False, name=LOG_NAME)
            return _once(home, new, teller, as_json=asked.json) if asked.once else _keep_on(home, teller)
    except HomeInUse as error:
        if new is None or asked.once:
            raise LocalProblem(
                f"MB-SyncLight is at work in {home.path} already (process {holder(home.lock)})",
                hint="`mb-synclight list` shows how it stands.",
            ) from error
    teller.say(
        f"MB-SyncLight (process {holder(home.lock)}) goes on with it: `mb-synclight list` shows how it stands."
    )
    return DONE


def _checked(home: LightHome, folder: Path) -> Path:
    """Where the files are to lie; a folder that is followed already is for the new code to decide."""
    others = [one.folder for one in home.follows() if one.folder != folder.resolve()]
    return check_local(Path(os.path.abspath(folder.expanduser())), others, home.path)


def _keep_on(home: LightHome, teller: Teller) -> int:
    for one in home.follows():
        if one.shared.ended:
            teller.say(
                f"{screens.MARKS['error']} {screens.path(one.shared.folder)}: {shown(one.shared.ended)}"
            )
    return DONE if asyncio.run(run_all(home, teller)) else ERROR


def _once(home: LightHome, new: Follow | None, teller: Teller, *, as_json: bool) -> int:
    """new: that one alone.  The worst of the exit codes."""
    code = DONE
    chosen = [new] if new is not None else home.follows()
    for one in chosen:
        if one.shared.ended:
            teller.say(
                f"{screens.MARKS['error']} {screens.path(one.shared.folder)}: {shown(one.shared.ended)}"
            )
            code = ERROR
            continue
        try:
            synced = asyncio.run(Keeper(one, teller).once())
        except NotSignedIn:
            code = ERROR  # why was said, and written down
        except MedicalBlocksError as error:
            if not as_json and len(chosen) == 1:
                raise
            teller.say(
                f"{screens.MARKS['error']} {screens.path(one.shared.folder)}: {shown(in_our_words(str(error)))}"
            )
            code = ERROR
        else:
            code = max(code, DONE if synced else ITEMS_IN_ERROR) if code != ERROR else ERROR
    if as_json:
        print(json.dumps([answer_of(one, running=False) for one in chosen]))
    return code


def verify(asked: argparse.Namespace) -> int:
    found = _followed(find_home(asked.home), asked.folder)
    results = asyncio.run(_verify(found))
    good = [one for one in results if not one.why]
    lines = "".join(checksum_line(one) + "\n" for one in good)
    if asked.checksums is not None:
        try:
            Path(asked.checksums).write_text(lines, encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise LocalProblem(
                f"{asked.checksums} cannot be written ({error.strerror})", hint="Choose another place."
            ) from error
    elif not asked.json:
        sys.stdout.write(lines)
    bad = [one for one in results if one.why]
    if asked.json:
        files = [
            {"path": one.path, "bytes": one.size, "sha256": one.sha256, "why": one.why} for one in results
        ]
        print(json.dumps({"same": not bad, "files": files}))
    size = screens.size(sum(one.size for one in good))
    print(f"{screens.count_of(len(good), 'file')} ({size}) as shared", file=sys.stderr)
    for one in bad:
        print(f"{screens.MARKS['error']} {screens.path(one.path)}: {one.why}", file=sys.stderr)
    return ITEMS_IN_ERROR if bad else DONE


async def _verify(follow: Follow) -> list[Verified]:
    teller = Teller()
    account, shared = follow.account(), follow.shared
    async with ServerApi(account.server, account.token, trust=account.trust) as api:
        return await verify_files(api, shared.view, Path(shared.folder), teller.count)


def apply(asked: argparse.Namespace) -> int:
    home = find_home(asked.home)
    found = _followed(home, asked.folder)
    if not any(problem["code"] == "guard" for problem in found.state.problems):
        raise LocalProblem(
            f"Nothing waits for a decision in {asked.folder}", hint="`mb-synclight list` says how it stands."
        )
    found.ask("apply")
    words = (
        "It goes on." if is_held(home.lock) else "It goes on as soon as MB-SyncLight runs: `mb-synclight`."
    )
    print(words, file=sys.stderr)
    return DONE


def remove(asked: argparse.Namespace) -> int:
    home = find_home(asked.home)
    found = _followed(home, asked.folder)
    folder = found.shared.folder
    ends = time.monotonic() + ASKED_SECONDS
    found.ask("remove")
    while found.path.exists():
        with suppress(HomeInUse), only_one(home.lock):
            forget(found)
            break
        if time.monotonic() > ends:
            raise LocalProblem(
                f"MB-SyncLight (process {holder(home.lock)}) does not let go of {folder}",
                hint=f"End it with `kill {holder(home.lock)}` and try again; nothing is lost.",
            )
        time.sleep(0.05)
    print(f"{screens.path(folder)} is not followed any more. Every file stays where it is.", file=sys.stderr)
    return DONE


def _followed(home: LightHome, folder: Path) -> Follow:
    found = home.following(folder.expanduser())
    if found is None:
        raise LocalProblem(f"{folder} is not followed", hint="`mb-synclight list` shows what is.")
    return found


COMMANDS = {
    "verify": verify,
    "apply": apply,
    "remove": remove,
}
