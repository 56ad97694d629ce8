"""The control socket: one line each way, for its owner alone."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import BadRequest, LocalProblem, NotFound
from sync_client.control import (
    MAX_QUESTION_BYTES,
    NotRunning,
    TimeIsUp,
    ask,
    is_running,
    port_file,
    socket_file,
)
from sync_client.control_server import ControlServer

KINDS = pytest.mark.parametrize("unix", [True, False], ids=["socket", "port and secret"])


async def echo(do: str, arguments: dict[str, Any]) -> Any:
    match do:
        case "echo":
            return arguments
        case "missing":
            raise NotFound("There is no such thing", hint="Look elsewhere.")
        case "local":
            raise LocalProblem("The folder is a file", hint="Choose another.")
        case "fault":
            raise ZeroDivisionError("/home/ana/Müller, Hans.dcm")
        case _:
            return await asyncio.sleep(3_600)


@KINDS
async def test_a_question_is_answered(tmp_path: Path, unix: bool) -> None:
    async with ControlServer(tmp_path, echo, unix=unix):
        answer = await asyncio.to_thread(ask, tmp_path, "echo", path="/a/ä b", limit=3)
    assert answer == {"path": "/a/ä b", "limit": 3}


@KINDS
async def test_nothing_is_left_when_the_client_has_ended(tmp_path: Path, unix: bool) -> None:
    async with ControlServer(tmp_path, echo, unix=unix):
        assert await asyncio.to_thread(is_running, tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotRunning, match="mb-sync start"):
        ask(tmp_path, "echo")


async def test_only_the_owner_may_open_it(tmp_path: Path) -> None:
    async with ControlServer(tmp_path, echo):
        assert stat.S_IMODE(socket_file(tmp_path).stat().st_mode) == 0o600


async def test_only_the_owner_may_read_the_secret_of_the_port(tmp_path: Path) -> None:
    async with ControlServer(tmp_path, echo, unix=False):
        assert stat.S_IMODE(port_file(tmp_path).stat().st_mode) == 0o600


async def test_the_port_answers_nobody_without_the_secret(tmp_path: Path) -> None:
    async with ControlServer(tmp_path, echo, unix=False):
        where = json.loads(port_file(tmp_path).read_text())
        port_file(tmp_path).write_text(json.dumps(where | {"secret": "guessed"}))
        with pytest.raises(BadRequest, match="secret"):
            await asyncio.to_thread(ask, tmp_path, "echo")


async def test_another_user_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ControlServer(tmp_path, echo):
        real = os.getuid()
        monkeypatch.setattr(
            "sync_client.control_server.os.getuid", lambda: real + 1
        )  # as if we were another user
        with pytest.raises(NotRunning):
            await asyncio.to_thread(ask, tmp_path, "echo")


async def test_a_home_with_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 30) / ("deeper" * 30)
    home.mkdir(parents=True)
    async with ControlServer(home, echo):
        assert await asyncio.to_thread(ask, home, "echo", x=1) == {"x": 1}


async def test_a_socket_left_by_a_killed_client_is_no_obstacle(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(socket_file(tmp_path)))
    left.close()
    with pytest.raises(NotRunning):
        ask(tmp_path, "echo")
    async with ControlServer(tmp_path, echo):
        assert await asyncio.to_thread(ask, tmp_path, "echo") == {}


async def test_errors_keep_their_kind_and_their_sentence(tmp_path: Path) -> None:
    async with ControlServer(tmp_path, echo):
        with pytest.raises(NotFound, match=r"There is no such thing\. Look elsewhere\."):
            await asyncio.to_thread(ask, tmp_path, "missing")
        with pytest.raises(LocalProblem, match=r"The folder is a file\. Choose another\."):
            await asyncio.to_thread(ask, tmp_path, "local")


async def test_a_fault_reaches_its_caller_without_names_of_files_and_the_next_question_is_answered(
    tmp_path: Path,
) -> None:
    async with ControlServer(tmp_path, echo):
        with pytest.raises(Exception, match="ZeroDivisionError") as seen:
            await asyncio.to_thread(ask, tmp_path, "fault")
        assert "Müller" not in str(seen.value)
        assert await asyncio.to_thread(ask, tmp_path, "echo") == {}


async def test_time_is_up(tmp_path: Path) -> None:
    async with ControlServer(tmp_path, echo):
        with pytest.raises(TimeIsUp):
            await asyncio.to_thread(ask, tmp_path, "sleep", seconds=0.1)


async def test_a_wait_ends_with_its_caller(tmp_path: Path) -> None:
    ended = threading.Event()

    async def handle(do: str, arguments: dict[str, Any]) -> Any:
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.set()

    async with ControlServer(tmp_path, handle):
        with pytest.raises(TimeIsUp):
            await asyncio.to_thread(ask, tmp_path, "wait", seconds=1.0)  # long enough to be heard
        assert await asyncio.to_thread(ended.wait, 60)


async def test_the_client_ends_although_somebody_waits(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group, ControlServer(tmp_path, echo):
        waiter = group.create_task(asyncio.to_thread(_asked_until_the_end, tmp_path))
        await asyncio.sleep(0.1)
    assert waiter.result() == "ended"


def _asked_until_the_end(home: Path) -> str:
    try:
        ask(home, "sleep", seconds=30)
    except NotRunning:
        return "ended"
    return "answered"


@pytest.mark.parametrize(
    "line",
    [b"status\n", b"[]\n", b"{}\n", b'{"do"\n', b"\xff\xfe\n", b"[" * 50_000 + b"\n", b"null\n"],
    ids=["text", "list", "empty", "cut", "bytes", "nested", "null"],
)
async def test_what_is_no_question_is_refused_in_a_sentence(tmp_path: Path, line: bytes) -> None:
    async with ControlServer(tmp_path, echo):
        answer = json.loads(await _raw(tmp_path, line))
    assert answer["error"] == "bad-request"


async def test_a_question_without_bound_is_cut_off(tmp_path: Path) -> None:
    async with ControlServer(tmp_path, echo):
        assert await _raw(tmp_path, b"x" * (MAX_QUESTION_BYTES + 10)) == b""
        assert await asyncio.to_thread(ask, tmp_path, "echo") == {}


def test_too_much_at_once_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    threading.Thread(target=asyncio.run, args=(_serve_once(tmp_path),)).start()
    while not is_running(tmp_path):
        pass
    with pytest.raises(LocalProblem, match="fewer paths"):
        ask(tmp_path, "echo", paths=["x" * 1_000] * 2_000)
    ask(tmp_path, "stop")


async def _serve_once(home: Path) -> None:
    asked = asyncio.Event()

    async def handle(do: str, arguments: dict[str, Any]) -> Any:
        asked.set()

    async with ControlServer(home, handle):
        await asked.wait()


async def _raw(home: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(socket_file(home)))
    writer.write(line)
    try:
        await writer.drain()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
