"""Conflicts: what a person can see of both versions, and what becomes of them.

Owns: whose versions they are, the three decisions, the words that tell how to go back.
May import: asyncio, protocol, the rest of the engine.

What gives way lies in the local trash (and on the server, whose copy of it is deleted or replaced like any other).
That it was decided is told to the server, so that no other computer lists it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from protocol.errors import LocalProblem, MedicalBlocksError, Unavailable
from protocol.ids import NodeId
from protocol.messages import Resolve, Status
from sync_client.engine import placement
from sync_client.engine.batches import commit
from sync_client.engine.disk import FollowedRoot, Parts
from sync_client.engine.history import opened_root
from sync_client.engine.incoming import NotPlaced
from sync_client.engine.reporting import open_conflicts
from sync_client.engine.threads import in_thread
from sync_client.engine.trash import Trashed, restore_trashed
from sync_client.engine.trees import Fingerprint, Side

if TYPE_CHECKING:
    from sync_client.engine.engine import Engine
    from sync_client.engine.round import FolderSync

Answer = dict[str, Any]

AUTHORS_SECONDS = 4.0  # for all answers together: a list without names is better than none
AUTHORS_ASKED = 100  # conflicts whose authors are asked for
AT_ONCE = 8


async def conflicts(engine: Engine) -> list[Answer]:
    """Both versions of each, with size, date, author and device (those as far as the server can be asked)."""
    found = [(sync, answer) for sync in engine.syncs.values() for answer in open_conflicts(sync)]
    slots = asyncio.Semaphore(AT_ONCE)

    async def name_author(sync: FolderSync, version: Answer) -> None:
        async with slots:
            with suppress(MedicalBlocksError):
                versions = await engine.api.versions(sync.folder.view, version["node"])
                current = next(one for one in versions.versions if one.current)
                version |= {"user": current.user, "device": current.device, "at": current.committed_at_ms}

    with suppress(TimeoutError):
        async with asyncio.timeout(AUTHORS_SECONDS), asyncio.TaskGroup() as group:
            for sync, answer in found[:AUTHORS_ASKED]:
                for version in (answer["mine"], answer["theirs"]):
                    group.create_task(name_author(sync, version), name="author of a version")
    for _, answer in found:
        answer["device"] = answer["mine"].get("device") or answer["device"]
        for version in (answer["mine"], answer["theirs"]):
            del version["node"]
    return [answer for _, answer in found]


async def resolve(engine: Engine, conflict_id: str, keep: str) -> list[Answer]:
    """conflict_id: "" for all that are open.  mine: the copy takes the name.  theirs: the copy goes.  both: they stay
    as two files.  Of all each is tried, and what cannot be decided now is `failed`, with the reason in its words.
    Raises LocalProblem: the one that was named cannot be decided now."""
    asked = [
        (sync, answer)
        for sync in engine.syncs.values()
        for answer in open_conflicts(sync)
        if conflict_id in ("", answer["id"])
    ]
    if not asked and conflict_id:
        raise LocalProblem(f"There is no conflict {conflict_id}", hint="`mb-sync conflicts` lists them.")
    if conflict_id:
        return [await _resolve(engine, sync, answer, keep) for sync, answer in asked]
    return [await _tried(engine, sync, answer, keep) for sync, answer in asked]


async def _tried(engine: Engine, sync: FolderSync, conflict: Answer, keep: str) -> Answer:
    try:
        return await _resolve(engine, sync, conflict, keep)
    except MedicalBlocksError as error:
        known = {name: conflict[name] for name in ("id", "original", "path")}
        return known | {"keep": keep, "trash": None, "words": str(error), "failed": True}


async def _resolve(engine: Engine, sync: FolderSync, conflict: Answer, keep: str) -> Answer:
    node, original = conflict["mine"]["node"], conflict["theirs"]["node"]
    answer: Answer = {
        "id": conflict["id"],
        "keep": keep,
        "original": conflict["original"],
        "trash": None,
        "failed": False,
    }
    if keep == "both":
        await _tell_server(engine, sync, node)
        words = "Both stay, as two ordinary files. Delete the one that you do not need; the trash keeps it."
        return answer | {"path": conflict["path"], "words": words}
    if conflict["mine" if keep == "theirs" else "theirs"]["folder"]:
        raise LocalProblem(
            "What would give way is a folder with all that is in it",
            hint="Keep both, and move or delete one of the two yourself.",
        )
    copy_path, original_path, expected = _both_here(sync, node, original)
    async with opened_root(sync) as root:
        if keep == "theirs":
            kept = await in_thread(_take_away, root, placement.Removal(node, copy_path, expected[0]))
        else:
            removal = placement.Removal(original, original_path, expected[1])
            kept = await in_thread(_put_in_place, root, removal, copy_path, expected[0])
    sync.disk_moved({copy_path[:-1], original_path[:-1]})
    with suppress(Unavailable):  # one of the two is gone, so that it is no conflict for anyone, told or not
        await _tell_server(engine, sync, node)
    item = f"here-{kept.name}"
    words = f"What gave way lies in the local trash. Bring it back with: mb-sync trash restore {item}"
    if keep == "mine":
        words += " --to PLACE"  # its own is taken
    return answer | {"path": conflict["original"], "trash": item, "words": words}


def _both_here(
    sync: FolderSync, node: NodeId, original: NodeId
) -> tuple[Parts, Parts, tuple[Fingerprint, Fingerprint]]:
    copy, other = sync.trees.row(node), sync.trees.row(original)
    copy_path, original_path = sync.trees.path(Side.LOCAL, node), sync.trees.path(Side.LOCAL, original)
    if not copy or not other or not copy.local or not other.local or not copy_path or not original_path:
        raise LocalProblem("One of the two files is not on this computer", hint="Wait until all is synced.")
    return copy_path, original_path, (copy.local.fingerprint, other.local.fingerprint)


async def _tell_server(engine: Engine, sync: FolderSync, node: NodeId) -> None:
    [result] = await commit(engine.api, engine.state, sync.folder.view, [Resolve(node=node)])
    if result.status not in (Status.DONE, Status.STALE):  # stale: the copy is deleted by now
        raise LocalProblem(
            f"The server does not take the decision ({result.message or result.status.value})",
            hint="Nothing was changed there.",
        )
    sync.server_moved()


# ---- on the disk -----------------------------------------------------------------------------------------


def _take_away(root: FollowedRoot, removal: placement.Removal) -> Trashed:
    [removed] = placement.remove_all(root, [removal])
    if isinstance(removed, NotPlaced) or removed.kept is None:
        raise LocalProblem("The file changed meanwhile", hint="Look at it and repeat.")
    return removed.kept


def _put_in_place(
    root: FollowedRoot, original: placement.Removal, copy: Sequence[str], expected: Fingerprint
) -> Trashed:
    """The copy takes the name of the original, which goes to the trash; all or nothing."""
    kept = _take_away(root, original)
    if isinstance(placement.relocate(root, tuple(copy), original.parts, expected), NotPlaced):
        restore_trashed(root, kept.name)
        raise LocalProblem("The copy changed meanwhile", hint="Nothing was changed; look at it and repeat.")
    return kept
