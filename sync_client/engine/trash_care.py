"""What leaves the local trash, and what comes back out of it.

Owns: how long things lie there, the question to the server before anything is dropped, files that a program went on
writing into after they had come there.
May import: asyncio, protocol, sync_client.engine.{disk,reading,system_calls,threads,trash,trees}.

Nothing is dropped that the server does not hold at that moment: it is asked for the chunks of each file, by the rule
by which a commit may name them.  A file that was written to in the trash belongs back into the folder.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from protocol.errors import AccessDenied, LocalProblem
from protocol.http import ServerApi
from protocol.ids import ChunkId, ViewId
from protocol.messages import MAX_MISSING_CHUNKS, Missing
from sync_client.engine.disk import FollowedRoot, Parts, same_bytes
from sync_client.engine.reading import chunks_of
from sync_client.engine.system_calls import look
from sync_client.engine.threads import in_thread
from sync_client.engine.trash import Trashed, drop, list_trash, restore_trashed
from sync_client.engine.trees import Fingerprint

log = logging.getLogger(__name__)

KEEP_DAYS = 30
SHARE = 0.10  # of the folder's bytes, and at least ROOM_BYTES
ROOM_BYTES = 100_000_000
LEAST_MS = 24 * 60 * 60 * 1000  # nothing is dropped by itself before: a program may still have it open
EVERY_SECONDS = 3_600.0
QUIET_NS = 60 * 1_000_000_000  # a file that was written to comes back when it has been quiet so long
READ_FILES, READ_BYTES = 1_000, 1 << 30  # in one go; what is left waits for the next

Beside = Callable[[str], str]  # a name that is free beside this one


@dataclass(slots=True)
class Tended:
    """dropped: for good.  unknown: due, but not held by the server, so kept.  back: where files came back to."""

    dropped: int = 0
    dropped_bytes: int = 0
    unknown: int = 0
    back: list[Parts] = field(default_factory=list)


def due(lines: Sequence[Trashed], *, now_ms: int, folder_bytes: int) -> list[Trashed]:
    """What has lain there long enough, the oldest first: KEEP_DAYS, or a day where the trash is too large."""
    room = max(ROOM_BYTES, int(folder_bytes * SHARE))
    found: list[Trashed] = []
    for line in sorted(lines, key=lambda one: -one.trashed_at_ms):
        room -= line.size
        age_ms = now_ms - line.trashed_at_ms
        if age_ms > KEEP_DAYS * LEAST_MS or (room < 0 and age_ms > LEAST_MS):
            found.append(line)
    return found[::-1]


async def tend(
    api: ServerApi,
    view: ViewId,
    root: FollowedRoot,
    *,
    now_ms: int,
    folder_bytes: int,
    beside: Callable[[Parts], Parts],
    everything: bool = False,
) -> Tended:
    """Drop what is due (`everything`: whatever the server holds) and bring back what was written to.

    beside: a free place for something that stood at this one.
    """
    tended = Tended()
    lines = await in_thread(list_trash, root)
    chosen = list(lines) if everything else due(lines, now_ms=now_ms, folder_bytes=folder_bytes)
    touched = await in_thread(_written_to, root, lines, now_ms * 1_000_000)
    names = {line.name for line in chosen}
    chosen += [line for line in touched if line.name not in names]
    read = await in_thread(_read, root, chosen)
    held = await _held(api, view, sorted({chunk for one in read for chunk in one.chunks}))
    back = {line.name for line in touched}
    for one in read:
        is_held = held is not None and held.issuperset(one.chunks)
        if not is_held and one.line.name in back:
            await in_thread(_bring_back, root, one.line, beside, tended)
        elif not is_held:
            tended.unknown += 1
    safe = {
        one.line.name: one.seen
        for one in read
        if held is not None and held.issuperset(one.chunks) and one.line.name in names
    }
    dropped = await in_thread(drop, root, safe)
    tended.dropped, tended.dropped_bytes = len(dropped), sum(safe[name].size for name in dropped)
    if tended.dropped or tended.back:
        log.info("trash dropped=%d back=%d unknown=%d", tended.dropped, len(tended.back), tended.unknown)
    return tended


@dataclass(frozen=True, slots=True)
class _Read:
    line: Trashed
    seen: Fingerprint
    chunks: tuple[ChunkId, ...]


def _written_to(root: FollowedRoot, lines: Sequence[Trashed], now_ns: int) -> list[Trashed]:
    """Those that a program wrote into after they had come here, and has left alone since."""
    found = []
    for line in lines:
        seen = look(root.trash(), line.name)
        if seen is not None and not same_bytes(line.fingerprint, seen) and now_ns - seen.mtime_ns > QUIET_NS:
            found.append(line)
    return found


def _read(root: FollowedRoot, lines: Sequence[Trashed]) -> list[_Read]:
    """The chunks of as many as may be read at once; a file that cannot be read stays."""
    root.look_afresh()
    found: list[_Read] = []
    left = READ_BYTES
    for line in lines[:READ_FILES]:
        seen = look(root.trash(), line.name)
        if seen is None or (left < seen.size and found):
            continue
        left -= seen.size
        try:
            chunks = chunks_of(root.trash(), line.name, is_link=stat.S_ISLNK(seen.mode))
        except OSError:
            continue
        found.append(_Read(line, seen, tuple(chunks)))
    return found


async def _held(api: ServerApi, view: ViewId, chunks: Sequence[ChunkId]) -> set[ChunkId] | None:
    """Those that the server holds for us; None: it does not tell, since we may not write there."""
    held: set[ChunkId] = set()
    for start in range(0, len(chunks), MAX_MISSING_CHUNKS):
        asked = chunks[start : start + MAX_MISSING_CHUNKS]
        try:
            answer = await api.missing(view, Missing(chunks=b"".join(asked)))
        except AccessDenied:
            return None
        lacking = set(answer.wanted)
        held.update(chunk for index, chunk in enumerate(asked) if index not in lacking)
    return held


def _bring_back(root: FollowedRoot, line: Trashed, beside: Callable[[Parts], Parts], tended: Tended) -> None:
    place = beside(tuple(line.path.split("/")))
    for target in (place, place[-1:]):  # its folder may be gone
        try:
            tended.back.append(restore_trashed(root, line.name, target))
        except (LocalProblem, OSError):
            continue
        return
