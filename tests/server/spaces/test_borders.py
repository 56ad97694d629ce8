"""Ways up a tree, as rights need them: what lies in a view and what does not, also where the rows are wrong."""

from __future__ import annotations

from server.spaces.inside import below_or_at

PARENTS = {
    b"root": b"",
    b"view": b"root",
    b"in": b"view",
    b"deep": b"in",
    b"out": b"root",
    b"a": b"b",
    b"b": b"a",
}


def test_the_root_of_a_view_and_all_below_it_lie_inside_and_nothing_else() -> None:
    found = below_or_at(b"view", [*PARENTS, b"absent"], PARENTS)
    assert found == {b"view", b"in", b"deep"}


def test_each_way_is_judged_alike_in_any_order_of_asking() -> None:
    nodes = sorted(PARENTS)
    for first in range(len(nodes)):
        turned = nodes[first:] + nodes[:first]
        assert below_or_at(b"view", turned, PARENTS) == {b"view", b"in", b"deep"}
