"""A space from its beginning: its row, its root, its view.

Owns: making them in the caller's transaction.  May import: sqlalchemy, protocol, server.database.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from protocol.errors import BadRequest, Refused
from protocol.ids import SpaceId, UserId, uuid7
from protocol.limits import MAX_SPACES
from protocol.names import name_key, refusal
from server.database.facts import epoch_of
from server.database.tables import NodeRow, SpaceRow, ViewRow

MAX_NAME_CHARACTERS = 64
NOBODY = bytes(16)


def check_name(name: str, *, of: str) -> None:
    """of: "user", "team", "project".

    Raises BadRequest: a name that could not stand in a path, or that two people would read alike.
    """
    why = refusal(name)
    if why is None and len(name) > MAX_NAME_CHARACTERS:
        why = f"it is longer than {MAX_NAME_CHARACTERS} characters"
    if why is None and (name != name.strip() or not name.isprintable()):
        why = "it begins or ends with a space, or holds a character that does not show"
    if why is not None:
        raise BadRequest(f"{name[:80]!r} cannot be a {of} name: {why}", hint="Choose another one.")


def make_space(
    session: Session,
    kind: str,
    name: str,
    *,
    owner: UserId | None = None,
    folders: Sequence[str] = (),
    now_ms: int,
) -> SpaceId:
    """A new tree and the view of all of it.  name: the view's, such as `/Home`.  folders: to begin with.

    Raises Refused: the server holds as many as it may.
    """
    if session.execute(select(func.count()).select_from(SpaceRow)).scalar_one() >= MAX_SPACES:
        raise Refused(f"The server holds {MAX_SPACES} spaces", hint="Run another server beside it.")
    view, root = fresh_id(now_ms), fresh_id(now_ms)
    epoch = epoch_of(session)
    space = SpaceRow(
        kind=kind,
        root=root.bytes,
        stamp=len(folders),
        purged_stamp=0,
        used_bytes=0,
        created_at_ms=now_ms,
    )
    session.add(space)
    session.flush()  # gives the space its number
    # stamp 0, below every cursor: a root is told by the view, never by the feed
    session.add(_folder(space.id, root, NOBODY, "", stamp=0, epoch=epoch, now_ms=now_ms))
    session.add_all(
        _folder(space.id, fresh_id(now_ms), root.bytes, folder, stamp=stamp, epoch=epoch, now_ms=now_ms)
        for stamp, folder in enumerate(folders, start=1)
    )
    session.add(
        ViewRow(
            id=view.bytes,
            space=space.id,
            root=root.bytes,
            kind=kind,
            name=name,
            owner=None if owner is None else owner.bytes,
            stamp=0,
        )
    )
    session.flush()
    return SpaceId(space.id)


def _folder(
    space: int, node: UUID, parent: bytes, name: str, *, stamp: int, epoch: int, now_ms: int
) -> NodeRow:
    return NodeRow(
        space=space,
        id=node.bytes,
        parent=parent,
        name=name,
        name_key=name_key(name) if name else "",
        kind="folder",
        place_epoch=epoch,
        place_number=1,
        content_epoch=epoch,
        content_number=1,
        place_operation=NOBODY,
        content_operation=NOBODY,
        stamp=stamp,
        changed_at_ms=now_ms,
        changed_by=NOBODY,
        deleted_at_ms=None,
        conflict_of=None,
        conflict_device="",
    )


def fresh_id(now_ms: int) -> UUID:
    return uuid7(now_ms, secrets.randbits(74))
