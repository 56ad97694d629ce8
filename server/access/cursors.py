"""Positions in a feed, sealed: text for everyone but this server.

Owns: what a cursor holds, its format (version 3), sealing and opening it.
May import: cryptography, protocol.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.errors import BadRequest
from protocol.ids import Cursor, ViewId

CURSOR_KEY_INFO = b"mb-cursor-key-1"  # what the store's keys derive the sealing key for
_VERSION = b"\x03"
_NONCE_BYTES = 12
_MARK = b"mb-cursor-1"
_NUMBER_MARK = b"mb-log-place-1"
_EARLIER = {
    b"\x01": b"\x01\x00",
    b"\x02": b"\x00",
}  # of clients that were away since: what these cursors lack
_INSIDE = struct.Struct("<IQQQ16s??")
_MAX_TEXT = 200
_NO_NODE = bytes(16)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a client has read.

    stamp: everything up to here was sent.  listing: the stamp at which the first listing began; tombstones
    up to there are not worth sending.  arrival_stamp, arrival_after: inside the listing of the subtree that
    arrived at this stamp, everything up to this node was sent; zero when not inside one.  with_contents: the
    reader had the right to contents when its listing began.  begun: it did begin, though the space was empty, so
    from now on tombstones are worth sending.
    """

    epoch: int = 0
    stamp: int = 0
    listing: int = 0
    arrival_stamp: int = 0
    arrival_after: bytes = _NO_NODE
    with_contents: bool = True
    begun: bool = False

    def of_epoch(self, epoch: int) -> Position:
        return replace(self, epoch=epoch)

    @property
    def is_start(self) -> bool:
        return self.stamp == 0 and not self.begun


START = Position()


class Cursors:
    """Seals and opens.  key: 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, view: ViewId, position: Position) -> Cursor:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        inside = _INSIDE.pack(
            position.epoch,
            position.stamp,
            position.listing,
            position.arrival_stamp,
            position.arrival_after,
            position.with_contents,
            position.begun,
        )
        sealed = _VERSION + nonce + self._cipher.encrypt(nonce, inside, _MARK + view.bytes)
        return Cursor(base64.urlsafe_b64encode(sealed).rstrip(b"=").decode())

    def open(self, view: ViewId, text: str) -> Position | None:
        """None for "", the start, which is of every epoch.

        Raises BadRequest: not made by this server for this view, or altered.
        """
        if not text:
            return None
        try:
            return self._open(view, text)
        except (binascii.Error, ValueError, InvalidTag, struct.error) as error:
            raise BadRequest(
                "This cursor was not made by this server for this view",
                hint="Start with the one of GET /views.",
            ) from error

    def seal_number(self, view: ViewId, number: int) -> Cursor:
        """A place in the log, whose numbers would tell how much others do."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, number.to_bytes(8), _NUMBER_MARK + view.bytes)
        return Cursor(base64.urlsafe_b64encode(sealed).rstrip(b"=").decode())

    def open_number(self, view: ViewId, text: str) -> int:
        """0 for "".  Raises BadRequest: not sealed by this server for this view, or altered."""
        if not text:
            return 0
        try:
            sealed = base64.b64decode(
                text[:_MAX_TEXT] + "=" * (-len(text) % 4), altchars=b"-_", validate=True
            )
            nonce, inside = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return int.from_bytes(self._cipher.decrypt(nonce, inside, _NUMBER_MARK + view.bytes))
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise BadRequest(
                "This is no `next` of this server for this view", hint="Leave it out, for the latest."
            ) from error

    def _open(self, view: ViewId, text: str) -> Position:
        sealed = base64.b64decode(text[:_MAX_TEXT] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if sealed[:1] != _VERSION and sealed[:1] not in _EARLIER:
            raise ValueError("a cursor of another version")
        nonce, inside = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        opened = self._cipher.decrypt(nonce, inside, _MARK + view.bytes)
        return Position(*_INSIDE.unpack(opened + _EARLIER.get(sealed[:1], b"")))
