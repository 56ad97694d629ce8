"""Changes the followed folder, and keeps whatever stands in the way.

Owns: the order look – exchange – look, putting back, what goes to the trash, the two syncs of a batch.
May import: protocol, sync_client.engine.{disk,incoming,reading,system_calls,trash,trees}.

A name holds the old file or the new one at every instant.  What came out of an exchange must be what was
expected; if not, it was an edit: it is put back, and the step is not done.  docs/durability.md tells what
each crash leaves.  Runs in one worker thread at a time.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.names import name_key
from sync_client.engine.disk import (
    TMP,
    FollowedRoot,
    Parts,
    placed_too_young,
    same_bytes,
    same_thing,
    tmp_name,
    untouched,
)
from sync_client.engine.incoming import SWAP, NotPlaced, discard, refused
from sync_client.engine.reading import still_holds
from sync_client.engine.system_calls import exchange, look, rename_noreplace
from sync_client.engine.trash import Trashed, Why, announce, announced
from sync_client.engine.trees import NO_NODE, Content, Fingerprint, Value

MANY = 8  # from here on, one sync of the file system costs less than one of each file


class Target(Value):
    """Where a temporary file belongs.  expected: what may stand there; None: nothing may.

    holds: what that was read to hold.  Where its stat proves nothing, the bytes that come out are compared with it.
    """

    node: NodeId
    parts: Parts
    expected: Fingerprint | None
    content: Content
    holds: Content | None = None


class Placed(Value):
    """fingerprint: of what stands there now.  kept: what it replaced, in the trash."""

    node: NodeId
    fingerprint: Fingerprint
    kept: Trashed | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """holds: as in `Target`."""

    node: NodeId
    parts: Parts
    expected: Fingerprint
    holds: Content | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """kept: in the trash; None for a folder, which was empty."""

    node: NodeId
    kept: Trashed | None


_Done = TypeVar("_Done", Placed, Removed)


def place(
    root: FollowedRoot,
    targets: Sequence[Target],
    *,
    on_swapped: Callable[[NodeId], None] | None = None,
) -> list[Placed | NotPlaced]:
    """Put a batch of temporary files where they belong; the answers are in the order of `targets`.

    on_swapped: told of each node as it stands under its name, before anything is synced.
    What is Placed is on the disk for good and may be agreed.  Of what is NotPlaced no temporary file is left.
    """
    root.look_afresh()
    try:
        _sync_temporaries(root, targets)
        ready = [_prepare(root, target) for target in targets]
        announce(root, (one.line for one in ready if isinstance(one, _Ready) and one.line))
    except OSError as error:
        return _none(root, targets, error)
    results: list[Placed | NotPlaced] = []
    for one in ready:
        result = one if isinstance(one, NotPlaced) else _put(root, one)
        if isinstance(result, NotPlaced):
            discard(root, result.node)
        elif on_swapped is not None:
            on_swapped(result.node)
        results.append(result)
    changed = [target.parts[:-1] for target in targets]
    if any(isinstance(one, _Ready) and one.line for one in ready):
        changed.append(TMP)  # or a power cut brings back a `.swap` of which no intent is left
    try:
        _sync_names(root, changed)
    except OSError as error:
        return _none(root, targets, error)
    return results


class _Ready(Value):
    """ours: the temporary file.  line: where the one it replaces will lie in the trash."""

    target: Target
    ours: Fingerprint
    line: Trashed | None


def _sync_temporaries(root: FollowedRoot, targets: Sequence[Target]) -> None:
    if len(targets) > MANY:
        root.sync()
        return
    tmp = root.tmp()
    for target in targets:
        if target.content.kind is Kind.FILE:
            try:
                handle = os.open(tmp_name(target.node), os.O_RDONLY | os.O_NOFOLLOW, dir_fd=tmp)
            except FileNotFoundError:  # `_prepare` says so
                continue
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _prepare(root: FollowedRoot, target: Target) -> _Ready | NotPlaced:
    """Look at both files; nothing is touched but the temporary one."""
    try:
        ours = look(root.tmp(), tmp_name(target.node))
        if ours is None:
            return NotPlaced(target.node, "no-content", "Its content was not fetched. It is fetched again.")
        if target.expected is None:
            return _Ready(target, ours, None)
        seen = look(root.folder_fd(target.parts[:-1]), root.spell(target.parts[-1]))
        if seen is None or not untouched(target.expected, seen):
            return _changed(target.node)
        ours = _like(root, target, ours, seen)
        return _Ready(target, ours, announced(target.parts, seen, Why.REPLACED, _now_ms()))
    except OSError as error:
        return refused(target.node, error)


def _like(root: FollowedRoot, target: Target, ours: Fingerprint, seen: Fingerprint) -> Fingerprint:
    """Give the new file the rights of the one it replaces; only the x-bit comes from the server."""
    if not (stat.S_ISREG(seen.mode) and stat.S_ISREG(ours.mode)):
        return ours
    mode = seen.mode & 0o666
    if target.content.executable:
        mode |= (mode & 0o444) >> 2
    if mode == stat.S_IMODE(ours.mode):
        return ours
    os.chmod(tmp_name(target.node), mode, dir_fd=root.tmp())
    return replace(ours, mode=stat.S_IFMT(ours.mode) | mode)


def _put(root: FollowedRoot, ready: _Ready) -> Placed | NotPlaced:
    target, ours = ready.target, ready.ours
    name = root.spell(target.parts[-1])
    try:
        folder = root.folder_fd(target.parts[:-1])
        if target.expected is None or ready.line is None:
            rename_noreplace(root.tmp(), tmp_name(target.node), folder, name)
        elif not _swap(root, target, target.expected, ours):
            return _changed(target.node)
        else:
            trash = root.trash()
            os.rename(tmp_name(target.node) + SWAP, ready.line.name, src_dir_fd=root.tmp(), dst_dir_fd=trash)
        seen = look(folder, name)
    except OSError as error:
        return refused(target.node, error)
    if seen is None or not same_bytes(ours, seen):  # touched already: the next scan must see a difference
        return Placed(target.node, ours, ready.line)
    if placed_too_young(seen, time.time_ns()):
        seen = replace(seen, ctime_ns=0)
    return Placed(target.node, seen, ready.line)


def _swap(root: FollowedRoot, target: Target, expected: Fingerprint, ours: Fingerprint) -> bool:
    """True: ours stands there, what was expected is in the `.swap`.  False: all is as the user left it."""
    tmp, folder, name = root.tmp(), root.folder_fd(target.parts[:-1]), root.spell(target.parts[-1])
    temporary = tmp_name(target.node)
    swap = temporary + SWAP
    rename_noreplace(tmp, temporary, tmp, swap)  # one that is there already may be an edit: `recover` first
    try:
        exchange(tmp, swap, folder, name)
    except FileNotFoundError:
        os.rename(swap, temporary, src_dir_fd=tmp, dst_dir_fd=tmp)
        return False
    came_out = look(tmp, swap)
    if came_out is not None and _is_what_was_read(tmp, swap, came_out, expected, target.holds):
        return True
    exchange(tmp, swap, folder, name)
    back = look(tmp, swap)
    if back is not None and same_bytes(ours, back):  # it stood there for a moment: a program may have it open
        line = announced(target.parts, back, Why.RECOVERED, _now_ms())
        announce(root, [line])
        os.rename(swap, line.name, src_dir_fd=tmp, dst_dir_fd=root.trash())
    return False  # else a second edit came between: it stays a `.swap`, and `recover` brings it back


def _is_what_was_read(
    folder: int, name: str, seen: Fingerprint, expected: Fingerprint, holds: Content | None
) -> bool:
    """Of what was read within the tick of the clock in which it was written, a later edit shows in its bytes alone."""
    if not same_bytes(expected, seen):
        return False
    return expected.ctime_ns != 0 or holds is None or still_holds(folder, name, holds)


def _none(root: FollowedRoot, targets: Iterable[Target], error: OSError) -> list[Placed | NotPlaced]:
    """A failed sync: whatever is on the disk now, nothing of the batch may be believed."""
    results: list[Placed | NotPlaced] = []
    for target in targets:
        discard(root, target.node)
        results.append(refused(target.node, error))
    return results


# ---- folders, moves, removals ----------------------------------------------------------------------------


def make_folders(root: FollowedRoot, folders: Sequence[tuple[NodeId, Parts]]) -> list[Placed | NotPlaced]:
    """Make these folders, parents first.  "exists" also where a folder stands: the next scan tells which."""
    root.look_afresh()
    results: list[Placed | NotPlaced] = []
    for node, parts in folders:
        try:
            folder = root.folder_fd(parts[:-1])
            name = root.spell(parts[-1])
            os.mkdir(name, dir_fd=folder)
            seen = look(folder, name)
        except OSError as error:
            results.append(refused(node, error))
        else:
            results.append(_changed(node) if seen is None else Placed(node, seen))
    return _synced(root, [parts for _, parts in folders], results)


def relocate(
    root: FollowedRoot,
    source_parts: Parts,
    target_parts: Parts,
    expected: Fingerprint,
    *,
    sync: bool = True,
) -> Fingerprint | NotPlaced:
    """Rename or move a file or folder, if it is still `expected` and nothing stands at the target.

    sync: make it last.  Who moves many says False and calls `root.sync()` after the last one.
    """
    root.look_afresh()
    try:
        root.tmp()  # where parked nodes wait
        source = os.dup(root.folder_fd(source_parts[:-1]))
        try:
            target = root.folder_fd(target_parts[:-1])
            moved = _move(
                source, root.spell(source_parts[-1]), target, root.spell(target_parts[-1]), expected
            )
            if moved is not None and sync:
                os.fsync(source)
                os.fsync(target)
        finally:
            os.close(source)
    except OSError as error:
        return refused(NO_NODE, error)
    finally:
        root.look_afresh()
    if moved is None:
        return _changed(NO_NODE)
    if expected.ctime_ns == 0 and not stat.S_ISDIR(moved.mode):
        return replace(moved, ctime_ns=0)
    return moved


def _move(source: int, name: str, target: int, new_name: str, expected: Fingerprint) -> Fingerprint | None:
    """None: it was not what was expected, and is left (or put back) where it was."""
    seen = look(source, name)
    if seen is None or not untouched(expected, seen):
        return None
    try:
        rename_noreplace(source, name, target, new_name)
    except FileExistsError:
        if not _is_own_twin(source, name, target, new_name):
            raise
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    moved = look(target, new_name)
    if moved is not None and same_bytes(expected, moved):
        return moved
    if moved is not None and not same_thing(expected, moved):  # another file was put there just now
        rename_noreplace(target, new_name, source, name)
    return None


def _is_own_twin(source: int, name: str, target: int, new_name: str) -> bool:
    """What stands there is the very file that is to be renamed, known to a case-blind disk by either name.

    Its listing tells: inode numbers of such a disk may differ from name to name.
    """
    if name_key(name) != name_key(new_name) or not os.path.samestat(os.fstat(source), os.fstat(target)):
        return False
    standing = os.listdir(target)
    return name in standing and new_name not in standing


def remove(
    root: FollowedRoot,
    parts: Parts,
    expected: Fingerprint,
    kind: Kind,  # noqa: ARG001  # the fingerprint says it too; callers read better with it
) -> Removed | NotPlaced:
    """`remove_all` for one."""
    return remove_all(root, [Removal(NO_NODE, parts, expected)])[0]


def remove_all(root: FollowedRoot, removals: Sequence[Removal]) -> list[Removed | NotPlaced]:
    """Files go to the trash if they still are as expected; folders go only if they are empty."""
    root.look_afresh()
    lines = [
        None
        if stat.S_ISDIR(removal.expected.mode)
        else announced(removal.parts, removal.expected, Why.REMOVED, _now_ms())
        for removal in removals
    ]
    try:
        announce(root, (line for line in lines if line is not None))
    except OSError as error:
        return [refused(removal.node, error) for removal in removals]
    results = [_remove(root, one, line) for one, line in zip(removals, lines, strict=True)]
    return _synced(root, [removal.parts for removal in removals], results)


def _remove(root: FollowedRoot, removal: Removal, line: Trashed | None) -> Removed | NotPlaced:
    name = root.spell(removal.parts[-1])
    try:
        folder = root.folder_fd(removal.parts[:-1])
        seen = look(folder, name)
        if seen is None or not untouched(removal.expected, seen):
            return _changed(removal.node)
        if line is None:
            os.rmdir(name, dir_fd=folder)
            root.look_afresh()
            return Removed(removal.node, None)
        trash = root.trash()
        rename_noreplace(folder, name, trash, line.name)
        came_out = look(trash, line.name)
        if came_out is not None and not _is_what_was_read(
            trash, line.name, came_out, removal.expected, removal.holds
        ):
            rename_noreplace(trash, line.name, folder, name)  # taken meanwhile: it stays in the trash, listed
            return _changed(removal.node)
    except OSError as error:
        return refused(removal.node, error)
    return Removed(removal.node, line)


def _synced(
    root: FollowedRoot, paths: Iterable[Parts], results: list[_Done | NotPlaced]
) -> list[_Done | NotPlaced]:
    try:
        _sync_names(root, [parts[:-1] for parts in paths])
    except OSError as error:
        return [refused(result.node, error) for result in results]
    return results


def _sync_names(root: FollowedRoot, folders: Sequence[Parts]) -> None:
    """What was renamed in these folders is on the disk; of few, each folder by itself."""
    if len(folders) > MANY:
        root.sync()
        return
    for parts in dict.fromkeys(folders):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # removed after its last child
            os.fsync(root.folder_fd(parts))


def _changed(node: NodeId) -> NotPlaced:
    return NotPlaced(node, "changed", "It changed on this computer just now. It is looked at again.")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
