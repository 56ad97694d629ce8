"""kill -9, of the client or of the server, in the middle of a transfer: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.support.computers import Computer, Together

pytestmark = pytest.mark.timeout(300)

FILES = 300
LARGE_BYTES = 30_000_000
KILLS = 3


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    seed = int(os.environ.get("MB_SEED") or time.time_ns() % 1_000_000)
    print(f"MB_SEED={seed}")  # shown when the test fails
    return random.Random(f"{seed} {request.node.name}")


def fill(pair: Together, chance: random.Random) -> None:
    for number in range(FILES):
        pair.a.write(f"series-{number % 7}/{number}.dcm", chance.randbytes(chance.randrange(20_000)))
    pair.a.write("large.bin", chance.randbytes(LARGE_BYTES))


def kill_while_it_works(computer: Computer, chance: random.Random, seconds: float) -> None:
    """Start it and kill it within these seconds of work; now and then before it works at all."""
    if chance.random() < 0.8:
        computer.start_working()
    else:
        computer.start()
    time.sleep(chance.uniform(0.0, seconds))
    computer.kill9()


def test_a_client_killed_while_it_sends(pair: Together, chance: random.Random) -> None:
    fill(pair, chance)
    before = pair.a.tree()
    for _ in range(KILLS):
        kill_while_it_works(pair.a, chance, 0.8)
    assert pair.settle() == before
    pair.sound()


def test_a_client_killed_while_it_receives(pair: Together, chance: random.Random) -> None:
    fill(pair, chance)
    before = pair.a.tree()
    pair.a.once()
    for _ in range(KILLS):
        kill_while_it_works(pair.b, chance, 0.8)
    assert pair.settle() == before
    pair.sound()


def test_a_client_killed_while_it_replaces_moves_and_deletes(pair: Together, chance: random.Random) -> None:
    fill(pair, chance)
    pair.settle()
    for number in range(0, FILES, 3):
        pair.a.write(f"series-{number % 7}/{number}.dcm", chance.randbytes(5_000))
    pair.a.move("series-3", "moved/series")
    pair.a.move("series-4", "series-3")
    pair.a.delete("series-5")
    before = pair.a.tree()
    pair.note()
    for computer in (pair.a, pair.b):
        for _ in range(KILLS):
            kill_while_it_works(computer, chance, 0.5)
        computer.once()
    assert pair.settle() == before
    pair.sound()


def test_edited_after_a_kill_it_is_no_conflict_with_oneself(pair: Together, chance: random.Random) -> None:
    for number in range(60):
        pair.a.write(f"{number}.txt", chance.randbytes(500))
    pair.settle()
    for turn in range(4):
        for number in range(60):
            pair.a.write(f"{number}.txt", chance.randbytes(500 + turn))
        kill_while_it_works(pair.a, chance, 0.4)
    before = pair.a.tree()
    assert pair.settle() == before
    pair.sound()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_server_killed_in_the_middle(pair: Together, chance: random.Random, direction: str) -> None:
    fill(pair, chance)
    before = pair.a.tree()
    if direction == "down":
        pair.a.once()
    moving = pair.a if direction == "up" else pair.b
    moving.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.8))
        pair.server.kill9()
        pair.server.start()
    assert pair.settle() == before
    pair.sound()
