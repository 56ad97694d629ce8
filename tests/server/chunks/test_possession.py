"""Leases open what they were given for, until they end."""

from pathlib import Path

import pytest

from protocol.ids import ChunkId
from server.chunks import possession
from server.chunks.possession import LEASE_MS, NOTHING, forget_old_leases, lease, leased
from tests.support.store import DEVICE, NOW_MS, a_store


async def test_leases_that_ran_out_are_forgotten_some_at_a_time_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(possession, "BULK", 2)
    old = [ChunkId(bytes([number]) * 32) for number in range(5)]
    new = ChunkId(b"n" * 32)
    later = NOW_MS + LEASE_MS
    async with a_store(tmp_path) as store:
        database = store.database
        await database.write(lambda session: lease(session, DEVICE, dict.fromkeys(old, NOTHING), NOW_MS))
        await database.write(lambda session: lease(session, DEVICE, {new: NOTHING}, NOW_MS + 1))
        rounds = 1
        while await database.write(lambda session: forget_old_leases(session, ended_before_ms=later)):
            rounds += 1
        assert rounds == 3
        left = await database.read(lambda session: leased(session, DEVICE, [*old, new], NOW_MS))
        assert left == {new}
