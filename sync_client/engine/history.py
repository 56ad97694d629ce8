"""What was: versions, the trash of both sides.

Owns: bringing things back.  May import: protocol, the rest of the engine.

Nothing here writes into the trees: the server is asked by a batch, the disk by the same careful moves that sync
uses, and the next round sees what happened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol.errors import AccessDenied, LocalProblem, NotFound
from protocol.ids import NodeId, parse_node_id
from protocol.messages import Kind, Make, OpResult, Put, Restore, Revision, Status
from protocol.names import path_refusal, refusal
from protocol.resources import Trash
from sync_client.engine.batches import commit
from sync_client.engine.disk import FollowedRoot, Parts
from sync_client.engine.looking import fresh_node
from sync_client.engine.reporting import sync_at
from sync_client.engine.round import checked_marker, open_root
from sync_client.engine.threads import in_thread
from sync_client.engine.trash import list_trash, restore_trashed
from sync_client.engine.trees import Row, Side

if TYPE_CHECKING:
    from sync_client.engine.engine import Engine
    from sync_client.engine.round import FolderSync

Answer = dict[str, Any]


@asynccontextmanager
async def opened_root(sync: FolderSync) -> AsyncIterator[FollowedRoot]:
    """The root that the running sync holds open; without one, opened for this once.

    Raises LocalProblem: the folder or its marker is not there.
    """
    if sync.root is not None:
        yield sync.root
        return
    root = await in_thread(open_root, sync.folder.local)
    try:
        await in_thread(checked_marker, root, sync.folder)
        yield root
    finally:
        root.close()


# ---- versions --------------------------------------------------------------------------------------------


async def revs(engine: Engine, path: Path) -> list[Answer]:
    """The newest first."""
    sync, node, _ = _file_at(engine, path)
    versions = await engine.api.versions(sync.folder.view, node)
    return [
        {
            "rev": _rev(version.revision),
            "size": version.size,
            "at": version.committed_at_ms,
            "mtime": version.mtime_ns // 1_000_000,
            "user": version.user,
            "device": version.device,
            "current": version.current,
        }
        for version in versions.versions
    ]


async def restore(engine: Engine, path: Path, rev: str, to: Path | None) -> Answer:
    """Make an old version the current one, or a new file beside (`to`).  The version it replaces stays a version."""
    sync, node, row = _file_at(engine, path)
    assert row.remote is not None
    content = await engine.api.version(sync.folder.view, node, _parse_rev(rev))
    if to is None:
        op: Put | Make = Put(node=node, content_revision=row.remote.content_revision, content=content)
    else:
        parts = _place(engine, sync, to)
        parent = sync.trees.at_path(Side.REMOTE, parts[:-1])
        if parent is None:
            raise LocalProblem(f"The folder of {to} is not on the server", hint="Make it first.")
        op = Make(node=fresh_node(), parent=parent, name=parts[-1], content=content)
    [result] = await commit(engine.api, engine.state, sync.folder.view, [op])
    _check(result, str(to or path))
    sync.server_moved()
    return {"path": str(to or path), "rev": rev}


def _place(engine: Engine, sync: FolderSync, to: Path) -> Parts:
    """Raises LocalProblem: no synced file may lie there."""
    if sync_at(engine, to) is not sync:
        raise LocalProblem(f"{to} lies in another followed folder", hint="Choose a place in the same one.")
    parts = sync.parts_of(to)
    if not parts:
        raise LocalProblem(f"{to} is the followed folder itself", hint="Name the file that it becomes in it.")
    why = next(filter(None, map(refusal, parts)), None) or path_refusal(parts)
    if why is not None:
        raise LocalProblem(f"Nothing can be put at {to}: {why}", hint="Choose another place.")
    return parts


def _rev(revision: Revision) -> str:
    return str(revision.number) if revision.epoch == 1 else f"{revision.epoch}.{revision.number}"


def _parse_rev(text: str) -> Revision:
    epoch, dot, number = text.rpartition(".")
    if not number.isdecimal() or (dot and not epoch.isdecimal()):
        raise LocalProblem(f"{text!r} is not a version", hint="`mb-sync revs PATH` lists them.")
    return Revision(int(epoch) if dot else 1, int(number))


def _file_at(engine: Engine, path: Path) -> tuple[FolderSync, NodeId, Row]:
    sync = sync_at(engine, path)
    node = sync.trees.at_path(Side.REMOTE, sync.parts_of(path))
    row = sync.trees.row(node) if node is not None else None
    if node is None or row is None or row.remote is None:
        raise LocalProblem(
            f"The server holds no {path.name} there", hint="A deleted file is in `mb-sync trash`."
        )
    if row.remote.content.kind is Kind.FOLDER:
        raise LocalProblem(f"{path} is a folder, and folders have no versions", hint="Name a file in it.")
    return sync, node, row


def _check(result: OpResult, what: str) -> None:
    if result.status is not Status.DONE:
        words = {
            Status.STALE: "it changed meanwhile. Look again and repeat",
            Status.NAME_TAKEN: "something has that name now. Rename it, or choose another place",
            Status.PARENT_GONE: "its folder is gone. Restore that first",
        }.get(result.status, result.message or result.status.value)
        raise LocalProblem(f"{what} was not restored: {words}", hint="Nothing was changed.")


# ---- trash -----------------------------------------------------------------------------------------------


async def trash_list(engine: Engine) -> list[Answer]:
    """What lies in the local trash of each folder, and what was deleted on the server."""
    items: list[Answer] = []
    seen_views = set()
    for sync in engine.syncs.values():
        items += await _trash_here(sync)
        if sync.folder.view in seen_views:
            continue
        seen_views.add(sync.folder.view)
        after = ""
        while True:
            page = await _trash_there(engine, sync, after)
            items += [
                {
                    "id": f"server-{item.node}",
                    "where": "server",
                    "path": item.path,
                    "size": item.size,
                    "at": item.deleted_at_ms,
                    "why": f"deleted by {item.deleted_by}",
                }
                for item in page.items
            ]
            if not page.next:
                break
            after = page.next
    return sorted(items, key=lambda item: -item["at"])


async def _trash_there(engine: Engine, sync: FolderSync, after: str) -> Trash:
    """A page of the server's trash; empty where one may not look into it, or the folder is not shared any more."""
    try:
        return await engine.api.trash(sync.folder.view, after)
    except (AccessDenied, NotFound):
        return Trash(items=[])


