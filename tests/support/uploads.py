"""A followed folder and a signed-in device of the real server, for tests of moving bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from protocol.http import ServerApi
from protocol.ids import NodeId, ViewId
from protocol.messages import AnyOp, Commit, Committed, Make, OpResult, Revision
from protocol.messages import Content as WireContent
from protocol.patience import Patience
from sync_client.engine.disk import TMP, FollowedRoot, tmp_name
from sync_client.engine.reading import ReadFile, read_files
from sync_client.engine.transfer import Outgoing, Wanted
from sync_client.engine.trees import Content
from tests.support.followed import a_node
from tests.support.service import Caller, ServiceUnderTest

IMPATIENT = Patience(tries=3, base_seconds=0.01)


@dataclass
class Device:
    """What transfer works with; files are written to and read from `folder`."""

    api: ServerApi
    caller: Caller
    root: FollowedRoot
    folder: Path
    batches: int = 0

    @property
    def view(self) -> ViewId:
        assert self.caller.view is not None
        return ViewId(self.caller.view.view)

    @property
    def top(self) -> UUID:
        assert self.caller.view is not None
        return self.caller.view.root

    def write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def read(self, name: str, *, keep: bool = True) -> ReadFile:
        seen = self.root.fingerprint((name,))
        assert seen is not None
        [read] = read_files(self.root, [(a_node(), (name,), seen)], keep=keep)
        assert isinstance(read, ReadFile), read
        return read

    def outgoing(self, name: str, data: bytes | None = None, *, keep: bool = True) -> Outgoing:
        """The file as it was read; data: write that first."""
        if data is not None:
            self.write(name, data)
        read = self.read(name, keep=keep)
        return Outgoing(
            read.node, (name,), read.fingerprint, read.manifest, data=read.data, records=read.records
        )

    async def commit(self, *files: Outgoing) -> list[OpResult]:
        self.batches += 1
        ops: list[AnyOp] = [
            Make(node=file.node, parent=self.top, name=file.parts[-1], content=self.wire_content(file))
            for file in files
        ]
        answer = await self.api.commit(self.view, Commit(operation=uuid4(), number=self.batches, ops=ops))
        assert isinstance(answer, Committed)
        return answer.results

    def wire_content(self, file: Outgoing) -> WireContent:
        read = self.read(file.parts[-1])
        return WireContent(kind=read.content.kind, manifest=file.manifest, mtime_ns=read.content.mtime_ns)

    def wanted(self, file: Outgoing, content: Content, revision: Revision, **more: object) -> Wanted:
        return Wanted(file.node, revision, content, file.manifest, **more)  # type: ignore[arg-type]  # as its fields

    def arrived(self, node: NodeId) -> bytes:
        """A temporary file."""
        return self.folder.joinpath(*TMP, tmp_name(node)).read_bytes()

    def temporary(self) -> list[str]:
        tmp = self.folder.joinpath(*TMP)
        return sorted(found.name for found in tmp.iterdir()) if tmp.exists() else []


@asynccontextmanager
async def a_device(server: ServiceUnderTest, folder: Path) -> AsyncIterator[Device]:
    """Of a user who was not there before."""
    user = f"user-{uuid4().hex[:12]}"
    await server.add_user(user)
    caller = await server.sign_in(user)
    folder.mkdir()
    with FollowedRoot(folder) as root:
        async with ServerApi(server.url, caller.token, patience=IMPATIENT) as api:
            yield Device(api, caller, root, folder)


@asynccontextmanager
async def a_proxy(url: str, *, cut_after: list[int]) -> AsyncIterator[str]:
    """Passes everything on to `url`, but cuts the n-th connection after so many bytes of answers; each further
    connection is left whole.  0: the server gets the whole request, its caller no answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    limits = list(cut_after)

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
        while data := await reader.read(64 * 1024):
            if limit is not None:
                data, limit = data[:limit], limit - len(data[:limit])
            writer.write(data)
            await writer.drain()
            if limit == 0:
                break
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection(host, int(port))
        limit = limits.pop(0) if limits else None
        up = asyncio.create_task(passed(reader, their_writer, None))
        try:
            await passed(their_reader, writer, limit)
        except ConnectionError:
            pass
        finally:
            up.cancel()
            writer.close()
            their_writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
