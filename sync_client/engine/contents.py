"""The bytes of one followed folder, on their way to the server and from it.

Owns: what was brought across already and need not be again; which local files may serve instead of the wire.
May import: asyncio, protocol, the engine's disk, manifests, room, transfer and trees modules.

Contents are brought across *beforehand*: while one slice of nodes is being committed or placed, those of the next
are on their way.  Nothing is decided by that: a chunk on the server counts for nothing before a commit names it,
and a temporary file for nothing before it is placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from protocol.errors import ContentDamaged, MedicalBlocksError
from protocol.frames import open_frame
from protocol.http import ServerApi
from protocol.ids import ChunkId, NodeId, split_chunk_ids
from protocol.messages import Kind, Manifest, Part, Revision, WantedContent
from sync_client.engine.database import Followed, StateDatabase
from sync_client.engine.disk import FollowedRoot, Parts
from sync_client.engine.incoming import discard
from sync_client.engine.manifests import Manifests
from sync_client.engine.reading import ReadFile, Unreadable
from sync_client.engine.reading import Wanted as ToRead
from sync_client.engine.room import Room, growth
from sync_client.engine.row_columns import WORTH_COPYING
from sync_client.engine.snapshots import Snapshot, drop_snapshot, take_snapshot
from sync_client.engine.stored_trees import StoredTrees
from sync_client.engine.threads import in_thread
from sync_client.engine.transfer import Fetched, Outgoing, Unsent, Wanted, fetch, upload
from sync_client.engine.trees import Content, Fingerprint, Row, Side

ToSend = tuple[NodeId, Content, Fingerprint]
ToBring = tuple[NodeId, Revision, Content]


class Contents:
    def __init__(
        self,
        folder: Followed,
        state: StateDatabase,
        trees: StoredTrees,
        root: FollowedRoot,
        api: ServerApi,
        room: Room,
    ) -> None:
        self.room = room
        self.distrusted: set[NodeId] = set()  # the server lacked chunks that we thought it had
        self._folder = folder
        self._trees = trees
        self._root = root
        self._api = api
        self._manifests = Manifests(state)
        self._both_new = False
        self._sent: dict[NodeId, tuple[Content, Fingerprint]] = {}
        self._brought: dict[NodeId, Revision] = {}  # whole and verified in .mb-sync/tmp
        self._copies: dict[NodeId, Snapshot] = {}  # of files that never become quiet

    # ---- beforehand --------------------------------------------------------------------------------------

    async def bring_beforehand(self, nodes: Sequence[NodeId], read: Sequence[ReadFile]) -> None:
        """What will be asked for soon, as far as can be told without a plan.

        read: files that were read just now, with their bytes if they are small.
        """
        sending: list[Outgoing] = []
        for file in read:
            row = self._trees.row(file.node)
            if row is not None and _is_to_be_sent(row, file) and not self._has_twin(row, Side.REMOTE):
                outgoing = self._outgoing(file.node, file.content, file.fingerprint, file)
                if outgoing is not None:
                    sending.append(outgoing)
        if sending:
            unsent = await upload(self._api, self._folder.view, self._root, sending, self.room)
            for file in read:
                if file.node not in unsent:
                    self._sent[file.node] = (file.content, file.fingerprint)
        coming = [
            row
            for row in map(self._trees.row, nodes)
            if row is not None and _is_to_be_brought(row) and not self._has_twin(row, Side.LOCAL)
        ]
        if coming:
            brought = await self._fetch(
                [(row.node, row.remote.content_revision, row.remote.content) for row in coming if row.remote]
            )
            revisions = {row.node: row.remote.content_revision for row in coming if row.remote}
            self._brought.update((node, revisions[node]) for node in brought.ready)

    async def read_copy(self, wanted: ToRead) -> ReadFile | Unreadable:
        """Of a file that is being written all the time, what stood there at one moment; sent from its copy."""
        copy = await in_thread(take_snapshot, self._root, wanted)
        if isinstance(copy, Unreadable):
            return copy
        self._copies[copy.read.node] = copy
        return copy.read

    def begin(self) -> None:
        """Before a sweep: only where both sides have something new can the two be the same."""
        self._both_new = self._trees.has_dirty(missing=Side.LOCAL) and self._trees.has_dirty(
            missing=Side.REMOTE
        )

    def _has_twin(self, row: Row, side: Side) -> bool:
        """Whether a node with the same path and content, or not read yet, is new on that other side: the two will
        be one, as when a folder is followed again."""
        if not self._both_new:
            return False
        mine = row.remote if side is Side.LOCAL else row.local
        path = self._trees.path(Side.REMOTE if side is Side.LOCAL else Side.LOCAL, row.node)
        twin = self._trees.row(node) if path and (node := self._trees.at_path(side, path)) else None
        if mine is None or twin is None or twin.node == row.node:
            return False
        there = twin.local if side is Side.LOCAL else twin.remote
        return there is not None and there.content in (None, mine.content)

    async def drop_unused(self) -> None:
        """After a sweep: what no plan asked for."""
        for copy in self._copies.values():
            await in_thread(drop_snapshot, self._root, copy.parts)
        self._copies.clear()
        unused = list(self._brought)
        self._brought.clear()
        self._sent.clear()
        self.room.drop_promises()
        for node in unused:
            await in_thread(discard, self._root, node)

    # ---- to the server -----------------------------------------------------------------------------------

    async def send(self, files: Sequence[ToSend]) -> Unsent:
        """Have the server hold these."""
        outgoing: list[Outgoing] = []
        for node, content, expected in files:
            if self._sent.pop(node, None) == (content, expected) and node not in self.distrusted:
                continue
            file = self._outgoing(node, content, expected, None)
            if file is not None:
                outgoing.append(file)
        if not outgoing:
            return Unsent()
        return await upload(self._api, self._folder.view, self._root, outgoing, self.room)

    def _outgoing(
        self, node: NodeId, content: Content, expected: Fingerprint, read: ReadFile | None
    ) -> Outgoing | None:
        path = self._trees.path(Side.LOCAL, node)
        if path is None:
            return None
        copy = self._copies.get(node)
        if copy is not None and copy.read.content == content:
            path, expected = copy.parts, copy.fingerprint
        known: frozenset[ChunkId] = frozenset()
        row = self._trees.row(node)
        if row is not None and row.agreed is not None and node not in self.distrusted:
            before = self._manifests.leaves_of(row.agreed.content)
            known = frozenset(split_chunk_ids(before.chunks)) if before is not None else known
        return Outgoing(
            node,
            path,
            expected,
            read.manifest if read else self._manifests.of(content),
            data=read.data if read else None,
            records=read.records if read else self._manifests.records_of(content),
            known=known,
            grows_bytes=growth(content, row.remote if row is not None else None),
        )

    # ---- from the server ---------------------------------------------------------------------------------

    async def bring(self, files: Sequence[ToBring]) -> Fetched:
        """Have these as temporary files."""
        missing = [file for file in files if self._brought.get(file[0]) != file[1]]
        fetched = await self._fetch(missing)  # may raise: what was brought beforehand is still known then
        lacking = {file[0] for file in missing}
        ready = [file[0] for file in files if file[0] not in lacking]
        for node, _, _ in files:
            self._brought.pop(node, None)
        fetched.ready[:0] = ready
        return fetched

    async def _fetch(self, files: Sequence[ToBring]) -> Fetched:
        wanted: list[Wanted] = []
        failed: dict[NodeId, MedicalBlocksError] = {}
        for node, revision, content in files:
            try:
                leaves = await self._leaves(node, revision, content)
            except MedicalBlocksError as error:
                failed[node] = error
                continue
            wanted.append(Wanted(node, revision, content, leaves, self._sources(node, content)))
        fetched = await fetch(self._api, self._folder.view, self._root, wanted) if wanted else Fetched()
        fetched.failed.update(failed)
        return fetched

    async def _leaves(self, node: NodeId, revision: Revision, content: Content) -> Manifest:
        """The file's own chunks, in order; those of a huge file are fetched first."""
        leaves = self._manifests.leaves_of(content)
        if leaves is not None:
            return leaves
        wanted = WantedContent(parts=[Part(node=node, revision=revision)])
        lacking = sum(self._manifests.of(content).lengths)
        records: list[bytes] = []
        async with aclosing(self._api.content(self._folder.view, wanted)) as stream:
            async for frames in stream:
                lacking -= sum(frame.length for frame in frames)
                if lacking < 0:
                    raise ContentDamaged(
                        "The server sent more of a manifest than there is", hint="Check the server."
                    )
                records += [await in_thread(open_frame, frame) for frame in frames]
        with self._trees.transaction():
            return self._manifests.take_records(content, b"".join(records))

    def _sources(self, node: NodeId, content: Content) -> tuple[tuple[Parts, Manifest], ...]:
        """Local files that hold all of this content, or (the version to be replaced) much of it."""
        if content.kind is not Kind.FILE or content.size < WORTH_COPYING:
            return ()
        sources: list[tuple[Parts, Manifest]] = []
        for holder in (*self._trees.holding(content.digest), node):
            row = self._trees.row(holder)
            path = self._trees.path(Side.LOCAL, holder)
            if not path or row is None or row.local is None or row.local.content is None:
                continue
            if row.local.content.size >= WORTH_COPYING:
                leaves = self._manifests.leaves_of(row.local.content)
                if leaves is not None:
                    sources.append((path, leaves))
        return tuple(sources)


def _is_to_be_sent(row: Row, file: ReadFile) -> bool:
    """New or edited here, and not what the server has already."""
    local, remote = row.local, row.remote
    return (
        local is not None
        and local.content == file.content
        and local.fingerprint == file.fingerprint
        and (remote is None or remote.content != file.content)
    )


def _is_to_be_brought(row: Row) -> bool:
    """New there, and nothing of it here."""
    remote = row.remote
    return (
        remote is not None
        and row.local is None
        and row.agreed is None
        and remote.content.kind is not Kind.FOLDER
    )
