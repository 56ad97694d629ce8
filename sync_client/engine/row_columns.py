"""A row of the trees as the columns by which it is found, and the statements that write them.

Owns: which columns a row has, how it is written.  May import: protocol, engine.trees.
"""

from __future__ import annotations

import stat
from typing import NamedTuple

from protocol.messages import Kind
from protocol.names import name_key
from sync_client.engine.trees import Local, Remote, Row

WORTH_COPYING = 16 * 1024  # bytes: a smaller file is fetched faster than found
INT64 = 2**63 - 1  # SQLite has no unsigned integers

SAVE = """
INSERT INTO nodes (folder, node, r_parent, r_key, conflict_of, l_parent, l_key, inode, size, digest, dirty, row)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (folder, node) DO UPDATE SET
    r_parent = excluded.r_parent, r_key = excluded.r_key, conflict_of = excluded.conflict_of,
    l_parent = excluded.l_parent, l_key = excluded.l_key, inode = excluded.inode, size = excluded.size,
    digest = excluded.digest, dirty = excluded.dirty, row = excluded.row
"""
# Touching a column costs a visit to each index it stands in, changed or not: so only what changed is named.
_MARK_AND_ROW = " dirty = ?3, row = ?4 WHERE folder = ?1 AND node = ?2"
SAVE_ROW = "UPDATE nodes SET" + _MARK_AND_ROW
SAVE_REMOTE = "UPDATE nodes SET r_parent = ?5, r_key = ?6, conflict_of = ?7," + _MARK_AND_ROW  # noqa: S608 - our own text
SAVE_LOCAL = (
    "UPDATE nodes SET l_parent = ?5, l_key = ?6, inode = ?7, size = ?8, digest = ?9,"  # noqa: S608 - our own text
    + _MARK_AND_ROW
)

RemoteColumns = tuple[bytes | None, str | None, bytes | None]


class LocalColumns(NamedTuple):
    parent: bytes | None
    key: str | None
    inode: int | None
    size: int | None
    digest: bytes | None


class Stored(NamedTuple):
    """What stands in the columns of a row, as far as anything is found by them."""

    remote: RemoteColumns
    local: LocalColumns
    dirty: int | None


_NOT_HERE = LocalColumns(None, None, None, None, None)


def remote_columns(remote: Remote | None) -> RemoteColumns:
    if remote is None:
        return (None, None, None)
    conflict_of = remote.conflict_of
    return (
        remote.place.parent.bytes,
        name_key(remote.place.name),
        conflict_of.bytes if conflict_of is not None else None,
    )


def local_columns(local: Local | None) -> LocalColumns:
    if local is None:
        return _NOT_HERE
    content, seen = local.content, local.fingerprint
    is_source = content is not None and content.kind is Kind.FILE and content.size >= WORTH_COPYING
    return LocalColumns(
        local.place.parent.bytes,
        name_key(local.place.name),
        seen.inode & INT64,
        None if stat.S_ISDIR(seen.mode) else seen.size,
        content.digest if content is not None and is_source else None,
    )


def is_empty(row: Row) -> bool:
    return row.remote is None and row.local is None and row.agreed is None
