"""A way up or down a tree costs what its steps cost, however large the space is."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.access import ancestry
from server.database.session import Database
from server.spaces.rows import LIVE_BELOW, with_ancestors
from server.upkeep import thinning

WAYS = {
    "up": (f"{with_ancestors(2)} SELECT id FROM up", (1, b"a", b"b")),
    "down": (f"{LIVE_BELOW} SELECT id FROM below", (1, b"a")),
    "the folders above": (ancestry._WAY_UP, (b"a", 1)),
    "what is purged": (thinning._TREE, (1, b"a", 5)),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_walks_the_whole_space(tmp_path: Path, way: str) -> None:
    database = Database.open(tmp_path / "server.db", migrate=True)
    sql, values = WAYS[way]
    with database.reading() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
    steps = [row[-1] for row in plan]
    assert not [step for step in steps if "BLOOM" in step or step.startswith("SCAN nodes")], steps
    assert any(step.startswith("SEARCH nodes") for step in steps), steps
    database.close()
