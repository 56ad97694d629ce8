"""Looks at both sides, and takes what is seen into the trees.

Owns: the position in the feed, resets, which folders of the disk are to be scanned, which files are to be read.
May import: protocol, the engine's binding, effects, intake, reading, scan, window and trees modules.

Nothing is decided here and nothing is done.  Pages of the feed are taken in as they come; only at the head is the
remote tree a tree.  A scan costs the folders that are to be looked at, not those that exist.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import random
import secrets
import time
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from protocol.errors import AccessDenied, LocalProblem, NotFound
from protocol.http import ServerApi
from protocol.ids import Cursor, NodeId, uuid7
from protocol.manifests import content_digest
from protocol.messages import Changes, Kind, NodeState, Reset, ResetCause
from protocol.messages import Content as WireContent
from sync_client.engine.authors import Authors
from sync_client.engine.binding import Bound, bind, keep_what_changed
from sync_client.engine.database import Followed, StateDatabase
from sync_client.engine.disk import FollowedRoot, Parts, same_thing
from sync_client.engine.effects import take_local, take_remote
from sync_client.engine.ignoring import Ignoring
from sync_client.engine.intake import FeedCheck, Refusals
from sync_client.engine.judgement import is_folder, is_settled
from sync_client.engine.large_folders import News
from sync_client.engine.manifests import Manifests
from sync_client.engine.putting_back import PuttingBack
from sync_client.engine.reading import ReadFile, Unreadable, read_files
from sync_client.engine.scan import FolderListing, Odd, list_folders, list_on, list_tree
from sync_client.engine.scan_times import ScanTimes
from sync_client.engine.stored_trees import KnownLocally, StoredTrees
from sync_client.engine.threads import in_thread
from sync_client.engine.trees import Content, Fingerprint, Local, Row, Side
from sync_client.engine.troubles import Troubles
from sync_client.engine.window import Window

log = logging.getLogger(__name__)

PAGE_NODES = 2_000
LOOK_AGAIN_SECONDS = 2.1  # after this, what was too young to trust is old enough
READ_AT_ONCE = 1_000
# In one look at new folders.  What is found is on its way before the next look, so the first one is short; while
# one is taken nothing is sent, so each further one is twice as long.
ENOUGH_ENTRIES = 3_000
MOST_ENTRIES = 12_000
FOLDERS_AT_ONCE = 16
ENOUGH_OF_EVERYTHING = 5_000  # entries that a look at everything holds at once
TOO_MANY_FOLDERS = 500  # from here on a scan of everything is the simpler look


_RESTORED_NOTE = "The server came back from a backup: what it lacks is put back, nothing is deleted."
_LISTED_NOTE = "The server asked for a new listing."


class Looker:
    """The eyes of one followed folder."""

    def __init__(
        self,
        folder: Followed,
        state: StateDatabase,
        trees: StoredTrees,
        api: ServerApi,
        troubles: Troubles,
        *,
        only_down: bool = False,
    ) -> None:
        self.odd: dict[Parts, list[Odd]] = {}  # what cannot be followed, by folder
        self.notes: list[str] = []
        self.knows_rights = False  # they were asked for since the feed said that they changed
        self.refused = Refusals(state, folder, links=not only_down)
        self.putting_back = PuttingBack(folder, state, trees, api)
        self._folder = folder
        self._state = state
        self._trees = trees
        self._api = api
        self._troubles = troubles
        self._manifests = Manifests(state)
        self.window = Window(folder, state, trees)
        self._news = News(new_folders=True, grown=None)  # perhaps, since before this start
        self._buried = not (folder.at_head or trees.is_empty())  # a page since the head took something away
        self._server_moved = True
        self._everything = True
        self.times = ScanTimes(time.monotonic())
        self.authors = Authors()
        self._folders: set[Parts] = set()
        self.ignoring = Ignoring(obeys=not only_down)
        self.ignored: dict[Parts, set[str]] = {}  # what was synced and is ignored now, by folder
        self._rules_fact = f"ignored {folder.follow.hex}"
        self._postponed: list[Parts] = []  # new folders, not listed yet
        self._enough = ENOUGH_ENTRIES
        self._later: dict[Parts, float] = {}  # folders, and when to look at them
        self._missing = set[Side]() if trees.is_empty() else {Side.LOCAL, Side.REMOTE}
        self._doubtful: list[NodeId] = []  # to be read although their stat shows no change

    # ---- what is to be looked at -------------------------------------------------------------------------

    def at_server(self) -> None:
        self._server_moved = True

    def at_folders(self, folders: set[Parts]) -> None:
        self._folders |= folders
        if len(self._folders) > TOO_MANY_FOLDERS:
            self.at_everything()

    def at_everything(self) -> None:
        self._everything = True
        self._folders.clear()

    def later(self, folders: set[Parts], seconds: float = LOOK_AGAIN_SECONDS) -> None:
        due = time.monotonic() + seconds
        for parts in folders:
            self._later.setdefault(parts, due)

    @property
    def is_due(self) -> bool:
        return self._server_moved or self._everything or bool(self._folders) or bool(self._postponed)

    def wire_content(self, content: Content) -> WireContent:
        return self._manifests.as_sent(content)

    @property
    def waits_for_server(self) -> bool:
        """The feed was read to its head, and nobody said that it moved since."""
        return self._folder.at_head and not self._server_moved

    def next_at(self) -> float:
        return min([self.times.due_at(), *self._later.values()])

    @property
    def root_is_gone(self) -> bool:
        return self._folder.at_head and self.window.root_is_gone()

    def take_missing(self) -> set[Side]:
        """The sides on which something was found to be gone since this was asked last.  What was found before a
        start may wait still, so the first answer of an old folder is both."""
        missing, self._missing = self._missing, set()
        return missing

    def take_news(self) -> News:
        """What the server told since this was asked last, or before a start."""
        found, self._news = self._news, News(new_folders=False, grown={})
        return found

    # ---- the server --------------------------------------------------------------------------------------

    async def look(self, root: FollowedRoot) -> bool:
        """Take in whatever is due.  True: something was looked at on the disk, or the server told something."""
        looked = False
        if self._server_moved:
            looked = await self._read_feed()
        now = time.monotonic()
        if now >= self.times.due_at():
            self.at_everything()
        due = {parts for parts, moment in self._later.items() if moment <= now}
        for parts in due:
            del self._later[parts]
        if self._everything or self._folders or self._postponed or due:
            await self._scan(root, due)
            looked = True
        return looked

    async def _read_feed(self) -> bool:
        self._server_moved = False
        told = False
        check = FeedCheck(self._folder.cursor)
        try:
            while True:
                answer = await self._page()
                if isinstance(answer, Reset):
                    self._check_rights(answer)
                    check.reset(answer.cursor)
                    self.list_again(answer)
                    continue
                check.page(answer)
                told |= self._take_page(answer)
                if not answer.more:
                    return told
        except BaseException:
            self._server_moved = True
            raise

    def _check_rights(self, reset: Reset) -> None:
        """A listing for other rights proves an absence only to those who may still read.

        Raises AccessDenied: it is not known yet what we may do here.
        """
        if reset.cause is ResetCause.RIGHTS and not self.knows_rights:
            raise AccessDenied(
                "What you may see of this folder has changed", hint="It is looked at again by itself."
            )
        self.knows_rights = False

    async def _page(self) -> Changes | Reset:
        """Raises LocalProblem: the view is not there for us any more."""
        try:
            return await self._api.changes(self._folder.view, self._folder.cursor, PAGE_NODES)
        except NotFound as error:
            raise LocalProblem(
                f"{self._folder.remote} is not shared with you any more, or was deleted on the server",
                hint=f"Your files stay in {self._folder.local}. Ask whoever shared it; if it is over, run"
                " `mb-sync remove`.",
            ) from error

    def _take_page(self, page: Changes) -> bool:
        with self._trees.transaction(lasting=False):
            believed = self.refused.sift(page.nodes, page.gone)
            for state in believed:
                content = state.content
                if content is not None:
                    self._manifests.keep(content_digest(content.manifest), content.manifest)
            self.authors.take(believed)
            if page.gone:
                self.window.leave(page.gone)
            states = self.window.take(believed, head=not page.more)
            self._trees.load(NodeId(state.node) for state in states)
            alone = self._folder.at_head  # until this page, and that is known after a crash too
            self._buried = _buries(page) or (self._buried and not alone)
            if self._buried:
                self._missing.add(Side.REMOTE)
            judge = not page.more and (alone or self._buried)
            self._note_growth(states)
            take_remote(self._trees, states, page.gone, head=judge, alone=alone)
            if not page.more:
                coming, leaving = self.window.judge(believed)
                if leaving or any(state.deleted for state in coming):
                    self._missing.add(Side.REMOTE)
                self._note_growth(coming)
                take_remote(self._trees, coming, leaving, alone=True)
            position = dataclasses.replace(self._folder, cursor=Cursor(page.cursor), at_head=not page.more)
            self._state.save_folder(position)
        self._folder.cursor, self._folder.at_head = position.cursor, position.at_head
        self._troubles.clear(NodeId(state.node) for state in page.nodes)
        self._news.new_folders |= any(
            state.content is not None and state.content.kind is Kind.FOLDER for state in page.nodes
        )
        return bool(page.nodes or page.gone)

    def _note_growth(self, states: Iterable[NodeState]) -> None:
        """Before the trees take them in."""
        grown = self._news.grown
        if grown is None:
            return
        for state in states:
            if state.content is None or state.deleted:
                continue
            row = self._trees.row(NodeId(state.node))
            before = 0 if row is None or row.remote is None else row.remote.content.size
            more = state.content.manifest.size - before
            if more > 0:
                parent = NodeId(state.parent)
                grown[parent] = grown.get(parent, 0) + more

    def list_again(self, reset: Reset) -> None:
        """The cursor is of no use, and all is listed anew.  After a restore no absence is believed: what both held is
        put back, the rest goes up or comes down, nothing is deleted.  Else what the whole new listing lacks is
        gone, as if the feed had told it, with all guards."""
        log.warning("feed reset folder=%d cause=%s", self._folder.id, reset.cause)
        restored = reset.cause is ResetCause.RESTORED
        self.notes.append(_RESTORED_NOTE if restored else _LISTED_NOTE)
        with self._trees.transaction():
            if restored:
                self.putting_back.begin(self.window)
            else:
                for row in list(self._trees.all_rows()):
                    if row.node != self._folder.root:
                        self._trees.save(Row(row.node, None, row.local, row.agreed), dirty=True)
            self.window.forget()
            self.refused.forget()
            self._folder.cursor = Cursor(reset.cursor)
            self._folder.at_head = False
            self._buried = True
            self._missing.add(Side.REMOTE)
            self._state.save_folder(self._folder)
        self._server_moved = True

    # ---- the disk ----------------------------------------------------------------------------------------

    async def _scan(self, root: FollowedRoot, due: set[Parts]) -> None:
        whole, cpu = self._everything, time.process_time()
        everything = whole and not self._trees.is_empty()
        folders: set[Parts] = {()} if self._everything else self._folders | due
        waiting, self._postponed = self._postponed, []
        postponed = list(waiting)
        self._everything, self._folders = False, set()
        try:
            if everything:
                ignoring = Ignoring(obeys=self.ignoring.obeys)
                listings = await self._list_everything(root, ignoring)
                self.ignoring = ignoring
                postponed = []
            else:
                listings = await in_thread(
                    list_folders, root, self._known_folders(root, folders), self.ignoring
                )
                listings, postponed = await self._list_postponed(root, listings, postponed)
            listings, bound, later = await self._bind(root, listings, postponed, everything=everything)
        except BaseException:
            self._everything |= everything
            self._folders |= folders
            self._postponed = waiting
            raise
        if everything:
            self.odd.clear()
            self.ignored.clear()
        self._take_bound(listings, bound)
        self._postponed = later
        self._enough = min(2 * self._enough, MOST_ENTRIES) if later else ENOUGH_ENTRIES
        self._take_rules(everything=everything)
        if whole:
            self.times.looked(time.monotonic(), time.process_time() - cpu)

    async def _list_everything(self, root: FollowedRoot, ignoring: Ignoring) -> list[FolderListing]:
        """Each folder after its parent.  Of one in which nothing changed no file is kept, so that what a look at
        everything takes does not grow with what there is."""
        known = KnownLocally(self._trees)
        nodes: dict[Parts, NodeId] = {(): self._folder.root}  # of folders, as far as they are where they were
        listings: list[FolderListing] = []
        waiting: list[Parts] = [()]
        while waiting:
            some, waiting = await in_thread(list_on, root, waiting, ignoring, enough=ENOUGH_OF_EVERYTHING)
            keep_what_changed(some, nodes, known)
            listings += some
        listings[0].node = self._folder.root
        return listings

    async def _bind(
        self, root: FollowedRoot, known: list[FolderListing], postponed: list[Parts], *, everything: bool
    ) -> tuple[list[FolderListing], Bound, list[Parts]]:
        """Which entry is which node; new folders are listed until it is enough for one look.

        known: of folders that have a node.  Nothing is postponed while something has vanished: it may stand in a
        folder that was not listed yet.
        """
        found = [listing for listing in known if listing.node is None]  # these get their node by the binding
        known = [listing for listing in known if listing.node is not None]
        while True:
            for listing in found:
                listing.node = None  # each binding gives new ones
            listings = known + found
            bound = bind(
                listings,
                KnownLocally(self._trees),
                self._fresh,
                time.time_ns(),
                lambda node: self._still_stands(root, node),
            )
            given = {listing.parts for listing in listings}
            moved = [(node, parts) for node, parts in bound.moved_folders if parts not in given]
            new = [(node, parts) for node, parts in bound.new_folders if parts not in given]
            if everything or moved or any(local is None for _, local in bound.changes):
                if not moved and not new and not postponed:
                    return listings, bound, []
                found += await in_thread(_list_trees, root, [*moved, *new], self.ignoring)
                waiting = self._still_known(root, postponed, given)
                known = known + await in_thread(list_folders, root, waiting, self.ignoring)
                postponed = []
            elif new and (lacking := self._enough - _count(listings)) > 0:
                found += await in_thread(_list_some, root, new, lacking, self.ignoring)
            else:
                return listings, bound, [*postponed, *(parts for _, parts in new)]

    async def _list_postponed(
        self, root: FollowedRoot, listings: list[FolderListing], postponed: list[Parts]
    ) -> tuple[list[FolderListing], list[Parts]]:
        """New folders of an earlier look, until it is enough."""
        while postponed and _count(listings) < self._enough:
            some, postponed = postponed[:FOLDERS_AT_ONCE], postponed[FOLDERS_AT_ONCE:]
            given = {listing.parts for listing in listings}
            waiting = self._still_known(root, some, given)
            listings = listings + await in_thread(list_folders, root, waiting, self.ignoring)
        return listings, postponed

    def _still_known(
        self, root: FollowedRoot, folders: Sequence[Parts], given: set[Parts]
    ) -> list[tuple[NodeId, Parts]]:
        """Those that are not listed yet."""
        known = self._known_folders(root, {parts for parts in folders if parts not in given})
        return [(node, parts) for node, parts in known if parts not in given]

    def _fresh(self) -> NodeId:
        node = fresh_node()
        self._trees.is_new(node)
        return node

    def _known_folders(self, root: FollowedRoot, folders: set[Parts]) -> list[tuple[NodeId, Parts]]:
        """Those of them that have a node; of another the nearest one above it that has.

        A node counts if what stands there is still that folder: else what is in it would be taken for that node's."""
        found: dict[Parts, NodeId] = {}
        for folder in folders:
            parts = folder
            while (node := self._trees.at_path(Side.LOCAL, parts)) is None or (
                parts and not self._still_stands(root, node)
            ):
                parts = parts[:-1]
            found[parts] = node
        return [(node, parts) for parts, node in sorted(found.items())]

    def _still_stands(self, root: FollowedRoot, node: NodeId) -> bool:
        row, path = self._trees.row(node), self._trees.path(Side.LOCAL, node)
        if path is None or row is None or row.local is None:
            return False
        seen = root.fingerprint(path)
        return seen is not None and same_thing(seen, row.local.fingerprint)

    def _take_bound(self, listings: Sequence[FolderListing], bound: Bound) -> None:
        for listing in listings:
            problem = [listing.problem] if listing.problem and listing.problem.code != "vanished" else []
            self.odd.pop(listing.parts, None)
            if listing.odd or problem:
                self.odd[listing.parts] = [*listing.odd, *problem]
            self.ignored.pop(listing.parts, None)
            known = {name for name in listing.passed_over if self._is_known((*listing.parts, name))}
            if known:
                self.ignored[listing.parts] = known
        if self.odd:
            self._forget_odd(listings)
        changed = {node for node, _ in bound.changes}
        if any(local is None for _, local in bound.changes):
            self._missing.add(Side.LOCAL)
        with self._trees.transaction(lasting=False):
            take_local(self._trees, bound.changes)
        self._troubles.changed(changed, now=time.monotonic())
        self._doubtful.extend(node for node in bound.unread if node not in changed)
        self.later({path[:-1] for node in bound.recent if (path := self._trees.path(Side.LOCAL, node))})

    def _forget_odd(self, listings: Sequence[FolderListing]) -> None:
        """What stood in a folder that was moved or deleted is gone with it; at its new place it was seen anew."""
        seen = {
            listing.parts: {entry.name for entry in listing.entries if entry.kind is Kind.FOLDER}
            for listing in listings
            if listing.problem is None or listing.problem.code == "vanished"
        }
        for parts in list(self.odd):
            above = ((seen.get(parts[:depth]), parts[depth]) for depth in range(len(parts)))
            if any(folders is not None and name not in folders for folders, name in above):
                del self.odd[parts]

    # ---- what is ignored ---------------------------------------------------------------------------------

    @property
    def ignores(self) -> Callable[[Row], bool] | None:
        """For the planner; None where there are no rules."""
        return self._is_ignored if self.ignoring else None

    def _is_ignored(self, row: Row) -> bool:
        path = self._trees.path(Side.LOCAL if row.local is not None else Side.REMOTE, row.node)
        return bool(path) and path is not None and self.ignoring.ignores(path, folder=is_folder(row))

    def _is_known(self, parts: Parts) -> bool:
        node = self._trees.at_path(Side.LOCAL, parts)
        row = self._trees.row(node) if node is not None else None
        return row is not None and row.agreed is not None

    def _take_rules(self, *, everything: bool) -> None:
        """Other rules than when all was looked at last: all is looked at again, and what was passed over is planned."""
        now = self.ignoring.digest()
        if now == self._state.fact(self._rules_fact):
            return
        if not everything:
            self.at_everything()
            return
        passed_over = [row for row in self._trees.all_rows() if not is_settled(row)]
        with self._trees.transaction():
            for row in passed_over:
                self._trees.save(Row(row.node, row.remote, row.local, row.agreed), dirty=True)
            self._state.set_fact(self._rules_fact, now)

    # ---- bytes -------------------------------------------------------------------------------------------

    def unread_among(self, nodes: Sequence[NodeId]) -> list[tuple[NodeId, Parts, Fingerprint]]:
        """What must be read before it can be planned."""
        wanted = []
        for node in nodes:
            row = self._trees.row(node)
            if row is not None and row.local is not None and row.local.content is None:
                path = self._trees.path(Side.LOCAL, node)
                if path is not None:
                    wanted.append((node, path, row.local.fingerprint))
        return wanted

    def take_read(self, results: Sequence[ReadFile | Unreadable]) -> None:
        """Contents of files, as they were read; equal ones change nothing but the fingerprint."""
        changes: list[tuple[NodeId, Local | None]] = []
        young: set[Parts] = set()
        with self._trees.transaction(lasting=False):
            for result in results:
                row = self._trees.row(result.node)
                if row is None or row.local is None:
                    continue
                if isinstance(result, Unreadable):
                    self._could_not_read(result)
                    continue
                self._troubles.clear([result.node])
                if result.fingerprint.ctime_ns == 0:
                    path = self._trees.path(Side.LOCAL, result.node)
                    young.add(path[:-1] if path else ())
                if result.content == row.local.content:
                    local = replace(row.local, fingerprint=result.fingerprint)
                    self._trees.save_quietly(replace(row, local=local))
                else:
                    self._manifests.keep(result.content.digest, result.manifest, result.records)
                    changes.append(
                        (
                            result.node,
                            replace(row.local, content=result.content, fingerprint=result.fingerprint),
                        )
                    )
            take_local(self._trees, changes)
        self.later(young)

    async def read_doubtful(self, root: FollowedRoot) -> None:
        """Files whose stat proves nothing yet (too young when they were seen)."""
        while self._doubtful:
            nodes, self._doubtful = self._doubtful[:READ_AT_ONCE], self._doubtful[READ_AT_ONCE:]
            wanted = []
            for node in nodes:
                row, path = self._trees.row(node), self._trees.path(Side.LOCAL, node)
                if row is not None and row.local is not None and path is not None:
                    wanted.append((node, path, row.local.fingerprint))
            self.take_read(await in_thread(read_files, root, wanted, keep=False))

    def _could_not_read(self, result: Unreadable) -> None:
        path = self._trees.path(Side.LOCAL, result.node)
        if path is None:
            return
        if result.code in ("vanished", "not-a-file", "changed"):
            self.later({path[:-1]}, seconds=0.5)
        self._troubles.put_off(result.node, "/".join(path), result.code, result.message, now=time.monotonic())


