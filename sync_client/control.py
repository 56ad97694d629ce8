"""How commands talk to the running client: the address, one JSON line each way, the asking side.

Owns: the form of a question and an answer, their bounds, finding the socket.
May import: the standard library, protocol.errors.  Nothing else: `mb-sync status` is as fast as this module.

    question  {"do": "status", ...arguments}            at most 1 MiB
    answer    {"ok": true, "value": ...}
              {"ok": false, "error": code, "message": what happened and what to do}

The socket lies in the client home, which only its owner may enter.  Where Python has no such sockets
(Windows) it is a loopback port; the port and a secret stand in a file that only its owner may read.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from protocol.errors import LocalProblem, MedicalBlocksError, error_from_wire

MAX_QUESTION_BYTES = 1 << 20
MAX_ANSWER_BYTES = 64 << 20  # `status` lists every item in trouble, however many there are
MAX_SOCKET_PATH_BYTES = 100  # 107 on Linux, 103 on macOS
CONNECT_SECONDS = 5.0
HAS_UNIX_SOCKETS = sys.platform != "win32"

Json = Any  # what json.loads gives: the shape is checked where it is used


class NotRunning(LocalProblem):
    """No client runs in this home: commands that need one end with exit code 5."""

    def __init__(self) -> None:
        super().__init__("MB-Sync is not running", hint="Start it with `mb-sync start`.")


class TimeIsUp(LocalProblem):
    """The answer did not come in the time that was given: exit code 4."""


def socket_file(home: Path) -> Path:
    return home / "control.sock"


def port_file(home: Path) -> Path:
    return home / "control.port"


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A spelling of a socket's path that is short enough for the system, good while the block runs."""
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        yield str(path)
        return
    if not Path("/proc/self/fd").is_dir():
        raise LocalProblem(
            f"The path of the client home is too long for a socket ({len(os.fsencode(path))} bytes)",
            hint=f"Choose a --home that leaves {MAX_SOCKET_PATH_BYTES} bytes for {path.name}.",
        )
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def question(do: str, arguments: dict[str, Json]) -> bytes:
    line = json.dumps({"do": do, **arguments}).encode() + b"\n"
    if len(line) > MAX_QUESTION_BYTES:
        raise LocalProblem(
            f"`{do}` was asked about too much at once", hint="Ask about fewer paths at a time."
        )
    return line


def ask(home: Path, do: str, *, seconds: float | None = 10.0, **arguments: Json) -> Json:
    """The answer of the client that runs in `home`.

    seconds: for the whole exchange; None waits as long as it takes.
    Raises NotRunning, TimeIsUp, and whatever the client answered.
    """
    ends = None if seconds is None else time.monotonic() + seconds
    connection, secret = _connect(home)
    with connection:
        try:
            _until(connection, ends)
            connection.sendall(question(do, arguments | secret))
            line = _read_line(connection, ends)
        except TimeoutError as error:
            raise TimeIsUp(
                f"MB-Sync gave no answer to `{do}` in {seconds:g} s",
                hint="See `mb-sync status`, or give it more time.",
            ) from error
        except OSError as error:
            raise NotRunning from error
    answer = json.loads(line)
    if answer["ok"]:
        return answer["value"]
    raise _told(answer["error"], answer["message"])


def is_running(home: Path) -> bool:
    try:
        connection, _ = _connect(home)
    except NotRunning:
        return False
    connection.close()
    return True


def _connect(home: Path) -> tuple[socket.socket, dict[str, Json]]:
    try:
        if HAS_UNIX_SOCKETS and not port_file(home).exists():
            with reachable(socket_file(home)) as path:
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(CONNECT_SECONDS)
                try:
                    connection.connect(path)
                except OSError:
                    connection.close()
                    raise
                return connection, {}
        where = json.loads(port_file(home).read_text("ascii"))
        connection = socket.create_connection(("127.0.0.1", int(where["port"])), CONNECT_SECONDS)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise NotRunning from error
    else:
        return connection, {"secret": where["secret"]}


def _read_line(connection: socket.socket, ends: float | None) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        _until(connection, ends)
        piece = connection.recv(1 << 16)
        pieces.append(piece)
        size += len(piece)
        if piece.endswith(b"\n"):
            return b"".join(pieces)
        if not piece or size > MAX_ANSWER_BYTES:
            raise ConnectionError("the client ended before its answer did")


def _until(connection: socket.socket, ends: float | None) -> None:
    if ends is None:
        connection.settimeout(None)
        return
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


def _told(code: str, message: str) -> MedicalBlocksError:
    """The error that the client met.  Its own kinds never cross the wire, so they are told apart here."""
    if code == LocalProblem.code:
        error = LocalProblem("", hint="")
        error.args, error.what = (message,), message
        return error
    return error_from_wire(code, message, 500)
