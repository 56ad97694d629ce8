"""How much more the server takes of one followed folder.

Owns: what it said last, what was promised of that, which files wait for room and when they are tried again.
May import: protocol, engine.trees.

The server decides when it commits.  What is known here spares sending bytes that would be refused, and tells people
how things are.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import NodeId
from protocol.messages import View
from sync_client.engine.trees import Content, Remote

OVER_QUOTA = "over-quota"


@dataclass(frozen=True, slots=True)
class Quota:
    """Of the space that the folder lies in, all of it.  used_bytes: with what was sent for it and not finished."""

    quota_bytes: int
    used_bytes: int

    @property
    def free_bytes(self) -> int:
        return max(0, self.quota_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True)
class _Wish:
    needed_bytes: int
    left_bytes: int  # when it was refused


class Room:
    """left_bytes: None where there is no limit, or none is known."""

    def __init__(self) -> None:
        self.quota: Quota | None = None
        self.left_bytes: int | None = None
        self._promised: dict[
            NodeId, int
        ] = {}  # on its way, and not committed yet; only where there is a limit
        self._promised_bytes = 0
        self._waiting: dict[NodeId, _Wish] = {}

    @property
    def is_short(self) -> bool:
        """Something waits for room."""
        return bool(self._waiting)

    # ---- what the server says ----------------------------------------------------------------------------

    def learn(self, view: View) -> list[NodeId]:
        """From the list of views.  Returns what waited and may fit by now."""
        if view.quota_bytes is None:
            self.quota = self.left_bytes = None
        else:
            used_bytes = view.used_bytes + view.unfinished_bytes
            self.quota = Quota(view.quota_bytes, used_bytes)
            self.left_bytes = view.quota_bytes - used_bytes
        return self._that_may_fit()

    def hear(self, left_bytes: int | None) -> None:
        """From the answer about chunks."""
        self.left_bytes = left_bytes
        if self.quota is not None and left_bytes is not None:
            self.quota = Quota(self.quota.quota_bytes, self.quota.quota_bytes - left_bytes)

    def _that_may_fit(self) -> list[NodeId]:
        left = self.left_bytes
        found = [
            node
            for node, wish in self._waiting.items()
            if left is None or (left > wish.left_bytes and left >= wish.needed_bytes)
        ]
        for node in found:
            del self._waiting[node]
        return found

    # ---- what is to be sent ------------------------------------------------------------------------------

    def admit(self, node: NodeId, grows_bytes: int) -> bool:
        """Whether the server will take a file that makes its space grow by so much; then it counts as promised."""
        self._take_back(node)
        if self.left_bytes is None or grows_bytes <= 0:
            return True
        if grows_bytes > self.left_bytes - self._promised_bytes:
            return False
        self._promised[node] = grows_bytes
        self._promised_bytes += grows_bytes
        return True

    def _take_back(self, node: NodeId) -> None:
        if self._promised:
            self._promised_bytes -= self._promised.pop(node, 0)

    def settle(self, node: NodeId) -> None:
        """It was committed, or refused: nothing is promised to it any more."""
        self._take_back(node)
        if self._waiting:
            self._waiting.pop(node, None)

    def refuse(self, node: NodeId, grows_bytes: int) -> None:
        """It waits until there is room for it."""
        self._take_back(node)
        self._waiting[node] = _Wish(grows_bytes, self.left_bytes or 0)

    def drop_promises(self) -> None:
        self._promised.clear()
        self._promised_bytes = 0


def growth(content: Content, there: Remote | None) -> int:
    """By how much the server's copy gets larger."""
    return content.size - (there.content.size if there is not None else 0)
