"""What a command may ask of the engine, by name, whether a running client does it or the command itself.

Owns: the names of the operations, the check of their arguments, where a followed folder may lie.
May import: protocol, engine, home, control (its `Json`).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from protocol.errors import BadRequest, LocalProblem
from protocol.ids import NodeId
from sync_client.control import Json
from sync_client.home import MARKER, has_marker

if TYPE_CHECKING:
    from sync_client.engine.engine import Engine

Arguments = Mapping[str, Json]
ROOTS = ("Home", "Projects", "Shared")
MAX_PAUSE_SECONDS = 366 * 86_400
MAX_ACTIVITY = 10_000
MAX_WITHOUT = 10_000


def parse_remote(text: str) -> str:
    """A remote folder as people write it: /Home[/…], /Projects/NAME[/…] or /Shared/NAME[/…].

    Gives it back without a slash at its end.  Raises BadRequest.
    """
    parts = text.rstrip("/").split("/")
    names = parts[1:]
    fits = parts[0] == "" and names and names[0] in ROOTS and (names[0] == "Home" or len(names) > 1)
    if not fits or any(name in ("", ".", "..") or "\0" in name for name in names):
        raise BadRequest(
            f"{text!r} is not a remote folder",
            hint="Write /Home/…, /Projects/NAME/… or /Shared/NAME/…; `mb-sync ls /` lists what there is.",
        )
    return "/" + "/".join(names)


def check_local(local: Path, followed: list[Path], home: Path) -> Path:
    """The real path of a folder to be followed, if it may be followed.  Changes nothing on the disk.

    local: absolute; need not exist yet.  followed: the folders that are followed already.
    Raises LocalProblem: a file lies there, nobody may write there, or it and another followed folder (or the
    client home) would lie one inside the other.
    """
    try:
        real = local.resolve()
    except (OSError, RuntimeError) as error:
        raise LocalProblem(f"{local} cannot be reached ({error})", hint="Choose another folder.") from error
    _check_apart(real, [folder.resolve() for folder in followed], home.resolve())
    try:
        standing = next(folder for folder in (real, *real.parents) if folder.exists())
        is_folder = standing.is_dir()
    except OSError as error:
        raise LocalProblem(
            f"{local} cannot be reached ({error.strerror})", hint="Choose another folder."
        ) from error
    if not is_folder:
        raise LocalProblem(f"{standing} is a file", hint="Choose a folder, or a name that is free.")
    if not os.access(standing, os.R_OK | os.W_OK | os.X_OK):
        raise LocalProblem(
            f"You may not write in {standing}", hint="Choose a folder of your own, or change its permissions."
        )
    return real


def _check_apart(real: Path, followed: list[Path], home: Path) -> None:
    for other in followed:
        if real == other:
            raise LocalProblem(f"{real} is followed already", hint="`mb-sync status` shows with what.")
        if real.is_relative_to(other):
            raise LocalProblem(
                f"{real} lies inside the followed folder {other}", hint="Choose a folder outside it."
            )
        if other.is_relative_to(real):
            raise LocalProblem(
                f"{real} contains the followed folder {other}",
                hint="Choose another folder, or first `mb-sync remove` the one inside.",
            )
    for parent in real.parents:  # another client home may follow it
        if has_marker(parent):
            raise LocalProblem(
                f"{real} lies inside the followed folder {parent}",
                hint="Choose a folder outside it."
                f" If no client follows that one any more, delete {parent / MARKER} first.",
            )
    if real.is_relative_to(home) or home.is_relative_to(real):
        raise LocalProblem(
            f"{real} and the client home {home} would lie one inside the other",
            hint="Choose another folder, or another client home with --home.",
        )


# ---- the operations --------------------------------------------------------------------------------------


async def _status(engine: Engine, _: Arguments) -> Json:
    return engine.status()


async def _wait(engine: Engine, _: Arguments) -> Json:
    return {"synced": await engine.wait_synced(), "status": engine.status()}


async def _add(engine: Engine, asked: Arguments) -> Json:
    remote = parse_remote(_text(asked, "remote"))
    followed = [Path(folder["local"]) for folder in engine.status()["folders"]]
    local = check_local(_path(asked, "local"), followed, _path(asked, "client_home"))
    try:
        return await engine.add_folder(
            remote,
            local,
            create=bool(asked.get("create")),
            take_over=bool(asked.get("take_over")),
            without=_nodes(asked.get("without", [])),
        )
    except OSError as error:
        raise LocalProblem(
            f"{local} cannot be followed ({error.strerror})", hint="Choose another folder."
        ) from error


async def _remove(engine: Engine, asked: Arguments) -> Json:
    await engine.remove_folder(_path(asked, "local"))
    return {}


async def _pause(engine: Engine, asked: Arguments) -> Json:
    folder = _path(asked, "folder") if asked.get("folder") else None
    seconds = asked.get("for_seconds")
    if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds < MAX_PAUSE_SECONDS):
        raise BadRequest("That is no time to pause for", hint="Give minutes, hours or days: 30m, 2h, 1d.")
    await engine.set_paused(bool(asked.get("paused")), folder=folder, seconds=seconds)
    return {}


async def _scan(engine: Engine, asked: Arguments) -> Json:
    """Without `every_seconds`: how often each is looked at.  every_seconds: None for the usual."""
    from sync_client.engine.scan_times import (  # noqa: PLC0415 - as in `_limit`
        LEAST_WISHED_SECONDS,
        MOST_WISHED_SECONDS,
    )

    if "every_seconds" in asked:
        seconds = asked["every_seconds"]
        if seconds is not None and (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not LEAST_WISHED_SECONDS <= seconds <= MOST_WISHED_SECONDS
        ):
            raise BadRequest(
                "A folder is looked at every 10 seconds at most, and once a day at least",
                hint="Give seconds, minutes or hours: 30s, 5m, 2h.",
            )
        engine.set_scanned(_path(asked, "folder"), seconds)
    return [{"local": folder["local"], "scan": folder["scan"]} for folder in engine.status()["folders"]]


async def _limit(engine: Engine, asked: Arguments) -> Json:
    """Without `limits`: what they are."""
    from msgspec import ValidationError, convert, to_builtins  # noqa: PLC0415 - `status` need not pay for it

    from sync_client.engine.limits import Limits  # noqa: PLC0415 - as above

    if "limits" in asked:
        try:
            engine.set_limits(convert(asked["limits"], Limits))
        except ValidationError as error:
            raise BadRequest("These are no limits", hint="See `mb-sync limit --help`.") from error
    return to_builtins(engine.limits)


async def _filestatus(engine: Engine, asked: Arguments) -> Json:
    return engine.file_status(_paths(asked))


async def _marks(engine: Engine, asked: Arguments) -> Json:
    return engine.marks(_paths(asked))


async def _activity(engine: Engine, asked: Arguments) -> Json:
    limit = asked.get("limit", 20)
    if not isinstance(limit, int):
        raise BadRequest("'limit' is no number", hint="See `mb-sync --help`.")
    return engine.activity(max(1, min(limit, MAX_ACTIVITY)))


async def _conflicts(engine: Engine, _: Arguments) -> Json:
    return await engine.conflicts()


async def _resolve(engine: Engine, asked: Arguments) -> Json:
    keep = _text(asked, "keep")
    if keep not in ("mine", "theirs", "both"):
        raise BadRequest(f"{keep!r} is no decision", hint="Keep mine, theirs or both.")
    return await engine.resolve_conflicts(_text(asked, "id"), keep)


async def _exclude(engine: Engine, asked: Arguments) -> Json:
    if asked.get("path") is None:
        return engine.excluded()
    path = _path(asked, "path")
    return engine.include(path) if asked.get("remove") else engine.exclude(path)


async def _revs(engine: Engine, asked: Arguments) -> Json:
    return await engine.revs(_path(asked, "path"))


async def _restore(engine: Engine, asked: Arguments) -> Json:
    to = _path(asked, "to") if asked.get("to") else None
    return await engine.restore(_path(asked, "path"), _text(asked, "rev"), to)


async def _trash(engine: Engine, _: Arguments) -> Json:
    return await engine.trash_list()


async def _trash_empty(engine: Engine, _: Arguments) -> Json:
    return await engine.trash_empty()


async def _trash_restore(engine: Engine, asked: Arguments) -> Json:
    to = _path(asked, "to") if asked.get("to") else None
    return await engine.trash_restore(_text(asked, "item"), to)


async def _ignore_test(engine: Engine, asked: Arguments) -> Json:
    return engine.ignore_test(_path(asked, "path"))


async def _guard(engine: Engine, _: Arguments) -> Json:
    return engine.guards()


async def _guard_list(engine: Engine, asked: Arguments) -> Json:
    folder = _path(asked, "folder") if asked.get("folder") else None
    after = asked.get("after", 0)
    if not isinstance(after, int) or after < 0:
        raise BadRequest("'after' is no number", hint="See `mb-sync --help`.")
    return engine.guard_list(folder, _text(asked, "what"), after)


async def _decide_guard(engine: Engine, asked: Arguments) -> Json:
    folder = _path(asked, "folder") if asked.get("folder") else None
    return await engine.decide_guard(folder, apply=bool(asked.get("apply")))


_OPERATIONS: dict[str, Callable[[Engine, Arguments], Awaitable[Json]]] = {
    "status": _status,
    "wait": _wait,
    "add": _add,
    "remove": _remove,
    "pause": _pause,
    "scan": _scan,
    "limit": _limit,
    "filestatus": _filestatus,
    "marks": _marks,
    "activity": _activity,
    "ignore-test": _ignore_test,
    "guard": _guard,
    "guard-list": _guard_list,
    "guard-decide": _decide_guard,
    "conflicts": _conflicts,
    "resolve": _resolve,
    "exclude": _exclude,
    "revs": _revs,
    "restore": _restore,
    "trash": _trash,
    "trash-empty": _trash_empty,
    "trash-restore": _trash_restore,
}


async def perform(engine: Engine, do: str, arguments: Arguments) -> Json:
    """Do it and give back what can go on the control socket.  Raises MedicalBlocksError."""
    operation = _OPERATIONS.get(do)
    if operation is None:
        raise BadRequest(
            f"There is no `{do}`", hint="Command and running client may differ in version: restart it."
        )
    return await operation(engine, arguments)


def _text(arguments: Arguments, key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise BadRequest(f"{key!r} is missing", hint="See `mb-sync --help`.")
    return value


def _nodes(texts: Json) -> list[NodeId]:
    try:
        return [NodeId(UUID(text)) for text in texts[:MAX_WITHOUT]]
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRequest("These are no items of a folder", hint="See `mb-sync --help`.") from error


def _paths(arguments: Arguments) -> list[Path]:
    paths = arguments.get("paths", [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise BadRequest("'paths' is no list of paths", hint="See `mb-sync --help`.")
    return [Path(text) for text in paths]


def _path(arguments: Arguments, key: str) -> Path:
    path = Path(_text(arguments, key))
    if not path.is_absolute():
        raise BadRequest(f"{key!r} is not a whole path", hint="Begin it at the root of the disk.")
    return path
