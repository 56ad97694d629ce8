"""A row of the trees as bytes.

Owns: the layout.  May import: msgspec, protocol, engine.trees.

Three flat tuples in MessagePack: half the size and a fraction of the time of named fields.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import msgpack

from protocol.ids import NodeId
from protocol.messages import Kind, Revision
from sync_client.engine.trees import Agreed, Content, Fingerprint, Local, Place, Remote, Row

_ROW_FORMAT = 1  # the first item: the version of this layout
_encode = msgpack.Encoder(uuid_format="bytes").encode
_decode = msgpack.Decoder().decode
_FOLDER = Content(Kind.FOLDER)


class RowDamaged(sqlite3.DatabaseError):
    """SQLite gave the bytes, and they are none of ours."""

    sqlite_errorname = "SQLITE_CORRUPT"


def pack(row: Row) -> bytes:
    remote, local, agreed = row.remote, row.local, row.agreed
    return _encode(
        (
            _ROW_FORMAT,
            remote
            and (
                *_place_fields(remote.place),
                *_revision_fields(remote),
                remote.conflict_of,
                *_content_fields(remote.content),
            ),
            local
            and (
                *_place_fields(local.place),
                *_fingerprint_fields(local.fingerprint),
                local.conflict_of,
                *(_content_fields(local.content) if local.content else ()),
            ),
            agreed
            and (*_place_fields(agreed.place), *_revision_fields(agreed), *_content_fields(agreed.content)),
        )
    )


def _place_fields(place: Place) -> tuple[object, ...]:
    return (place.parent.bytes, place.name)


def _revision_fields(seen: Remote | Agreed) -> tuple[object, ...]:
    place, content = seen.place_revision, seen.content_revision
    return (place.epoch, place.number, content.epoch, content.number)


def _content_fields(content: Content) -> tuple[object, ...]:
    return (content.kind.value, content.digest, content.size, content.executable, content.mtime_ns)


def _fingerprint_fields(seen: Fingerprint) -> tuple[object, ...]:
    return (seen.device, seen.inode, seen.birth_ns, seen.size, seen.mtime_ns, seen.ctime_ns, seen.mode)


def unpack(node: NodeId, data: bytes) -> Row:
    """Raises RowDamaged: these are not bytes that `pack` made."""
    try:
        return _unpack(node, data)
    except (msgspec.DecodeError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise RowDamaged("a row is damaged") from error


def _unpack(node: NodeId, data: bytes) -> Row:
    _, remote, local, agreed = _decode(data)
    return Row(
        node,
        remote
        and Remote(
            _place(remote[0], remote[1]),
            _content(remote[7:]),
            Revision(remote[2], remote[3]),
            Revision(remote[4], remote[5]),
            NodeId(UUID(bytes=remote[6])) if remote[6] else None,
        ),
        local
        and Local(
            _place(local[0], local[1]),
            _content(local[10:]) if len(local) > 10 else None,
            Fingerprint(*local[2:9]),
            NodeId(UUID(bytes=local[9])) if local[9] else None,
        ),
        agreed
        and Agreed(
            _place(agreed[0], agreed[1]),
            _content(agreed[6:]),
            Revision(agreed[2], agreed[3]),
            Revision(agreed[4], agreed[5]),
        ),
    )


def _place(parent: bytes, name: str) -> Place:
    return Place(NodeId(UUID(bytes=parent)), name)


def _content(fields: Sequence[object]) -> Content:
    kind, digest, size, executable, mtime_ns = fields
    if kind == "folder":
        return _FOLDER
    return Content(Kind(kind), digest, size, executable, mtime_ns)  # type: ignore[arg-type]  # as `pack` wrote them
