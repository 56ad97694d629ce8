"""A step of the placement that fails half-way: what it left comes back at once, and is nobody's edit."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.computers import Together
from tests.support.faults.control import Calls, Faults
from tests.support.faults.programs import KILLED, QuickComputer

RENAME = Calls.RENAME


@pytest.fixture
def faults(both: Together, tmp_path: Path) -> Iterator[Faults]:
    with Faults(tmp_path / "control") as faults:
        assert isinstance(both.a, QuickComputer)
        both.a.watch(faults)
        both.start()
        both.b.write("report.txt", b"as it was")
        both.b.write("other.txt", b"another one")
        both.settle()
        yield faults


def test_an_old_version_that_could_not_go_to_the_trash_is_no_conflict(both: Together, faults: Faults) -> None:
    faults.fail_at(1, errno.EROFS, classes=RENAME, only="/.mb-sync/trash/")
    both.b.save("report.txt", b"newer")
    both.b.wait()
    both.a.wait()
    assert faults.hits
    assert set(both.settle()) == {"report.txt", "other.txt"}
    assert both.a.read("report.txt") == b"newer"
    both.sound()


def test_killed_before_the_old_version_went_to_the_trash_it_is_no_conflict(
    both: Together, faults: Faults
) -> None:
    assert isinstance(both.a, QuickComputer)
    faults.kill_at(1, RENAME, only="/.mb-sync/trash/")
    both.b.save("report.txt", b"newer")
    both.b.wait()
    assert both.a.reap() == KILLED
    faults.disarm()
    both.a.start()
    assert set(both.settle()) == {"report.txt", "other.txt"}
    assert both.a.read("report.txt") == b"newer"
    both.sound()


def test_a_file_that_waits_under_a_hidden_name_is_not_deleted(both: Together, faults: Faults) -> None:
    """Two names are swapped: one file is parked, and the call after that fails."""
    assert isinstance(both.a, QuickComputer)
    both.part()
    both.b.move("report.txt", "between")
    both.b.move("other.txt", "report.txt")
    both.b.move("between", "other.txt")
    both.b.mb_sync.done("resume")
    both.b.wait()
    faults.fail_at(1, errno.EIO, classes=Calls.SYNC, only="/.mb-sync/tmp")
    both.a.mb_sync.done("resume")
    both.a.wait()
    assert faults.hits
    faults.disarm()
    assert set(both.settle()) == {"report.txt", "other.txt"}
    assert both.b.read("report.txt") == b"another one"
    assert both.b.read("other.txt") == b"as it was"
    both.sound()
