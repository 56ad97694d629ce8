"""Random work of two or three computers, while clients and the server are killed and stopped and the network is cut.

Real processes and folders.  In half of the runs one computer alone is worked on: no conflict copy may come of it.
MB_SEED names the runs; MB_RANDOM_RUNS how many.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.computers import Together
from tests.support.faults.bad_network import BadNetwork, State
from tests.support.faults.programs import QuickComputer
from tests.support.faults.story import seeded
from tests.support.forks import Programs
from tests.support.server import PASSWORD, RunningServer

pytestmark = pytest.mark.timeout(300)

RUNS = int(os.environ.get("MB_RANDOM_RUNS") or 40)
TURNS = 22
FOLDERS = ("", "study", "study/series", "other")
NAMES = tuple(f"{letter}.dcm" for letter in "abcdef")


class Run:
    """One user's computers, each behind a network of its own."""

    def __init__(self, both: Together, networks: list[BadNetwork], chance: random.Random) -> None:
        self.both, self.networks, self.chance = both, networks, chance
        self.single_writer = chance.random() < 0.5
        self.trace: list[str] = []
        self.stopped: set[int] = set()  # processes that were told SIGSTOP
        self.server = both.server

    def computer(self) -> QuickComputer:
        found = self.chance.choice(self.both.computers)
        assert isinstance(found, QuickComputer)
        return found

    # ---- people ------------------------------------------------------------------------------------------

    def work(self) -> None:
        computer = self.both.a if self.single_writer else self.computer()
        act = self.chance.choice(
            [
                *(self._edit, self._edit, self._save, self._save, self._move, self._move_folder, self._swap),
                *(self._delete, self._delete_folder, self._copy_folder),
            ]
        )
        self.trace.append(f"{computer.name} {act.__name__}")
        with suppress(OSError):  # it is not there, or something is in the way: nothing is done then
            act(computer.folder)

    def _place(self, folder: Path) -> Path:
        return folder / self.chance.choice(FOLDERS) / self.chance.choice(NAMES)

    def _bytes(self) -> bytes:
        return self.chance.randbytes(self.chance.choice([0, 10, 3_000, 90_000, 700_000]))

    def _edit(self, folder: Path) -> None:
        place = self._place(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self._bytes())

    def _save(self, folder: Path) -> None:
        place = self._place(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f"{place.name}~{uuid4().hex[:6]}")
        beside.write_bytes(self._bytes())
        beside.replace(place)

    def _move(self, folder: Path) -> None:
        old, new = self._place(folder), self._place(folder)
        if not new.exists():
            old.rename(new)

    def _move_folder(self, folder: Path) -> None:
        old = folder / self.chance.choice(FOLDERS[1:])
        old.rename(folder / self.chance.choice(["study", "other", "other/series", "moved"]))

    def _swap(self, folder: Path) -> None:
        one, other = self._place(folder), self._place(folder)
        if one != other and one.exists() and other.exists():
            between = one.with_name("between")
            one.rename(between)
            other.rename(one)
            between.rename(other)

    def _delete(self, folder: Path) -> None:
        self._place(folder).unlink()

    def _delete_folder(self, folder: Path) -> None:
        shutil.rmtree(folder / self.chance.choice(FOLDERS[2:]))

    def _copy_folder(self, folder: Path) -> None:
        shutil.copytree(folder / "study", folder / f"copy-{self.chance.randrange(3)}")

    # ---- faults ------------------------------------------------------------------------------------------

    def fault(self) -> None:
        act = self.chance.choice(
            [
                *(self._kill_client, self._kill_client, self._freeze_client, self._end_client),
                *(self._kill_server, self._freeze_server, self._break_network, self._break_network),
            ]
        )
        self.trace.append(act.__name__)
        act()

    def _kill_client(self) -> None:
        computer = self.computer()
        computer.kill9()
        if self.chance.random() < 0.7:
            computer.start()

    def _end_client(self) -> None:
        computer = self.computer()
        self._wake(computer)
        computer.stop()

    def _freeze_client(self) -> None:
        pid = self.computer().pid
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
            self.stopped.add(pid)

    def _kill_server(self) -> None:
        self.server.kill9()
        time.sleep(self.chance.choice([0.0, 0.0, 0.3]))
        self.server.start()

    def _freeze_server(self) -> None:
        os.kill(self.server.pid, signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.0, 0.4))
        os.kill(self.server.pid, signal.SIGCONT)

    def _break_network(self) -> None:
        state: State = self.chance.choice(["open", "open", "cut", "silent"])
        self.chance.choice(self.networks).be(state)

    def _wake(self, computer: QuickComputer) -> None:
        if computer.pid in self.stopped:
            os.kill(computer.pid, signal.SIGCONT)
            self.stopped.discard(computer.pid)

    # ---- a run -------------------------------------------------------------------------------------------

    def run(self) -> None:
        for _ in range(TURNS):
            for _ in range(self.chance.randrange(1, 4)):
                self.work()
            if self.chance.random() < 0.5:
                self.fault()
            time.sleep(self.chance.choice([0.0, 0.02, 0.1]))
        self.heal()

    def heal(self) -> None:
        for network in self.networks:
            network.be("open")
        for computer in self.both.computers:
            assert isinstance(computer, QuickComputer)
            self._wake(computer)
            if computer.has_ended:
                computer.start()


@pytest.fixture
def run(
    programs: Programs, server: RunningServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[int], Run]]:
    """A run by its number."""
    with ExitStack() as ended:

        def begin(number: int) -> Run:
            chance = seeded(f"random run {number}")
            user = f"u{uuid4().hex[:8]}"
            server.add_user(user)
            names = ("anvil", "birch", "cedar")[: chance.choice([2, 2, 3])]
            computers = [QuickComputer(tmp_path, name, programs=programs) for name in names]
            networks = [ended.enter_context(BadNetwork(lambda: server.url)) for _ in computers]
            for computer, network in zip(computers, networks, strict=True):
                computer.mb_sync.login(network.url, user, PASSWORD, device_name=computer.name)
                computer.follow("/Home/study", create=computer is computers[0])
                computer.start()
                ended.callback(computer.kill9)
            return Run(Together(server, user, list(computers)), networks, chance)

        yield begin


@pytest.mark.parametrize("number", range(RUNS))
def test_whatever_happens_all_come_to_rest_equal_and_nothing_is_lost(
    run: Callable[[int], Run], number: int
) -> None:
    this = run(number)
    try:
        this.run()
        this.both.settle()
        this.both.sound()
    except BaseException:
        print(f"single writer: {this.single_writer}", *this.trace, sep="\n")
        raise
    if this.single_writer:
        assert this.both.conflict_copies() == [], "\n".join(this.trace)
