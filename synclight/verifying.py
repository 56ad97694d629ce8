"""Is every file here what the server has?  Each byte is read again and held against the server's manifest.

Owns: the listing that is compared with, the comparison, the checksum list as `sha256sum -c` reads it.
May import: asyncio, protocol, the engine's disk, intake, manifests and threads modules.

Nothing that MB-SyncLight remembers is believed: the listing comes from the server, the bytes from the disk.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from protocol.errors import ContentDamaged, LocalProblem
from protocol.frames import open_frame
from protocol.http import ServerApi
from protocol.ids import split_chunk_ids
from protocol.messages import Kind, Manifest, NodeState, Part, Reset, View, WantedContent
from sync_client.engine.disk import FollowedRoot, Parts
from sync_client.engine.intake import FeedCheck, why_not
from sync_client.engine.manifests import leaves_of_records
from sync_client.engine.threads import in_thread


@dataclass(frozen=True, slots=True)
class Verified:
    """One file.  sha256: of its bytes, hexadecimal, where they are those of the server; why: else."""

    path: str
    size: int
    sha256: str = ""
    why: str = ""


async def verify_files(
    api: ServerApi, wanted: UUID, folder: Path, told: Callable[[int, int], None]
) -> list[Verified]:
    """Every file of this view, in the order of their paths.  told(done, total): after each.

    Raises LocalProblem: the folder is not there, here or on the server.
    """
    view = next((view for view in (await api.views()).views if view.view == wanted), None)
    if view is None:
        raise LocalProblem(
            "The folder is not shared any more, or was deleted on the server", hint="Ask whoever shared it."
        )
    files = await _shared_files(api, view)
    try:
        root = FollowedRoot(folder)
    except OSError as error:
        raise LocalProblem(
            f"The folder {folder} cannot be opened ({error.strerror})", hint="Mount or bring it back."
        ) from error
    found: list[Verified] = []
    with root:
        await in_thread(root.learn_spelling)
        for done, (parts, state) in enumerate(sorted(files.items()), 1):
            found.append(await in_thread(_compare, root, parts, await _leaves(api, wanted, state)))
            told(done, len(files))
    return found


def checksum_line(one: Verified) -> str:
    """As `sha256sum` writes it: a name that would break the line is escaped, and the line says so."""
    escaped = one.path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == one.path else chr(92)}{one.sha256}  {escaped}"


# ---- what the server has ---------------------------------------------------------------------------------


async def _shared_files(api: ServerApi, view: View) -> dict[Parts, NodeState]:
    nodes: dict[UUID, NodeState] = {}
    cursor, check = view.cursor, FeedCheck(view.cursor)
    while True:
        page = await api.changes(view.view, cursor)
        cursor = page.cursor
        if isinstance(page, Reset):
            check.reset(cursor)
            nodes.clear()
            continue
        check.page(page)
        for gone in page.gone:
            nodes.pop(gone, None)
        for state in page.nodes:
            if state.deleted or why_not(state) is not None:
                nodes.pop(state.node, None)
            else:
                nodes[state.node] = state
        if not page.more:
            break
    files: dict[Parts, NodeState] = {}
    for state in nodes.values():
        parts = _path(nodes, view.root, state)
        if parts and state.content is not None and state.content.kind is Kind.FILE:
            files[parts] = state
    return files


def _path(nodes: dict[UUID, NodeState], root: UUID, state: NodeState) -> Parts | None:
    """None: something above it is gone."""
    names = [state.name]
    for _ in range(len(nodes)):
        if state.parent == root:
            return tuple(reversed(names))
        above = nodes.get(state.parent)
        if above is None:
            return None
        state = above
        names.append(state.name)
    return None


async def _leaves(api: ServerApi, view: UUID, state: NodeState) -> Manifest:
    """The file's own chunks; of a huge file they are fetched."""
    assert state.content is not None
    manifest = state.content.manifest
    if not manifest.indirect:
        return manifest
    wanted = WantedContent(parts=[Part(node=state.node, revision=state.content_revision)])
    records = bytearray()
    async with aclosing(api.content(view, wanted)) as stream:
        async for frames in stream:
            for frame in frames:
                records += open_frame(frame)
            if len(records) > sum(manifest.lengths):
                break
    at = 0
    for chunk, length in zip(split_chunk_ids(manifest.chunks), manifest.lengths, strict=True):
        if hashlib.sha256(records[at : at + length]).digest() != chunk:
            raise ContentDamaged(
                "The server sent another manifest than was asked for", hint="Check the server."
            )
        at += length
    return leaves_of_records(bytes(records), manifest.size)


# ---- what the disk has -----------------------------------------------------------------------------------


def _compare(root: FollowedRoot, parts: Parts, wanted: Manifest) -> Verified:
    path = "/".join(parts)
    root.look_afresh()
    try:
        handle = root.open_file(parts)
    except FileNotFoundError:
        return Verified(path, wanted.size, why="it is missing")
    except OSError as error:
        return Verified(path, wanted.size, why=f"it cannot be read ({error.strerror})")
    with os.fdopen(handle, "rb", buffering=0) as file:
        try:
            return Verified(path, wanted.size, *_hashed(file.fileno(), wanted))
        except OSError as error:
            return Verified(path, wanted.size, why=f"it cannot be read ({error.strerror})")


def _hashed(handle: int, wanted: Manifest) -> tuple[str, str]:
    """SHA-256 of the whole, and what is wrong."""
    seen = os.fstat(handle)
    if not stat.S_ISREG(seen.st_mode):
        return "", "something else than a file stands there"
    if seen.st_size != wanted.size:
        return "", f"it has {seen.st_size:,} bytes, not {wanted.size:,}"
    whole = hashlib.sha256()
    at = 0
    for chunk, length in zip(split_chunk_ids(wanted.chunks), wanted.lengths, strict=True):
        data = os.pread(handle, length, at)
        if hashlib.sha256(data).digest() != chunk:
            return "", f"its bytes differ, between byte {at:,} and {at + length:,}"
        whole.update(data)
        at += length
    return whole.hexdigest(), ""