def _buries(page: Changes) -> bool:
    return bool(page.gone) or any(state.deleted for state in page.nodes)


def _count(listings: Sequence[FolderListing]) -> int:
    return sum(len(listing.entries) for listing in listings)


def _list_some(
    root: FollowedRoot, folders: Sequence[tuple[NodeId, Parts]], entries: int, ignoring: Ignoring
) -> list[FolderListing]:
    """The first of these folders, until about so many entries are found."""
    listings: list[FolderListing] = []
    for start in range(0, len(folders), FOLDERS_AT_ONCE):
        listings += list_folders(root, folders[start : start + FOLDERS_AT_ONCE], ignoring)
        if _count(listings) >= entries:
            break
    return listings


def _list_trees(
    root: FollowedRoot, folders: Sequence[tuple[NodeId, Parts]], ignoring: Ignoring
) -> list[FolderListing]:
    """The nodes are not given away yet: the next binding finds them by their paths."""
    listings: list[FolderListing] = []
    for node, parts in folders:
        below = list_tree(root, node, parts, ignoring)
        below[0].node = None
        listings.extend(below)
    return listings


def fresh_node() -> NodeId:
    """A new id; random enough never to meet another, which is all that is asked of it."""
    return NodeId(uuid7(time.time_ns() // 1_000_000, _chance.getrandbits(74)))


_chance = random.Random(secrets.randbits(256))  # noqa: S311 - ids are no secrets, and the system's source is slow
if hasattr(os, "register_at_fork"):  # two processes that went on with one state would give two nodes one id
    os.register_at_fork(after_in_child=lambda: _chance.seed(secrets.randbits(256)))
