"""What the server tells a person, one struct each: what waits for them, and what they should know.

Owns: their fields.  Conventions and codecs are those of protocol.messages.
May import: msgspec, protocol.
"""

from __future__ import annotations

from uuid import UUID

from protocol.messages import Answer


class Notice(Answer):
    """One thing.

    kind: "review" (files that a block held back) and "failed" (files that it could not work on) are for whoever may
    review in `folder`, a remote path; "device" (one that waits to be let in) and "code" (one that used a sync code for
    the first time) are for whoever made it, and `folder` is the name of what it opens.  count: of files.  at_ms: of the
    latest.  device: its id in the list of codes, with its name and address as they were when it redeemed.
    """

    kind: str
    folder: str
    count: int = 1
    at_ms: int = 0
    code: str = ""
    label: str = ""
    device: UUID | None = None
    device_name: str = ""
    address: str = ""


class Notices(Answer):
    notices: list[Notice]
