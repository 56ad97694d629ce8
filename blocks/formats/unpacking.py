"""Compressed data, unpacked as a stream within bounds.

Owns: how much a file may unpack to, streams of zlib and gzip of any number of members, exact copying.
May import: the standard library, blocks.formats.

Nothing is ever held whole, so a ratio matters only for what is large: a segmentation of a few kilobytes that unpacks
to some hundred megabytes of zeros is a mask, not a bomb.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO, Protocol

from blocks.formats.cleaned import Held

MOST_UNPACKED_BYTES = 4 << 30
MOST_RATIO = 100
SMALL_BYTES = 512 << 20  # up to here no ratio is a bomb
PIECE_BYTES = 1 << 20


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Unpacked:
    """The bytes inside `file`, which is zlib or gzip from where it stands now.  Raises Held while it is read."""

    def __init__(self, file: BinaryIO, *, size_bytes: int) -> None:
        """size_bytes: of the packed data, as the disk says."""
        self._file = file
        self._left = min(MOST_UNPACKED_BYTES, max(SMALL_BYTES, size_bytes * MOST_RATIO))
        self._inflate = zlib.decompressobj(47)  # the header says which of the two
        self._packed = b""
        self._has_ended = False

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none: this is the end, and every check sum was right."""
        while not self._has_ended and size > 0:
            if self._inflate.eof and not self._next_member():
                break
            self._packed = self._packed or self._file.read(PIECE_BYTES)
            if not self._packed:
                raise Held("cut-short", "The packed data end before all of it was there.")
            try:
                data = self._inflate.decompress(self._packed, size)
            except zlib.error as error:
                raise Held("not-readable", "The packed data are damaged.") from error
            self._packed = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self._left -= len(data)
            if self._left < 0:
                raise Held("too-large", "The file unpacks to more than is allowed.")
            if data:
                return data
        return b""

    def _next_member(self) -> bool:
        """Gzip files may stand one behind another; anything else behind the end is no data."""
        if len(self._packed) < 2:
            self._packed += self._file.read(PIECE_BYTES)
        if self._packed[:2] == b"\x1f\x8b":
            self._inflate = zlib.decompressobj(31)
            return True
        self._has_ended = True
        return False


def read_exactly(source: Readable, count: int) -> bytes:
    """Raises Held: there are fewer."""
    data = bytearray()
    while len(data) < count and (piece := source.read(min(PIECE_BYTES, count - len(data)))):
        data += piece
    if len(data) < count:
        raise Held("wrong-size", "The file is shorter than its header says.")
    return bytes(data)


def copy_exactly(source: Readable, target: Writable, count: int) -> None:
    """Raises Held: there are fewer."""
    while count:
        piece = source.read(min(PIECE_BYTES, count))
        if not piece:
            raise Held("wrong-size", "The file is shorter than its header says.")
        target.write(piece)
        count -= len(piece)


def drain(source: Readable) -> int:
    """To the end, so that damage anywhere shows; how many bytes there were."""
    count = 0
    while piece := source.read(PIECE_BYTES):
        count += len(piece)
    return count


class Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Nowhere:
    """What is written is gone."""

    def write(self, data: bytes, /) -> int:
        return len(data)
