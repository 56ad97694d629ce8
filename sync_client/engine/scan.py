"""Looks at folders of the disk and writes down what stands in them.

Owns: listings; what is passed over in silence (our own folder, junk) and what is told (names that cannot
travel, sockets, pipes, devices, other disks).
May import: msgspec, protocol, sync_client.engine.{disk,ignoring,system_calls,trees}.

Nothing is decided here: engine.binding says which entry is which node.  Runs in worker threads.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.names import is_junk, path_refusal, refusal, shown
from sync_client.engine.disk import PRIVATE, FollowedRoot, Parts, kind_of
from sync_client.engine.ignoring import IGNORE_FILE, MAX_BYTES, Ignoring
from sync_client.engine.system_calls import look_all
from sync_client.engine.trees import Fingerprint


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Thousands are made in one scan: a Struct costs a tenth of a frozen dataclass."""

    name: str
    kind: Kind
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Odd:
    """Something that cannot be followed, and why.  Whatever node was known by this path is left alone.

    code: "name-refused", "not-a-file", "other-disk", "unreadable" (a folder that may not be listed),
    "vanished" (a folder that is not there; its parent's listing says what became of it).
    """

    parts: Parts
    code: str
    message: str


@dataclass(slots=True)
class FolderListing:
    """node: the folder's, None where binding has to find it.  problem: it could not be listed; its entries
    then say nothing.  passed_over: names that stand there and are ignored: whatever is known of them stays.
    as_it_was: where nothing in it changed, the node that it is as far as anybody can tell, and its folders; then
    `entries` are these folders alone."""

    node: NodeId | None
    parts: Parts
    entries: list[Entry] = field(default_factory=list)
    odd: list[Odd] = field(default_factory=list)
    problem: Odd | None = None
    passed_over: list[str] = field(default_factory=list)
    as_it_was: tuple[NodeId, dict[str, NodeId]] | None = None


def list_folders(
    root: FollowedRoot, folders: Sequence[tuple[NodeId, Parts]], ignoring: Ignoring | None = None
) -> list[FolderListing]:
    """What stands in each of these folders, without what is below.

    ignoring: the rules further up; learns those that stand in these folders.
    """
    root.look_afresh()
    ignoring = Ignoring() if ignoring is None else ignoring  # one without rules is false
    return [_list(root, node, parts, ignoring) for node, parts in folders]


def list_tree(
    root: FollowedRoot, node: NodeId, parts: Parts = (), ignoring: Ignoring | None = None
) -> list[FolderListing]:
    """What stands in this folder and in every folder below it, each after its parent."""
    root.look_afresh()
    ignoring = Ignoring() if ignoring is None else ignoring
    listings = [_list(root, node, parts, ignoring)]
    for listing in listings:  # grows while it is walked
        listings.extend(
            _list(root, None, (*listing.parts, entry.name), ignoring)
            for entry in listing.entries
            if entry.kind is Kind.FOLDER
        )
    return listings


def list_on(
    root: FollowedRoot, waiting: Sequence[Parts], ignoring: Ignoring, *, enough: int
) -> tuple[list[FolderListing], list[Parts]]:
    """As `list_tree`, a part of it: from these folders on until so many entries were met, and what is left then."""
    root.look_afresh()
    listings: list[FolderListing] = []
    left = deque(waiting)
    met = 0
    while left and met < enough:
        listing = _list(root, None, left.popleft(), ignoring)
        met += len(listing.entries)
        listings.append(listing)
        left.extend((*listing.parts, entry.name) for entry in listing.entries if entry.kind is Kind.FOLDER)
    return listings, list(left)


def _list(root: FollowedRoot, node: NodeId | None, parts: Parts, ignoring: Ignoring) -> FolderListing:
    listing = FolderListing(node, parts)
    if ignoring and parts and ignoring.ignores(parts, folder=True):
        listing.problem = Odd(parts, "vanished", "")
        return listing
    try:
        folder = root.folder_fd(parts)
        names = [name for name in os.listdir(folder) if _is_looked_at(listing, root.name_of(name))]
        if ignoring or IGNORE_FILE in names:
            ignoring.take(parts, _rules_in(root, parts) if IGNORE_FILE in names else None)
        for spelled, fingerprint in look_all(folder, names):
            name = root.name_of(spelled)
            kind = kind_of(fingerprint.mode)
            if ignoring and ignoring.ignores_entry((*parts, name), folder=kind is Kind.FOLDER):
                listing.passed_over.append(name)
            elif kind is Kind.FILE:
                listing.entries.append(Entry(name, kind, fingerprint))
            else:
                _add(root, listing, name, kind, fingerprint)
    except OSError as error:
        listing.problem = _not_listed(parts, error)
    return listing


def _rules_in(root: FollowedRoot, parts: Parts) -> bytes | None:
    try:
        handle = root.open_file((*parts, IGNORE_FILE))
    except OSError:  # a folder or a link of this name holds no rules
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read(MAX_BYTES)


def _is_looked_at(listing: FolderListing, name: str) -> bool:
    if is_junk(name):
        listing.passed_over.append(name)
        return False
    if name == PRIVATE and not listing.parts:
        return False
    why = refusal(name)
    if why is not None:
        _tell(listing, name, "name-refused", f"{why}. Rename it")
    return why is None


def _add(
    root: FollowedRoot, listing: FolderListing, name: str, kind: Kind | None, fingerprint: Fingerprint
) -> None:
    if kind is None:
        _tell(
            listing, name, "not-a-file", "a socket, a pipe or a device has no content to share. Move it away"
        )
    elif kind is Kind.FOLDER and fingerprint.device != root.device:  # of files, overlay disks say all sorts
        _tell(listing, name, "other-disk", "another disk is mounted here. Follow that folder by itself")
    elif kind is Kind.FOLDER and (why := path_refusal((*listing.parts, name))) is not None:
        _tell(listing, name, "name-refused", f"{why}. Move it up")
    else:
        listing.entries.append(Entry(name, kind, fingerprint))


def _tell(listing: FolderListing, name: str, code: str, why: str) -> None:
    listing.odd.append(Odd((*listing.parts, name), code, f"{shown(name)} is not synced: {why}."))


def _not_listed(parts: Parts, error: OSError) -> Odd:
    name = shown(parts[-1]) if parts else "The folder itself"
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ELOOP:
            return Odd(parts, "vanished", f"{name} is gone, or no folder any more.")
        case errno.EACCES | errno.EPERM:
            return Odd(parts, "unreadable", f"{name} may not be listed by you. Give yourself the right to.")
        case _:
            return Odd(parts, "unreadable", f"{name} could not be listed: {error.strerror}. Check the disk.")
