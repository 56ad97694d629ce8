"""The server killed before, or failing at, the n-th call that touches its data folder; n all over a step.

Two computers work against it (tests/support/faults/story.py).  What it acknowledged it must hold afterwards: the
computers do not send it again, so a loss shows as a difference between their folders and `mb-server manifest`.
MB_FAULT_POINTS=all tries every n; else n are chosen by MB_SEED.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from protocol.errors import MedicalBlocksError
from sync_client.control import ask
from tests.support.computers import Together, until
from tests.support.faults.control import ANSWERS, CHANGING, Calls, Faults
from tests.support.faults.power import Loss, Snapshot, power_cut
from tests.support.faults.programs import KILLED, QuickComputer, watched
from tests.support.faults.story import Story, differences, points, seeded, wanted_points
from tests.support.forks import Programs
from tests.support.server import RunningServer

pytestmark = pytest.mark.timeout(3_600 if os.environ.get("MB_FAULT_POINTS") else 600)

RESTART_SECONDS = 30.0  # five are promised, one is usual; a busy machine takes its time
HEAL_SECONDS = 120.0
STEP_SECONDS = 0.2
TRIES = 12
CHECKED_EVERY = 4  # steps


class World:
    """A server that meets faults, and two computers."""

    def __init__(
        self, both: Together, server: RunningServer, faults: Faults, roots: tuple[Path, ...], name: str
    ) -> None:
        self.both, self.server, self.faults, self.roots = both, server, faults, roots
        self.chance = seeded(name)
        self.story = Story(both, self.chance)
        self.steps = 0
        both.start()
        self.story.begin()
        self.at_rest("the beginning")

    def at_rest(self, why: str) -> None:
        for computer in (*self.both.computers, self.both.a):
            computer.wait()
            if computer.agree():
                computer.wait()
        wanted = self.story.wanted
        for computer in self.both.computers:
            assert differences(computer, wanted) == [], f"{computer.name} after {why}\n{self.log()}"
            assert computer.left_lying_about() == [], f"{computer.name} after {why}"
        files = {path: seen.detail for path, seen in wanted.items() if seen.kind == "file"}
        prefix = f"{self.both.user}/Home/study/"
        held = {path.removeprefix(prefix): digest for digest, _, _, path in self.server.manifest()}
        assert held == files, f"the server lost something after {why}"
        self.steps += 1
        if self.steps % CHECKED_EVERY == 0:
            self.server.check_deep()

    def log(self) -> str:
        return self.server.log()[-3_000:]

    def calls_in_a_step(self, classes: Calls) -> int:
        self.faults.count_calls(classes)
        self.step()
        count = self.faults.count
        self.faults.disarm()
        self.at_rest("nothing")
        return count

    def step(self) -> None:
        """Both work, and sync as far as it goes."""
        self.story.act()
        for computer in self.both.computers:
            for _ in range(TRIES):
                if self.faults.hits:
                    return
                with suppress(MedicalBlocksError):  # among them: time is up
                    ask(computer.mb_sync.home, "wait", seconds=STEP_SECONDS)
                    break


@pytest.fixture
def world(programs: Programs, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    with Faults(tmp_path / "control") as faults:
        server = RunningServer(tmp_path / "data", programs=programs)
        server.init()
        ours = ("packs", "keys", "server.toml", "server.db", "server.db-wal", "server.db-shm")
        roots = tuple(server.data / name for name in ours)  # not what it logs to
        server.faults = watched(faults, roots)
        server.start()
        server.add_user("ada")
        computers = [QuickComputer(tmp_path, name, programs=programs) for name in ("anvil", "birch")]
        for computer in computers:
            computer.login(server, "ada")
            computer.follow("/Home/study", create=computer is computers[0])
        both = Together(server, "ada", list(computers))
        try:
            world = World(both, server, faults, roots, request.node.name)
            yield world
            both.sound()
        finally:
            for computer in computers:
                computer.kill9()
            server.__exit__()


@pytest.mark.parametrize("power", [False, True], ids=["killed", "without power"])
def test_ended_before_any_call_it_starts_again_and_holds_what_it_acknowledged(
    world: World, tmp_path: Path, power: bool
) -> None:
    """Without power: what was not synced by then is lost, in one way or another."""
    count = world.calls_in_a_step(CHANGING)
    roots = world.roots
    for number in points(count, wanted_points(30), world.chance):
        journal = tmp_path / f"journal-{number}"
        before = None
        if power:
            world.server.stop()
            before = Snapshot.of(roots)
            world.server.faults = watched(world.faults, roots, str(journal))
            world.server.start()
        world.faults.kill_at(number)
        world.step()
        why = f"the end before call {number} of {count}: {world.faults.hit}"
        if world.faults.hits:
            until(lambda: world.server.has_ended, "it is dead")
            assert world.server.reap() == KILLED
            if before is not None:
                loss = world.chance.choice(list(Loss))
                unsafe = power_cut(before, journal, roots, loss, world.chance)
                why += f", {loss.value}: {unsafe} were not synced"
                world.server.faults = watched(world.faults, roots)
            world.faults.disarm()
            began = time.monotonic()
            print(why)  # shown when it does not start
            world.server.start()
            assert time.monotonic() - began < RESTART_SECONDS, why
        journal.unlink(missing_ok=True)
        world.faults.disarm()
        heals(world, why)


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", list(ANSWERS), ids=[errno.errorcode[one] for one in ANSWERS])
def test_a_call_that_fails_is_no_acknowledgement_and_heals_by_itself(
    world: World, error: int, sticky: bool
) -> None:
    count = world.calls_in_a_step(ANSWERS[error])
    for number in points(count, wanted_points(4), world.chance):
        world.faults.fail_at(number, error, sticky=sticky)
        world.step()
        why = f"{errno.errorcode[error]} at call {number} of {count}: {world.faults.hit}"
        world.faults.disarm()
        assert not world.server.has_ended, f"it ended after {why}\n{world.log()}"
        heals(world, why)


def heals(world: World, why: str) -> None:
    wanted = world.story.wanted
    ends = time.monotonic() + HEAL_SECONDS
    while True:
        for computer in world.both.computers:
            with suppress(MedicalBlocksError):
                computer.wait(5.0)
                computer.agree()
        found = [line for computer in world.both.computers for line in differences(computer, wanted)]
        if not found:
            break
        assert time.monotonic() < ends, f"{why}\n{found}\n{world.log()}"
    world.at_rest(why)
