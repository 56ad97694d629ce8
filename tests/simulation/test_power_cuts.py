"""What the engine counts on after a power cut is there, whatever the disk forgets that was not synced."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.messages import Kind
from sync_client.engine.disk import TMP, FollowedRoot
from sync_client.engine.incoming import SmallFile, write_small
from sync_client.engine.placement import Placed, Target, place
from sync_client.engine.reading import ReadFile, read_files
from sync_client.engine.trees import Content
from tests.simulation import faked_os
from tests.simulation.memory_disk import MemoryDisk
from tests.support.followed import a_node

CUTS = 60
FOLDER = Path("/computers/pc")


@contextmanager
def a_disk() -> Iterator[MemoryDisk]:
    disk = MemoryDisk(7, time.time_ns)
    with faked_os.installed(faked_os.System({str(FOLDER): disk})):
        yield disk


@pytest.mark.parametrize("count", [1, 20])
def test_bytes_that_were_read_are_not_undone_though_their_program_never_synced_them(count: int) -> None:
    for seed in range(CUTS):
        with a_disk() as disk:
            files = [disk.make_file(disk.root, f"{number}.txt", b"older") for number in range(count)]
            disk.sync()
            for file in files:
                disk.write(file, b"newer", "person")
            with FollowedRoot(FOLDER) as root:
                wanted = []
                for number in range(count):
                    seen = root.fingerprint((f"{number}.txt",))
                    assert seen is not None
                    wanted.append((a_node(), (f"{number}.txt",), seen))
                assert all(isinstance(one, ReadFile) for one in read_files(root, wanted, keep=True))
            disk.cut_power(random.Random(seed))
            assert {file.data for file in files} == {b"newer"}


@pytest.mark.parametrize("count", [1, 20])
def test_no_replaced_file_comes_back_under_its_hidden_name_once_it_counts_as_placed(count: int) -> None:
    for seed in range(CUTS):
        with a_disk() as disk:
            for number in range(count):
                disk.make_file(disk.root, f"{number}.txt", b"older")
            disk.sync()
            with FollowedRoot(FOLDER) as root:
                targets = []
                for number in range(count):
                    parts = (f"{number}.txt",)
                    targets.append(Target(a_node(), parts, root.fingerprint(parts), Content(Kind.FILE)))
                assert not write_small(root, [SmallFile(target.node, b"newer") for target in targets])
                assert all(isinstance(result, Placed) for result in place(root, targets))
                disk.cut_power(random.Random(seed))
                hidden = disk.get(disk.get(disk.root, TMP[0]), TMP[1])
                assert disk.names(hidden) == []
                assert {disk.get(disk.root, f"{number}.txt").data for number in range(count)} == {b"newer"}
