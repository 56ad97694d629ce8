"""What `mb-sync doctor` looks at: the server, this computer, the client home, the followed folders.

Owns: the checks, their order, how each is looked up.  Changes nothing, and works with and without a running client.
May import: the standard library, protocol, control, home, lock, token_keeping, doctor.findings,
engine.file_systems.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from protocol.errors import MedicalBlocksError, NotSignedIn, NotTrusted
from protocol.http import ServerApi
from protocol.names import STATE_FOLDER, shown
from protocol.patience import Patience
from protocol.server_address import is_loopback_address
from sync_client import screens, token_keeping
from sync_client.control import NotRunning, TimeIsUp, ask
from sync_client.doctor import findings
from sync_client.doctor.findings import Finding, error, ok, warning
from sync_client.engine.file_systems import kind_of
from sync_client.home import SIGN_IN_AGAIN, ClientHome, NotSignedInHere, read_account, read_identity
from sync_client.lock import is_held
from sync_client.token_keeping import Kept

if TYPE_CHECKING:
    from sync_client.engine.account import Account

PATIENCE = Patience(tries=2, total_seconds=10.0)  # somebody sits there and looks at it
MOST_FOLDERS = 200_000  # are counted for the watches, and for so long
COUNT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
STARTS = "starts-at-login"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Followed:
    """A followed folder, as the client home remembers it."""

    local: Path
    remote: str


def examine(home: ClientHome, *, starts_at_login: bool) -> Iterator[Finding]:
    """All checks, in the order in which they help each other."""
    yield from _home(home)
    yield from asyncio.run(_server(home))
    with suppress(MedicalBlocksError):  # it was said just before
        if read_identity(home).server is not None:
            yield _token(home)
    yield from _state(home)
    yield _running(home)
    yield _start(starts=starts_at_login)
    folders, _ = followed(home)
    if folders:
        yield from _watches(folders)
    for number, folder in enumerate(folders, 1):
        yield from _folder(folder, number)


# ---- the client home -------------------------------------------------------------------------------------


def _home(home: ClientHome) -> Iterator[Finding]:
    place = screens.path(str(home.path))
    if not home.path.is_dir():
        return  # nobody is signed in here: that is said next
    yield findings.home_file_system(place, kind_of(home.path))
    mode = stat.S_IMODE(home.path.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        yield warning(
            "home-rights",
            f"Others may look into the client home (mode {mode:04o})",
            f"chmod 700 {place}",
            mode=f"{mode:04o}",
        )
    else:
        yield ok("home-rights", "Only you may look into it", mode=f"{mode:04o}")
    yield findings.room("home-room", "the client home", shutil.disk_usage(home.path).free)


def _state(home: ClientHome) -> Iterator[Finding]:
    state = home.path / "state.db"
    if not state.exists():
        yield ok("state", "MB-Sync has no records yet: no folder is followed", rows=0)
        return
    try:
        said = read_state(home, _checked)
    except sqlite3.Error as fault:
        code = getattr(fault, "sqlite_errorname", "") or type(fault).__name__
        yield error(
            "state",
            f"MB-Sync's own records (state.db) cannot be read ({code})",
            "Start MB-Sync: damaged ones are made anew by themselves, and nothing is deleted or sent twice.",
            code=code,
        )
        return
    if said is None:
        yield ok("state", "MB-Sync's own records were not closed; the next start looks at them", closed=False)
    elif said[0] != "ok":
        yield error(
            "state",
            "MB-Sync's own records (state.db) are damaged",
            "Stop and start MB-Sync: they are made anew by themselves, and nothing is deleted or sent twice.",
            rows=said[1],
        )
    else:
        yield ok("state", f"MB-Sync's own records are sound ({said[1]:,} items)", rows=said[1])


def _checked(database: sqlite3.Connection) -> tuple[str, int]:
    verdict = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    return verdict, int(database.execute("SELECT count(*) FROM nodes").fetchone()[0])


def read_state(home: ClientHome, look: Callable[[sqlite3.Connection], T]) -> T | None:
    """What `look` finds in `state.db`, whether or not a client works with it; nothing is written, not even a log.

    None: nobody works with it and it was not closed.  Raises sqlite3.Error.
    """
    state = home.path / "state.db"
    is_open = is_held(home.lock)
    if not is_open and state.with_name("state.db-wal").exists():
        return None
    how = "mode=ro" if is_open else "immutable=1"
    with closing(
        sqlite3.connect(f"{state.absolute().as_uri()}?{how}", uri=True, timeout=ANSWER_SECONDS)
    ) as database:
        return look(database)


def followed(home: ClientHome) -> tuple[list[Followed], bool]:
    """The followed folders, and whether they could be told."""

    def rows(database: sqlite3.Connection) -> list[Followed]:
        found = database.execute("SELECT local, remote FROM folders ORDER BY id").fetchall()
        return [Followed(Path(local), remote) for local, remote in found]

    try:
        if (home.path / "state.db").exists():
            found = read_state(home, rows)
            return found or [], found is not None
    except sqlite3.Error:
        return [], False
    return [], True


def _running(home: ClientHome) -> Finding:
    try:
        status = ask(home.path, "status", seconds=ANSWER_SECONDS)
    except NotRunning:
        return warning("client", "MB-Sync is not running", "Start it with `mb-sync start`.", running=False)
    except TimeIsUp:
        hint = "Stop it with `mb-sync stop` and start it again."
        return error("client", "MB-Sync runs but does not answer", hint, running=True)
    state = str(status["state"])
    words = f"MB-Sync is running: {shown(status['words'])}"
    if state in ("error", "attention"):
        return warning(
            "client", words, "`mb-sync status` lists what is in the way.", running=True, state=state
        )
    return ok("client", words, running=True, state=state)


def _start(*, starts: bool) -> Finding:
    if starts:
        return ok(STARTS, "MB-Sync starts at login", starts=True)
    return ok(STARTS, "MB-Sync does not start at login; `mb-sync autostart on` would do that", starts=False)


def _token(home: ClientHome) -> Finding:
    """Where the token of this computer is kept, and who else may read it there."""
    identity = read_identity(home)
    given = token_keeping.given_file(identity.token_file)
    if given is None and identity.kept is Kept.KEYRING:
        return ok("token", "The sign-in of this computer is kept in the system's keyring", kept="keyring")
    file = given or home.token
    kept = "given" if given else "file"
    place = screens.path(str(file))
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0
    if sys.platform != "win32" and mode & 0o077:
        words = f"Others may read the sign-in of this computer in {place} (mode {mode:04o})"
        return warning("token", words, f"chmod 600 {place}", kept=kept, mode=f"{mode:04o}")
    words = f"The sign-in of this computer is kept in a file that only you may read: {place}"
    if given is None and token_keeping.find_keyring() is not None:
        hint = "This system has a keyring: sign in again with `mb-sync login`, and it is kept there."
        return warning("token", words, hint, kept=kept, mode=f"{mode:04o}")
    return ok("token", words, kept=kept, mode=f"{mode:04o}")


# ---- the server ------------------------------------------------------------------------------------------


async def _server(home: ClientHome) -> list[Finding]:
    try:
        identity = read_identity(home)
        if identity.server is None:
            raise NotSignedInHere
        account = read_account(home)
    except MedicalBlocksError as fault:
        return [error("account", fault.what, fault.hint, code=fault.code)]
    found = [_proxy(account)]
    async with ServerApi(account.server, account.token, patience=PATIENCE, trust=account.trust) as api:
        began = time.monotonic()
        try:
            hello = await api.hello()
        except NotTrusted as fault:
            return [*found, error("certificate", fault.what, fault.hint, code=fault.code)]
        except MedicalBlocksError as fault:
            return [*found, error("server", fault.what, fault.hint, code=fault.code)]
        milliseconds = round((time.monotonic() - began) * 1_000)
        words = f"{account.server} answers ({hello.product} {hello.version}, after {milliseconds} ms)"
        found.append(ok("server", words, version=hello.version, milliseconds=milliseconds))
        found.append(_certificate(account))
        if (ahead := ahead_seconds(api.said_date, time.time())) is not None:
            found.append(findings.clock(ahead))
        try:
            views = await api.views()
        except NotSignedIn:
            return [*found, error("account", *SIGN_IN_AGAIN.split(". ", 1), code="not-signed-in")]
        except MedicalBlocksError as fault:
            return [*found, error("account", fault.what, fault.hint, code=fault.code)]
    words = f"Signed in as {account.user}, and the server knows this computer as {account.device_name}"
    return [*found, ok("account", words, views=len(views.views))]


def _certificate(account: Account) -> Finding:
    if account.server.startswith("http:"):
        return ok("certificate", "The server is on this computer: nothing to encrypt", kind="none")
    if account.trust.authority:
        return ok(
            "certificate", "Its certificate is of the authority that this computer was told", kind="pinned"
        )
    return ok("certificate", "Its certificate is of an authority that this system trusts", kind="system")


def _proxy(account: Account) -> Finding:
    """Which way the client goes; protocol.http decides it just so."""
    parts = urlsplit(account.server)
    if account.trust.proxy:
        said = urlsplit(account.trust.proxy)
        return ok(
            "proxy", f"By the proxy {said.hostname}:{said.port or 80}, as given at sign-in", kind="sign-in"
        )
    if parts.scheme == "https" and not is_loopback_address(account.server):
        named = getproxies().get("https", "")
        if named and not proxy_bypass(parts.netloc):
            said = urlsplit(named)
            return ok(
                "proxy", f"By the proxy {said.hostname}:{said.port or 80} of HTTPS_PROXY", kind="environment"
            )
    return ok("proxy", "No proxy is on the way", kind="none")


def ahead_seconds(said_date: str, now: float) -> float | None:
    """How far this clock is before the one that wrote the header `Date`; None: it wrote none."""
    try:
        return now - parsedate_to_datetime(said_date).timestamp()
    except (TypeError, ValueError):
        return None


# ---- the followed folders --------------------------------------------------------------------------------


def _watches(folders: list[Followed]) -> Iterator[Finding]:
    limit_file = Path("/proc/sys/fs/inotify/max_user_watches")
    try:
        limit = int(limit_file.read_text("ascii"))
    except (OSError, ValueError):  # another system, with no such limit
        return
    counted, whole = 0, True
    ends = time.monotonic() + COUNT_SECONDS
    for folder in folders:
        for _, below, _ in os.walk(folder.local):
            below[:] = [name for name in below if name != STATE_FOLDER]
            counted += 1
            if counted >= MOST_FOLDERS or time.monotonic() > ends:
                whole = False
                break
    yield findings.watches(limit, counted, counted_all=whole)


def _folder(folder: Followed, number: int) -> Iterator[Finding]:
    place = screens.path(str(folder.local))
    if not folder.local.is_dir():
        yield error(
            "folder",
            f"{place} is not there",
            "Bring its disk back; or stop following it with `mb-sync remove`. Nothing is taken for deleted.",
            folder=number,
            code="gone",
        )
        return
    if not (folder.local / STATE_FOLDER / "marker.json").is_file():
        yield error(
            "folder",
            f"{place} has lost its marker",
            "Another disk may be mounted there. If it is the folder after all, `mb-sync remove` and `add` it again.",
            folder=number,
            code="no-marker",
        )
    elif not os.access(folder.local, os.R_OK | os.W_OK | os.X_OK):
        yield error(
            "folder", f"You may not write in {place}", "Change its permissions.", folder=number, code="rights"
        )
    else:
        yield ok("folder", f"{place} can be read and written", folder=number)
    yield findings.file_system(place, kind_of(folder.local), folder=number)
    yield findings.room("folder-room", place, shutil.disk_usage(folder.local).free, folder=number)
