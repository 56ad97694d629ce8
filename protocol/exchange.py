"""One request to a server and its answer.

Owns: the session and its connections, time-outs, retries, what counts as "not our server", what went wrong in words.
May import: aiohttp, msgspec, protocol; only `protocol.http` imports this module.

A call ends in an answer or in a MedicalBlocksError.  Unavailable is what passes by itself (no connection, a
time-out, 503) and was tried again before it is raised; LocalProblem is what a person must put right.
"""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from functools import cache
from types import TracebackType, UnionType
from typing import Any, Self, TypeVar, cast

import aiohttp
import msgspec

from protocol.bodies import PLAIN, ZSTD, expanded, shrunk
from protocol.errors import (
    BadRequest,
    LocalProblem,
    MedicalBlocksError,
    NotTrusted,
    TooLarge,
    TooManyTries,
    Unavailable,
    error_from_wire,
)
from protocol.limits import MAX_ANSWER_BYTES, MAX_PROBLEM_BYTES, MAX_PROBLEM_CHARACTERS
from protocol.messages import JSON, MSGPACK, Problem, to_msgpack
from protocol.names import shown
from protocol.pace import Pace
from protocol.patience import Patience, Tries
from protocol.server_address import is_loopback_address, server_address
from protocol.trust import Trust

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0  # without a byte either way
_READ_BUFFER_BYTES = 512 * 1024
_LARGE_BODY_BYTES = 512 * 1024  # aiohttp sends a longer one in pieces if it is a file

T = TypeVar("T")


