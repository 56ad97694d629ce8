"""MB-Sync's engine: all followed folders of one client home.

Owns: the tasks (one a folder, one that listens to the server), being on line, pausing, following and leaving folders.
May import: asyncio, protocol, the rest of the engine.

What people ask about it is answered by `engine.reporting` and `engine.history`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from protocol.chunking import CUTTER, verify_cutter
from protocol.errors import (
    AccessDenied,
    DeviceCloned,
    LocalProblem,
    MedicalBlocksError,
    NotSignedIn,
    Unavailable,
)
from protocol.http import ServerApi
from protocol.ids import Cursor, NodeId, ViewId
from protocol.messages import WAIT_SECONDS, Hello, Moved, Retention, Wait, Watched
from sync_client.engine import conflicts, exclusion, history, marks, reporting
from sync_client.engine.account import Account
from sync_client.engine.batches import is_cloned, note_device
from sync_client.engine.claiming import claim, let_go, refuse_others
from sync_client.engine.database import StateDatabase, state_trouble
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.file_systems import lies_on_a_network
from sync_client.engine.limits import Limits, read_limits, write_limits
from sync_client.engine.marker import Marker, remove_marker, write_marker
from sync_client.engine.notices import AGAIN_SECONDS, Heard
from sync_client.engine.rebuilding import STATE, note_down, recall, set_aside_if_damaged
from sync_client.engine.remote_folders import find_remote
from sync_client.engine.round import FolderSync
from sync_client.engine.sealing import StateDamaged
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.threads import ended
from sync_client.engine.trees import root_row
from sync_client.engine.view_rights import ViewRights
from sync_client.engine.watcher import Watcher, watcher_for

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05  # after the first event
GATHER_SECONDS = 1.0  # while events go on
REST_SECONDS = 1.0  # without anything to do
PAUSE_LOOK_SECONDS = 1.0
ROOM_LOOK_SECONDS = 30.0
LOOK_AGAIN_AT_FOLDER_SECONDS = 3.0
OFFLINE_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)


class Engine:
    """Everything is called from one event loop."""

    def __init__(self, state: StateDatabase, account: Account, api: ServerApi) -> None:
        self.account = account
        self.api = api
        self.state = state
        self.syncs: dict[int, FolderSync] = {}
        self.offline: Unavailable | None = None
        self.signed_out: MedicalBlocksError | None = _copied_home(state, account)
        self.paused = state.fact("paused") == "yes"
        self._watchers: dict[int, Watcher] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._greeted = False
        self.server_retention: Retention | None = None  # not heard yet
        self._rights = ViewRights(api)
        self.heard = Heard(api)
        self._resumed = asyncio.Event()
        self._cursor_moved = asyncio.Event()
        self._round_ended = asyncio.Event()
        if not self.paused:
            self._resumed.set()
        self.limits = read_limits(state)
        api.pace_up.rate = lambda: self._rate(self.limits.up)
        api.pace_down.rate = lambda: self._rate(self.limits.down)
        for folder in state.folders():
            sync = self.syncs[folder.id] = FolderSync(folder, state, api, account)
            if state.fact(_paused_fact(sync)) == "yes":
                sync.resumed.clear()
            wished = state.fact(_scanned_fact(sync))
            sync.looker.times.wished = float(wished) if wished else None

    @classmethod
    async def open(cls, state: Path, account: Account) -> Engine:
        """state: the client home.  Opens `state.db`, anew if it is damaged; nothing is asked of the network yet."""
        try:
            return await cls._open(state, account)
        except (StateDamaged, sqlite3.DatabaseError) as error:
            if set_aside_if_damaged(state, error):
                return await cls._open(state, account)
            if isinstance(error, sqlite3.Error):
                raise state_trouble(error) from error
            raise

    @classmethod
    async def _open(cls, state: Path, account: Account) -> Engine:
        api = await ServerApi(account.server, account.token, trust=account.trust).__aenter__()
        database = None
        try:
            database = StateDatabase(state / STATE)
            mine = f"{account.server} {account.user}"
            recall(database, mine)
            known = database.fact("account")
            if known and known != mine and database.folders():
                raise LocalProblem(
                    "This client home follows folders of another account",
                    hint="Run `mb-sync logout` first, or use another client home with --home.",
                )
            with database.transaction():
                database.set_fact("account", mine)
                note_device(database, account.device)
            note_down(database)
            return cls(database, account, api)
        except BaseException:
            await api.__aexit__(None, None, None)
            if database is not None:
                database.close()
            raise

    async def close(self) -> None:
        for watcher in self._watchers.values():
            await asyncio.to_thread(watcher.stop)
        self._watchers.clear()
        for sync in self.syncs.values():
            sync.close()
        await self.api.__aexit__(None, None, None)
        self.state.close()

    # ---- running -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Sync until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for sync in self.syncs.values():
                    self._start(sync)
                group.create_task(self._listen(), name="listen")
                group.create_task(self._resume_in_time(), name="end of pauses")
                group.create_task(self._look_for_room(), name="room")
                group.create_task(self._hear_notices(), name="notices")
        finally:
            self._group = None
            self._tasks.clear()

    def _start(self, sync: FolderSync) -> None:
        if self._group is not None:
            self._tasks[sync.folder.id] = self._group.create_task(
                self._keep(sync), name=f"folder {sync.folder.id}"
            )

    async def _keep(self, sync: FolderSync) -> None:
        """Rounds of one folder, for ever."""
        failures = 0
        sync.look_at_all()
        while True:
            await self._resumed.wait()
            await sync.resumed.wait()
            if self.signed_out is not None:
                return
            pause: float | None = None
            try:
                await self._greet()
                if not sync.may_read:
                    await self._rights.learn(self.syncs.values())
                await sync.round()
                failures = 0
                self.offline = None
                await self._watch(sync)
            except Unavailable as error:
                self.offline = error
                pause = OFFLINE_SECONDS[min(failures, len(OFFLINE_SECONDS) - 1)]
                failures += 1
            except (NotSignedIn, DeviceCloned) as error:
                self._sign_out(error)
                return
            except (MedicalBlocksError, OSError) as error:
                if await self._is_explained(error, sync):
                    continue
                self._stop_folder(sync, error)
                pause = LOOK_AGAIN_AT_FOLDER_SECONDS
            except sqlite3.Error:  # the trees may be ahead of `state.db` now: only a fresh engine may go on
                raise
            except Exception as error:  # ours, perhaps provoked: the other folders and the client go on
                log.exception("folder=%d met a fault", sync.folder.id)
                self._stop_folder(sync, _fault(error))
                self._round_ended.set()
                return
            self._cursor_moved.set()
            self._round_ended.set()
            if pause is not None:
                await _wait_at_most(sync.woken, pause) if sync.stopped is None else await asyncio.sleep(pause)
                sync.look_at_all()
                continue
            events = sync.disk_events
            await self._rest(sync)
            if sync.disk_events != events:
                await self._settle(sync)

    async def _rest(self, sync: FolderSync) -> None:
        """Until there is something to do.  Rows that wait beside their table are written into it when nothing comes at
        once: in the middle of a first sync they would wait for it, and the other computers for this one."""
        if sync.seconds_to_next() > REST_SECONDS:
            await _wait_at_most(sync.woken, REST_SECONDS)
            if not sync.woken.is_set():
                self.state.write_rows()
        await _wait_at_most(sync.woken, sync.seconds_to_next())

    async def _greet(self) -> None:
        """Once a start, before anything goes up.  Raises LocalProblem: the server cuts files another way."""
        if not self._greeted:
            hello = await self.api.hello()
            _check_cutter(hello)
            if not self.account.only_down:
                verify_cutter()
            self.server_retention = hello.retention
            await self._rights.learn(self.syncs.values())
            self._greeted = True

    async def _look_for_room(self) -> None:
        """What waits for room on the server goes on when there is some."""
        while True:
            await asyncio.sleep(ROOM_LOOK_SECONDS)
            await self._resumed.wait()
            if self._greeted and self.signed_out is None:
                with suppress(MedicalBlocksError):  # whatever it is, a round meets it as well and says so
                    await self._learn_room()

    async def _hear_notices(self) -> None:
        while True:
            await self._resumed.wait()
            if self.signed_out is None:
                await self._ask_for_notices()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ask_for_notices(self) -> None:
        """They are no part of the work: what goes wrong is met by it as well, and said there."""
        if not self.account.only_down:  # a sync code has no person behind it
            with suppress(MedicalBlocksError):
                await self.heard.ask()

    async def _learn_room(self) -> None:
        if self._rights.may_have_changed(self.syncs.values()):
            await self._rights.learn(self.syncs.values())

    async def _is_explained(self, error: MedicalBlocksError | OSError, sync: FolderSync) -> bool:
        """By a right that changed: the folder goes on with the one it has now."""
        try:
            return await self._rights.explains(error, sync, self.syncs.values())
        except MedicalBlocksError:
            return False  # the next round meets it too

    def _sign_out(self, error: MedicalBlocksError) -> None:
        """Nothing goes on before a new sign-in, which comes with a new engine."""
        self.signed_out = _copied_home(self.state, self.account) or error
        self._round_ended.set()

    async def _settle(self, sync: FolderSync) -> None:
        """The first event is acted on after a moment; while events go on they are gathered."""
        end = time.monotonic() + GATHER_SECONDS
        while time.monotonic() < end:
            events = sync.disk_events
            await asyncio.sleep(SETTLE_SECONDS)
            if sync.disk_events == events:
                return

    def _stop_folder(self, sync: FolderSync, error: MedicalBlocksError | OSError) -> None:
        if isinstance(error, OSError):
            error = LocalProblem(
                f"The disk below {sync.folder.local} failed ({error.strerror or error})",
                hint="Check the disk.",
            )
        if sync.stopped is None:
            log.warning("folder=%d stopped code=%s", sync.folder.id, error.code)
        sync.stopped = error
        self._unwatch(sync)
        sync.close()

    async def _watch(self, sync: FolderSync) -> None:
        if sync.folder.id in self._watchers:
            return
        loop = asyncio.get_running_loop()

        def on_dirty(folders: set[tuple[str, ...]]) -> None:
            loop.call_soon_threadsafe(sync.disk_moved, folders)

        def on_lost(reason: str) -> None:
            loop.call_soon_threadsafe(sync.watcher_lost, reason)

        # Before it starts: what it says of itself while it does is to stand.
        sync.is_watched(on_network=await asyncio.to_thread(lies_on_a_network, sync.folder.local))
        watcher = watcher_for(sync.folder.local)
        await asyncio.to_thread(watcher.start, on_dirty, on_lost)
        self._watchers[sync.folder.id] = watcher
        sync.look_at_all()  # what happened before the first watch stood

    def _unwatch(self, sync: FolderSync) -> None:
        watcher = self._watchers.pop(sync.folder.id, None)
        if watcher is not None:
            watcher.stop()

    async def _listen(self) -> None:
        """One long poll for all folders; each is woken when its view has moved."""
        failures = 0
        while True:
            await self._resumed.wait()
            self._cursor_moved.clear()
            listening = [sync for sync in self.syncs.values() if _listens(sync)]
            if not listening or self.signed_out:
                await _wait_at_most(self._cursor_moved, WAIT_SECONDS)
                continue
            asked = {sync.folder.id: sync.folder.cursor for sync in listening}
            watched = [Watched(view=sync.folder.view, cursor=sync.folder.cursor) for sync in listening]
            try:
                moved = await self._who_moved(watched, asked.keys())
                failures = 0
                if moved is None:
                    continue
                self.offline = None
                if moved.generation != self._rights.generation:
                    await self._rights.learn(self.syncs.values())
            except Unavailable as error:
                self.offline = error
                await asyncio.sleep(OFFLINE_SECONDS[min(failures, len(OFFLINE_SECONDS) - 1)])
                failures += 1
                for (
                    sync
                ) in listening:  # a round tells that the server is back; a long poll that holds does not
                    sync.server_moved()
                continue
            except NotSignedIn as error:
                self._sign_out(error)
                continue
            except MedicalBlocksError as error:
                log.warning("long poll refused code=%s", error.code)
                for sync in listening:
                    sync.server_moved()
                await asyncio.sleep(OFFLINE_SECONDS[1])
                continue
            for sync in listening:
                await sync.batch_answered()
                if sync.folder.view in moved.views and sync.folder.cursor == asked[sync.folder.id]:
                    sync.server_moved()
                    self._cursor_moved.clear()

    async def _who_moved(self, watched: list[Watched], asked: Collection[int]) -> Moved | None:
        """The answer of one long poll; None if by now another folder is to be listened for as well."""
        poll = asyncio.create_task(
            self.api.wait(Wait(views=watched, generation=self._rights.generation)), name="long poll"
        )
        try:
            while True:
                ended = asyncio.create_task(self._cursor_moved.wait(), name="a round ended")
                try:
                    await asyncio.wait([poll, ended], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    ended.cancel()
                if poll.done():
                    return await poll
                self._cursor_moved.clear()
                if any(_listens(sync) and key not in asked for key, sync in self.syncs.items()):
                    return None
        finally:
            poll.cancel()

    # ---- waiting -----------------------------------------------------------------------------------------

    async def wait_synced(self) -> bool:
        """After a fresh look at both sides: True when they are equal, False when items are in error."""
        wanted: dict[int, int] = {}
        for key, sync in self.syncs.items():
            wanted[key] = sync.rounds_begun + 1
            sync.look_at_all()
        while True:
            if self.signed_out is not None:
                raise self.signed_out
            syncs = [sync for key, sync in self.syncs.items() if key in wanted]
            if any(sync.stopped is not None for sync in syncs):
                return False
            done = all(sync.rounds_ended >= wanted[sync.folder.id] and sync.is_at_rest for sync in syncs)
            if done and self.offline is None:
                return not any(sync.has_problems for sync in syncs)
            self._round_ended.clear()
            await _wait_at_most(self._round_ended, 1.0)

    async def once(self, on_progress: Callable[[dict[str, Any]], None] | None = None) -> bool:
        """Sync until nothing is left to do.  False: items are in error, or a folder could not be synced at all
        (`status` says why; the others were).  Raises what stands in the way of all."""
        if self.signed_out is not None:
            raise self.signed_out
        teller = asyncio.create_task(self._tell(on_progress)) if on_progress else None
        try:
            await self._greet()
            for sync in list(self.syncs.values()):
                await self._bring_to_rest(sync)
            await self._learn_room()
            await self._ask_for_notices()
        except DeviceCloned as error:
            self._sign_out(error)
            raise self.signed_out or error from error
        finally:
            if teller is not None:
                await ended(teller)
        return not any(sync.stopped or sync.has_problems for sync in self.syncs.values())

    async def _bring_to_rest(self, sync: FolderSync) -> None:
        """Rounds until nothing is left to do, or until the folder has to be stopped."""
        sync.look_at_all()
        try:
            while True:
                try:
                    await sync.round()
                except AccessDenied as error:
                    if not await self._is_explained(error, sync):
                        raise
                    continue
                if sync.is_at_rest:
                    return
                await asyncio.sleep(min(sync.seconds_to_next(), 5.0))
        except (Unavailable, NotSignedIn, DeviceCloned):
            raise
        except (MedicalBlocksError, OSError) as error:
            self._stop_folder(sync, error)

    async def _tell(self, on_progress: Callable[[dict[str, Any]], None]) -> None:
        while True:
            on_progress(self.status())
            await asyncio.sleep(0.2)

    # ---- pausing, and how fast ---------------------------------------------------------------------------

    async def set_paused(
        self,
        paused: bool,  # noqa: FBT001 - the word of the command
        *,
        folder: Path | None = None,
        seconds: float | None = None,
    ) -> None:
        """folder: that one alone.  seconds: go on by itself after that time, also across restarts."""
        sync = None if folder is None else reporting.followed_at(self, folder)
        fact = _paused_fact(sync)
        ends = f"{time.time() + seconds:.3f}" if paused and seconds is not None else ""
        with self.state.transaction():
            self.state.set_fact(fact, "yes" if paused else "no")
            self.state.set_fact(fact + " until", ends)
        note_down(self.state)
        if sync is None:
            self.paused = paused
        event = self._resumed if sync is None else sync.resumed
        if paused:
            event.clear()
            return
        event.set()
        for one in self.syncs.values() if sync is None else [sync]:
            one.look_at_all()
        self._cursor_moved.set()

    def paused_until(self, sync: FolderSync | None = None) -> float | None:
        """Seconds since 1970; None: until somebody says so."""
        ends = self.state.fact(_paused_fact(sync) + " until")
        return float(ends) if ends else None

    async def _resume_in_time(self) -> None:
        while True:
            for sync in [None, *self.syncs.values()]:
                is_paused = self.paused if sync is None else not sync.resumed.is_set()
                ends = self.paused_until(sync) if is_paused else None
                if ends is not None and ends <= time.time():
                    await self.set_paused(False, folder=None if sync is None else sync.folder.local)
            await asyncio.sleep(PAUSE_LOOK_SECONDS)

    def set_scanned(self, folder: Path, seconds: float | None) -> None:
        """How often all of a followed folder is looked at, whatever is told of it.  None: as usual."""
        sync = reporting.followed_at(self, folder)
        with self.state.transaction():
            self.state.set_fact(_scanned_fact(sync), "" if seconds is None else f"{seconds:.0f}")
        note_down(self.state)
        sync.looker.times.wished = seconds
        sync.woken.set()  # it may be due sooner now

    def set_limits(self, limits: Limits) -> None:
        """They count at once, also for what is under way."""
        write_limits(self.state, limits)
        note_down(self.state)
        self.limits = limits

    def _rate(self, limit: int | None) -> int | None:
        if self.paused:
            return 0  # what is under way stands still at once
        return limit if limit is not None and self.limits.apply_at(datetime.now()) else None  # noqa: DTZ005 - by this computer's clock

    # ---- following ---------------------------------------------------------------------------------------

    async def add_folder(
        self,
        remote: str,
        local: Path,
        *,
        create: bool,
        take_over: bool = False,
        without: Sequence[NodeId] = (),
    ) -> dict[str, Any]:
        """Follow a remote folder.  What stands in `local` already is adopted, nothing is overwritten.

        take_over: from another client that follows something there; else that is refused.
        without: what of it is not wanted on this computer, from the first moment.
        """
        if not take_over:
            await asyncio.to_thread(refuse_others, local, self.account.device)
        hello = await self.api.hello()
        _check_cutter(hello)
        view, node = await find_remote(self.api, self.state, remote, create=create)
        if "read" not in view.rights:
            raise LocalProblem(
                f"Of {remote} you may see names only, not the files",
                hint="Ask its owner for the right to read.",
            )
        existing = [
            folder for folder in self.state.folders() if folder.root == node and folder.view == view.view
        ]
        if existing:
            raise LocalProblem(
                f"{remote} is followed already, in {existing[0].local}", hint="Choose another remote folder."
            )
        folder = await asyncio.to_thread(_prepare_local, local)
        if take_over:
            await asyncio.to_thread(let_go, folder, self.account.device)
        try:
            root = FollowedRoot(folder)
            try:
                files = sum(1 for _ in folder.iterdir()) - 1
                follow = uuid4()
                marker = Marker(
                    view=view.view, node=node, server=hello.server_id, follow=follow, generation=0
                )
                await asyncio.to_thread(write_marker, root, claim(marker, self.account))
            finally:
                root.close()
        except OSError as error:
            raise LocalProblem(
                f"{local} cannot be written ({error.strerror})",
                hint="Choose a folder of your own, or change its permissions.",
            ) from error
        with self.state.transaction():
            followed = self.state.add_folder(
                follow=follow,
                view=ViewId(view.view),
                root=node,
                whole_view=node == view.root,
                remote=remote,
                local=folder,
                cursor=Cursor(view.cursor),
            )
            self.state.exclude(followed.id, without)
            trees = StoredTrees(self.state, followed.id, node)
            with trees.transaction():
                trees.save(root_row(node), dirty=False)
        note_down(self.state)
        sync = self.syncs[followed.id] = FolderSync(followed, self.state, self.api, self.account)
        sync.learn_view(view)
        self._start(sync)
        return {"remote": remote, "local": str(folder), "files": max(0, files)}

    async def remove_folder(self, local: Path) -> None:
        """Stop following; every file stays, on both sides."""
        sync = reporting.followed_at(self, local)
        task = self._tasks.pop(sync.folder.id, None)
        if task is not None:
            await ended(task)
        self._unwatch(sync)
        sync.close()
        del self.syncs[sync.folder.id]
        self.state.remove_folder(sync.folder)
        note_down(self.state)
        await asyncio.to_thread(remove_marker, sync.folder.local, sync.folder.follow)

    # ---- answers -----------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        return reporting.status(self)

    def file_status(self, paths: list[Path]) -> list[dict[str, Any]]:
        return reporting.file_status(self, paths)

    def marks(self, paths: list[Path]) -> list[dict[str, Any]]:
        return marks.marks(self, paths)

    def activity(self, limit: int) -> list[dict[str, Any]]:
        return reporting.activity(self, limit)

    async def conflicts(self) -> list[dict[str, Any]]:
        return await conflicts.conflicts(self)

    async def resolve_conflicts(self, conflict_id: str, keep: str) -> list[dict[str, Any]]:
        return await conflicts.resolve(self, conflict_id, keep)

    def ignore_test(self, path: Path) -> dict[str, Any]:
        return reporting.ignore_test(self, path)

    def guards(self) -> list[dict[str, Any]]:
        return reporting.guards(self)

    def guard_list(self, folder: Path | None, what: str, after: int) -> dict[str, Any]:
        return reporting.guard_list(self, folder, what, after)

    async def decide_guard(self, folder: Path | None, *, apply: bool) -> dict[str, Any]:
        """Go on with the mass change that waits in this folder, or undo it."""
        sync = reporting.guarded_at(self, folder)
        count = sync.apply_guard() if apply else await sync.restore_guard()
        return {"folder": str(sync.folder.local), "count": count}

    def exclude(self, path: Path) -> dict[str, Any]:
        done = exclusion.exclude(self, path)
        note_down(self.state)
        return done

    def include(self, path: Path) -> dict[str, Any]:
        done = exclusion.include(self, path)
        note_down(self.state)
        return done

    def excluded(self) -> list[dict[str, Any]]:
        return exclusion.excluded(self)

    async def revs(self, path: Path) -> list[dict[str, Any]]:
        return await history.revs(self, path)

    async def restore(self, path: Path, rev: str, to: Path | None) -> dict[str, Any]:
        return await history.restore(self, path, rev, to)

    async def trash_list(self) -> list[dict[str, Any]]:
        return await history.trash_list(self)

    async def trash_empty(self) -> dict[str, Any]:
        return await history.trash_empty(self)

    async def trash_restore(self, item: str, to: Path | None) -> dict[str, Any]:
        return await history.trash_restore(self, item, to)


def _fault(error: Exception) -> LocalProblem:
    """What was under way may be half in memory, so the folder waits for a fresh start."""
    return LocalProblem(
        f"MB-Sync met a fault of its own in this folder ({type(error).__name__})",
        hint="Nothing more is changed in it. Restart with `mb-sync stop` and `mb-sync start`; log/ says more.",
    )


def _listens(sync: FolderSync) -> bool:
    return sync.looker.waits_for_server and sync.resumed.is_set()


def _paused_fact(sync: FolderSync | None) -> str:
    return "paused" if sync is None else f"paused {sync.folder.follow.hex}"


def _scanned_fact(sync: FolderSync) -> str:
    return f"scanned every {sync.folder.follow.hex}"


def _check_cutter(hello: Hello) -> None:
    """Files cut in another way would be stored twice, and no edit would be found in them."""
    if hello.cutter != CUTTER:
        raise LocalProblem(
            "The server and this program cut files in different ways, so one of the two is too old",
            hint="Update MB-Sync, or ask whoever looks after the server to update that.",
        )


def _copied_home(state: StateDatabase, account: Account) -> DeviceCloned | None:
    """Why nothing is synced until this computer has an identity of its own; None: it has."""
    if not is_cloned(state, account.device):
        return None
    return DeviceCloned(
        "Other settings with this identity were at work since: these are a copy of another computer's, or came back"
        " from an older image of this one",
        hint=f"Sign in here with `mb-sync login {account.server} --user {account.user} --new-device`.",
    )


def _prepare_local(local: Path) -> Path:
    try:
        local.mkdir(parents=True, exist_ok=True)
        return local.resolve()
    except OSError as error:
        raise LocalProblem(
            f"{local} cannot be made ({error.strerror})", hint="Choose another place."
        ) from error


async def _wait_at_most(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
