"""A node's id is chosen by the computer that makes it: no two may ever choose the same."""

from __future__ import annotations

import os

import pytest

from sync_client.engine.looking import fresh_node


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_that_forks_chooses_other_ids_than_its_child() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"".join(fresh_node().bytes for _ in range(50)))
        os._exit(0)
    mine = {fresh_node().bytes[6:] for _ in range(50)}  # behind the milliseconds
    os.waitpid(child, 0)
    theirs = os.read(reading, 16 * 50)
    assert len(theirs) == 16 * 50
    assert mine.isdisjoint(theirs[at + 6 : at + 16] for at in range(0, len(theirs), 16))