class Exchange:
    """Any number of requests at once, to one server; `ServerApi` says which there are.

    connector: makes the connections, if not plain TCP and TLS do.
    bytes_sent, bytes_received: bytes of bodies so far, as they crossed the wire.
    said_date: the `Date` of the last answer, or "".
    pace_up, pace_down: of streams of chunks; without a limit unless their `rate` is set.
    Raises LocalProblem: `url` may not stand as the address of a server.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        user_agent: str = "medical-blocks",
        patience: Patience = Patience(),  # noqa: B008  # frozen: one for all is one for each
        stall_seconds: float = STALL_SECONDS,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
        trust: Trust = Trust(),  # noqa: B008  # frozen, as above
    ) -> None:
        if token is not None and trust.is_blind:
            raise RuntimeError("a token is never sent to a server that nobody vouches for")
        self.url = server_address(url)
        self.trust = trust
        self.token = token
        self.bytes_sent = 0
        self.bytes_received = 0
        self.said_date = ""
        self.pace_up, self.pace_down = Pace(), Pace()
        self._user_agent = user_agent
        self._patience = patience
        self._stall_seconds = stall_seconds
        self._connector = connector or self._tcp
        self._open_session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        distant = self.url.startswith("https:") and not is_loopback_address(self.url)
        self._open_session = aiohttp.ClientSession(
            connector=self._connector(),
            proxy=self.trust.proxy or None,
            trust_env=distant,  # HTTPS_PROXY, NO_PROXY; this computer is reached without one
            headers={"User-Agent": self._user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open_session is not None:
            await self._open_session.close()
            self._open_session = None

    def _tcp(self) -> aiohttp.BaseConnector:
        secure = self.url.startswith("https:")
        return aiohttp.TCPConnector(
            limit=0,  # who calls decides how many calls run at once
            ssl=self.trust.context() if secure else True,
        )

    # ---- one request -----------------------------------------------------------------------------------

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[T] | UnionType,
        message: msgspec.Struct | None = None,
        *,
        query: dict[str, str] | None = None,
        repeat: bool = True,
        stall_seconds: float | None = None,
    ) -> T:
        body = None if message is None else to_msgpack(message)

        async def once() -> T:
            async with self._exchange(
                method, path, body, query=query, stall_seconds=stall_seconds
            ) as response:
                return await self._decoded(response, kind)

        return await self._patiently(once) if repeat else await once()

    async def _tell(self, method: str, path: str) -> None:
        """As `_ask`, where success says all."""

        async def once() -> None:
            async with self._exchange(method, path) as response:
                await self._read_all(response, MAX_ANSWER_BYTES)

        await self._patiently(once)

    async def _patiently(self, once: Callable[[], Awaitable[T]]) -> T:
        tries = Tries(self._patience)
        while True:
            try:
                return await once()
            except Unavailable as error:
                await tries.pause(error)

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None = None,
        content_type: str = MSGPACK,
        *,
        accept: str = MSGPACK,
        query: dict[str, str] | None = None,
        stall_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request and its successful response; leaving the block before its end closes the connection."""
        if self._open_session is None:
            raise RuntimeError("ServerApi is used outside its `async with`")
        headers = {"Accept": accept, "Accept-Encoding": ZSTD if accept == MSGPACK else PLAIN}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = content_type
        if isinstance(body, bytes):
            if (smaller := shrunk(body)) is not None:
                body, headers["Content-Encoding"] = smaller, ZSTD
            self.bytes_sent += len(body)
        try:
            async with self._open_session.request(
                method,
                f"{self.url}/api/v1{path}",
                params=query,
                data=io.BytesIO(body) if isinstance(body, bytes) and len(body) > _LARGE_BODY_BYTES else body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=CONNECT_SECONDS,
                    sock_read=self._stall_seconds if stall_seconds is None else stall_seconds,
                ),
            ) as response:
                self.said_date = response.headers.get("Date", "")
                if not response.ok or 300 <= response.status < 400:
                    raise await self._problem(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._translated(error) from error

    async def _decoded(self, response: aiohttp.ClientResponse, kind: type[T] | UnionType) -> T:
        if response.content_type != MSGPACK:
            raise self._not_ours(f"it answers with {response.content_type}")
        body = await self._read_all(response, MAX_ANSWER_BYTES)
        try:
            decoder = _decoder(kind)  # type: ignore[arg-type]  # classes can be hashed, mypy doubts it
            return cast(T, decoder.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._not_ours(f"its answer is not understood ({error})") from error

    async def _read_all(self, response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := await response.content.readany():
            size += len(piece)
            self.bytes_received += len(piece)
            if size > limit_bytes:
                raise self._not_ours(f"its answer is longer than {limit_bytes} bytes")
            pieces.append(piece)
        try:
            encoding = response.headers.get("Content-Encoding", "")
            return expanded(b"".join(pieces), encoding, max_bytes=limit_bytes)
        except (BadRequest, TooLarge) as error:
            raise self._not_ours(f"its answer cannot be unpacked: {error.what}") from error

    def _count_sent(self, size: int) -> None:
        self.bytes_sent += size

    # ---- what went wrong -------------------------------------------------------------------------------

    async def _problem(self, response: aiohttp.ClientResponse) -> MedicalBlocksError:
        """The error that a response without success stands for."""
        status = response.status
        if 300 <= status < 400:
            return LocalProblem(
                f"{self.url} sends us on to another address, and a token follows no redirect",
                hint="Give the address that it leads to, if you trust it.",
            )
        if response.content_type in {MSGPACK, JSON}:
            decode = msgspec.msgpack.decode if response.content_type == MSGPACK else msgspec.json.decode
            body = await self._read_all(response, MAX_PROBLEM_BYTES)
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                problem = decode(body, type=Problem)
                error = error_from_wire(
                    problem.error, shown(problem.message[:MAX_PROBLEM_CHARACTERS]), status
                )
                if isinstance(error, TooManyTries):
                    error.retry_after_seconds = _seconds(response.headers.get("Retry-After", ""))
                return error
        if status in {502, 503, 504}:  # a proxy that stands before the server speaks like this
            return self._unreachable(f"HTTP {status}")
        return self._not_ours(f"it answers {status} to {response.url.path}")

    def _translated(self, error: Exception) -> MedicalBlocksError:
        match error:
            case aiohttp.ClientSSLError() if self.trust.authority:
                return NotTrusted(
                    f"{self.url} shows a certificate that is not of the authority this computer trusts"
                    f" for it ({_reason(error)})",
                    hint="Somebody may stand between, or the server was set up anew. Ask its operator for the"
                    " fingerprint that `mb-server tls` shows, and sign in again with --fingerprint.",
                )
            case aiohttp.ClientSSLError():
                return NotTrusted(
                    f"The certificate of {self.url} is not trusted ({_reason(error)})",
                    hint="Check the address. For a server with an authority of its own, sign in with"
                    " `mb-sync login`; a hospital's authority may be given with --ca FILE.",
                )
            case aiohttp.ClientHttpProxyError():
                return LocalProblem(
                    f"The proxy on the way to {self.url} refuses ({error.status} {error.message})",
                    hint="Give its name and password: --proxy http://NAME:PASSWORD@HOST:PORT at sign-in,"
                    " or HTTPS_PROXY.",
                )
            case aiohttp.ClientProxyConnectionError():
                return Unavailable(
                    f"The proxy on the way to {self.url} cannot be reached ({_reason(error)})",
                    hint="Check HTTPS_PROXY, or the proxy given at sign-in.",
                )
            case aiohttp.ClientResponseError() | aiohttp.InvalidURL():
                return self._not_ours("it does not speak HTTP as a server does")
            case TimeoutError():
                return self._unreachable("it does not answer in time")
            case _:
                return self._unreachable(_reason(error))

    def _unreachable(self, why: str) -> Unavailable:
        return Unavailable(
            f"The server {self.url} cannot be reached ({why})",
            hint="Check the address, the network, and that the server is running.",
        )

    def _not_ours(self, why: str) -> LocalProblem:
        return LocalProblem(
            f"{self.url} is not a Medical-Blocks server of this version ({why})", hint="Check the address."
        )


@cache
def _decoder(kind: Hashable) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(cast(Any, kind))


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def _reason(error: Exception) -> str:
    """What the system says of a failed connection, in its plain words."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)  # asyncio puts words and addresses of its own into strerror
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
