"""A client whose own records are damaged goes on by itself (T8)."""

from __future__ import annotations

import random

from tests.support.computers import Together


def test_a_client_whose_records_are_damaged_goes_on_by_itself(pair: Together) -> None:
    noise = random.Random(1)
    for number in range(20):
        pair.a.write(f"series/{number}.dcm", noise.randbytes(20_000))
    pair.settle()
    pair.a.start_working()
    pair.a.wait()
    pair.a.kill9()
    state = pair.a.mb_sync.home / "state.db"
    data = bytearray(state.read_bytes())
    data[: len(data) // 2] = noise.randbytes(len(data) // 2)
    state.write_bytes(data)
    pair.a.delete("series/3.dcm")  # who deleted it, and whether: nobody knows any more
    pair.a.write("new.dcm", noise.randbytes(5_000))
    pair.a.start_working()
    pair.a.wait()
    status = pair.a.mb_sync.comes_to("synced")
    assert [note for note in status["notes"] if "were damaged or lost" in note], status
    assert status["traffic"]["sent_bytes"] < 100_000  # of 400,000
    assert (pair.a.mb_sync.home / "state.db.damaged").stat().st_size == len(data)
    pair.a.stop()
    pair.b.once()
    assert pair.b.tree() == pair.a.tree()
    assert len(pair.a.tree()) == 22  # with the folder; the deleted one came back
