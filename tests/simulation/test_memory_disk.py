"""The disk in memory forgets what a real one may forget, and the engine's calls work on it as on a real one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.messages import Kind
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.placement import relocate
from tests.simulation import faked_os
from tests.simulation.memory_disk import MemoryDisk


@pytest.fixture(params=[True, False], ids=["exchanges", "links only"])
def disk(request: pytest.FixtureRequest) -> Iterator[MemoryDisk]:
    times = iter(range(1_000_000_000, 2_000_000_000, 4_000_000))
    made = MemoryDisk(7, lambda: next(times), case_blind=True)
    system = faked_os.System({"/computers/pc": made})
    with faked_os.installed(system, exchanges=request.param):
        yield made


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.FOLDER])
def test_a_rename_that_changes_the_case_alone_works_where_case_is_not_told_apart(
    disk: MemoryDisk, kind: Kind
) -> None:
    if kind is Kind.FILE:
        disk.make_file(disk.root, "scan.DCM", b"pixels")
    else:
        disk.make_folder(disk.root, "scan.DCM")
    with FollowedRoot(Path("/computers/pc")) as root:
        seen = root.fingerprint(("scan.DCM",))
        assert seen is not None
        assert not hasattr(relocate(root, ("scan.DCM",), ("Scan.dcm",), seen), "code")
    assert set(disk.names(disk.root)) == {"Scan.dcm", ".mb-sync"}


def test_a_rename_onto_another_file_is_refused_whatever_its_case(disk: MemoryDisk) -> None:
    disk.make_file(disk.root, "a", b"one")
    disk.make_file(disk.root, "B", b"two")
    with FollowedRoot(Path("/computers/pc")) as root:
        seen = root.fingerprint(("a",))
        assert seen is not None
        assert getattr(relocate(root, ("a",), ("b",), seen), "code", "") == "exists"
    assert {inode.data for _, inode, _, _ in disk.walk() if inode.data} == {b"one", b"two"}


def test_a_power_cut_takes_what_was_not_synced_and_nothing_else() -> None:
    outcomes = set()
    for seed in range(200):
        disk = MemoryDisk(7, lambda: 0)
        kept = disk.make_file(disk.root, "kept")
        disk.write(kept, b"old", "person")
        disk.sync()
        disk.write(kept, b"new", "person")
        disk.make_file(disk.root, "young", b"data")
        disk.cut_power(random.Random(seed))
        outcomes.add(tuple((path, inode.data) for path, inode, _, _ in disk.walk()))
    kept_bytes = {dict(outcome)["kept"] for outcome in outcomes}
    assert kept_bytes == {b"old", b"new", b"", b"n", b"ne"}
    assert {dict(outcome).get("young") for outcome in outcomes} >= {None, b"", b"data"}


def test_what_was_synced_survives_in_the_order_of_the_journal() -> None:
    for seed in range(100):
        disk = MemoryDisk(7, lambda: 0)
        first, second = disk.make_folder(disk.root, "first"), disk.make_folder(disk.root, "second")
        disk.sync()
        disk.make_folder(first, "one")
        disk.make_folder(second, "two")
        disk.make_folder(first, "three")
        disk.sync_names(second)
        disk.cut_power(random.Random(seed))
        paths = {path for path, *_ in disk.walk()}
        assert {"first/one", "second/two"} <= paths
