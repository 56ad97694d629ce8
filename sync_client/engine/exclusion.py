"""Selective sync: what a person does not want on this computer, by node, so that renames do not matter.

Owns: when something may be excluded, what that changes, bringing it back.
May import: protocol, the rest of the engine.

What is excluded counts as outside of what is followed (engine.window), as if it had been moved out of it: its local
copy goes to the local trash, step by step, and whatever was edited meanwhile stays.  The server is not touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol.errors import LocalProblem
from protocol.ids import NodeId
from sync_client.engine.guards import Mass
from sync_client.engine.judgement import untouched_here
from sync_client.engine.reporting import sync_at
from sync_client.engine.trees import Side

if TYPE_CHECKING:
    from sync_client.engine.engine import Engine
    from sync_client.engine.round import FolderSync

Answer = dict[str, Any]
NAMED = 3  # of what is in the way, so many are named


def excluded(engine: Engine) -> list[Answer]:
    """And what waits.  grown: some of it is on this computer."""
    found: list[Answer] = []
    for sync in engine.syncs.values():
        grown = [NodeId(node) for node, large in sync.large.waiting.items() if large.grown]
        for node in (*engine.state.excluded(sync.folder.id), *grown):
            path = sync.looker.window.path_of(node)
            where = None if path is None else str(sync.path_of(path))
            large = sync.large.waiting.get(node)
            found.append(
                {
                    "path": where,
                    "folder": str(sync.folder.local),
                    "node": str(node),
                    "waits": large is not None,
                    "grown": large is not None and large.grown,
                    "files": None if large is None else large.files,
                    "bytes": None if large is None else large.size,
                }
            )
    return sorted(found, key=lambda one: (one["folder"], one["path"] or ""))


def exclude(engine: Engine, path: Path) -> Answer:
    """Raises LocalProblem: it is not on the server, or something in it is not yet."""
    sync = sync_at(engine, path)
    parts = sync.parts_of(path)
    for waiting, large in sync.large.waiting.items():
        if not large.grown and sync.looker.window.path_of(NodeId(waiting)) == parts:
            sync.large.answered(NodeId(waiting), wanted=False)
            return {"path": str(path), "node": str(waiting), "excluded": True, "here": 0}
    node = sync.trees.at_path(Side.REMOTE, parts) if parts else None
    if node is None:
        hint = "`mb-sync remove` stops following a whole folder." if not parts else "Wait until it is synced."
        raise LocalProblem(f"{path} cannot be excluded: the server does not hold it by this name", hint=hint)
    if not sync.folder.at_head:
        raise LocalProblem("The folder is still being listed", hint="Try again in a moment.")
    count, only_here = _on_this_disk(sync, node)
    if only_here:
        more = f" and {len(only_here) - NAMED} more" if len(only_here) > NAMED else ""
        raise LocalProblem(
            f"{path} stays: not on the server yet are {', '.join(only_here[:NAMED])}{more}",
            hint="Wait until `mb-sync status` says that all is synced, or move these elsewhere.",
        )
    sync.guard.expect(Mass.DELETED_THERE, count)
    with engine.state.transaction():
        sync.looker.window.exclude(node, sync.looker.wire_content)
        if node in sync.large.waiting:
            sync.large.answered(node, wanted=False)
    sync.window_changed()
    return {"path": str(path), "node": str(node), "excluded": True, "here": count}


def include(engine: Engine, path: Path) -> Answer:
    """Raises LocalProblem: it is not excluded."""
    sync = sync_at(engine, path)
    parts = sync.parts_of(path)
    grown = [NodeId(node) for node, large in sync.large.waiting.items() if large.grown]
    for node in (*engine.state.excluded(sync.folder.id), *grown):
        if sync.looker.window.path_of(node) == parts:
            with engine.state.transaction():
                sync.looker.window.include(node)
                sync.large.answered(node, wanted=True)
            sync.window_changed()
            return {"path": str(path), "node": str(node), "excluded": False}
    raise LocalProblem(f"{path} is not excluded", hint="`mb-sync exclude list` shows what is.")


def _on_this_disk(sync: FolderSync, node: NodeId) -> tuple[int, list[str]]:
    """How many nodes lie there on this disk, and the paths of those that the server does not hold as they are."""
    count, only_here = 0, []
    pending = [node]
    for one in pending:  # grows while it is walked
        pending.extend(sync.trees.children(Side.LOCAL, one))
        row = sync.trees.row(one)
        if row is None or row.local is None:
            continue
        count += 1
        if row.remote is None or row.agreed is None or not untouched_here(row.local, row.agreed):
            path = sync.trees.path(Side.LOCAL, one)
            only_here.append("/".join(path) if path else "?")
    top = sync.trees.path(Side.LOCAL, node)
    for folder in sync.looker.odd.values():
        only_here += ["/".join(odd.parts) for odd in folder if top and odd.parts[: len(top)] == top]
    return count, only_here
