"""The network between one computer and the server: open, cut (every connection is reset) or silent (a black hole).

with BadNetwork(server.url) as network:
    ... a client of network.url ...
    network.be("silent")
    network.be("open")          # what was silent is reset: its bytes are lost for good
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Literal, Self

State = Literal["open", "cut", "silent"]


class BadNetwork:
    """A proxy with a thread of its own, so that whoever tests may block."""

    def __init__(self, target: Callable[[], str]) -> None:
        self.url = ""
        self._target = target
        self._state: State = "open"
        self._ways: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bad network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._opened.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def be(self, state: State) -> None:
        self._loop.call_soon_threadsafe(self._become, state)

    def _become(self, state: State) -> None:
        before, self._state = self._state, state
        for way in tuple(self._ways):
            if state == "silent":
                way.pause_reading()
            elif state == "cut" or before != "open":
                way.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._opened.set()
        self._loop.run_forever()
        for way in tuple(self._ways):
            way.abort()
        self._listener.close()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _listen(self) -> None:
        self._listener = await self._loop.create_server(lambda: _Way(self, None), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    def add(self, way: asyncio.Transport) -> bool:
        """Whether bytes may flow."""
        if self._state == "cut":
            way.abort()
            return False
        self._ways.add(way)
        if self._state == "silent":
            way.pause_reading()
        return True

    def forget(self, way: asyncio.Transport) -> None:
        self._ways.discard(way)

    async def connect(self, other: _Way) -> _Way:
        host, _, port = self._target().removeprefix("http://").partition(":")
        _, way = await self._loop.create_connection(lambda: _Way(self, other), host, int(port))
        return way


class _Way(asyncio.Protocol):
    """One end of a connection that passes through."""

    def __init__(self, network: BadNetwork, other: _Way | None) -> None:
        self._network = network
        self._other = other
        self._waiting: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._network.add(transport) and self._other is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(), name="connect")

    async def _connect(self) -> None:
        try:
            self._other = await self._network.connect(self)
        except OSError:
            self.end()
            return
        for data in self._waiting:
            self._other.send(data)

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._waiting.append(data)
        else:
            self._other.send(data)

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self._transport is not None:
            self._network.forget(self._transport)
        if self._other is not None:
            self._other.end()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()
