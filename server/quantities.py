"""Spans of time and amounts of bytes, as an operator writes them: `90s`, `24h`, `30d`, `500M`, `1.5T`.

Owns: reading and saying them.  May import: protocol.
"""

from __future__ import annotations

import re

from protocol.errors import BadRequest

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MAX_SECONDS = 1_000 * 365 * 86_400
_MAX_BYTES = 1 << 60


def parse_span(text: str) -> int:
    """In seconds.  Raises BadRequest."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip(), re.ASCII)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else _MAX_SECONDS + 1
    if seconds > _MAX_SECONDS:
        raise BadRequest(
            f"{text[:30]!r} is no span of time", hint="Write a number with s, m, h, d or w: 30d."
        )
    return seconds


def parse_bytes(text: str) -> int:
    """Raises BadRequest."""
    found = re.fullmatch(r"(\d{1,18})(\.\d{1,3})?\s*([KMGT]?)(?:I?B)?", text.strip().upper(), re.ASCII)
    size = int(float(found[1] + (found[2] or "")) * _BYTES[found[3]]) if found else _MAX_BYTES + 1
    if size > _MAX_BYTES:
        raise BadRequest(
            f"{text[:30]!r} is no amount of bytes", hint="Write a number with K, M, G or T: 50G."
        )
    return size


def parse_quota(text: str) -> int | None:
    """`none` is no limit.  Raises BadRequest."""
    return None if text.strip().lower() == "none" else parse_bytes(text)


def say_bytes(size: int) -> str:
    """`3.4 GiB`, for people."""
    amount, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1_024:
            break
        amount, unit = amount / 1_024, larger
    return f"{size} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def say_span(seconds: int) -> str:
    """The shortest that `parse_span` reads back: 86400 is `1d`."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"
