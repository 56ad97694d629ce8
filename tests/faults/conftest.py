"""One fork server and one server a module, and two computers of one researcher who both work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.computers import Together
from tests.support.faults.programs import QuickComputer, faulty_programs
from tests.support.forks import Programs
from tests.support.server import RunningServer


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    if shutil.which("gcc") is None:
        pytest.skip("the shim that makes calls fail needs gcc")
    with faulty_programs(tmp_path_factory.mktemp("programs")) as programs:
        yield programs


@pytest.fixture(scope="module")
def server(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data", programs=programs) as running:
        yield running


@pytest.fixture
def both(programs: Programs, server: RunningServer, tmp_path: Path) -> Iterator[Together]:
    """Not started; a new user's, following the same folder."""
    user = f"u{uuid4().hex[:8]}"
    server.add_user(user)
    computers = [QuickComputer(tmp_path, name, programs=programs) for name in ("anvil", "birch")]
    for computer in computers:
        computer.login(server, user)
        computer.follow("/Home/study", create=computer is computers[0])
    try:
        yield Together(server, user, list(computers))
    finally:
        for computer in computers:
            computer.kill9()
