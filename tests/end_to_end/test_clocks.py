"""Computers whose clocks are wrong, each in its own way, and jump: no order comes from them.

Real clients: what they take for now is wrong, while the disk stamps files with the right time, as a file server does.
In the histories in virtual time (tests/simulation) the disks are wrong as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.clocks import Clock, built
from tests.support.computers import contents, tree
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

DAY = 86_400

pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True)
class Computer:
    name: str
    base: Path
    clock: Clock

    @property
    def folder(self) -> Path:
        return self.base / self.name / "folder"

    @property
    def mb_sync(self) -> MbSync:
        return MbSync(self.base / self.name / "home", variables=self.clock.variables)

    def write(self, data: bytes) -> None:
        (self.folder / "report").write_bytes(data)

    def wait(self) -> None:
        self.mb_sync.done("wait", "--timeout", "150")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "server") as running:
        running.add_user("ana")
        yield running


@pytest.mark.parametrize(("first", "second"), [(-365, 10), (29_000, -10)])
def test_the_first_commit_keeps_the_name_whatever_the_clocks_show_and_whenever_they_jump(
    server: RunningServer, tmp_path: Path, first: int, second: int
) -> None:
    library = built(tmp_path)
    a, b = (
        Computer(name, tmp_path, Clock(library, tmp_path / f"{name}.clock")) for name in ("anvil", "birch")
    )
    for computer, days in ((a, first), (b, second)):
        computer.clock.set(days * DAY)
        computer.mb_sync.login(server.url, "ana", PASSWORD, device_name=computer.name)
        computer.mb_sync.done("add", "/Home/study", computer.folder, "--create")
        computer.mb_sync.done("start")
    try:
        a.write(b"written first")
        a.wait()
        for number, (writer, reader) in enumerate(
            ((b, a), (a, b), (b, a))
        ):  # one after the other: no conflict
            reader.wait()
            writer.clock.set((10 * DAY, -365 * DAY, 2)[number])
            writer.write(b"edit %d" % number)
            writer.wait()
        a.wait()
        assert tree(a.folder) == tree(b.folder)
        assert {path.name for path in a.folder.iterdir()} == {".mb-sync", "report"}

        for computer in (a, b):
            computer.mb_sync.done("pause")
        a.write(b"committed first, by the clock that is far behind")
        b.write(b"committed second, and written later by any clock")
        a.clock.set(-365 * DAY)
        b.clock.set(3_653 * DAY)
        for computer in (a, b):
            computer.mb_sync.done("resume")
            computer.wait()
        a.wait()
        assert tree(a.folder) == tree(b.folder)
        assert (b.folder / "report").read_bytes() == b"committed first, by the clock that is far behind"
        assert len(contents(tree(a.folder))) == 2, "and the other stands beside it"
        [copy] = a.folder.glob("report (conflict birch *)")
        assert int(copy.name.split()[3][:4]) >= time.gmtime().tm_year + 9, "its clock was wrong indeed"
    finally:
        for computer in (a, b):
            computer.mb_sync("stop")
    for computer in (a, b):
        computer.clock.set(10 * DAY)  # over a restart: nothing is sent or read for that
        assert computer.mb_sync.json("once")["traffic"]["sent_bytes"] < 5_000
    server.check_deep()
