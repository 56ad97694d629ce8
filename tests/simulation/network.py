"""A network in memory between aiohttp's client and aiohttp's server: it delays, cuts, clogs and repeats.

Owns: connections, and what befalls them.  May import: asyncio, aiohttp.

Bytes of one connection keep their order, as TCP's do; those of different connections overtake each other.  A
*repeated* request is one that an impatient proxy sends once more, up to half a minute later; nobody hears its answer.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

NewProtocol = Callable[[], asyncio.Protocol]


@dataclass
class Weather:
    """How likely each mishap is."""

    slowest_seconds: float = 0.02
    cut: float = 0.0  # of each piece that travels
    clog: float = 0.0  # of each piece: it takes seconds
    repeat: float = 0.0  # of each request
    refuse: float = 0.0  # of each new connection


CALM = Weather()


class Network:
    """`accept` makes the server's side of a connection; None: nobody listens."""

    def __init__(self, chance: random.Random, tell: Callable[[str], None]) -> None:
        self.chance = chance
        self.tell = tell
        self.weather = Weather()
        self.accept: NewProtocol | None = None
        self.away: set[str] = set()  # computers without a network
        self.connections: list[Connection] = []

    async def connect(self, computer: str, protocol: asyncio.Protocol) -> None:
        """Raises OSError."""
        await asyncio.sleep(self.latency())
        refused = self.chance.random() < self.weather.refuse
        if self.accept is None or computer in self.away or refused:
            raise ConnectionRefusedError(111, "nobody answers")
        Connection(self, computer, protocol, self.accept())

    def latency(self) -> float:
        if self.chance.random() < self.weather.clog:
            return self.chance.uniform(1, 45)
        return self.chance.uniform(0.0005, self.weather.slowest_seconds)

    def take_away(self, computer: str) -> None:
        self.away.add(computer)
        self.cut(computer)

    def cut(self, computer: str | None = None) -> None:
        """All connections (of this computer)."""
        for connection in list(self.connections):
            if computer in (None, connection.computer):
                connection.cut()

    def repeat(self, request: bytes) -> None:
        """Sent once more; the answer goes nowhere."""
        if self.accept is not None and request:
            self.tell(f"net   again {_asked(request)}")
            connection = Connection(self, "an impatient proxy", _Deaf(), self.accept())
            connection.client.write(request)
            asyncio.get_running_loop().call_later(60, connection.cut)


class Connection:
    def __init__(
        self, network: Network, computer: str, client: asyncio.Protocol, server: asyncio.Protocol
    ) -> None:
        self.network = network
        self.computer = computer
        self.request = b""  # what the client sent since the last answer began
        self.answering = True
        self.open = True
        self.client, self.server = End(self, client), End(self, server)
        self.client.peer, self.server.peer = self.server, self.client
        network.connections.append(self)
        self.context = (
            contextvars.Context()
        )  # the server's: whose call brought the bytes is none of its business
        self.context.run(server.connection_made, self.server)
        client.connection_made(self.client)

    def cut(self) -> None:
        self._end(ConnectionResetError(104, "cut"))

    def close(self) -> None:
        self._end(None)

    def _end(self, error: OSError | None) -> None:
        if self.open:
            self.open = False
            self.network.connections.remove(self)
            loop = asyncio.get_running_loop()
            loop.call_soon(self.client.protocol.connection_lost, error)
            loop.call_soon(self.server.protocol.connection_lost, error, context=self.context)

    def note(self, end: End, data: bytes) -> None:
        if end is self.server:
            if not self.answering:
                self.answering = True
                if self.network.chance.random() < self.network.weather.repeat:
                    later = self.network.chance.choice([0.0, self.network.chance.uniform(0, 30)])
                    asyncio.get_running_loop().call_later(later, self.network.repeat, self.request)
            return
        if self.answering:
            self.request, self.answering = b"", False
            self.network.tell(f"net   {self.computer} {_asked(data)}")
        self.request += data


def _asked(request: bytes) -> str:
    """Method and resource, without what is long and says nothing."""
    line = request.split(b" HTTP/", 1)[0].decode("ascii", "replace")
    return re.sub(r"/api/v1|/views/[0-9a-f-]{36}|after=[^&]*&?", "", line)[:80]


class End(asyncio.Transport):
    """What one side writes into."""

    def __init__(self, connection: Connection, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.connection = connection
        self.protocol = protocol
        self.peer: End = self
        self._closing = False
        self._on_the_way: list[bytes] = []
        self._arrives = 0.0
        self._reading = True
        self._kept: list[bytes] = []

    def write(self, data: Any) -> None:
        if self._closing or not self.connection.open or not data:
            return
        data = bytes(data)
        self.connection.note(self, data)
        loop = asyncio.get_running_loop()
        self._on_the_way.append(data)
        if len(self._on_the_way) == 1:
            self._arrives = max(self._arrives, loop.time() + self.connection.network.latency())
            loop.call_at(self._arrives, self._deliver)

    def writelines(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def _deliver(self) -> None:
        data, self._on_the_way = b"".join(self._on_the_way), []
        if not self.connection.open:
            return
        network = self.connection.network
        mishap = network.chance.random() < network.weather.cut
        if mishap and network.chance.random() < 0.5:  # else it arrives, and the answer does not
            data = data[: network.chance.randint(0, len(data))]
        if data and self.peer is self.connection.server:
            self.connection.context.run(self.peer.take, data)
        elif data:
            self.peer.take(data)
        if mishap:
            network.tell(f"net   cut {self.connection.computer}")
            self.connection.cut()
        elif self._closing:
            self.connection.close()

    def take(self, data: bytes) -> None:
        if self._reading:
            self.protocol.data_received(data)
        else:
            self._kept.append(data)

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        if self._kept:
            asyncio.get_running_loop().call_soon(self._take_kept)

    def _take_kept(self) -> None:
        kept, self._kept = self._kept, []
        for data in kept:
            self.take(data)

    def is_reading(self) -> bool:
        return self._reading

    def close(self) -> None:
        self._closing = True
        if not self._on_the_way and self.connection.open:
            self.connection.close()

    def abort(self) -> None:
        self._closing = True
        self.connection.cut()

    def is_closing(self) -> bool:
        return self._closing or not self.connection.open

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        raise NotImplementedError

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol


class _Deaf(asyncio.Protocol):
    pass


class Connector(aiohttp.BaseConnector):
    """Of one computer's HTTP client."""

    def __init__(self, network: Network, computer: str) -> None:
        super().__init__(limit=0)
        self._network = network
        self._computer = computer

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        del traces
        protocol = self._factory()
        try:
            async with asyncio.timeout(timeout.connect):
                await self._network.connect(self._computer, protocol)
        except TimeoutError:
            raise
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return protocol
