"""Where a code may be seen, and whom it is told: not in the process list, and nobody but the server it is for."""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from protocol.codes import CodeSecret, SyncLink
from tests.support.light import MbSyncLight, arguments_of, environment_of, until


@dataclass
class Listener:
    """Takes connections, keeps what it is told, and answers with what the test gives."""

    answer: bytes = b""
    heard: list[bytes] = field(default_factory=list)
    url: str = ""


@contextmanager
def a_listener(answer: bytes = b"") -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(answer, url=f"http://127.0.0.1:{server.getsockname()[1]}")
        server.settimeout(0.2)
        over = threading.Event()

        def serve() -> None:
            open_ones = []
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                open_ones.append(connection)
                listener.heard.append(a_request(connection))
                if answer:
                    connection.sendall(answer)
                    connection.close()
            for one in open_ones:
                one.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener
        finally:
            over.set()
            thread.join()


def a_request(connection: socket.socket) -> bytes:
    """All of it: whoever closes with bytes unread may take his answer back with that."""
    heard = b""
    while piece := connection.recv(65_536):
        heard += piece
        head, found, body = heard.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not heard[:1].isalpha() or (found and len(body) >= int(length[1] if length else 0)):
            break
    return heard


def a_link(server: str, fingerprint: str = "") -> str:
    return SyncLink(server, CodeSecret(secrets.token_bytes(16)), fingerprint).text


def code_of(link: str) -> str:
    return link.partition("#")[2]


@pytest.fixture
def light(tmp_path: Path) -> MbSyncLight:
    return MbSyncLight(tmp_path / "light")


def test_a_code_typed_as_an_argument_does_not_stay_in_the_process_list(
    light: MbSyncLight, tmp_path: Path
) -> None:
    with a_listener() as server:
        link = a_link(server.url)
        with light.running(link, tmp_path / "folder") as running:
            until(lambda: bool(server.heard), "the code is redeemed")
            shown = arguments_of(running.process.pid)
            assert code_of(link) not in " ".join(shown)
            assert code_of(link) not in environment_of(running.process.pid)
            assert str(tmp_path / "folder") in shown  # it is this very process, with all but the code
            running.kill9()
    assert b"POST /api/v1/redeem" in server.heard[0]


@pytest.mark.parametrize("way", ["standard input", "file"])
def test_a_code_may_be_read_where_nobody_else_sees_it(light: MbSyncLight, tmp_path: Path, way: str) -> None:
    with a_listener(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") as server:
        link = a_link(server.url)
        (tmp_path / "code").write_text(link + "\n")
        if way == "file":
            ran = light(f"@{tmp_path / 'code'}", tmp_path / "folder")
        else:
            ran = light("-", tmp_path / "folder", stdin=link + "\n")
    assert (ran.returncode, "cannot be reached" in ran.stderr) == (1, True)
    assert server.heard
    assert code_of(link) not in ran.stderr


def test_a_redirect_is_not_followed_with_the_code(light: MbSyncLight, tmp_path: Path) -> None:
    with a_listener() as elsewhere:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere.url}/api/v1/redeem\r\nContent-Length: 0\r\n\r\n"
        with a_listener(moved.encode()) as server:
            ran = light("-", tmp_path / "folder", stdin=a_link(server.url))
        assert (ran.returncode, "sends us on" in ran.stderr) == (1, True)
        assert elsewhere.heard == []


def test_plain_http_to_another_computer_is_refused(light: MbSyncLight, tmp_path: Path) -> None:
    ran = light("-", tmp_path / "folder", stdin=a_link("https://files.example.org").replace("https", "http"))
    assert (ran.returncode, "in the clear" in ran.stderr) == (1, True)


def test_a_typing_error_is_found_without_asking_anybody(light: MbSyncLight, tmp_path: Path) -> None:
    with a_listener() as server:
        link = a_link(server.url)
        wrong = link[:-1] + ("0" if link[-1] != "0" else "1")
        ran = light("-", tmp_path / "folder", stdin=wrong)
        assert (ran.returncode, "typing error" in ran.stderr) == (1, True)
        assert server.heard == []
    assert code_of(wrong) not in ran.stderr


def test_a_bare_code_needs_its_server_and_a_pin_is_no_argument(light: MbSyncLight, tmp_path: Path) -> None:
    code = code_of(a_link("https://files.example.org"))
    assert "--server URL" in light("-", tmp_path / "folder", stdin=code).stderr
    with_pin = light("-", tmp_path / "folder", "--pin", "1234", stdin=code)
    assert (with_pin.returncode, "never an argument" in with_pin.stderr) == (2, True)
    assert light("-").returncode == 2


def test_nothing_is_followed_at_first_and_that_is_said(light: MbSyncLight) -> None:
    ran = light()
    assert (ran.returncode, "No folder is followed yet" in ran.stderr) == (1, True)
    listed = light("list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
