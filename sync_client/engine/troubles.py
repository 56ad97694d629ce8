"""Items that cannot go on, why, and when each is tried again.

Owns: the back-off of one item; one bad item never holds up the others.
May import: protocol.ids.

The clock is an argument (seconds that only rise), so the rule can be tested in no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protocol.ids import NodeId

BACK_OFF_SECONDS = (0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 300.0, 1_500.0, 7_500.0, 37_500.0, 86_400.0)
OVERTAKEN = frozenset({"changed", "exists", "parent-gone", "vanished", "changing", "waiting"})
PATIENCE = 2  # an item that was only overtaken by new edits is not shown before it was tried this often


@dataclass(slots=True)
class Trouble:
    path: str
    code: str
    message: str
    tries: int
    again_at: float

    @property
    def is_shown(self) -> bool:
        return self.code not in OVERTAKEN or self.tries > PATIENCE


class Troubles:
    """By node.  An item that changes is tried at once (`clear`)."""

    def __init__(self) -> None:
        self._by_node: dict[NodeId, Trouble] = {}

    def __contains__(self, node: NodeId) -> bool:
        return node in self._by_node

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._by_node)

    def __len__(self) -> int:
        return len(self._by_node)

    def put_off(self, node: NodeId, path: str, code: str, message: str, *, now: float) -> None:
        known = self._by_node.get(node)
        tries = known.tries + 1 if known else 1
        wait = BACK_OFF_SECONDS[min(tries - 1, len(BACK_OFF_SECONDS) - 1)]
        self._by_node[node] = Trouble(path, code, message, tries, now + wait)

    def clear(self, nodes: Iterable[NodeId]) -> None:
        if self._by_node:
            for node in nodes:
                self._by_node.pop(node, None)

    def try_all_now(self) -> None:
        for trouble in self._by_node.values():
            trouble.again_at = 0.0

    def is_put_off(self, node: NodeId, *, now: float) -> bool:
        trouble = self._by_node.get(node) if self._by_node else None
        return trouble is not None and trouble.again_at > now

    def next_at(self) -> float | None:
        return min((trouble.again_at for trouble in self._by_node.values()), default=None)

    def shown(self) -> list[Trouble]:
        return [trouble for trouble in self._by_node.values() if trouble.is_shown]
