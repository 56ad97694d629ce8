"""Which chunks are held, in little memory.

Owns: a set that may err on one side only.  May import: protocol.

Two bits a chunk in a table of 32 bits or more for each: of a million dead chunks some four thousand are taken for
held, other ones at the next run.  A held chunk is never taken for dead.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from protocol.ids import CHUNK_ID_BYTES

_BITS_EACH = 32
_LEAST_BITS = 1 << 20


class Marks:
    """expected: how many chunks there may be."""

    def __init__(self, expected: int) -> None:
        bits = max(_LEAST_BITS, 1 << (expected * _BITS_EACH).bit_length())
        self._mask = bits - 1
        self._table = bytearray(bits // 8)
        self._at = secrets.randbelow(CHUNK_ID_BYTES - 16 + 1)  # of the 16 bytes of an id that are looked at

    def add(self, chunks: Iterable[bytes]) -> None:
        table = self._table
        for chunk in chunks:
            one, two = self._bits(chunk)
            table[one >> 3] |= 1 << (one & 7)
            table[two >> 3] |= 1 << (two & 7)

    def __contains__(self, chunk: bytes) -> bool:
        one, two = self._bits(chunk)
        table = self._table
        return bool(table[one >> 3] >> (one & 7) & 1 and table[two >> 3] >> (two & 7) & 1)

    def _bits(self, chunk: bytes) -> tuple[int, int]:
        seen = int.from_bytes(chunk[self._at : self._at + 16], "little")
        return seen & self._mask, seen >> 64 & self._mask
