"""What of a page of the feed is believed.

Owns: the checks that a node's state must pass before it may reach the trees, and the list of those that did not.
May import: msgspec, protocol, engine.database, engine.trees.

A server is not trusted with this disk.  Its names become paths here, so each is held against the rules before
anything is made of it; a state that breaks one is left out and told to the user, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from protocol.errors import ServerFault
from protocol.limits import MAX_INDIRECT_BYTES, MAX_LINK_BYTES
from protocol.manifests import RECORD_BYTES, check_shape
from protocol.messages import Changes, Content, Kind, NodeState
from protocol.names import refusal, shown
from sync_client.engine.database import Followed, StateDatabase
from sync_client.engine.trees import NO_NODE, PARKED

MAX_CURSOR_CHARACTERS = 1_024
MAX_EMPTY_PAGES = 100
MAX_RESETS = 3
MAX_LISTED = 1_000  # refused nodes that are kept by name
_NAME_SHOWN = 100


def why_not(state: NodeState) -> str | None:
    """What is wrong with this state, in words; None if it may be taken in."""
    if state.deleted:
        return None
    if state.node in {NO_NODE, PARKED} or state.parent == PARKED:
        return "its id is one that no server gives"
    if state.parent != NO_NODE:  # the root of a view has no name
        why = refusal(state.name)
        if why is not None:
            return why
    return None if state.content is None else _why_not_content(state.content)


def _why_not_content(content: Content) -> str | None:
    manifest = content.manifest
    if content.kind is Kind.FOLDER:
        return "a folder has no bytes" if manifest.size or manifest.chunks or manifest.lengths else None
    why = check_shape(manifest)
    if why:
        return why
    if content.kind is Kind.LINK and not 0 < manifest.size <= MAX_LINK_BYTES:
        return f"the text of a link has 1 to {MAX_LINK_BYTES} bytes, not {manifest.size}"
    if manifest.indirect:
        total = sum(manifest.lengths)
        if not 0 < total <= MAX_INDIRECT_BYTES or manifest.size < total // RECORD_BYTES:
            return f"{manifest.size} bytes in a manifest of {total}"
    return None


class _Refused(msgspec.Struct, frozen=True):
    name: str
    why: str


class Refusals:
    """The states that were left out, by node; they outlast a restart, since the feed does not tell them again.

    links: whether links are made on this disk at all.
    """

    def __init__(self, state: StateDatabase, folder: Followed, *, links: bool = True) -> None:
        self._links = links
        self._state = state
        self._key = f"refused {folder.follow.hex}"
        kept = state.fact(self._key)
        self._by_node = msgspec.json.decode(kept, type=dict[UUID, _Refused]) if kept else {}

    def __len__(self) -> int:
        return len(self._by_node)

    def shown(self) -> list[tuple[str, str]]:
        """Name (safe for a screen) and reason of each."""
        return [(one.name, one.why) for one in self._by_node.values()]

    def sift(self, states: Sequence[NodeState], gone: Iterable[UUID]) -> list[NodeState]:
        """Those that may be taken in.  Inside a transaction."""
        refused = {state.node: (state, why) for state in states if (why := self._why_not(state)) is not None}
        if not refused and not self._by_node:
            return list(states)
        before = dict(self._by_node)
        for node in (*(state.node for state in states), *gone):
            self._by_node.pop(node, None)
        for node, (state, why) in refused.items():
            if len(self._by_node) < MAX_LISTED:
                self._by_node[node] = _Refused(shown(state.name[:_NAME_SHOWN]), why)
        if self._by_node != before:
            self._save()
        return [state for state in states if state.node not in refused]

    def _why_not(self, state: NodeState) -> str | None:
        why = why_not(state)
        if why is None and not self._links and state.content is not None and state.content.kind is Kind.LINK:
            return "it is a link, and MB-SyncLight makes none"
        return why

    def forget(self) -> None:
        """A new listing begins.  Inside a transaction."""
        if self._by_node:
            self._by_node.clear()
            self._save()

    def _save(self) -> None:
        self._state.set_fact(self._key, msgspec.json.encode(self._by_node).decode())


class FeedCheck:
    """Whether the pages of one reading lead anywhere: a server could go on for ever without telling anything."""

    def __init__(self, cursor: str) -> None:
        self._cursors = {cursor}
        self._empty = 0
        self._resets = 0

    def page(self, page: Changes) -> None:
        """Raises ServerFault."""
        if len(page.cursor) > MAX_CURSOR_CHARACTERS:
            raise _astray(f"names a position of {len(page.cursor)} characters")
        self._empty = 0 if page.nodes or page.gone else self._empty + 1
        if page.more and (page.cursor in self._cursors or self._empty > MAX_EMPTY_PAGES):
            raise _astray("goes in circles")
        self._cursors.add(page.cursor)

    def reset(self, cursor: str) -> None:
        """Raises ServerFault."""
        self._resets += 1
        if self._resets > MAX_RESETS or len(cursor) > MAX_CURSOR_CHARACTERS:
            raise _astray("begins anew again and again")
        self._cursors = {cursor}


def _astray(what: str) -> ServerFault:
    return ServerFault(
        f"The server's list of changes {what}",
        hint="Nothing is changed on this computer; its operator must look at the server.",
    )
