"""The extension's talk with the client: it never waits, and claims nothing of a client that is gone."""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sync_client.explorer.extension.mb_sync_explorer import talking
from sync_client.explorer.extension.mb_sync_explorer.book import MOST_BUSY, Book
from sync_client.explorer.extension.mb_sync_explorer.talking import Question, Talk

LIMIT_SECONDS = 60.0


class ALoop:
    """An explorer's loop, turned by hand."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: dict[int, tuple[float, Callable[[], None]]] = {}
        self._number = 0

    def on_readable(self, handle: int, call: Callable[[], None]) -> tuple[str, int]:
        self._selector.register(handle, selectors.EVENT_READ, call)
        return "handle", handle

    def on_writable(self, handle: int, call: Callable[[], None]) -> tuple[str, int]:
        self._selector.register(handle, selectors.EVENT_WRITE, call)
        return "handle", handle

    def later(self, seconds: float, call: Callable[[], None]) -> tuple[str, int]:
        self._number += 1
        self._timers[self._number] = (time.monotonic() + seconds, call)
        return "timer", self._number

    def cancel(self, what: Any) -> None:
        kind, number = what
        if kind == "timer":
            self._timers.pop(number, None)
        else:
            self._selector.unregister(number)

    def turn(self) -> None:
        for key, _ in self._selector.select(0.005):
            key.data()
        for number, (at, call) in list(self._timers.items()):
            if at <= time.monotonic() and self._timers.pop(number, None):
                call()

    def until(self, is_so: Callable[[], bool]) -> None:
        ends = time.monotonic() + LIMIT_SECONDS
        while not is_so():
            assert time.monotonic() < ends, "it never came true"
            self.turn()


class AClient:
    """Answers on a client's socket what it is told to; a `watch` waits until `change` is called."""

    def __init__(self, home: Path) -> None:
        self.states: dict[str, str] = {}
        self.asked: list[list[str]] = []
        self.folder = str(home / "Study")
        self.silent = False
        self._changed: list[str] | None = None
        self._number = 1
        self._news = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(home / "control.sock"))
        self._listener.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def change(self, *paths: str) -> None:
        with self._news:
            self._changed = list(paths) or None
            self._number += 1
            self._news.notify_all()

    def close(self) -> None:
        with suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            line = lines.readline()
            if not line:  # it has ended
                return
            asked = json.loads(line)
            if self.silent:
                with suppress(OSError):
                    connection.recv(1)
                return
            value: Any
            if asked["do"] == "watch":
                with self._news:
                    self._news.wait_for(lambda: asked["after"] != self._number, 5)
                    value = {
                        "change": self._number,
                        "paths": self._changed,
                        "folders": [{"local": self.folder}],
                    }
            elif asked["do"] == "marks":
                self.asked.append(asked["paths"])
                value = [self._mark(path) for path in asked["paths"]]
            else:
                answer = {"ok": False, "error": "bad-request", "message": "Not so. Do otherwise."}
                connection.sendall(json.dumps(answer).encode() + b"\n")
                return
            with suppress(OSError):  # who asked has left
                connection.sendall(json.dumps({"ok": True, "value": value}).encode() + b"\n")

    def _mark(self, path: str) -> dict[str, Any]:
        return {"path": path, "state": self.states.get(path, "synced"), "remote": "/Home/Study", "reason": ""}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[AClient]:
    running = AClient(tmp_path)
    yield running
    running.close()


def states(talk: Talk, *paths: str) -> list[str | None]:
    marks = [talk.mark(path) for path in paths]
    return [None if mark is None else mark["state"] for mark in marks]


def test_a_file_is_asked_about_once_and_told_when_it_changes(client: AClient, tmp_path: Path) -> None:
    loop, told = ALoop(), list[set[str] | None]()
    talk = Talk(loop, str(tmp_path), told.append)
    talk.start()
    one, two = f"{client.folder}/one", f"{client.folder}/two"
    client.states[one] = "error"
    assert states(talk, one, two) == [None, None]
    loop.until(lambda: len(told) == 2)
    assert told == [None, {one, two}]  # the folders were heard of, then the files
    assert states(talk, one, two) == ["error", "synced"]
    assert client.asked == [[one, two]]  # together

    client.states[one] = "synced"
    client.change(one)
    loop.until(lambda: len(told) == 3)
    assert told[2] == {one}
    assert states(talk, one, two) == ["synced", "synced"]
    assert client.asked[1:] == [[one]]  # and nothing else

    client.change()  # everything may have: and yet nothing looks different
    loop.until(lambda: len(client.asked) == 3)
    assert set(client.asked[2]) == {one, two}
    assert len(told) == 3


def test_what_is_on_its_way_is_asked_about_again_by_itself(
    client: AClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talking, "BUSY_SECONDS", 0.05)
    loop, told = ALoop(), list[set[str] | None]()
    talk = Talk(loop, str(tmp_path), told.append)
    talk.start()
    new = f"{client.folder}/new"
    client.states[new] = "unknown"
    talk.mark(new)
    loop.until(lambda: len(client.asked) >= 3)
    client.states[new] = "synced"
    loop.until(lambda: states(talk, new) == ["synced"])
    before = len(client.asked)
    for _ in range(40):
        loop.turn()
    assert len(client.asked) <= before + 1


