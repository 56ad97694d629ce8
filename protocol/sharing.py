"""The messages of sharing, one struct each: who sees a folder, and sync codes from their making to their use.

Owns: their fields; the text of a code is in protocol.codes.  Conventions and codecs are those of protocol.messages.
May import: msgspec, protocol.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, field

from protocol import limits
from protocol.messages import Answer, Request


class Redeem(Request):
    """A sync code for a device token.  device: a client home, which counts once however often it redeems; so does a
    browser, which says that it is one and gets no token where whoever made the code did not allow it."""

    code: Annotated[str, Meta(max_length=200)]  # as people pass it on, protocol.codes
    device: UUID
    device_name: Annotated[str, Meta(min_length=1, max_length=100)]
    pin: Annotated[str, Meta(max_length=64)] | None = None
    browser: bool = False


class Redeemed(Answer):
    """`token` is shown this once; it opens one view, to be read.  name: of the folder.  label: what whoever shared it
    wrote to it.  device: the one that redeemed."""

    token: str
    view: UUID
    name: str
    label: str
    shared_by: str
    expires_at_ms: int
    device: UUID


class Share(Request):
    """A role for somebody on a folder and all below it, in place of the one they had there.

    who: `user:NAME`, `team:NAME` or `project:NAME`.  role: "editor", "reader" or "metadata"; on the root of a
    project also "owner".
    """

    who: Annotated[str, Meta(min_length=1, max_length=300)]
    role: Annotated[str, Meta(min_length=1, max_length=20)]


class Seer(Answer):
    """One line of who can see a folder now.

    who: `user:NAME`, `team:NAME`, `project:NAME` or `code:NAME`, a sync code; people: whom that reaches, where it is
    no single user; of a code its label.
    principal: names the grant that can be taken back; None for the owner of a home, who needs none.
    here: it was given on this very folder; else on one above, `on`, as the view sees it: "" is above the view.
    """

    who: str
    role: str
    here: bool
    on: str = ""
    principal: UUID | None = None
    people: list[str] = field(default_factory=list)


class WhoSees(Answer):
    node: UUID
    seers: list[Seer]


class LookAtCode(Request):
    code: Annotated[str, Meta(max_length=200)]


class Download(Answer):
    """A program that the server's operator offers.  size: in bytes."""

    name: str
    size: int
    sha256: str


class CodeShown(Answer):
    """What a whole secret opens, for people; to look uses up no device.  name, label: "" where a PIN is asked for.
    used_up: no further device may redeem it.  browse: a browser may, too."""

    name: str
    label: str
    shared_by: str
    expires_at_ms: int
    pin: bool
    approve: bool
    used_up: bool
    downloads: list[Download]
    browse: bool = False


class NewCode(Request):
    """A sync code for a folder.  seconds: until it expires.  devices: as many may redeem it.  pin: the server makes
    one, to be told by another way.  approve: each device waits until it is let in.  browse: the page behind the link
    lists the files and gives single ones."""

    label: Annotated[str, Meta(max_length=200)] = ""
    seconds: Annotated[int, Meta(ge=1, le=limits.MAX_CODE_SECONDS)] = 30 * 86_400
    devices: Annotated[int, Meta(ge=1, le=limits.MAX_CODE_DEVICES)] = 3
    pin: bool = False
    approve: bool = False
    browse: bool = False


class CodeMade(Answer):
    """`secret` and `pin` are shown this once.  code: its name in lists.  fingerprint: of the authority that whoever
    redeems it should pin, for the link; "" if there is no need."""

    code: str
    secret: str
    expires_at_ms: int
    devices: int
    pin: str = ""
    fingerprint: str = ""


class CodeDevice(Answer):
    """A device that redeemed a code.  read_bytes: what it got.  waiting: it was not let in yet."""

    device: UUID
    name: str
    address: str
    first_used_at_ms: int
    last_used_at_ms: int
    read_bytes: int
    waiting: bool


class SyncCode(Answer):
    """folder: its name; "" if it was deleted.  state: "open", "expired" or "revoked"."""

    code: str
    folder: str
    label: str
    created_at_ms: int
    expires_at_ms: int
    devices_allowed: int
    pin: bool
    approve: bool
    state: str
    devices: list[CodeDevice]
    browse: bool = False


class Codes(Answer):
    codes: list[SyncCode]
