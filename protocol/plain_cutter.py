"""The cutter in plain Python: the same cuts as pyfastcdc's, at a few MB a second, where that is not installed.

Owns: the arithmetic of FastCDC (2020) as `protocol.chunking` asks for it.
May import: the standard library.

Who sends files has the compiled one.  Who only receives them cuts what stands on the disk already, to see whether it
is the same: files that a person changed, or a folder that is followed anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

Buffer = bytes | bytearray | memoryview

# Each value of a byte adds its own number to the rolling sum.  In a sum of which every bit is shifted out after 64
# bytes no mask looks beyond its 48th bit.
_GEAR = tuple(int.from_bytes(hashlib.md5(bytes([value]) * 64).digest()[:8]) for value in range(256))  # noqa: S324 - a table of the algorithm, no secret
_SUM = (1 << 48) - 1
_STRICT, _LOOSE = 0x0000D91767537000, 0x0000D91707537000  # before and after the average length


@dataclass(frozen=True, slots=True)
class Cut:
    length: int


class PlainCutter:
    """average_bytes: 1 MiB, for which the masks are made; all three even."""

    def __init__(self, average_bytes: int, *, min_size: int, max_size: int) -> None:
        self._average, self._least, self._most = average_bytes, min_size, max_size

    def cut_buf(self, data: Buffer) -> Iterator[Cut]:
        view, at = memoryview(data), 0
        while at < len(view):
            length = self._first(view[at : at + self._most])
            yield Cut(length)
            at += length

    def _first(self, data: memoryview) -> int:
        """The length of the first chunk.  The last byte of an odd rest is never asked."""
        size = len(data)
        if size <= self._least:
            return size
        ends = size // 2 * 2
        middle = min(self._average, ends)
        total, gear = 0, _GEAR
        for begins, until, mask in ((self._least, middle, _STRICT), (middle, ends, _LOOSE)):
            for at, value in enumerate(data[begins:until], begins):
                total = ((total << 1) + gear[value]) & _SUM
                if not total & mask:
                    return at
        return size
