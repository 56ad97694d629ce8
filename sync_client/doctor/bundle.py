"""The support bundle: one zip that tells how MB-Sync does here, and nothing about whom or what it serves.

Owns: what is in it, in which form; that it is written whole or not at all.
May import: the standard library, protocol.errors, control, home, lock, doctor.

No name of a person, computer, folder or file, no path, no address, no secret: what is told is counted, or stands in a
closed list of codes.  docs/use.md says so to people, and tests search every byte for what was planted.
"""

from __future__ import annotations

import getpass
import io
import json
import os
import platform
import sqlite3
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from protocol.errors import LocalProblem, MedicalBlocksError
from sync_client.control import NotRunning, TimeIsUp, ask
from sync_client.doctor.findings import Finding
from sync_client.doctor.looking import Followed, followed, read_state
from sync_client.doctor.redacting import Redactor
from sync_client.home import ClientHome, read_identity

MAX_LOG_BYTES = 4_000_000  # the newest of each
ANSWER_SECONDS = 10.0
STATES = frozenset({"starting", "synced", "syncing", "paused", "offline", "attention", "error"})
ROOTS = frozenset({"Home", "Projects", "Shared"})
LIBRARIES = (
    *(
        "aiohttp",
        "click",
        "cryptography",
        "dbus-fast",
        "keyring",
        "msgspec",
        "pathspec",
        "pillow",
        "pyfastcdc",
    ),
    *("pystray", "rich", "tomlkit", "truststore", "watchdog", "xxhash", "zstandard"),
)
TABLES = (
    *("folders", "nodes", "manifests", "records", "seen_states", "batches", "intents", "activity"),
    *("unportable", "excluded"),
)
VARIABLES = (
    *("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "MB_SYNC_HOME"),
    *("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"),
)
KNOWN_FILES = (
    *("config.toml", "token", "authority.pem", "state.db", "state.db-wal", "state.db-sum", "state.db-open"),
    *(
        "state.db.damaged",
        "followed.json",
        "looked-at.json",
        "control.sock",
        "control.port",
        "lock",
        "tray.lock",
    ),
)

READ_ME = """\
A support bundle of MB-Sync.

In it: versions of MB-Sync, of Python and of this system; what `mb-sync doctor` found, as codes and numbers; the state
of each followed folder, as counts (folders are numbered, not named); sizes of MB-Sync's own files; its log, of which
only MB-Sync's own words and numbers are left.

Not in it: names of people, patients, computers, folders and files; paths; the server's address; tokens, passwords,
sync codes; anything out of your files.  It is a zip of plain text: look before you send it.
"""


def parts_of_bundle(home: ClientHome, found: list[Finding]) -> dict[str, bytes]:
    """Name in the zip → text.  found: by the doctor."""
    folders, _ = followed(home)
    redactor = Redactor(_names(home, folders))
    parts = {
        "README.txt": READ_ME.encode(),
        "versions.json": _json(_versions()),
        "doctor.json": _json([_finding(one, redactor) for one in found]),
        "status.json": _json(_status(home, redactor)),
        "home.json": _json(_home(home)),
    }
    for log in sorted(home.log.glob("*.log*")) if home.log.is_dir() else ():
        if log.name.removeprefix("mb-sync.log").lstrip(".").isdigit() or log.name == "mb-sync.log":
            parts[f"log/{log.name}"] = ("\n".join(redactor.lines(_end_of(log))) + "\n").encode()
    return parts


def _names(home: ClientHome, folders: list[Followed]) -> Iterable[str]:
    """Of this person, this computer, the server and the folders."""
    with suppress(MedicalBlocksError):
        who = read_identity(home)
        yield from filter(None, (who.user, who.device_name, urlsplit(who.server or "").hostname))
    with suppress(OSError, KeyError):
        yield getpass.getuser()
    yield from (platform.node(), Path.home().name)
    for folder in folders:
        yield folder.local.name
        yield from folder.remote.split("/")[2:]


def _finding(one: Finding, redactor: Redactor) -> dict[str, Any]:
    facts = {key: redactor.code(fact) if isinstance(fact, str) else fact for key, fact in one.facts.items()}
    return {"check": one.check, "result": one.level.value, **facts}


def _versions() -> dict[str, Any]:
    libraries = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            libraries[name] = version(name)
    with suppress(PackageNotFoundError):
        libraries["medical-blocks"] = version("medical-blocks")
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "frozen": bool(getattr(sys, "frozen", False)),
        "file_names": sys.getfilesystemencoding(),
        "libraries": libraries,
        "variables_set": [name for name in VARIABLES if os.environ.get(name)],
    }


def _status(home: ClientHome, redactor: Redactor) -> dict[str, Any]:
    try:
        status = ask(home.path, "status", seconds=ANSWER_SECONDS)
    except (NotRunning, TimeIsUp) as error:
        return {"running": False, "why": type(error).__name__}
    except MedicalBlocksError as error:
        return {"running": True, "why": error.code}
    return {
        "running": True,
        "state": _one_of(status["state"], STATES),
        "conflicts": status["conflicts"],
        "traffic": status["traffic"],
        "progress": status["progress"],
        "notes": len(status["notes"]),
        "notices": len(status.get("notices", ())),
        "limits": status.get("limits"),
        "folders": [
            {
                "folder": number,
                "root": _one_of(folder["remote"].split("/")[1], ROOTS),
                "state": _one_of(folder["state"], STATES),
                **{
                    key: folder[key]
                    for key in ("files", "bytes", "waiting", "read_only", "own_files", "quota")
                },
                "problems": Counter(redactor.code(problem["code"]) for problem in folder["problems"]),
                "not_portable": len(folder["not_portable"]),
            }
            for number, folder in enumerate(status["folders"], 1)
        ],
    }


def _one_of(word: str, words: frozenset[str]) -> str:
    return word if word in words else "other"


def _home(home: ClientHome) -> dict[str, Any]:
    files: dict[str, dict[str, Any]] = {}
    others = 0
    with suppress(OSError):
        for entry in os.scandir(home.path):
            if entry.name in KNOWN_FILES:
                seen = entry.stat(follow_symlinks=False)
                files[entry.name] = {"bytes": seen.st_size, "mode": f"{seen.st_mode & 0o7777:04o}"}
            else:
                others += 1
    rows: dict[str, int] | None = None
    with suppress(sqlite3.Error):
        if (home.path / "state.db").exists():
            rows = read_state(home, _rows)
    return {"files": dict(sorted(files.items())), "others": others, "rows": rows}


def _rows(database: sqlite3.Connection) -> dict[str, int]:
    counted = {
        table: int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own names
        for table in TABLES
    }
    return {"format": int(database.execute("PRAGMA user_version").fetchone()[0]), **counted}


def _end_of(log: Path) -> str:
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MAX_LOG_BYTES))
        return file.read(MAX_LOG_BYTES).decode("utf-8", "replace")
    return ""


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def packed(parts: dict[str, bytes]) -> bytes:
    """As a zip; the times in it are the zip's beginning, not this computer's."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in parts.items():
            bundle.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def write_bundle(file: Path, parts: dict[str, bytes]) -> None:
    """For you alone to read.  Raises LocalProblem: something stands there, or it cannot be written."""
    data = packed(parts)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except FileExistsError as error:
        raise LocalProblem(f"{file} is there already", hint="Choose another name.") from error
    except OSError as error:
        raise LocalProblem(
            f"{file} cannot be written ({error.strerror})", hint="Choose another place."
        ) from error
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise LocalProblem(
            f"{file} cannot be written ({error.strerror})", hint="Choose another place."
        ) from error
