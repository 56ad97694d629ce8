"""HTTP's small print for one file: ranges, entity tags, names in headers.  Pure.

Owns: what RFC 9110 (sections 13 and 14) and RFC 6266 ask of `GET files`.  May import: the standard library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `first` up to, not including, `end`."""

    first: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.first


class Unsatisfiable(ValueError):
    """A range that lies beyond the file: status 416."""


def asked_range(header: str | None, size: int) -> Span | None:
    """The one range that `header` asks for; None: no range, so the whole file.

    Several ranges, another unit or a broken header mean the whole file, as RFC 9110 section 14.2 allows.
    Raises Unsatisfiable: nothing of the file lies in it.
    """
    found = re.fullmatch(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", header or "", re.ASCII)
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":  # the last n bytes
        last = int(found[2])
        if last == 0 or size == 0:
            raise Unsatisfiable
        return Span(max(0, size - last), size)
    first = int(found[1])
    if found[2] and int(found[2]) < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return Span(first, min(size, int(found[2]) + 1) if found[2] else size)


def matches(header: str | None, etag: str) -> bool:
    """Whether If-None-Match (weak comparison) names `etag`, which comes with its quotes."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return etag in re.findall(r'"[^"]*"', header)


def attachment(name: str) -> str:
    """Content-Disposition for a download called `name`: an ASCII fallback, and the true name (RFC 5987)."""
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def overlap(lengths: list[int], span: Span) -> tuple[int, int, int]:
    """The chunks that hold `span`: index of the first, index after the last, bytes to skip in the first."""
    begin = at = 0
    while begin < len(lengths) and at + lengths[begin] <= span.first:
        at += lengths[begin]
        begin += 1
    skip = span.first - at
    end = begin
    while end < len(lengths) and at < span.end:
        at += lengths[end]
        end += 1
    return begin, end, skip
