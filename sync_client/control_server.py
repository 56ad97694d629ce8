"""The answering side of the control socket.

Owns: listening, who may ask, one question a connection, its bounds.
May import: the standard library, protocol.errors, sync_client.control.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import secrets
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from protocol.errors import BadRequest, MedicalBlocksError
from sync_client.control import (
    HAS_UNIX_SOCKETS,
    MAX_QUESTION_BYTES,
    Json,
    port_file,
    reachable,
    socket_file,
)

log = logging.getLogger(__name__)

Handle = Callable[[str, dict[str, Json]], Awaitable[Json]]
QUESTION_SECONDS = 10.0  # a caller sends its line at once or is shown the door
GRACE_SECONDS = 0.5  # for answers on their way out when the client ends
ENDS_WITH_ITS_CALLER = frozenset(
    {"wait", "watch"}
)  # nothing else stops half-way because somebody pressed Ctrl-C


class ControlServer:
    """Answers on the home's control address while the block runs.

    handle: turns (what to do, arguments) into the answer's value, or raises MedicalBlocksError.
    unix: False for a loopback port and a secret, as on Windows.
    """

    def __init__(self, home: Path, handle: Handle, *, unix: bool = HAS_UNIX_SOCKETS) -> None:
        self._home = home
        self._handle = handle
        self._unix = unix
        self._secret = "" if unix else secrets.token_urlsafe(32)
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        # What lies here is left from a client that was killed: whoever serves holds the lock of the home.
        self._clear_away()
        if self._unix:
            listener = _bound(socket_file(self._home))
            self._server = await asyncio.start_unix_server(
                self._talk, sock=listener, limit=MAX_QUESTION_BYTES
            )
        else:
            self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, limit=MAX_QUESTION_BYTES)
            port = self._server.sockets[0].getsockname()[1]
            where = os.open(port_file(self._home), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(where, "w") as file:
                json.dump({"port": port, "secret": self._secret}, file)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._clear_away()
        if self._talks:
            _, late = await asyncio.wait(self._talks, timeout=GRACE_SECONDS)
            for talk in late:
                talk.cancel()
            if late:
                await asyncio.wait(late)

    def _clear_away(self) -> None:
        socket_file(self._home).unlink(missing_ok=True)
        port_file(self._home).unlink(missing_ok=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question, one answer.  Runs as the task that asyncio made for the connection."""
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            if self._unix and not _is_owner(writer):
                log.warning("control: turned away a caller of another user")
                return
            async with asyncio.timeout(QUESTION_SECONDS):
                line = await _one_line(reader)
            answer = await self._answer_while_there(line, reader)
            if answer is not None:
                writer.write(answer)
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            log.info("control: a caller left, or sent no question")
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _answer_while_there(self, line: bytes, reader: asyncio.StreamReader) -> bytes | None:
        """The answer as a line; None if its caller left and the question ends with its caller."""
        try:
            do, arguments = self._opened(line)
        except MedicalBlocksError as error:
            return _refused(error)
        if do not in ENDS_WITH_ITS_CALLER:
            return await self._answer(do, arguments)
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self._answer(do, arguments), name=f"control {do}")
            left = group.create_task(reader.read(1), name=f"control {do}: caller")
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            left.cancel()
        return None if work.cancelled() else work.result()

    def _opened(self, line: bytes) -> tuple[str, dict[str, Json]]:
        try:
            asked = json.loads(line)
            do = asked.pop("do")
            secret = str(asked.pop("secret", "")).encode()
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise BadRequest(
                "That is no question", hint='Send one JSON line such as {"do": "status"}.'
            ) from error
        if not hmac.compare_digest(secret, self._secret.encode()):
            raise BadRequest("The secret is wrong", hint="It stands in `control.port` in the client home.")
        return str(do), asked

    async def _answer(self, do: str, arguments: dict[str, Json]) -> bytes:
        try:
            return json.dumps({"ok": True, "value": await self._handle(do, arguments)}).encode() + b"\n"
        except MedicalBlocksError as error:
            return _refused(error)
        except Exception as error:
            # The edge of the program: a fault in one answer must reach its caller and not end the client.
            log.exception("control: %s failed", do)
            line = {
                "ok": False,
                "error": "internal",
                "message": f"`{do}` met a fault ({type(error).__name__}). See log/.",
            }
            return json.dumps(line).encode() + b"\n"


def _refused(error: MedicalBlocksError) -> bytes:
    return json.dumps({"ok": False, "error": error.code, "message": str(error)}).encode() + b"\n"


async def _one_line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()  # ValueError above the limit
    if not line.endswith(b"\n"):
        raise ConnectionError
    return line


def _bound(path: Path) -> socket.socket:
    """A listening socket that only its owner may open, from its first moment."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        before = os.umask(0o177)
        try:
            with reachable(path) as short:
                listener.bind(short)
        finally:
            os.umask(before)
    except OSError:
        listener.close()
        raise
    return listener


def _is_owner(writer: asyncio.StreamWriter) -> bool:
    """Whether the caller is the user we run as (elsewhere than on Linux the socket's mode must do)."""
    if sys.platform != "linux":
        return True
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _, uid, _ = struct.unpack("3i", peer)
    return bool(uid == os.getuid())
