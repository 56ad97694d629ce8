"""Connections: how many there may be, and what one may do before it has asked for anything.

Owns: the bound on open connections, the size and the time of a request's head, what is said to who breaks them.
May import: aiohttp, protocol, server.http.exchange.

aiohttp bounds a line and the number of headers, and gives a head as much time as it likes.  A connection here has
HEAD_SECONDS for its first head; later it may be idle for IDLE_SECONDS, and has HEAD_SECONDS again from the first
byte of the next head.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from protocol.limits import (
    HEAD_SECONDS,
    IDLE_SECONDS,
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
)
from protocol.messages import JSON, Problem, to_json
from server.http.exchange import common_headers

log = logging.getLogger(__name__)

READ_BUFFER_BYTES = 512 * 1024
FILES_KEPT = 200  # of the open files that the system allows: databases, packs and what else is no connection
_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Busy"}
_TOO_LONG = f"The head of this request has more than {MAX_HEAD_BYTES} bytes. Send fewer or shorter headers."


class GuardedSite(web.BaseSite):
    """A TCP address whose connections are `Connection`s.  limit: of how many are open at once."""

    __slots__ = ("_host", "_limit", "_port")

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        *,
        limit: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(runner, ssl_context=tls, backlog=512)
        self._host = host
        self._port = port
        self._limit = limit

    @property
    def name(self) -> str:
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None  # the runner is set up

        def connection() -> Connection:
            return Connection(
                server,
                limit=self._limit,
                loop=loop,
                keepalive_timeout=IDLE_SECONDS,
                access_log=None,
                max_line_size=MAX_HEAD_BYTES,
                max_field_size=MAX_HEAD_BYTES,
                max_headers=MAX_HEADERS,
                auto_decompress=False,  # bodies are unpacked where their limit is known, see http.exchange
                read_bufsize=READ_BUFFER_BYTES,
            )

        self._server = await loop.create_server(
            connection,
            self._host,
            self._port,
            backlog=self._backlog,
            ssl=self._ssl_context,
            ssl_handshake_timeout=HEAD_SECONDS if self._ssl_context else None,
        )


class Connection(web.RequestHandler):
    """One connection.  Costs a request nothing but a comparison, as long as its head comes in one piece."""

    __slots__ = ("_head_bytes", "_limit", "_too_late")

    def __init__(self, manager: web.Server, *, limit: int, **arguments: Any) -> None:
        super().__init__(manager, **arguments)
        self._limit = limit
        self._head_bytes = 0  # of a head that is not whole yet
        self._too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._manager is not None and len(self._manager._connections) > self._limit:
            self._turn_away(
                503, "unavailable", "The server has as many connections as it takes. Try again soon."
            )
            return
        self._begin_to_wait()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._end_waiting()
        elif data and self._is_in_a_head():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._turn_away(431, "too-large", _TOO_LONG)
            elif self._too_late is None:
                self._begin_to_wait()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is told like any other problem, and without a trace."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        code, words = "bad-request", "This is no request of HTTP/1.1. Check the program that sent it."
        if isinstance(exc, LineTooLong) or "Too many headers" in (message or ""):
            status, code, words = 431, "too-large", _TOO_LONG
        elif status != 400:
            code, words = "internal", "The server met a fault of its own. Tell its operator the request id."
        request_id = secrets.token_hex(8)
        log.info("request id=%s unreadable status=%d cause=%s", request_id, status, type(exc).__name__)
        body = to_json(Problem(error=code, message=words, request_id=request_id))
        response = web.Response(
            status=status, body=body, content_type=JSON, headers=common_headers(request_id)
        )
        response.force_close()
        return response

    def _is_in_a_head(self) -> bool:
        """Nothing is being answered and no body is coming: these bytes belong to the next head."""
        waiter = self._waiter
        return self._request_count == 0 or (waiter is not None and not waiter.done())

    def _begin_to_wait(self) -> None:
        self._too_late = self._loop.call_later(HEAD_SECONDS, self._is_too_late)

    def _end_waiting(self) -> None:
        self._head_bytes = 0
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _is_too_late(self) -> None:
        self._too_late = None
        if self._is_in_a_head():
            words = f"The head of a request did not come within {HEAD_SECONDS:g} s. Try again."
            self._turn_away(408, "bad-request", words)

    def _turn_away(self, status: int, code: str, words: str) -> None:
        """Answer without a request, and close."""
        self._end_waiting()
        if self.transport is not None:
            self.transport.write(_bare_answer(status, code, words))
        self.force_close()


def _bare_answer(status: int, code: str, words: str) -> bytes:
    request_id = secrets.token_hex(8)
    log.info("connection refused id=%s status=%d", request_id, status)
    body = to_json(Problem(error=code, message=words, request_id=request_id))
    headers = {
        "Content-Type": JSON,
        "Content-Length": str(len(body)),
        "Connection": "close",
        **common_headers(request_id),
    }
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def connection_limit() -> int:
    """How many connections this process can hold: MAX_CONNECTIONS, or what the system allows it in open files."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return MAX_CONNECTIONS
    wanted = MAX_CONNECTIONS + FILES_KEPT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limit = MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft - FILES_KEPT)
    if limit < MAX_CONNECTIONS:
        log.warning("connections are limited to=%d by the open files that the system allows", limit)
    return max(limit, FILES_KEPT)
