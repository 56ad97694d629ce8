"""A real space (SQLite, chunk store, one or two users) without HTTP, and devices that commit to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import event
from sqlalchemy.engine import Engine

from protocol.ids import ChunkId, Cursor, ViewId
from protocol.messages import (
    AnyOp,
    Changes,
    Commit,
    CommitAnswer,
    Committed,
    Content,
    Feed,
    Kind,
    Login,
    Make,
    Manifest,
    NodeState,
    OpResult,
    Status,
)
from server.access.cursors import Cursors
from server.access.devices import principal_of, sign_in
from server.access.passwords import Passwords
from server.access.rights import Principal, ReadableView
from server.access.users import add_user
from server.access.views import readable_view, views_of
from server.chunks.possession import NOTHING, lease
from server.spaces.commit import commit
from server.spaces.feed import changes
from tests.support.store import Store, a_store, chunk_id, frames_of, stream_of

PASSWORD = "correct horse battery"
FOLDER = Content(kind=Kind.FOLDER)
START = Cursor("")


def a_manifest(*chunks: bytes) -> Manifest:
    return Manifest(
        size=sum(map(len, chunks)),
        chunks=b"".join(chunk_id(data) for data in chunks),
        lengths=[len(data) for data in chunks],
    )


def a_file(*chunks: bytes, mtime_ns: int = 0, executable: bool = False) -> Content:
    return Content(kind=Kind.FILE, manifest=a_manifest(*chunks), mtime_ns=mtime_ns, executable=executable)


@dataclass
class Client:
    """One device of one user."""

    space: Space
    principal: Principal
    view: ReadableView
    batches: int = 0
    now_ms: int = 1_800_000_000_000

    @property
    def root(self) -> UUID:
        return self.view.root

    async def upload(self, *chunks: bytes) -> list[ChunkId]:
        """Store them and lease them to this device."""
        frames = frames_of(chunks)
        await self.space.store.chunks.take(self.principal.device, stream_of(frames))
        return [frame.id for frame in frames]

    async def lease(self, *chunks: ChunkId) -> None:
        with self.space.store.database.writing() as session:
            lease(session, self.principal.device, dict.fromkeys(chunks, NOTHING), self.now_ms)

    async def commit(self, *ops: AnyOp) -> list[OpResult]:
        self.batches += 1
        answer = await self.send(Commit(operation=uuid4(), number=self.batches, ops=list(ops)))
        assert isinstance(answer, Committed), answer
        return answer.results

    async def send(self, batch: Commit) -> CommitAnswer:
        with self.space.store.database.writing() as session:
            return commit(
                session,
                self.space.store.chunks,
                self.space.cursors,
                self.principal,
                self.view,
                batch,
                now_ms=self.now_ms,
            )

    async def put_new(
        self, name: str, content: Content = FOLDER, *, parent: UUID | None = None, node: UUID | None = None
    ) -> UUID:
        node = node or uuid4()
        [result] = await self.commit(Make(node=node, parent=parent or self.root, name=name, content=content))
        assert result.status is Status.DONE, result
        return node

    async def page(self, cursor: Cursor = START, limit: int = 5_000) -> Feed:
        with self.space.store.database.reading() as session:
            return changes(
                session, self.principal, self.view, cursor, limit=limit, cursors=self.space.cursors
            )

    async def all_changes(self, cursor: Cursor = START, limit: int = 5_000) -> tuple[list[NodeState], Cursor]:
        """The nodes of all pages up to the head, as they came."""
        nodes: list[NodeState] = []
        while True:
            page = await self.page(cursor, limit)
            assert isinstance(page, Changes), page
            nodes += page.nodes
            cursor = Cursor(page.cursor)
            if not page.more:
                return nodes, cursor

    async def head(self) -> Cursor:
        return (await self.all_changes())[1]


@dataclass
class Space:
    store: Store
    cursors: Cursors
    passwords: Passwords = field(default_factory=Passwords)

    async def add_user(self, name: str) -> None:
        with self.store.database.writing() as session:
            add_user(session, name, PASSWORD, now_ms=1)

    async def client(self, user: str, device_name: str = "laptop", device: UUID | None = None) -> Client:
        login = Login(user=user, password=PASSWORD, device=device or uuid4(), device_name=device_name)
        signed_in = await sign_in(self.store.database, self.passwords, login, address="127.0.0.1", now_ms=1)
        with self.store.database.reading() as session:
            principal = principal_of(session, signed_in.token)
            [view] = (views_of(session, principal, self.cursors)).views
            return Client(self, principal, readable_view(session, principal, ViewId(view.view)))


@asynccontextmanager
async def a_space(folder: Path, *users: str) -> AsyncIterator[Space]:
    async with a_store(folder) as store:
        space = Space(store, Cursors(store.keys.subkey(b"test")))
        for name in users or ("ada",):
            await space.add_user(name)
        yield space


@dataclass
class Statements:
    """How many SQL statements ran inside `with counted()`."""

    said: list[str] = field(default_factory=list)


class counted:  # noqa: N801 - read as a verb where it stands
    def __enter__(self) -> Statements:
        self._statements = Statements()
        event.listen(Engine, "before_cursor_execute", self._note)
        return self._statements

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._note)

    def _note(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        self._statements.said.append(statement)
