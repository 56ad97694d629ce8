"""After a crash, or a step that failed half-way: what an exchange left under a name of ours.

Owns: what becomes of each `.swap`.
May import: protocol, sync_client.engine.{disk,incoming,reading,system_calls,trash}.

A `.swap` holds either a download that was about to be placed, or what stood in its place: a version that the
server holds, or an edit.  It is never simply deleted.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from protocol.ids import NodeId
from sync_client.engine.disk import TMP, FollowedRoot, Parts, parked_parts, same_thing
from sync_client.engine.incoming import PARKED_SUFFIX, SWAP
from sync_client.engine.reading import digest_of
from sync_client.engine.system_calls import ASIDE, look, rename_noreplace
from sync_client.engine.trash import Why, announce, announced
from sync_client.engine.trees import Fingerprint

_LEFT_OVER = re.compile(f"([0-9a-f]{{32}}){re.escape(SWAP)}({re.escape(ASIDE)})?")
_PARKED = re.compile(f"([0-9a-f]{{32}}){re.escape(PARKED_SUFFIX)}")

NameBeside = Callable[[str, Callable[[str], bool]], str]


@dataclass(frozen=True, slots=True)
class Recovered:
    """parts: where it stands now; None: in the trash, as the server holds it."""

    node: NodeId
    parts: Parts | None


def recover(
    root: FollowedRoot,
    is_on_server: Callable[[bytes], bool],
    intent_of: Callable[[NodeId], Parts | None],
    name_beside: NameBeside,
) -> list[Recovered]:
    """Bring back what a crash or a failed step left; run before the next look at the folder.

    is_on_server: of a content digest.  intent_of: where the exchange was to happen, if that is still known
    (else it comes back to the top of the folder).  name_beside: a conflict name for (name, is it taken?).
    """
    root.look_afresh()
    recovered: list[Recovered] = []
    if not root.has(TMP):
        return recovered
    for name in sorted(os.listdir(root.tmp())):
        found = _LEFT_OVER.fullmatch(name)
        if found is not None:
            node = NodeId(UUID(found[1]))
            parts = intent_of(node) or (found[1],)
            if _is_second_link(root, name, parts):
                os.unlink(name, dir_fd=root.tmp())
            elif _to_trash(root, name, parts, is_on_server):
                recovered.append(Recovered(node, None))
            else:
                recovered.append(Recovered(node, _bring_back(root, name, parts, name_beside)))
    if recovered:
        root.sync()
    return recovered


def parked_nodes(root: FollowedRoot) -> list[tuple[NodeId, Fingerprint]]:
    """What waits under a hidden name (engine.disk.parked_parts), whatever the rows say."""
    root.look_afresh()
    found = []
    for name in sorted(os.listdir(root.tmp())):
        match = _PARKED.fullmatch(name)
        seen = look(root.tmp(), name) if match else None
        if match is not None and seen is not None:
            found.append((NodeId(UUID(match[1])), seen))
    return found


def drop_second_name(root: FollowedRoot, node: NodeId, places: Iterable[Parts]) -> bool:
    """A rename by link was cut short: what is parked stands in one of these places as well.  It stays there."""
    name = parked_parts(node)[-1]
    if not any(_is_second_link(root, name, parts) for parts in places):
        return False
    os.unlink(name, dir_fd=root.tmp())
    return True


def bring_back_parked(root: FollowedRoot, node: NodeId, parts: Parts, name_beside: NameBeside) -> Parts:
    """What is parked and known to nobody any more comes back into the folder."""
    return _bring_back(root, parked_parts(node)[-1], parts, name_beside)


def _is_second_link(root: FollowedRoot, name: str, parts: Parts) -> bool:
    """The fallback of `exchange` was cut short: the file itself is in its place."""
    seen, there = look(root.tmp(), name), root.fingerprint(parts)
    return seen is not None and there is not None and same_thing(there, seen)


def _to_trash(root: FollowedRoot, name: str, parts: Parts, is_on_server: Callable[[bytes], bool]) -> bool:
    """Whether the server holds these bytes; they are in the trash then."""
    seen = look(root.tmp(), name)
    digest = None if seen is None else _digest(root, name, seen)
    if seen is None or digest is None or not is_on_server(digest):
        return False
    line = announced(parts, seen, Why.RECOVERED, time.time_ns() // 1_000_000)
    announce(root, [line])
    os.rename(name, line.name, src_dir_fd=root.tmp(), dst_dir_fd=root.trash())
    return True


def _bring_back(root: FollowedRoot, name: str, parts: Parts, name_beside: NameBeside) -> Parts:
    """Into the folder, under its own name if that is free."""
    try:
        folder = root.folder_fd(parts[:-1])
    except (FileNotFoundError, NotADirectoryError):
        parts, folder = parts[-1:], root.folder_fd(())
    target = parts[-1]
    while True:
        try:
            rename_noreplace(root.tmp(), name, folder, root.spell(target))
        except FileExistsError:
            target = name_beside(parts[-1], lambda candidate: look(folder, root.spell(candidate)) is not None)
        else:
            return (*parts[:-1], target)


def _digest(root: FollowedRoot, name: str, seen: Fingerprint) -> bytes | None:
    """None: no file and no link, or it cannot be read; then the server cannot hold it either."""
    try:
        if stat.S_ISLNK(seen.mode):
            return hashlib.sha256(os.fsencode(os.readlink(name, dir_fd=root.tmp()))).digest()
        if not stat.S_ISREG(seen.mode):
            return None
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(name, flags, dir_fd=root.tmp())
    except OSError:
        return None
    try:
        return digest_of(handle)
    finally:
        os.close(handle)
