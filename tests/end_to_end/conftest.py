"""One server and one running pair of computers a module; a corner of their folder a test."""

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


@pytest.fixture(scope="module")
def running_pair(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    """At the end nothing that a test of the module had may be lost, and the server must be sound."""
    with together(server, tmp_path_factory.mktemp("pair"), "anvil", "birch", running=True) as both:
        yield both
        both.settle()
        both.sound()


@pytest.fixture
def corner(running_pair: Together, request: pytest.FixtureRequest) -> Together:
    """The running pair of the module, in a folder of this test's own."""
    place = running_pair.in_corner(
        "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    )
    place.a.at("").mkdir()
    return place


@pytest.fixture
def pair(server: RunningServer, tmp_path: Path) -> Iterator[Together]:
    """Two computers of a new user, at rest: `once` or `settle` syncs them, `start` starts them."""
    with together(server, tmp_path, "anvil", "birch") as both:
        yield both