async def _trash_here(sync: FolderSync) -> list[Answer]:
    """Of a folder that is not there, nothing: its own state says so, and what the others hold is shown all the same."""
    try:
        async with opened_root(sync) as root:
            lines = await in_thread(list_trash, root)
    except LocalProblem:
        return []
    return [
        {
            "id": f"here-{line.name}",
            "where": "this computer",
            "path": str(sync.path_of(line.path.split("/"))),
            "size": line.size,
            "at": line.trashed_at_ms,
            "why": line.why.value,
        }
        for line in lines
    ]


async def trash_empty(engine: Engine) -> Answer:
    """Of the local trash, all that the server holds."""
    answer: Answer = {"dropped": 0, "bytes": 0, "kept": 0}
    for sync in engine.syncs.values():
        async with opened_root(sync) as root:
            tended = await sync.tend_trash(root, everything=True)
        if tended is not None:
            answer["dropped"] += tended.dropped
            answer["bytes"] += tended.dropped_bytes
            answer["kept"] += tended.unknown
            if tended.back:
                sync.disk_moved({parts[:-1] for parts in tended.back})
    return answer


async def trash_restore(engine: Engine, item: str, to: Path | None = None) -> Answer:
    """to: another place, in the same followed folder; of a file in the local trash only."""
    where, _, name = item.partition("-")
    if where == "server" and to is not None:
        raise LocalProblem(
            "What lies in the trash of the server comes back to its own place", hint="Move it afterwards."
        )
    if where == "here":
        for sync in engine.syncs.values():
            if not any(line["id"] == item for line in await _trash_here(sync)):
                continue
            place = None if to is None else _place(engine, sync, to)
            async with opened_root(sync) as root:
                parts = await in_thread(restore_trashed, root, name, place)
            sync.disk_moved({parts[:-1]})
            return {"path": str(sync.path_of(parts))}
    elif where == "server":
        node = parse_node_id(name)
        for sync in engine.syncs.values():
            after = ""
            while True:
                page = await _trash_there(engine, sync, after)
                for found in page.items:
                    if found.node == node:
                        op = Restore(node=node, place_revision=found.place_revision)
                        [result] = await commit(engine.api, engine.state, sync.folder.view, [op])
                        _check(result, found.path)
                        sync.server_moved()
                        return {"path": found.path}
                if not page.next:
                    break
                after = page.next
    raise LocalProblem(f"There is no {item!r} in the trash", hint="`mb-sync trash` lists what there is.")
