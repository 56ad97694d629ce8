"""One followed folder: look at both sides, plan, carry out, until nothing is left to do.

Owns: the order of a round, sweeps over what is dirty, when a folder is in sync.
May import: asyncio, protocol, the rest of the engine.

One task owns the trees of a folder.  Cost follows what changed: a sweep goes over the dirty nodes in slices, reads
the next slice while this one is carried out, and plans each slice from the trees as they are by then.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from protocol.errors import LocalProblem, MedicalBlocksError, Unavailable
from protocol.http import ServerApi
from protocol.ids import NodeId
from protocol.messages import Kind, View
from protocol.names import Os, conflict_name, shown
from sync_client.engine.account import Account
from sync_client.engine.carrying import Carried, Carrier
from sync_client.engine.claiming import claim
from sync_client.engine.contents import Contents
from sync_client.engine.database import Followed, StateDatabase
from sync_client.engine.disk import FollowedRoot, Parts, same_bytes
from sync_client.engine.effects import take_local
from sync_client.engine.guarding import Guard
from sync_client.engine.guards import DELETES, tally
from sync_client.engine.ignoring import IGNORE_FILE
from sync_client.engine.incoming import discard_leftovers
from sync_client.engine.judgement import is_settled
from sync_client.engine.large_folders import LargeFolders
from sync_client.engine.looking import Looker, fresh_node
from sync_client.engine.marker import Marker, read_marker, write_marker
from sync_client.engine.planner import Plan, Surroundings, plan
from sync_client.engine.reading import ReadFile, read_files
from sync_client.engine.recovery import bring_back_parked, drop_second_name, parked_nodes, recover
from sync_client.engine.room import Room
from sync_client.engine.steps import Fetch, Problem, Remove, Replace
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.system_calls import give_memory_back
from sync_client.engine.threads import ended, in_thread
from sync_client.engine.trash_care import EVERY_SECONDS, Tended, tend
from sync_client.engine.trees import PARKED, Local, Place, Row, Side
from sync_client.engine.troubles import Troubles

log = logging.getLogger(__name__)

SLICE_NODES = 1_000
FIRST_NODES = 250  # of a sweep: nothing is carried out until they are prepared
QUEUED_NODES = 20_000
SLICE_BYTES = 16 * 1024 * 1024
DEEPEST = 128
MUCH_WORK_SECONDS = 5.0  # of the processor, in one round: much memory was in use, and is not any more
READ, WRITE = "read", "write"  # rights


@dataclass(slots=True)
class Progress:
    """Of the round under way."""

    done_files: int
    total_files: int
    done_bytes: int
    total_bytes: int
    began_at: float


class FolderSync:
    """Keeps one followed folder equal; all methods belong to one asyncio task, but for the wake-ups."""

    def __init__(self, folder: Followed, state: StateDatabase, api: ServerApi, account: Account) -> None:
        self.folder = folder
        self.trees = StoredTrees(state, folder.id, folder.root)
        self.troubles = Troubles()
        self.looker = Looker(folder, state, self.trees, api, self.troubles, only_down=account.only_down)
        self.guard = Guard(folder, state, self.trees, api)
        self.large = LargeFolders(folder, state, self.trees)
        self.room = Room()
        self.progress: Progress | None = None
        self.stopped: MedicalBlocksError | None = None  # why this folder does not sync at all
        self.rounds_begun = 0
        self.rounds_ended = 0
        self.disk_events = 0  # how often the watcher spoke
        self.watch_note = ""
        self.on_network = False  # other computers may change the folder itself
        self.read_only = account.only_down
        self.may_read = True
        self.woken = asyncio.Event()
        self.resumed = asyncio.Event()  # not paused by itself
        self.resumed.set()
        self._quiet = False
        self._swept_at: float | None = None
        self._unparked: list[NodeId] = []  # parked by their rows, and not on this disk
        self._tend_after = 0.0
        self._queue: deque[tuple[int, NodeId]] = deque()  # the next dirty nodes of the sweep under way
        self._state = state
        self._api = api
        self._account = account
        self._root: FollowedRoot | None = None
        self._carrier: Carrier | None = None
        self._contents: Contents | None = None

    # ---- wake-ups, in the same event loop ----------------------------------------------------------------

    def server_moved(self) -> None:
        self.looker.at_server()
        self._wake()

    def disk_moved(self, folders: set[tuple[str, ...]]) -> None:
        """folders: as the watcher saw them, so as the disk spells them."""
        if self._root is not None and self._root.spelling is Os.WINDOWS:
            folders = {tuple(map(self._root.name_of, parts)) for parts in folders}
        self.looker.at_folders(folders)
        for parts in folders if self.troubles else ():
            refused = self.troubles.refused_in("/".join(parts))
            if refused and os.access(self.path_of(parts), os.W_OK):
                self.troubles.clear(refused)
        self.disk_events += 1
        self._wake()

    def look_at_all(self) -> None:
        """Both sides afresh, and everything that was put off."""
        self.looker.at_server()
        self.looker.at_everything()
        self.troubles.try_all_now()
        self._wake()

    def watcher_lost(self, reason: str) -> None:
        """Changes may have gone unseen: look at everything, and say so once."""
        self.watch_note = reason
        self._judge_sight()
        self.looker.at_everything()
        self.disk_events += 1
        self._wake()

    def is_watched(self, *, on_network: bool) -> None:
        """A watcher begins to tell."""
        self.watch_note, self.on_network = "", on_network
        self._judge_sight()

    def _judge_sight(self) -> None:
        self.looker.times.blind = self.on_network or self.watch_note in ("limit", "failed")

    def set_read_only(self, *, read_only: bool) -> None:
        """What the server says of our right to write here; a change of it makes everything be looked at again."""
        read_only = read_only or self._account.only_down
        if read_only == self.read_only:
            return
        self.read_only = read_only
        with self.trees.transaction():
            for row in list(self.trees.all_rows()):
                if row.node != self.folder.root and not is_settled(row):
                    self.trees.save(row, dirty=True)
        self.look_at_all()

    async def batch_answered(self) -> None:
        """Until no batch of ours is under way: what the server then tells is not our own work."""
        if self._carrier is not None:
            await self._carrier.answered.wait()

    def _wake(self) -> None:
        self._quiet = False
        self.woken.set()

    def seconds_to_next(self) -> float:
        """Until something that was put off is due."""
        now = time.monotonic()
        due = [moment for moment in (self.looker.next_at(), self.troubles.next_at()) if moment is not None]
        return max(0.02, min(due) - now)

    @property
    def is_quiet(self) -> bool:
        """Nothing is left that could be done now."""
        return self._quiet

    @property
    def has_problems(self) -> bool:
        return bool(
            self.troubles.shown()
            or self.looker.odd
            or self.looker.refused
            or self.guard.held
            or self.large.names(self.looker.window)
        )

    @property
    def is_at_rest(self) -> bool:
        """Quiet, and what is put off is put off for good reason, not just overtaken by an edit."""
        return self._quiet and len(self.troubles) == len(self.troubles.shown())

    def apply_guard(self) -> int:
        """What was held back goes on.  How many nodes that are."""
        count = self.guard.apply()
        self._decided()
        return count

    async def restore_guard(self) -> int:
        """What was held back is undone where it was done.  How many nodes that are."""
        count = await self.guard.restore()
        self._decided()
        return count

    def _decided(self) -> None:
        self.troubles.release()
        self.look_at_all()

    def learn_view(self, view: View) -> None:
        """What the server says of the view now: our rights in it, and its room."""
        self.may_read = READ in view.rights
        self.set_read_only(read_only=WRITE not in view.rights)
        fitting = self.room.learn(view)
        if fitting:
            self.troubles.clear(fitting)
            self._wake()

    def window_changed(self) -> None:
        """Other things are wanted on this computer than before."""
        self.looker.window.reload()
        if self._carrier is not None:
            self._carrier.window.reload()
        self.looker.at_server()
        self._wake()

    def parts_of(self, path: Path) -> Parts:
        """The true names of what a person calls by this path, which lies in the folder."""
        parts = path.relative_to(self.folder.local).parts
        return parts if self._root is None else tuple(map(self._root.name_of, parts))

    def path_of(self, parts: Sequence[str]) -> Path:
        """Where a person finds it."""
        if self._root is not None:
            parts = tuple(map(self._root.spell, parts))
        return self.folder.local.joinpath(*parts)

    @property
    def root(self) -> FollowedRoot | None:
        return self._root

    # ---- opening -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Raises LocalProblem: the folder or its marker is missing, or they belong to something else."""
        root = await in_thread(open_root, self.folder.local)
        try:
            marker = checked_marker(root, self.folder)
            await self._renew_generation(root, marker)
            await in_thread(discard_leftovers, root)
            await in_thread(root.learn_spelling)
            self._recover(root)
            self._find_parked(root)
        except BaseException:
            root.close()
            raise
        self._root = root
        self._contents = Contents(self.folder, self._state, self.trees, root, self._api, self.room)
        self._carrier = Carrier(
            self.folder, self._state, self.trees, root, self._api, self._contents, self.looker.authors
        )

    def close(self) -> None:
        if self._root is not None:
            self._root.close()
        self._root = self._carrier = self._contents = None

    async def _renew_generation(self, root: FollowedRoot, marker: Marker) -> None:
        """Marker and database count the starts together; after a crash between the two the marker is one ahead,
        which the database was told to expect."""
        folder, expected = self.folder, f"generation {self.folder.follow.hex}"
        if str(marker.generation) not in (str(folder.generation), self._state.fact(expected)):
            log.warning("generation differs folder=%d: agreed states are dropped", folder.id)
            self._drop_agreed()
        following = max(marker.generation, folder.generation) + 1
        with self._state.transaction():
            self._state.set_fact(expected, str(following))
        renewed = claim(replace(marker, generation=following), self._account)
        await in_thread(write_marker, root, renewed)
        folder.generation = following
        with self._state.transaction():
            self._state.save_folder(folder)

    def _find_parked(self, root: FollowedRoot) -> None:
        """A node that was parked just before a crash waits under its hidden name: it is not gone."""
        changes: list[tuple[NodeId, Local | None]] = []
        for node, seen in parked_nodes(root):
            row = self.trees.row(node)
            places = self._places_of(row)
            if drop_second_name(root, node, places):
                continue
            if row is None or row.local is None or not same_bytes(row.local.fingerprint, seen):
                bring_back_parked(root, node, (*places, (node.hex,))[0], self._name_beside)
                self.looker.at_everything()
            else:
                place = Place(PARKED, row.local.place.name)
                changes.append((node, replace(row.local, place=place, fingerprint=seen)))
        with self.trees.transaction():
            take_local(self.trees, changes)
        waiting = {node for node, _ in parked_nodes(root)}
        self._unparked = [node for node in self.trees.children(Side.LOCAL, PARKED) if node not in waiting]
        if self._unparked:
            self.looker.at_everything()

    def _let_go_of_unparked(self) -> None:
        """A look at everything has not met them either: a crash took them, nobody here deleted them."""
        with self.trees.transaction():
            for node in self._unparked:
                row = self.trees.row(node)
                if row is not None and row.local is not None and row.local.place.parent == PARKED:
                    self.trees.save(Row(node, row.remote, None, None), dirty=True)
        self._unparked = []

    def _places_of(self, row: Row | None) -> list[tuple[str, ...]]:
        """Where on this disk it may stand: as it was seen last, or on its way to where the server has it."""
        if row is None:
            return []
        known = [side.place for side in (row.local, row.remote, row.agreed) if side is not None]
        paths = [self.trees.path_of_place(Side.LOCAL, place) for place in known if place.parent != PARKED]
        return [path for path in paths if path is not None]

    def _name_beside(self, name: str, taken: Callable[[str], bool]) -> str:
        return conflict_name(name, device=self._account.device_name, when=local_time(), taken=taken)

    def _drop_agreed(self) -> None:
        """The folder or the database was put back from elsewhere: equal bytes agree again, others are kept twice."""
        with self.trees.transaction():
            for row in list(self.trees.all_rows()):
                if row.node != self.folder.root and row.agreed is not None:
                    self.trees.save(replace(row, agreed=None), dirty=True)

    def _recover(self, root: FollowedRoot) -> None:
        def is_on_server(digest: bytes) -> bool:
            return any(True for _ in self.trees.holding_remotely(digest))

        recovered = recover(
            root,
            is_on_server,
            lambda node: self._state.intent(self.folder.id, node),
            self._name_beside,
        )
        if recovered:
            log.info("recovered folder=%d files=%d", self.folder.id, len(recovered))
            self.looker.at_everything()
        with self._state.transaction():
            self._state.drop_intents(self.folder.id)

    # ---- a round -----------------------------------------------------------------------------------------

    async def round(self) -> None:
        """Look and do, until nothing is left that can be done now."""
        began = time.process_time()
        self.woken.clear()
        self.rounds_begun += 1
        self._swept_at = None
        if not self.may_read:
            raise LocalProblem(
                f"Of {self.folder.remote} you may see names only by now, not the files",
                hint=f"Your files stay in {self.folder.local}. Ask its owner for the right to read.",
            )
        if self._root is None:
            await self.open()
        assert self._root is not None
        assert self._carrier is not None
        assert self._contents is not None
        if await self._carrier.finish_batches():
            self.looker.at_server()
        while True:
            await in_thread(still_there, self._root, self.folder)
            looked = await self.looker.look(self._root)
            if looked:  # while it was looked at, the disk may have been taken away
                await in_thread(still_there, self._root, self.folder)
            if self._unparked:
                self._let_go_of_unparked()
            if self.folder.at_head and self.looker.putting_back.is_due and self.read_only:
                self.looker.putting_back.let_go()
            if self.folder.at_head and self.looker.putting_back.is_due:
                reset = await self.looker.putting_back.run(self._contents)
                self.looker.at_server()
                if reset is not None:
                    self.looker.list_again(reset)
                continue
            if self.looker.root_is_gone:
                raise LocalProblem(
                    f"{self.folder.remote} was deleted on the server",
                    hint="Your files stay where they are. Restore it from the trash, or run `mb-sync remove`.",
                )
            if self.folder.at_head and self._ask_about_large_folders():
                continue
            did = (
                await self._sweep(self._root, self._carrier, self._contents) if self.folder.at_head else False
            )
            if not (did or looked or self.looker.is_due):
                break
        with self.trees.transaction():
            pass  # whatever was only observed lasts from here on
        self._name_the_stuck()
        if not self.trees.dirty_slice(0, 1):
            self.looker.authors.forget()
        await self._tend_gently(self._root)
        self.progress = None
        self.rounds_ended = self.rounds_begun
        self.stopped = None
        self._quiet = not self.looker.is_due
        if time.process_time() - began > MUCH_WORK_SECONDS:
            self._state.write_rows()
            self.trees.let_go()
            await in_thread(give_memory_back)

    def _ask_about_large_folders(self) -> bool:
        """True: some wait for a person from now on, and the feed is to be judged once more."""
        news = self.looker.take_news()
        if self._account.only_down or not (news.new_folders or news.grown):
            return False
        if not self.large.look(self.looker.window, self.looker.wire_content, news):
            return False
        self.window_changed()
        return True

    async def _sweep(self, root: FollowedRoot, carrier: Carrier, contents: Contents) -> bool:
        """Once over everything dirty.  True: something was done."""
        self._swept_at = time.monotonic()
        await self.looker.read_doubtful(root)
        if self.guard.look(self.looker.take_missing()):
            self.troubles.release()
        end = self.trees.last_dirty()
        self._queue.clear()
        slice_ = self._next_slice(0, end, FIRST_NODES)
        if not slice_:
            return False
        self._quiet = False
        self._count_progress(slice_)
        contents.begin()
        did = False
        preparing = asyncio.ensure_future(self._prepare(root, contents, slice_))
        try:
            while slice_:
                await preparing
                coming = self._next_slice(slice_[-1][0], end)
                preparing = asyncio.ensure_future(self._prepare(root, contents, coming))
                did |= await self._do(root, carrier, [node for _, node in slice_])
                slice_ = coming
        finally:
            try:
                await ended(preparing)
            finally:
                await contents.drop_unused()
        return did

    async def _prepare(
        self, root: FollowedRoot, contents: Contents, slice_: Sequence[tuple[int, NodeId]]
    ) -> None:
        """While the slice before is carried out: read what must be read, and bring contents across."""
        nodes = [node for _, node in slice_]
        wanted = self.looker.unread_among(nodes)
        restless = [one for one in wanted if self.troubles.is_restless(one[0])] if self.troubles else []
        wanted = [one for one in wanted if one not in restless] if restless else wanted
        read = await in_thread(read_files, root, wanted, keep=True) if wanted else []
        read += [await contents.read_copy(one) for one in restless]
        self.looker.take_read(read)
        to_send = [] if self.read_only else [one for one in read if isinstance(one, ReadFile)]
        await contents.bring_beforehand(nodes, to_send)

    def _next_slice(self, after: int, end: int, most: int = SLICE_NODES) -> list[tuple[int, NodeId]]:
        """Dirty nodes that may be tried now, about SLICE_BYTES to be moved."""
        now = time.monotonic()
        taken: list[tuple[int, NodeId]] = []
        size = 0
        while len(taken) < most and size < SLICE_BYTES:
            if not self._queue:
                self._fill_queue(after)
            if not self._queue or self._queue[0][0] > end:
                break
            after, node = self._queue.popleft()
            if not self.troubles.is_put_off(node, now=now) and not self._has_no_folder(node, now=now):
                taken.append((after, node))
                size += _bytes_to_move(self.trees.row(node))
        return taken

    def _has_no_folder(self, node: NodeId, *, now: float) -> bool:
        """The folder it belongs in cannot be made on this disk for now: its next try is not before that one's."""
        if not self.troubles:
            return False
        row = self.trees.row(node)
        if row is None or row.remote is None:
            return False
        place = row.remote.place
        if row.local is not None and row.local.place.parent == place.parent:
            return False
        for _ in range(DEEPEST):
            above = self.trees.row(place.parent)
            if above is None or above.remote is None or above.local is not None:
                return False
            if self.troubles.backs_off(above.node, now=now):
                return True
            place = above.remote.place
        return False

    def _fill_queue(self, after: int) -> None:
        self._queue.extend(self.trees.dirty_slice(after, QUEUED_NODES))
        if self.progress is not None:
            left = sum(_bytes_to_move(self.trees.row(node)) for _, node in self._queue)
            self.progress.total_bytes = max(self.progress.total_bytes, self.progress.done_bytes + left)

    async def _do(self, root: FollowedRoot, carrier: Carrier, nodes: Sequence[NodeId]) -> bool:
        made = self._plan(nodes)
        planned = tally(made.steps)
        if planned and await self.guard.look_at_rewrites(root, made.steps, planned):
            made = self._plan(nodes)
            planned = tally(made.steps)
        if made.settled:
            with self.trees.transaction(lasting=False):
                self.trees.settle(made.settled)
        self.troubles.clear(made.settled)
        self.troubles.hold(made.held)
        steps = []
        for step in made.steps:
            if isinstance(step, Problem):
                self._put_off(step.node, step.code, step.message)
            else:
                steps.append(step)
        if not steps:
            return False
        if any(mass in planned for mass in DELETES):
            await in_thread(still_there, root, self.folder)
        carried = await carrier.carry_out(steps)
        self._take_carried(carried)
        for step in steps:
            if isinstance(step, Fetch | Replace | Remove) and step.place.name == IGNORE_FILE:
                path = self.trees.path_of_place(Side.LOCAL, step.place)
                self.looker.at_folders({path[:-1] if path else ()})
        if planned and carried.finished:
            finished = set(carried.finished)
            for mass, count in tally(step for step in steps if step.node in finished).items():
                self.guard.note(mass, count)
        return carried.done > 0

    def _plan(self, nodes: Sequence[NodeId]) -> Plan:
        around = Surroundings(device=self._account.device_name, when=local_time(), fresh=fresh_node)
        return plan(
            self.trees,
            nodes,
            around,
            read_only=self.read_only,
            held=self.guard.held,
            ignores=self.looker.ignores,
        )

    def _take_carried(self, carried: Carried) -> None:
        if carried.look_for_swaps and self._root is not None:
            self._recover(self._root)
        if carried.look_for_parked and self._root is not None:
            self._find_parked(self._root)  # before a look takes it for deleted
        if carried.look_at:
            self.looker.at_folders(carried.look_at)
        if carried.look_later:
            self.looker.later(carried.look_later)
        if carried.look_at_server:
            self.looker.at_server()
        self.troubles.clear(carried.finished)
        for node, (code, message) in carried.problems.items():
            self._put_off(node, code, message)
        if self.progress is not None:
            self.progress.done_files += carried.done
            self.progress.done_bytes += sum(note.size for note in carried.notes)
        if carried.reset is not None:
            self.looker.list_again(carried.reset)

    def _put_off(self, node: NodeId, code: str, message: str) -> None:
        path = (
            self.trees.path(Side.LOCAL, node)
            or self.trees.path(Side.REMOTE, node)
            or ("?", _last_name(self.trees.row(node)))
        )
        self.troubles.put_off(node, "/".join(path), code, message, now=time.monotonic())

    def _count_progress(self, slice_: Sequence[tuple[int, NodeId]]) -> None:
        left = self.trees.count_dirty()
        if self.progress is None:  # then nothing has counted what was taken and what is queued
            size = sum(_bytes_to_move(self.trees.row(node)) for _, node in (*slice_, *self._queue))
            self.progress = Progress(0, left, 0, size, time.monotonic())
        else:
            self.progress.total_files = max(self.progress.total_files, self.progress.done_files + left)

    async def tend_trash(self, root: FollowedRoot, *, everything: bool = False) -> Tended | None:
        """Once an hour, also across restarts."""
        if not everything and time.monotonic() < self._tend_after:
            return None
        self._tend_after = time.monotonic() + EVERY_SECONDS
        fact, now = f"trash tended {self.folder.follow.hex}", int(time.time())
        last = int(self._state.fact(fact) or 0)
        if not everything and last and abs(now - last) < EVERY_SECONDS:
            self._tend_after -= abs(now - last)
            return None
        with self._state.transaction(lasting=False):
            self._state.set_fact(fact, str(now))
        _, folder_bytes = self._state.totals(self.folder.id)
        tended = await tend(
            self._api,
            self.folder.view,
            root,
            now_ms=now * 1000,
            folder_bytes=folder_bytes,
            beside=self._place_beside,
            everything=everything,
        )
        if tended.back:
            self.looker.at_folders({parts[:-1] for parts in tended.back})
        return tended

    async def _tend_gently(self, root: FollowedRoot) -> None:
        """What goes wrong with the trash is no reason not to sync."""
        try:
            await self.tend_trash(root)
        except Unavailable:
            raise
        except (MedicalBlocksError, OSError) as error:
            log.warning("trash folder=%d not tended: %s", self.folder.id, type(error).__name__)

    def _place_beside(self, parts: Parts) -> Parts:
        def taken(name: str) -> bool:
            return self.trees.at_path(Side.LOCAL, (*parts[:-1], name)) is not None

        return (
            *parts[:-1],
            conflict_name(parts[-1], device=self._account.device_name, when=local_time(), taken=taken),
        )

    def _name_the_stuck(self) -> None:
        """Nothing that is left undone stays without a name, but for what lies below something named; and what came to
        rest by itself keeps none: nobody would ever plan it again, so it would be due for ever."""
        gone = [node for node in self.troubles if self.trees.row(node) is None]
        at_rest = [
            node
            for node in self.troubles.overtaken()
            if (row := self.trees.row(node)) is not None and is_settled(row)
        ]
        self.troubles.clear([*gone, *at_rest])
        for _, node in self.trees.dirty_slice(0, SLICE_NODES):
            row = self.trees.row(node)
            if node not in self.troubles and row is not None and not self._below_trouble(row):
                self._put_off(node, "waiting", "It waits for something else to be done first.")
        if self._swept_at is not None:
            self.troubles.came_to_nothing(tried_at=self._swept_at, now=time.monotonic())

    def _below_trouble(self, row: Row) -> bool:
        for side in (Side.LOCAL, Side.REMOTE):
            at: Row | None = row
            for _ in range(DEEPEST):
                seen = None if at is None else at.local if side is Side.LOCAL else at.remote
                if seen is None or seen.place.parent == self.folder.root:
                    break
                if seen.place.parent in self.troubles:
                    return True
                at = self.trees.row(seen.place.parent)
        return False


