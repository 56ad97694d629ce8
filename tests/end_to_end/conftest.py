"""One server a module; a new user with two computers a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.computers import Together, together
from tests.support.server import RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def pair(server: RunningServer, tmp_path: Path) -> Iterator[Together]:
    """Two computers at rest: `once` or `settle` syncs them, `start` starts them."""
    with together(server, tmp_path, "anvil", "birch") as both:
        yield both


@pytest.fixture
def running_pair(server: RunningServer, tmp_path: Path) -> Iterator[Together]:
    with together(server, tmp_path, "anvil", "birch", running=True) as both:
        yield both
