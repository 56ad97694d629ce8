"""Which packs are worth writing anew, and which of them together.

Owns: the decision.  Pure: no clock, disk or database.  May import: the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DEAD_SHARE = 0.25  # of a pack: with less the gain is not worth the writing
SMALL_SHARE = 0.25  # of a full pack
MERGE_PACKS = 8


@dataclass(slots=True)
class Weight:
    """A pack and what is in it.  live: bytes of records that must stay, each chunk counted in one pack only."""

    pack: int
    name: str
    size: int
    live: int = 0
    records: int = 0


Group = Sequence[
    Weight
]  # packs whose live records go into a new one; none of them live: they are just dropped


def groups_of(weights: Iterable[Weight], *, full: int) -> list[Group]:
    """What to do, the largest gain first.  full: bytes of a full pack.

    Small packs are merged when there are enough of about one size, so that a byte is written again only some
    few times while a store grows.
    """
    ordered = sorted(weights, key=lambda weight: (weight.live, weight.pack))
    dead: list[Weight] = []
    heavy: list[Weight] = []
    small: list[Weight] = []
    for weight in ordered:
        if not weight.live:
            dead.append(weight)
        elif weight.size - weight.live > DEAD_SHARE * weight.size + 4_096:
            heavy.append(weight)
        elif weight.live < SMALL_SHARE * full:
            small.append(weight)
    groups: list[Group] = [[weight] for weight in dead]
    groups += _filled(heavy, full)
    groups += [group for group in _of_one_size(small, full) if len(group) >= MERGE_PACKS]
    return groups


def _filled(weights: Iterable[Weight], full: int) -> list[Group]:
    """In order, as many together as fill a pack."""
    groups: list[Group] = []
    group: list[Weight] = []
    size = 0
    for weight in weights:
        if group and size + weight.live > full:
            groups.append(group)
            group, size = [], 0
        group.append(weight)
        size += weight.live
    return [*groups, group] if group else groups


def _of_one_size(weights: Iterable[Weight], full: int) -> list[Group]:
    """weights: the smallest first.  A pack joins only what is at least about as large as itself."""
    groups: list[Group] = []
    group: list[Weight] = []
    size = 0
    for weight in weights:
        too_much = size + weight.live > full
        enough = len(group) >= MERGE_PACKS and weight.live * 2 > size
        if group and (too_much or enough):
            groups.append(group)
            group, size = [], 0
        group.append(weight)
        size += weight.live
    return [*groups, group] if group else groups
