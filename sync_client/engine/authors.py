"""Who changed what on the server last, as the feed said, until that has come to this disk.

Owns: this memory, and taking "user on device" apart.  May import: protocol, engine.trees.

It is news and no state: kept in memory alone and bounded, so that a row of the trees costs nothing for it.  What was
told before a start and comes after it has no author; neither has what the server does not tell, because blocks made
it, or because one may not know (docs/protocol.md, `people`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from protocol.ids import NodeId
from protocol.messages import NodeState
from sync_client.engine.trees import Trees

DEEPEST = 256  # folders on a way up
MOST_NODES = 20_000  # of one folder; the ones told first are forgotten
MOST_CHARACTERS = 400  # of what a server may say here


class Authors:
    """Of one followed folder."""

    def __init__(self) -> None:
        self._by_node: dict[NodeId, str] = {}
        self._texts: dict[str, str] = {}  # each author once, however many nodes are theirs

    def take(self, states: Iterable[NodeState]) -> None:
        """A page of the feed."""
        for state in states:
            node = NodeId(state.node)
            self._by_node.pop(node, None)
            if state.changed_by:
                text = state.changed_by[:MOST_CHARACTERS]
                self._by_node[node] = self._texts.setdefault(text, text)
        for node in list(islice(self._by_node, max(0, len(self._by_node) - MOST_NODES))):
            del self._by_node[node]

    def of(self, node: NodeId) -> str:
        """ "user on device"; "" where it is not known."""
        return self._by_node.get(node, "")

    def forget(self) -> None:
        """All that was told is here."""
        self._by_node.clear()
        self._texts.clear()


def who_deleted(trees: Trees, authors: Authors, node: NodeId) -> str:
    """Of a folder the feed tells that it was deleted, of what lies in it nothing.  "": it is not known."""
    for _ in range(DEEPEST):
        row = trees.row(node)
        if row is None or row.remote is not None:
            return ""
        if who := authors.of(node):
            return who
        known = row.agreed or row.local
        if known is None:
            return ""
        node = known.place.parent
    return ""


@dataclass(frozen=True, slots=True)
class Author:
    """is_own: the person of this computer, perhaps on another one."""

    user: str
    device: str
    is_own: bool = False


def author_of(text: str, *, own: str) -> Author | None:
    """own: the name of the person of this computer.  None: nobody is told."""
    if own and text.startswith(f"{own} on "):
        return Author(own, text.removeprefix(f"{own} on "), is_own=True)
    user, _, device = text.partition(" on ")
    return Author(user, device) if user else None
