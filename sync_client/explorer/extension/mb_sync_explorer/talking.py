"""The talk with the running client, without ever waiting for it: the explorer's own loop tells when to go on.

Owns: one question and its answer over the client's socket (docs/explorer.md), hearing of changes, asking about files.
May import: the standard library, book.

No threads: an explorer keeps Python's interpreter to itself while it waits for events, and a thread would stand still.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Optional, Protocol

from .book import Book, Mark

ANSWER_SECONDS = 10.0
WATCH_SECONDS = 25.0
AWAY_SECONDS = 3.0  # until it is looked again whether the client runs
BUSY_SECONDS = 1.0  # a file on its way may arrive without a word
GATHER_SECONDS = 0.02  # an explorer asks about the files of a folder one by one
MOST_ASKED = 400  # paths of one question, which has at most 1 MiB
MOST_ANSWER_BYTES = 16 << 20
MOST_SOCKET_PATH_BYTES = 100

Json = Any
Answered = Callable[[Json, Optional[str]], None]  # the value, or why there is none (for people)


class Loop(Protocol):
    """What the explorer's loop can do for us.  Each gives back what `cancel` takes."""

    def on_readable(self, handle: int, call: Callable[[], None]) -> Any: ...

    def on_writable(self, handle: int, call: Callable[[], None]) -> Any: ...

    def later(self, seconds: float, call: Callable[[], None]) -> Any: ...

    def cancel(self, what: Any) -> None: ...


