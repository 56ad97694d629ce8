"""Items that cannot go on, why, and when each is tried again.

Owns: the back-off of one item; one bad item never holds up the others.
May import: protocol.ids.

The clock is an argument (seconds that only rise), so the rule can be tested in no time.  Three paces: what was only
overtaken by an edit is looked at again in a moment; a file that is being written waits until it is quiet; what a
person or the server has to put right is tried ever more seldom, and at once when it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protocol.ids import NodeId

BACK_OFF_SECONDS = (25.0, 125.0, 625.0, 3_125.0, 15_625.0, 78_125.0, 86_400.0)
SOON_SECONDS = (0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 300.0, 1_500.0, 7_500.0, 37_500.0, 86_400.0)
QUIET_SECONDS = (2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
NO_PERMISSION = "no-permission"  # the folder may not be written
COPY_AFTER = 10  # tries to read a file that is being written; then what stands there at one moment is copied
CHANGING = "changing"
OVERTAKEN = frozenset({"changed", "exists", "parent-gone", "vanished", CHANGING, "waiting"})
PATIENCE = 2  # an item that was only overtaken by new edits is not shown before it was tried this often


@dataclass(slots=True)
class Trouble:
    """quiet_at: of a file that is being written, when it will have been left alone for long enough."""

    path: str
    code: str
    message: str
    tries: int
    again_at: float
    quiet_at: float = float("inf")

    @property
    def is_shown(self) -> bool:
        return self.code not in OVERTAKEN or self.tries > PATIENCE

    @property
    def due_at(self) -> float:
        return min(self.again_at, self.quiet_at)


class Troubles:
    """By node."""

    def __init__(self) -> None:
        self._by_node: dict[NodeId, Trouble] = {}
        self._held: set[NodeId] = set()

    def __contains__(self, node: NodeId) -> bool:
        return node in self._by_node or node in self._held

    def __iter__(self) -> Iterator[NodeId]:
        yield from self._by_node
        yield from self._held

    def __len__(self) -> int:
        """Without what is held."""
        return len(self._by_node)

    def hold(self, nodes: Iterable[NodeId]) -> None:
        """Until a person decides, or until they change.  They are not told one by one: engine.guards tells."""
        self._held.update(nodes)

    def release(self) -> None:
        """Somebody decided."""
        self._held.clear()

    def put_off(self, node: NodeId, path: str, code: str, message: str, *, now: float) -> None:
        known = self._by_node.get(node)
        pace = _pace(code)
        tries = known.tries + 1 if known and _pace(known.code) is pace else 1
        wait = pace[min(tries - 1, len(pace) - 1)]
        self._by_node[node] = Trouble(path, code, message, tries, now + wait)

    def clear(self, nodes: Iterable[NodeId]) -> None:
        """Something came of these, or they are others by now: tried at once."""
        if self._by_node or self._held:
            for node in nodes:
                self._by_node.pop(node, None)
                self._held.discard(node)

    def changed(self, nodes: Iterable[NodeId], *, now: float) -> None:
        """Seen to have changed on this disk: `clear`, but a file that is being written is left alone until it is
        quiet, at most until its next try."""
        if self._by_node or self._held:
            for node in nodes:
                self._held.discard(node)
                trouble = self._by_node.get(node)
                if trouble is not None and trouble.code == CHANGING:
                    trouble.quiet_at = now + QUIET_SECONDS[0]
                else:
                    self._by_node.pop(node, None)

    def is_restless(self, node: NodeId) -> bool:
        """A file that does not become quiet: a copy of it is to be read."""
        trouble = self._by_node.get(node)
        return trouble is not None and trouble.code == CHANGING and trouble.tries >= COPY_AFTER

    def try_all_now(self) -> None:
        for trouble in self._by_node.values():
            trouble.again_at = 0.0

    def came_to_nothing(self, *, tried_at: float, now: float) -> None:
        """What was due when a round tried it, and still is: nothing was done and nothing said, as with folders that lie
        in each other.  It backs off like the rest; due for ever, it would be tried for ever."""
        for node, trouble in list(self._by_node.items()):
            if trouble.due_at <= tried_at:
                self.put_off(node, trouble.path, trouble.code, trouble.message, now=now)

    def overtaken(self) -> list[NodeId]:
        """What was only in the way of an edit; it may have come to rest by itself."""
        return [node for node, trouble in self._by_node.items() if trouble.code in OVERTAKEN]

    def refused_in(self, folder: str) -> list[NodeId]:
        """What waits because nothing may be written in this folder."""
        return [
            node
            for node, trouble in self._by_node.items()
            if trouble.code == NO_PERMISSION and trouble.path.rpartition("/")[0] == folder
        ]

    def is_put_off(self, node: NodeId, *, now: float) -> bool:
        return (bool(self._held) and node in self._held) or self.backs_off(node, now=now)

    def backs_off(self, node: NodeId, *, now: float) -> bool:
        """Not of what a person has to decide."""
        trouble = self._by_node.get(node) if self._by_node else None
        return trouble is not None and trouble.due_at > now

    def next_at(self) -> float | None:
        return min((trouble.due_at for trouble in self._by_node.values()), default=None)

    def shown(self) -> list[Trouble]:
        return [trouble for trouble in self._by_node.values() if trouble.is_shown]


def _pace(code: str) -> tuple[float, ...]:
    if code == CHANGING:
        return QUIET_SECONDS
    return SOON_SECONDS if code in OVERTAKEN else BACK_OFF_SECONDS
