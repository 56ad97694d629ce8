"""What people and scripts read of an account, one struct each: listings, versions, trash, activity, devices.

Owns: their fields.  Conventions and codecs are those of protocol.messages.
May import: msgspec, protocol.
"""

from __future__ import annotations

from uuid import UUID

from protocol.messages import Answer, Kind, Revision


class Version(Answer):
    """One version of a file; the newest first in a list."""

    revision: Revision
    size: int
    mtime_ns: int
    executable: bool
    committed_at_ms: int
    user: str
    device: str
    current: bool


class Versions(Answer):
    node: UUID
    versions: list[Version]


class Trashed(Answer):
    node: UUID
    path: str
    kind: Kind
    size: int
    deleted_at_ms: int
    deleted_by: str
    place_revision: Revision


class Trash(Answer):
    items: list[Trashed]
    next: str = ""


class Listed(Answer):
    """One child in a listing for people."""

    node: UUID
    name: str
    kind: Kind
    size: int
    mtime_ns: int
    content_revision: Revision
    place_revision: Revision


class Listing(Answer):
    path: str
    node: UUID
    items: list[Listed]
    next: str = ""


class Deed(Answer):
    """Something that somebody did, or much of one kind within ten minutes.

    at_ms, since_ms: the last and the first of it.  did: the word of the log.  who: the name of a user, or `code:NAME`.
    path: of what it was done to, from the view's root; of several, the folder that they all lie in; "" where nothing
    is named.  count: of files and folders, or of equal refusals.  result: "done", or why it was refused.
    """

    at_ms: int
    since_ms: int
    did: str
    who: str
    device: str
    path: str
    count: int
    result: str = "done"
    detail: str = ""


class Activity(Answer):
    """next: `before` of the page of what was earlier; empty: there is none.  A short page may have one."""

    items: list[Deed]
    next: str = ""


class Device(Answer):
    device: UUID
    name: str
    created_at_ms: int
    last_seen_at_ms: int
    current: bool
    revoked: bool


class Devices(Answer):
    devices: list[Device]