class Question:
    """One question to the client of `home`; `answered` is called once, never from inside the constructor."""

    def __init__(
        self,
        loop: Loop,
        home: str,
        do: str,
        arguments: dict[str, Json],
        answered: Answered,
        *,
        seconds: float,
    ) -> None:
        self._loop = loop
        self._answered = answered
        self._watched: list[Any] = []
        self._socket: socket.socket | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        try:
            self._socket, secret = _connecting(home)
        except (OSError, ValueError, KeyError, TypeError):
            self._watched.append(loop.later(0.0, lambda: self._end(None, "MB-Sync is not running.")))
            return
        self._left = json.dumps({"do": do, **arguments, **secret}).encode() + b"\n"
        self._watched.append(
            loop.later(seconds, lambda: self._end(None, f"MB-Sync gave no answer in {seconds:.0f} s."))
        )
        self._watched.append(loop.on_writable(self._socket.fileno(), self._send))

    def _send(self) -> None:
        assert self._socket is not None
        try:
            sent = self._socket.send(self._left)
        except BlockingIOError:
            return
        except OSError:
            self._end(None, "MB-Sync is not running.")
            return
        self._left = self._left[sent:]
        if not self._left:
            self._loop.cancel(self._watched.pop())
            self._watched.append(self._loop.on_readable(self._socket.fileno(), self._receive))

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            piece = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._pieces.append(piece)
        self._size += len(piece)
        if not piece or self._size > MOST_ANSWER_BYTES:
            self._end(None, "MB-Sync ended before it answered.")
        elif piece.endswith(b"\n"):
            try:
                answer = json.loads(b"".join(self._pieces))
                value, why = (answer["value"], None) if answer["ok"] else (None, str(answer["message"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                value, why = None, "MB-Sync's answer makes no sense."
            self._end(value, why)

    def _end(self, value: Json, why: str | None) -> None:
        for one in self._watched:
            self._loop.cancel(one)
        self._watched.clear()
        if self._socket is not None:
            self._socket.close()
        self._answered(value, why)


def _connecting(home: str) -> tuple[socket.socket, dict[str, str]]:
    """A socket that does not block, on its way to the client."""
    port = os.path.join(home, "control.port")
    if hasattr(socket, "AF_UNIX") and not os.path.exists(port):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(0.0)
        _connect(connection, home)
        return connection, {}
    with open(port, encoding="ascii") as file:
        where = json.load(file)
    connection = socket.socket(socket.AF_INET)
    connection.settimeout(0.0)
    with suppress(BlockingIOError):
        connection.connect(("127.0.0.1", int(where["port"])))
    return connection, {"secret": str(where["secret"])}


def _connect(connection: socket.socket, home: str) -> None:
    path = os.path.join(home, "control.sock")
    folder = -1
    try:
        if len(os.fsencode(path)) > MOST_SOCKET_PATH_BYTES:
            folder = os.open(home, os.O_RDONLY)
            path = f"/proc/self/fd/{folder}/control.sock"
        failed = connection.connect_ex(path)
        if failed not in (0, errno.EINPROGRESS):
            connection.close()
            raise OSError(failed, os.strerror(failed))
    finally:
        if folder != -1:
            os.close(folder)


class Talk:
    """With the client of one home.  told: called with the paths that look different now; with None when other folders
    are followed than before: whatever is on the screen is to be asked about once more."""

    def __init__(self, loop: Loop, home: str, told: Callable[[set[str] | None], None]) -> None:
        self.home = home
        self._loop = loop
        self._told = told
        self._book = Book()
        self._wanted: dict[str, None] = {}  # in the order in which they were asked for
        self._asking = False  # about files
        self._timer: Any = None  # until the next question about files
        self._due = 0.0  # when it goes off
        self._change = 0

    def start(self) -> None:
        self._loop.later(0.0, self._watch)

    def mark(self, path: str) -> Mark | None:
        """What is known of this file now.  None: nothing, or it is not followed; it is asked about then."""
        if not self._book.may_be_followed(path):
            return None
        found = self._book.mark(path)
        if found is None:
            self._want([path])
        return found

    def ask(self, do: str, arguments: dict[str, Json], answered: Answered, *, seconds: float) -> None:
        Question(self._loop, self.home, do, arguments, answered, seconds=seconds)

    # ---- changes -----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        arguments = {"after": self._change, "for_seconds": WATCH_SECONDS}
        self.ask("watch", arguments, self._heard, seconds=WATCH_SECONDS + ANSWER_SECONDS)

    def _heard(self, answer: Json, why: str | None) -> None:
        before = self._book.folders
        try:
            if why is not None:
                raise ValueError(why)
            self._change = int(answer["change"])
            folders = [str(folder["local"]) for folder in answer["folders"]]
            again, gone = self._book.changed(answer["paths"], folders)
        except (ValueError, KeyError, TypeError):
            self._change = 0
            self._tell(self._book.clear())
            self._loop.later(AWAY_SECONDS, self._watch)
            return
        self._want(again)
        self._tell(gone)
        if self._book.folders != before:
            self._told(None)
        self._loop.later(0.0, self._watch)

    # ---- files -------------------------------------------------------------------------------------------

    def _want(self, paths: list[str]) -> None:
        self._wanted.update(dict.fromkeys(paths))
        if self._wanted and not self._asking:
            self._ask_in(GATHER_SECONDS)

    def _ask_in(self, seconds: float) -> None:
        """In that time at the latest: who asks on and on does not put it off."""
        due = time.monotonic() + seconds
        if self._timer is not None:
            if self._due <= due:
                return
            self._loop.cancel(self._timer)
        self._due = due
        self._timer = self._loop.later(seconds, self._ask_about_files)

    def _ask_about_files(self) -> None:
        self._timer = None
        if self._asking:
            return
        if not self._wanted:
            self._wanted.update(dict.fromkeys(self._book.busy()))
        wanted = [path for path in self._wanted if self._book.may_be_followed(path)]
        asked, self._wanted = wanted[:MOST_ASKED], dict.fromkeys(wanted[MOST_ASKED:])
        if asked:
            self._asking = True
            self.ask("marks", {"paths": asked}, self._told_about_files, seconds=ANSWER_SECONDS)

    def _told_about_files(self, marks: Json, why: str | None) -> None:
        self._asking = False
        different: set[str] = set()
        if why is None:
            with suppress(KeyError, TypeError):
                different = self._book.take(marks)
        if why is not None:  # the other question forgets what was known, and has all asked anew
            self._ask_in(AWAY_SECONDS)
        elif self._wanted:
            self._ask_in(0.0)
        elif self._book.busy():
            self._ask_in(BUSY_SECONDS)
        self._tell(different)

    def _tell(self, paths: set[str]) -> None:
        if paths:
            self._told(paths)
