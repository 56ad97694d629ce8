"""Rows of the log, written in the transaction of what they record.

Owns: what a row says, how it names many nodes, the words for what was done.
May import: sqlalchemy, protocol, server.database.

One row tells of one request, however many files it names: their ids and versions stand packed in `nodes`.  Names
of files are never in a row: they may be patients' names, and the tree knows them for as long as it keeps them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from server.database.session import insert_rows
from server.database.tables import AuditRow

SERVER = 0  # the chain of what belongs to no space
NODE_BYTES = 16 + 4 + 8
MAX_DETAIL = 400
_PACKED = struct.Struct("<16sIQ")


class Did(StrEnum):
    """The word for what was done.  A change of data first, then a look at it, then rights, then the server."""

    IMPORT = "import"  # new files and folders
    CHANGE = "change"  # new contents
    MOVE = "move"
    DELETE = "delete"
    RESTORE = "restore"
    COPY = "copy"
    PUT_BACK = "put-back"
    RESOLVE = "resolve"
    READ = "read"  # bytes, by a client that syncs
    FIND = "find"  # in the catalog
    DOWNLOAD = "download"  # a file, by a browser
    SHARE = "share"
    UNSHARE = "unshare"
    CODE = "code"
    LOOK = "look"  # at what a block held back
    RELEASE = "release"
    REJECT = "reject"
    RETRY = "retry"
    WITHDRAW = "withdraw"
    RULE = "rule"  # which blocks work on a folder
    COHORT = "cohort"  # folders that fill themselves
    LABEL = "label"  # what people say of files, and what they may say
    LOGIN = "login"
    LOGOUT = "logout"
    REVOKE_DEVICE = "revoke-device"
    ASK = "ask"  # what was not granted
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Came:
    """Where a request came from."""

    address: str = ""
    request: str = ""


NOWHERE = Came()
OPERATOR = Came(address="operator")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row before it has its number.  nodes: packed by `pack_nodes`.  count: of nodes, or of equal denials."""

    at_ms: int
    did: Did
    space: int = SERVER
    result: str = "done"
    actor: UUID | None = None
    device: UUID | None = None
    came: Came = NOWHERE
    detail: str = ""
    count: int = 1
    nodes: bytes = b""


def record(session: Session, entries: Sequence[Entry]) -> None:
    """To be said in the transaction that does it.  A row that was written is never changed."""
    insert_rows(
        session,
        AuditRow,
        [
            (
                None,  # the next number
                entry.at_ms,
                entry.space,
                entry.did.value,
                entry.result,
                None if entry.actor is None else entry.actor.bytes,
                None if entry.device is None else entry.device.bytes,
                entry.came.address,
                entry.came.request,
                entry.detail[:MAX_DETAIL],
                entry.count,
                entry.nodes,
            )
            for entry in entries
        ],
    )


def operated(session: Session, words: str, *, now_ms: int) -> None:
    """What an operator's command did, in its own words: no secret, no name of a file."""
    record(session, [Entry(now_ms, Did.OPERATE, came=OPERATOR, detail=words)])


def pack_nodes(named: Iterable[tuple[bytes, int, int]]) -> bytes:
    """(node, epoch, number) each; the epoch 0 says that no version is meant."""
    pack = _PACKED.pack
    return b"".join([pack(*name) for name in named])


def unpack_nodes(packed: bytes) -> Iterator[tuple[bytes, int, int]]:
    return _PACKED.iter_unpack(packed)