def _last_name(row: Row | None) -> str:
    """Of what lies nowhere: the name that its last place had."""
    seen = None if row is None else row.local or row.remote
    return "?" if seen is None else shown(seen.place.name)


def _bytes_to_move(row: Row | None) -> int:
    if row is None:
        return 0
    if row.local is not None and row.local.content is None:
        return row.local.fingerprint.size
    here = row.local.content if row.local else None
    if row.remote is not None and row.remote.content != here:
        return row.remote.content.size
    return here.size if here is not None and here.kind is not Kind.FOLDER and row.remote is None else 0


def local_time() -> datetime:
    return datetime.now().astimezone()


# ---- the root --------------------------------------------------------------------------------------------


def open_root(path: Path) -> FollowedRoot:
    try:
        return FollowedRoot(path)
    except OSError as error:
        raise LocalProblem(
            f"The folder {path} cannot be opened ({error.strerror})",
            hint="Mount or bring it back; nothing is deleted meanwhile. If it is gone for good, run `mb-sync remove`.",
        ) from error


def checked_marker(root: FollowedRoot, folder: Followed) -> Marker:
    """The proof that this is the followed folder.  Raises LocalProblem: it is missing, or another's."""
    marker = read_marker(root)
    if marker is None:
        raise LocalProblem(
            f"The folder {folder.local} has lost its marker (.mb-sync/marker.json)",
            hint="If the right disk is mounted there, run `mb-sync remove` and `mb-sync add` again;"
            " equal files are recognised and nothing is deleted.",
        )
    if marker.follow != folder.follow or marker.node != folder.root:
        raise LocalProblem(
            f"The folder {folder.local} holds the marker of another followed folder",
            hint="Put the right folder back, or run `mb-sync remove` and `mb-sync add` again.",
        )
    return marker


def still_there(root: FollowedRoot, folder: Followed) -> None:
    """Before anything is believed or done: the path leads to the folder that is open, and its marker is there."""
    try:
        now = os.stat(folder.local)
    except OSError as error:
        raise LocalProblem(
            f"The folder {folder.local} is not there ({error.strerror})",
            hint="Mount or bring it back; nothing is deleted meanwhile.",
        ) from error
    seen = root.fingerprint(())
    if seen is None or (seen.device, seen.inode) != (now.st_dev, now.st_ino):
        raise LocalProblem(
            f"Another folder stands at {folder.local} now",
            hint="Put the followed one back; nothing is deleted.",
        )
    checked_marker(root, folder)