def test_nothing_is_claimed_of_a_client_that_is_gone(
    client: AClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talking, "AWAY_SECONDS", 0.05)
    loop, told = ALoop(), list[set[str] | None]()
    talk = Talk(loop, str(tmp_path), told.append)
    talk.start()
    one = f"{client.folder}/one"
    talk.mark(one)
    loop.until(lambda: states(talk, one) == ["synced"])
    client.close()
    (tmp_path / "control.sock").unlink()
    client.change(one)  # the last word of the one that ends
    loop.until(lambda: len(told) == 3)
    assert told[2] == {one}
    assert states(talk, one) == [None]  # as the explorer asks then, once
    for _ in range(40):
        loop.turn()
    again = AClient(tmp_path)
    try:
        loop.until(lambda: told[-1] is None and len(told) > 3)
        assert states(talk, one) == [None]  # as the explorer asks once more
        loop.until(lambda: told[-1] == {one})
        assert states(talk, one) == ["synced"]
    finally:
        again.close()


def test_what_is_not_followed_is_not_asked_about(client: AClient, tmp_path: Path) -> None:
    loop, told = ALoop(), list[set[str] | None]()
    talk = Talk(loop, str(tmp_path), told.append)
    talk.start()
    talk.mark(f"{client.folder}/one")
    loop.until(lambda: len(told) == 2)
    for path in ("/etc/passwd", client.folder + "-not", str(tmp_path)):
        assert talk.mark(path) is None
    for _ in range(20):
        loop.turn()
    assert client.asked == [[f"{client.folder}/one"]]
    assert talk.mark(client.folder) is None  # the folder itself is followed
    loop.until(lambda: client.asked[-1] == [client.folder])


def test_a_client_that_is_silent_holds_up_nobody(client: AClient, tmp_path: Path) -> None:
    client.silent = True
    loop, said = ALoop(), list[str | None]()
    talk = Talk(loop, str(tmp_path), lambda _: None)
    talk.start()
    longest = 0.0
    for number in range(200):
        began = time.monotonic()
        talk.mark(f"{client.folder}/{number}")
        longest = max(longest, time.monotonic() - began)
        loop.turn()
    assert longest < 1.0  # a client that is waited for would take ten
    Question(loop, str(tmp_path), "wait", {}, lambda _, why: said.append(why), seconds=0.1)
    loop.until(lambda: bool(said))
    assert said == ["MB-Sync gave no answer in 0 s."]


def test_a_refusal_and_an_absence_are_told_in_a_sentence(client: AClient, tmp_path: Path) -> None:
    loop, said = ALoop(), list[str | None]()
    Question(loop, str(tmp_path), "dance", {}, lambda _, why: said.append(why), seconds=10)
    loop.until(lambda: len(said) == 1)
    Question(loop, str(tmp_path / "elsewhere"), "status", {}, lambda _, why: said.append(why), seconds=10)
    assert len(said) == 1  # never at once
    loop.until(lambda: len(said) == 2)
    assert said == ["Not so. Do otherwise.", "MB-Sync is not running."]


def test_a_home_with_a_long_path_is_reached(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    assert len(str(deep / "control.sock")) > talking.MOST_SOCKET_PATH_BYTES
    import os  # noqa: PLC0415 - to bind there at all

    before = os.getcwd()
    os.chdir(deep)
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("control.sock")
        listener.listen(1)
    finally:
        os.chdir(before)
    with listener:
        connection, secret = talking._connecting(str(deep))
        connection.close()
        assert secret == {}


# ---- the book --------------------------------------------------------------------------------------------


def a_mark(path: str, state: str = "synced") -> dict[str, Any]:
    return {"path": path, "state": state, "remote": "/Home/x"}


def test_the_book_forgets_what_was_looked_at_longest_ago() -> None:
    book = Book(most=3)
    book.take([a_mark("/s/a"), a_mark("/s/b"), a_mark("/s/c")])
    assert book.mark("/s/a")
    book.take([a_mark("/s/d")])
    assert [book.mark(f"/s/{name}") is not None for name in "abcd"] == [True, False, True, True]


def test_the_book_tells_only_what_looks_different() -> None:
    book = Book()
    assert book.take([a_mark("/s/a")]) == {"/s/a"}
    assert book.take([a_mark("/s/a")]) == set()
    assert book.take([a_mark("/s/a", "error")]) == {"/s/a"}


def test_a_folder_that_is_followed_no_more_is_forgotten() -> None:
    book = Book()
    book.take([a_mark("/s/a"), a_mark("/t/b")])
    assert book.changed([], ["/t"]) == ([], {"/s/a"})
    assert book.mark("/s/a") is None
    assert book.changed(None, ["/t"]) == (["/t/b"], set())


def test_only_so_many_are_asked_about_again_by_themselves() -> None:
    book = Book()
    book.take(a_mark(f"/s/{number}", "syncing") for number in range(MOST_BUSY + 100))
    assert len(book.busy()) == MOST_BUSY
