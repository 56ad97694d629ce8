"""What a file explorer shows and offers for files, and how it learns that something changed.

Owns: the facts of one file that its menu needs, the picture of all that is unsettled at one moment.
May import: protocol, the rest of the engine.  Changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol.errors import LocalProblem
from sync_client.engine.reporting import (
    file_status,
    folder_state,
    open_conflicts,
    problems,
    sync_at,
    unsettled,
)

if TYPE_CHECKING:
    from sync_client.engine.engine import Engine
    from sync_client.engine.round import FolderSync

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is not at rest, at one moment.

    folders: local path → state.  busy, troubled: whole paths, each with the folders above it; busy is None where it
    is too much to tell.  decisions: changes when something else than the state of a file does, a conflict for one.
    """

    folders: dict[str, str]
    busy: frozenset[str] | None
    troubled: frozenset[str]
    decisions: tuple[str, ...]


def picture(engine: Engine) -> Picture:
    folders: dict[str, str] = {}
    busy: set[str] | None = set()
    troubled: set[str] = set()
    decisions: list[str] = []
    for sync in engine.syncs.values():
        local = str(sync.folder.local)
        folders[local] = folder_state(engine, sync)
        found = unsettled(sync)
        if found is None or busy is None:
            busy = None
        else:
            busy.update(_whole(sync, path) for path in found)
        troubled.update(_whole(sync, one["path"]) for one in problems(sync) if one["path"])
        decisions += [one["id"] for one in open_conflicts(sync)]
        decisions += [node.hex for node in engine.state.excluded(sync.folder.id)]
    return Picture(
        folders, None if busy is None else frozenset(busy), frozenset(troubled), tuple(sorted(decisions))
    )


def _whole(sync: FolderSync, path: str) -> str:
    return str(sync.path_of(path.split("/")))


def marks(engine: Engine, paths: Sequence[Path]) -> list[Answer]:
    """As `file_status`, with what a menu needs.

    remote: where it lies on the server, None outside of what is followed.  top: it is the followed folder itself.
    conflict: the id of the one that this file takes part in.  excluded: names directly inside that are kept off.
    """
    away = _kept_off(engine)
    conflicts = {
        beside: one["id"]
        for sync in engine.syncs.values()
        for one in open_conflicts(sync)
        for beside in (one["path"], one["original"])
    }
    return [
        {
            **status,
            **_place(engine, path),
            "conflict": conflicts.get(str(path)),
            "excluded": away.get(str(path), []),
        }
        for status, path in zip(file_status(engine, paths), paths, strict=True)
    ]


def _kept_off(engine: Engine) -> dict[str, list[str]]:
    """Folder on this disk → the names in it that are excluded."""
    found: dict[str, list[str]] = {}
    for sync in engine.syncs.values():
        for node in engine.state.excluded(sync.folder.id):
            if path := sync.looker.window.path_of(node):
                found.setdefault(str(sync.path_of(path[:-1])), []).append(sync.path_of(path).name)
    return found


def _place(engine: Engine, path: Path) -> Answer:
    try:
        sync = sync_at(engine, path)
    except LocalProblem:
        return {"remote": None, "read_only": False, "top": False}
    parts = sync.parts_of(path)
    return {
        "remote": "/".join([sync.folder.remote, *parts]),
        "read_only": sync.read_only,
        "top": not parts,
    }
