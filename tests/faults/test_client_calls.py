"""MB-Sync killed before, or failing at, the n-th call that touches its folder or its home; n all over a run.

In every step two people do each kind of change once (tests/support/faults/story.py): one computer sends half of it
and places the other half, and meets the fault on the way.  MB_FAULT_POINTS=all tries every n; else n are chosen
by MB_SEED.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from protocol.errors import LocalProblem, MedicalBlocksError
from sync_client.control import NotRunning, ask
from tests.support.computers import Together, until
from tests.support.faults.control import ANSWERS, CHANGING, Calls, Faults
from tests.support.faults.power import Loss, Snapshot, power_cut
from tests.support.faults.programs import KILLED, QuickComputer
from tests.support.faults.story import Story, differences, points, seeded, torn, wanted_points

pytestmark = pytest.mark.timeout(3_600 if os.environ.get("MB_FAULT_POINTS") else 600)

RESTART_SECONDS = (
    30.0  # to start and be equal again, after a kill: five are promised, and a busy machine takes its time
)
HEAL_SECONDS = 120.0
SOUND_EVERY = 8  # steps


class World:
    """The computer that meets faults, the other one, and what both must show."""

    def __init__(self, both: Together, faults: Faults, name: str) -> None:
        self.both = both
        self.faults = faults
        self.chance = seeded(name)
        self.story = Story(both, self.chance)
        self.steps = 0
        assert isinstance(both.a, QuickComputer)
        self.ours = both.a
        self.ours.watch(faults)
        both.start()
        self.story.begin()
        both.note()
        self.at_rest("the beginning")

    def act(self) -> None:
        """Both people work; the other computer's part is on the server."""
        self.story.act()
        self.both.b.wait()
        if self.both.b.agree():  # by the twentieth step it has deleted a hundred
            self.both.b.wait()

    def at_rest(self, why: str) -> None:
        for computer in (self.ours, self.both.b, self.ours):
            computer.wait()
            if computer.agree():
                computer.wait()
        wanted = self.story.wanted
        for computer in self.both.computers:
            found = differences(computer, wanted)
            assert not found, f"{computer.name} after {why}\n{found}\n{self.ours.log()}"
            assert computer.left_lying_about() == [], f"{computer.name} after {why}"
        self.steps += 1
        if self.steps % SOUND_EVERY == 0:
            self.both.sound()

    def calls_in_a_step(self, classes: Calls) -> int:
        """How many there are when nothing goes wrong."""
        self.ours.stop()
        self.act()
        self.faults.count_calls(classes)
        self.ours.start()
        self.ours.wait()
        count = self.faults.count
        self.faults.disarm()
        self.at_rest("nothing")
        return count


@pytest.fixture
def world(both: Together, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    with Faults(tmp_path / "control") as faults:
        world = World(both, faults, request.node.name)
        yield world
        both.sound()


@pytest.mark.parametrize("power", [False, True], ids=["killed", "without power"])
def test_ended_before_any_call_it_starts_again_and_nothing_is_lost_or_doubled(
    world: World, tmp_path: Path, power: bool
) -> None:
    """Without power: what was not synced by then is lost, in one way or another."""
    count = world.calls_in_a_step(CHANGING)
    roots = world.ours.roots
    for number in points(count, wanted_points(30), world.chance):
        world.ours.stop()
        world.act()
        journal = tmp_path / f"journal-{number}"
        before = Snapshot.of(roots) if power else None
        world.ours.watch(world.faults, str(journal) if power else "")
        world.faults.kill_at(number)
        world.ours.start()
        try:
            world.ours.wait()
        except NotRunning:
            until(lambda: world.ours.has_ended, "it is dead")
            assert world.ours.reap() == KILLED
        else:
            world.ours.stop()  # a step may need fewer calls than another one
        why = f"the end before call {number} of {count}: {world.faults.hit}"
        if before is not None and world.faults.hits:
            loss = world.chance.choice(list(Loss))
            unsafe = power_cut(before, journal, roots, loss, world.chance)
            why += f", {loss.value}: {unsafe} were not synced"
        journal.unlink(missing_ok=True)
        world.ours.watch(world.faults)
        world.faults.disarm()
        assert torn(world.ours, world.both.ever) == [], why
        began = time.monotonic()
        world.ours.start()
        world.ours.wait()
        assert time.monotonic() - began < RESTART_SECONDS, why
        world.at_rest(why)


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", list(ANSWERS), ids=[errno.errorcode[one] for one in ANSWERS])
def test_a_call_that_fails_loses_nothing_and_heals_by_itself(world: World, error: int, sticky: bool) -> None:
    count = world.calls_in_a_step(ANSWERS[error])
    for number in points(count, wanted_points(4), world.chance):
        world.faults.fail_at(number, error, sticky=sticky)
        world.act()
        status = under_the_fault(world.ours)
        why = f"{errno.errorcode[error]} at call {number} of {count}: {world.faults.hit}"
        if status["state"] == "synced":
            world.both.b.wait()  # what ours sent
            assert differences(world.ours, world.story.wanted) == [], f"said to be synced: {why}"
        elif status["state"] in ("attention", "error"):
            assert "Traceback" not in status["words"]
            assert "fault" not in status["words"], f"no sentence for people: {status['words']}: {why}"
        assert torn(world.ours, world.both.ever) == [], why
        world.faults.disarm()
        heals(world, why)


def under_the_fault(ours: QuickComputer) -> dict[str, str]:
    """What `status` says when it has come to whatever end it comes to."""
    with suppress(MedicalBlocksError):  # among them: time is up
        ask(ours.mb_sync.home, "wait", seconds=1.5)
    assert not ours.has_ended, (ours.base / ours.name / "err").read_text()
    try:
        status: dict[str, str] = ask(ours.mb_sync.home, "status")
    except LocalProblem as error:  # its own settings cannot be read
        return {"state": "error", "words": str(error)}
    return status


def heals(world: World, why: str) -> None:
    """Nobody restarts anything."""
    wanted = world.story.wanted
    ends = time.monotonic() + HEAL_SECONDS
    while True:
        with suppress(MedicalBlocksError):
            world.ours.wait(5.0)
            if world.ours.agree():
                continue
            if not differences(world.ours, wanted):
                break
        assert time.monotonic() < ends, f"{why}\n{differences(world.ours, wanted)}\n{world.ours.log()}"
        time.sleep(0.1)
    world.at_rest(why)
