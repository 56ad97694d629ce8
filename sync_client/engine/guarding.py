"""What of one followed folder waits until a person agrees to a mass change, or has it undone.

Owns: when the counts are taken, what is held and approved (facts of `state.db`, so that a restart changes nothing),
deciding.
May import: protocol, the engine's guards, contents, database, disk, effects, batches, steps and trees modules.

Counting costs nothing while nothing is missing: only after somebody saw that something is gone, or while something
is held, are the dirty rows counted.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from protocol.errors import MedicalBlocksError
from protocol.frames import open_frame
from protocol.http import ServerApi
from protocol.ids import NodeId
from protocol.messages import MAX_BATCH_OPS, OpResult, Part, Restore, Revision, Status, WantedContent
from sync_client.engine.batches import commit
from sync_client.engine.database import Followed, StateDatabase
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.effects import fold_tree_step
from sync_client.engine.guards import (
    DELETES,
    IS_PART,
    REWRITTEN_FILES,
    SAMPLE_AT_LEAST,
    SAMPLED_BYTES,
    SAMPLED_FILES,
    WINDOW_SECONDS,
    Counts,
    Mass,
    deletes_ask,
    done_at,
    rewrites_ask,
    sentence,
    turned_back,
)
from sync_client.engine.looking import fresh_node
from sync_client.engine.reading import read_beginning
from sync_client.engine.steps import PutRemote, Renew, Replace, Step
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.threads import in_thread
from sync_client.engine.trees import Row, Side

SHOWN_PATHS = 20
LISTED_AT_ONCE = 2_000  # nodes are looked at for one part of a list: a few hundredths of a second
_BOOT = Path("/proc/sys/kernel/random/boot_id")
TOGETHER_SECONDS = 5  # what was done within them is kept as one
_LOSER = {Mass.DELETED_HERE: Side.REMOTE, Mass.DELETED_THERE: Side.LOCAL}
_MISSING = {Mass.DELETED_HERE: Side.LOCAL, Mass.DELETED_THERE: Side.REMOTE}


class Held(Struct, frozen=True):
    """count: of nodes, when it was last counted.  total: what the folder held.  since_ms: when it was held first."""

    count: int
    total: int
    since_ms: int


class Done(Struct, frozen=True, array_like=True):
    """What was done without asking within a few seconds.  up_s: by the clock that nobody sets, which begins anew when
    this computer starts."""

    mass: Mass
    count: int
    up_s: int


class _Memory(Struct):
    held: dict[Mass, Held] = {}
    approved: dict[Mass, int] = {}
    lately: list[Done] = []
    boot: str = ""  # which start of this computer `up_s` counts from


class Waiting(Struct, frozen=True):
    """One mass change, for people."""

    mass: Mass
    held: Held
    message: str
    sample: list[str]


class Guard:
    def __init__(self, folder: Followed, state: StateDatabase, trees: StoredTrees, api: ServerApi) -> None:
        self._folder = folder
        self._state = state
        self._trees = trees
        self._api = api
        self._fact = f"guard {folder.follow.hex}"
        kept = state.fact(self._fact)
        self._memory = msgspec.json.decode(kept, type=_Memory) if kept else _Memory()
        self._recent = deque(  # done without asking: when, what, how many
            (
                done_at(done.up_s, now=time.monotonic(), same_start=_same_start(self._memory.boot)),
                done.mass,
                done.count,
            )
            for done in self._memory.lately
        )

    @property
    def held(self) -> frozenset[Mass]:
        return frozenset(self._memory.held)

    # ---- deletes, before a sweep -------------------------------------------------------------------------

    def look(self, missing: Iterable[Side]) -> bool:
        """Count what a sweep would delete.  missing: the sides on which something was found to be gone.

        True: less is held than before, so what was put back may be tried.
        """
        gone = set(missing)
        memory = self._memory
        wanted = [mass for mass in DELETES if _MISSING[mass] in gone or mass in memory.held]
        if not wanted:
            return False
        held, approved = dict(memory.held), dict(memory.approved)
        for mass in wanted:
            counts = self._count(mass)
            if deletes_ask(counts):
                known = held.get(mass)
                since = known.since_ms if known else time.time_ns() // 1_000_000
                held[mass] = Held(counts.pending, counts.total, since)
            else:
                held.pop(mass, None)
            if counts.pending == 0:
                approved.pop(mass, None)
        released = memory.held.keys() > held.keys()
        self._remember(held, approved)
        return released

    def _count(self, mass: Mass) -> Counts:
        pending = sum(1 for _ in self._parts(mass))
        recent = sum(count for moment, what, count in self._lately() if what is mass)
        total = self._trees.count_on(_LOSER[mass]) if pending else 0
        return Counts(pending, recent, self._memory.approved.get(mass, 0), total)

    def _parts(self, mass: Mass) -> Iterator[Row]:
        """The rows that belong to it, now."""
        side = _MISSING.get(mass)
        return (row for row in self._trees.dirty_rows(missing=side) if IS_PART[mass](row))

    # ---- rewrites, before a slice is carried out ---------------------------------------------------------

    async def look_at_rewrites(
        self, root: FollowedRoot, steps: Sequence[Step], planned: dict[Mass, int]
    ) -> bool:
        """True: from now on rewrites in one direction are held."""
        for mass, kind in ((Mass.REWRITTEN_HERE, PutRemote), (Mass.REWRITTEN_THERE, Replace)):
            coming = planned.get(mass, 0)
            lately = sum(count for _, what, count in self._lately() if what is mass)
            unasked = coming - self._memory.approved.get(mass, 0)
            if coming == 0 or lately + unasked <= REWRITTEN_FILES:
                continue
            some = [step for step in steps if isinstance(step, kind)]
            if rewrites_ask(await self._sample(root, some, mass)):
                waiting = Held(coming, 0, time.time_ns() // 1_000_000)
                self._remember(self._memory.held | {mass: waiting}, self._memory.approved)
                return True
        return False

    async def _sample(
        self, root: FollowedRoot, steps: Sequence[PutRemote | Replace], mass: Mass
    ) -> list[tuple[bytes, bytes]]:
        """Beginnings of the shortest of these files, before and after."""
        samples: list[tuple[bytes, bytes]] = []
        fitting = [step for step in steps if step.content.size >= SAMPLE_AT_LEAST]
        for step in sorted(fitting, key=lambda step: step.content.size)[:SAMPLED_FILES]:
            path = self._trees.path(Side.LOCAL, step.node)
            row = self._trees.row(step.node)
            if path is None or row is None or row.remote is None:
                continue
            here = await in_thread(read_beginning, root, path, SAMPLED_BYTES)
            there = await self._beginning_there(step.node, row.remote.content_revision)
            if min(len(here), len(there)) >= SAMPLE_AT_LEAST:
                samples.append((there, here) if mass is Mass.REWRITTEN_HERE else (here, there))
        return samples

    async def _beginning_there(self, node: NodeId, revision: Revision) -> bytes:
        wanted = WantedContent(parts=[Part(node=node, revision=revision, positions=[0], through=True)])
        data = b""
        with suppress(MedicalBlocksError):  # changed just now: the others tell enough
            async for frames in self._api.content(self._folder.view, wanted):
                data += b"".join([await in_thread(open_frame, frame) for frame in frames])
        return data[:SAMPLED_BYTES]

    # ---- what was done -----------------------------------------------------------------------------------

    def note(self, mass: Mass, count: int) -> None:
        """So many were deleted or rewritten just now."""
        approved = self._memory.approved.get(mass, 0)
        if count > approved:
            self._recent.append((time.monotonic(), mass, count - approved))
        if count:
            left = {**self._memory.approved, mass: max(0, approved - count)}
            self._remember(self._memory.held, {what: number for what, number in left.items() if number})

    def _lately(self) -> deque[tuple[float, Mass, int]]:
        while self._recent and self._recent[0][0] < time.monotonic() - WINDOW_SECONDS:
            self._recent.popleft()
        return self._recent

    def _remember(self, held: dict[Mass, Held], approved: dict[Mass, int]) -> None:
        recent = self._to_keep()
        changed = _Memory(held, approved, recent, this_boot() if recent else "")
        if changed != self._memory:
            self._memory = changed
            with self._state.transaction():
                self._state.set_fact(self._fact, msgspec.json.encode(changed).decode())

    def _to_keep(self) -> list[Done]:
        """The window for the next start, a few seconds taken together."""
        kept: Counter[tuple[int, Mass]] = Counter()
        for moment, mass, count in self._lately():
            kept[int(moment // TOGETHER_SECONDS) * TOGETHER_SECONDS, mass] += count
        return [Done(mass, count, up_s) for (up_s, mass), count in sorted(kept.items())]

    # ---- people ------------------------------------------------------------------------------------------

    def messages(self) -> list[str]:
        return [sentence(mass, held.count, held.total) for mass, held in self._memory.held.items()]

    def waiting(self) -> list[Waiting]:
        """With the first of the paths."""
        found = []
        for mass, held in self._memory.held.items():
            sample = [path for path, _ in islice(self._listed_whole(mass), SHOWN_PATHS)]
            found.append(Waiting(mass, held, sentence(mass, held.count, held.total), sample))
        return found

    def listed(self, mass: Mass, after: int) -> tuple[list[tuple[str, Row]], int | None]:
        """A part of the whole list: paths with their rows, and where to go on; None: there is no more.

        after: 0 for the beginning.  Of a part that is full of other things nothing may be left.
        """
        if mass not in self._memory.held:
            return [], None
        side = _LOSER.get(mass, Side.LOCAL)
        found: list[tuple[str, Row]] = []
        looked_at = self._trees.dirty_slice(after, LISTED_AT_ONCE)
        for _, node in looked_at:
            row = self._trees.row(node)
            path = self._trees.path(side, node) if row is not None and IS_PART[mass](row) else None
            if row is not None and path:
                found.append(("/".join(path), row))
        return found, looked_at[-1][0] if len(looked_at) == LISTED_AT_ONCE else None

    def _listed_whole(self, mass: Mass) -> Iterator[tuple[str, Row]]:
        after: int | None = 0
        while after is not None:
            some, after = self.listed(mass, after)
            yield from some

    def expect(self, mass: Mass, count: int) -> None:
        """A person asked for so many already, by another word."""
        approved = self._memory.approved.get(mass, 0) + count
        self._remember(self._memory.held, {**self._memory.approved, mass: approved})

    def apply(self) -> int:
        """Go on with what is held, as many as it is now.  How many that is."""
        approved = dict(self._memory.approved)
        count = 0
        for mass in self._memory.held:
            approved[mass] = sum(1 for _ in self._parts(mass))
            count += approved[mass]
        self._forget_recent()
        self._remember({}, approved)
        return count

    async def restore(self) -> int:
        """Have the other side win: what is gone comes back, what was rewritten gets its content of before."""
        count = 0
        for mass in self._memory.held:
            rows = list(self._parts(mass))
            count += len(rows)
            if mass is Mass.DELETED_THERE:
                await self._bring_back_there(rows)
                continue
            with self._trees.transaction():
                for row in rows:
                    self._trees.save(turned_back(row, mass), dirty=True)
        self._forget_recent()
        self._remember(
            {mass: held for mass, held in self._memory.held.items() if mass is Mass.DELETED_THERE}, {}
        )
        return count  # what was deleted there stays held until the feed has told that it is back

    def _forget_recent(self) -> None:
        """A decision covers what came before it."""
        self._recent = deque(
            (moment, mass, count) for moment, mass, count in self._recent if mass not in self._memory.held
        )

    async def _bring_back_there(self, rows: Sequence[Row]) -> None:
        """Out of the server's trash; what it holds no more goes up again as something new."""
        lost = {row.node: row for row in rows}
        parts = {node: self._trees.path(Side.LOCAL, node) or () for node in lost}
        order = sorted(lost, key=lambda node: len(parts[node]))  # folders before what lies in them
        revisions = await self._in_trash(lost)
        ops = [Restore(node=node, place_revision=revisions[node]) for node in order if node in revisions]
        back: set[NodeId] = set()
        for start in range(0, len(ops), MAX_BATCH_OPS):
            batch = ops[start : start + MAX_BATCH_OPS]
            results: list[OpResult] = await commit(self._api, self._state, self._folder.view, batch)
            back.update(
                NodeId(op.node)
                for op, result in zip(batch, results, strict=True)
                if result.status is Status.DONE
            )
        with self._trees.transaction():
            for node in order:
                row = self._trees.row(node)
                if row is None or row.local is None:
                    continue
                if node in back or (node not in revisions and row.local.place.parent in back):
                    back.add(node)
                else:
                    fold_tree_step(self._trees, Renew(node, fresh_node()))

    async def _in_trash(self, lost: dict[NodeId, Row]) -> dict[NodeId, Revision]:
        found: dict[NodeId, Revision] = {}
        after = ""
        while True:
            page = await self._api.trash(self._folder.view, after)
            found.update((NodeId(item.node), item.place_revision) for item in page.items if item.node in lost)
            if not page.next:
                return found
            after = page.next


def _same_start(boot: str) -> bool | None:
    """Whether this computer was not started anew since; None: the system does not tell."""
    return boot == this_boot() if boot and this_boot() else None


@cache
def this_boot() -> str:
    """A name of this start of the computer; "" where the system tells none."""
    try:
        return _BOOT.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
