"""A TCP proxy before a real server: it counts the requests that pass, and loses answers when it is told to.

async with a_watching_proxy(server.url) as proxy:
    ... a client of proxy.url ...
    proxy.lose = "/commit"      # these reach the server, and their answers nobody
    proxy.count("/commit")
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_REQUEST = re.compile(rb"(?:GET|POST|PUT|DELETE|PATCH) /api/v1(/[\x21-\x7e]*) HTTP/1\.1\r\n")


@dataclass
class WatchingProxy:
    url: str = ""
    requests: list[str] = field(default_factory=list)  # their paths, as they began
    lose: str = ""  # how the path of a request ends whose answer is lost

    def count(self, end: str) -> int:
        return sum(path.partition("?")[0].endswith(end) for path in self.requests)

    def loses(self, path: str) -> bool:
        return bool(self.lose) and path.partition("?")[0].endswith(self.lose)


@dataclass
class _Connection:
    """One request at a time, as HTTP/1.1 has it."""

    proxy: WatchingProxy
    path: str = ""

    async def up(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await client.read(64 * 1024):
            for found in _REQUEST.finditer(data):
                self.path = found[1].decode()
                self.proxy.requests.append(self.path)
            server.write(data)
            await server.drain()

    async def down(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await server.read(64 * 1024):
            if self.proxy.loses(self.path):
                return
            client.write(data)
            await client.drain()


@asynccontextmanager
async def a_watching_proxy(url: str) -> AsyncIterator[WatchingProxy]:
    host, _, port = url.removeprefix("http://").partition(":")
    proxy = WatchingProxy()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(proxy)
        try:
            their_reader, their_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        ways = {
            asyncio.create_task(connection.up(reader, their_writer), name="up"),
            asyncio.create_task(connection.down(their_reader, writer), name="down"),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await way
            writer.close()
            their_writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield proxy
