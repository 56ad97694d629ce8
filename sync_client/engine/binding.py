"""Decides which entry of the disk is which node.  Pure: listings and known rows in, changes out.

Owns: the rules for untouched, edited, moved, swapped, replaced, new and vanished.
May import: msgspec, protocol, sync_client.engine.disk (its pure questions), .scan (its values), .trees.

An inode number alone proves nothing, since it is used again at once; with an equal birth time it is the
same file.  Where a disk knows no birth times, size and time have to be equal as well.  In this order:

1. Same name, same thing: that node.  Untouched if its stat is, else to be read.
2. Same thing under another name, gone from where it was: moved; also across a swap.
3. Same name, another thing, and the old one is nowhere: replaced (an editor saved); the node stays.
4. What is left on the disk is new, what is left among the known is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec.structs import replace

from protocol.ids import NodeId
from protocol.messages import Kind
from sync_client.engine.disk import (
    RACY_NS,
    Parts,
    is_executable,
    kind_of,
    same_thing,
    untouched,
)
from sync_client.engine.scan import Entry, FolderListing
from sync_client.engine.trees import Content, Fingerprint, Local, Place

_Inode = tuple[int, int]  # device, inode


class Known(Protocol):
    """The local tree as it was observed last."""

    def children(self, parent: NodeId) -> Sequence[tuple[NodeId, Local]]: ...

    def by_inode(self, device: int, inode: int) -> Sequence[tuple[NodeId, Local]]: ...


@dataclass(slots=True)
class Bound:
    """changes: observations for `take_local`, parents before children.  unread: nodes whose bytes must be
    read (in `changes` too, without content, unless only their age made them doubtful).  recent: seen equal,
    but too young to trust: look at them again in two seconds.  new_folders, moved_folders: where to look
    next, if those listings were not given."""

    changes: list[tuple[NodeId, Local | None]] = field(default_factory=list)
    unread: list[NodeId] = field(default_factory=list)
    recent: list[NodeId] = field(default_factory=list)
    new_folders: list[tuple[NodeId, Parts]] = field(default_factory=list)
    moved_folders: list[tuple[NodeId, Parts]] = field(default_factory=list)


def bind(
    listings: Sequence[FolderListing],
    known: Known,
    fresh: Callable[[], NodeId],
    now_ns: int,
    exists: Callable[[NodeId], bool],
) -> Bound:
    """What these listings change in the local tree.

    exists: does this node still stand at its known place?  Asked only where that folder was not listed.
    """
    binding = _Binding(listings, known, fresh, now_ns, exists)
    binding.run()
    return binding.bound


def keep_what_changed(listings: Sequence[FolderListing], nodes: dict[Parts, NodeId], known: Known) -> None:
    """Where nothing in a folder changed only the folders in it are kept: what these listings say stays the same.

    nodes: of folders that are where they were and not listed yet; learns those further down.
    """
    for listing in listings:
        node = nodes.pop(listing.parts, None)
        if node is None:
            continue
        folders, unchanged = _compare(listing, known.children(node))
        nodes.update(((*listing.parts, name), child) for name, child in folders.items())
        if unchanged:
            listing.as_it_was = node, folders
            listing.entries = [entry for entry in listing.entries if entry.kind is Kind.FOLDER]


def _compare(
    listing: FolderListing, children: Sequence[tuple[NodeId, Local]]
) -> tuple[dict[str, NodeId], bool]:
    """The folders in it that are what they were, by their names; whether nothing at all changed in the listing."""
    known = {local.place.name: (node, local) for node, local in children}
    unchanged = not (listing.problem or listing.odd or listing.passed_over)
    unchanged &= len(children) == len(listing.entries)
    folders: dict[str, NodeId] = {}
    for entry in listing.entries:
        found = known.get(entry.name)
        if found is None or not same_thing(found[1].fingerprint, entry.fingerprint):
            unchanged = False
        elif entry.kind is Kind.FOLDER:
            folders[entry.name] = found[0]
        elif unchanged:
            unchanged = _is_settled(found[1], entry.fingerprint)
    return folders, unchanged


def _is_settled(local: Local, seen: Fingerprint) -> bool:
    """Neither to be read nor to be looked at again."""
    return (
        local.content is not None and local.fingerprint.ctime_ns != 0 and untouched(local.fingerprint, seen)
    )


class _Loose(msgspec.Struct, frozen=True):
    """An entry that is not yet any node."""

    parent: NodeId
    parts: Parts  # of the folder it stands in
    entry: Entry


class _Binding:
    def __init__(
        self,
        listings: Sequence[FolderListing],
        known: Known,
        fresh: Callable[[], NodeId],
        now_ns: int,
        exists: Callable[[NodeId], bool],
    ) -> None:
        self.bound = Bound()
        self._known, self._fresh, self._now_ns, self._exists = known, fresh, now_ns, exists
        self._ready = [listing for listing in listings if listing.node is not None]
        self._by_parts = {listing.parts: listing for listing in listings if listing.node is None}
        self._listings = listings
        self._inodes_of_folders: set[_Inode] | None = None
        self._listed: set[NodeId] = set()  # folders whose children are all accounted for
        self._placed: set[NodeId] = set()  # nodes that were found somewhere else than at their known place
        self._loose: list[_Loose] = []
        self._missing: dict[NodeId, Local] = {}  # known in a listed folder, not found at its name
        self._missing_by_inode: dict[_Inode, list[NodeId]] = {}
        self._missing_by_place: dict[Place, NodeId] = {}

    def run(self) -> None:
        self._match_all()
        while True:  # folders first, as they say whose children are whose
            folders = [loose for loose in self._loose if loose.entry.kind is Kind.FOLDER]
            if not folders:
                break
            self._loose = [loose for loose in self._loose if loose.entry.kind is not Kind.FOLDER]
            for settle in (self._moved, self._replaced, self._new):
                left = [loose for loose in folders if not settle(loose)]
                if len(left) < len(folders):
                    break
            self._loose.extend(left)
            self._match_all()
        for settle in (self._moved, self._replaced, self._new):
            self._loose = [loose for loose in self._loose if not settle(loose)]
        self.bound.changes.extend((node, None) for node in self._missing)

    # ---- 1: the same name --------------------------------------------------------------------------------

    def _match_all(self) -> None:
        while self._ready:
            self._match(self._ready.pop())

    def _match(self, listing: FolderListing) -> None:
        node = listing.node
        assert node is not None
        if listing.problem is not None:
            return
        if listing.as_it_was is not None:
            as_it_was, folders = listing.as_it_was
            if (
                as_it_was == node
            ):  # else it is another one after all: its files were not kept, a later look tells
                self._listed.add(node)
                for name, child in folders.items():
                    self._descend(child, (*listing.parts, name))
            return
        self._listed.add(node)
        children = [known for known in self._known.children(node) if known[0] not in self._placed]
        here = {known[1].place.name: known for known in children}
        if len(here) < len(children):  # only one of two can stand at a name: the other is gone, or elsewhere
            kept = {odd.parts[-1] for odd in listing.odd} | set(listing.passed_over)
            shadowed = [known for known in children if here[known[1].place.name] is not known]
            self._miss(known for known in shadowed if known[1].place.name not in kept)
        for entry in listing.entries:
            found = here.get(entry.name)
            if found is not None and same_thing(found[1].fingerprint, entry.fingerprint):
                del here[entry.name]
                if entry.kind is Kind.FOLDER:
                    self._descend(found[0], (*listing.parts, entry.name))
                elif not untouched(found[1].fingerprint, entry.fingerprint):
                    self._edited(found[0], found[1], entry, found[1].place)
                else:
                    self._unchanged(found[0], found[1], entry.fingerprint)
            else:
                self._loose.append(_Loose(node, listing.parts, entry))
        for odd in listing.odd:  # what cannot be followed now is not therefore deleted
            here.pop(odd.parts[-1], None)
        for name in listing.passed_over:  # nor what is ignored now
            here.pop(name, None)
        self._miss(here.values())

    def _miss(self, known: Iterable[tuple[NodeId, Local]]) -> None:
        for child, local in known:
            self._missing[child] = local
            inode = (local.fingerprint.device, local.fingerprint.inode)
            self._missing_by_inode.setdefault(inode, []).append(child)
            self._missing_by_place[local.place] = child

    def _descend(self, node: NodeId, parts: Parts) -> bool:
        listing = self._by_parts.pop(parts, None)
        if listing is None:
            return False
        listing.node = node
        self._ready.append(listing)
        return True

    def _unchanged(self, node: NodeId, local: Local, seen: Fingerprint) -> None:
        if local.content is None:
            self.bound.unread.append(node)
        elif local.fingerprint.ctime_ns == 0:
            if abs(self._now_ns - seen.mtime_ns) < RACY_NS:
                self.bound.recent.append(node)
            else:
                self.bound.unread.append(node)

    def _edited(self, node: NodeId, local: Local, entry: Entry, place: Place) -> None:
        """Same thing with another stat, where it was or (`place`) where it moved to."""
        old, seen = local.fingerprint, entry.fingerprint
        content = local.content
        if content is not None and content.kind is not Kind.FOLDER:
            if old.size != seen.size or old.mtime_ns != seen.mtime_ns or old.ctime_ns == 0:
                content = None
            elif old.mode != seen.mode:
                content = replace(content, executable=is_executable(seen.mode))
            elif place == local.place:  # only the change time differs: an edit may have put the others back
                content = None
        self.bound.changes.append((node, replace(local, place=place, content=content, fingerprint=seen)))
        if content is None:
            self.bound.unread.append(node)

    # ---- 2: another name ---------------------------------------------------------------------------------

    def _moved(self, loose: _Loose) -> bool:
        found = self._known_elsewhere(loose)
        if found is None:
            return False
        node, local = found
        self._missing.pop(node, None)
        self._missing_by_place.pop(local.place, None)
        self._placed.add(node)
        self._edited(node, local, loose.entry, Place(loose.parent, loose.entry.name))
        if loose.entry.kind is Kind.FOLDER:
            parts = (*loose.parts, loose.entry.name)
            if not self._descend(node, parts):
                self.bound.moved_folders.append((node, parts))
        return True

    def _known_elsewhere(self, loose: _Loose) -> tuple[NodeId, Local] | None:
        seen = loose.entry.fingerprint
        for node in self._missing_by_inode.get((seen.device, seen.inode), ()):
            local = self._missing.get(node)
            if local is not None and self._is_that(local, seen) and not self._was_never_read(local, loose):
                return node, local
        for node, local in self._known.by_inode(seen.device, seen.inode):
            if (
                node not in self._placed
                and local.place.parent not in self._listed
                and self._is_that(local, seen)
                and not self._was_never_read(local, loose)
                and not self._exists(node)
            ):
                return node, local
        return None

    def _is_that(self, local: Local, seen: Fingerprint) -> bool:
        old = local.fingerprint
        if not same_thing(old, seen):
            return False
        return bool(old.birth_ns and seen.birth_ns) or (
            old.mtime_ns == seen.mtime_ns and (old.size == seen.size or kind_of(seen.mode) is Kind.FOLDER)
        )

    def _was_never_read(self, local: Local, loose: _Loose) -> bool:
        """A temporary file that an editor renamed over the real one: the real one's node has the history."""
        if local.content is not None:
            return False
        return Place(loose.parent, loose.entry.name) in self._missing_by_place

    # ---- 3 and 4: another thing, a new thing -------------------------------------------------------------

    def _replaced(self, loose: _Loose) -> bool:
        place = Place(loose.parent, loose.entry.name)
        node = self._missing_by_place.get(place)
        if node is None:
            return False
        local = self._missing[node]
        old = local.fingerprint
        if kind_of(old.mode) is not loose.entry.kind or (old.device, old.inode) in self._folder_inodes():
            return False
        del self._missing[node], self._missing_by_place[place]
        self._placed.add(node)
        content = local.content if loose.entry.kind is Kind.FOLDER else None
        self.bound.changes.append(
            (node, replace(local, content=content, fingerprint=loose.entry.fingerprint))
        )
        if content is None:
            self.bound.unread.append(node)
        else:
            self._descend(node, (*loose.parts, loose.entry.name))
        return True

    def _folder_inodes(self) -> set[_Inode]:
        """Folders anywhere in the listings: one of them may be the old one, on its way to being found."""
        if self._inodes_of_folders is None:
            self._inodes_of_folders = {
                (entry.fingerprint.device, entry.fingerprint.inode)
                for listing in self._listings
                for entry in listing.entries
                if entry.kind is Kind.FOLDER
            }
        return self._inodes_of_folders

    def _new(self, loose: _Loose) -> bool:
        entry = loose.entry
        node = self._fresh()
        content = Content(Kind.FOLDER) if entry.kind is Kind.FOLDER else None
        place = Place(loose.parent, entry.name)
        self.bound.changes.append((node, Local(place, content, entry.fingerprint)))
        if content is None:
            self.bound.unread.append(node)
        else:
            parts = (*loose.parts, entry.name)
            if not self._descend(node, parts):
                self.bound.new_folders.append((node, parts))
        return True
