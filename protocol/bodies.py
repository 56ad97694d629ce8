"""How the body of a message crosses the wire: as it is, or made smaller.

Owns: the content coding (zstd), from which size on it is tried, the limit that holds before memory is taken.
May import: zstandard, protocol.errors, protocol.limits.

Frame streams travel as they are: their chunks are compressed one by one.
"""

from __future__ import annotations

import threading

import zstandard

from protocol.errors import BadRequest, TooLarge
from protocol.limits import MAX_ZSTD_WINDOW_BYTES

ZSTD = "zstd"  # in Content-Encoding and Accept-Encoding
PLAIN = "identity"
WORTH_BYTES = 512  # a shorter body fits into one packet anyway
_LEVEL = 1


class _Tools(threading.local):
    """zstd's objects are costly to make and not safe to share between threads."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)


_tools = _Tools()


def accepts_zstd(accept_encoding: str) -> bool:
    """Whether this header of a request allows a zstd answer: it must name it, and not with the weight zero."""
    for item in accept_encoding.lower().split(","):
        name, _, weight = (part.strip() for part in item.partition(";"))
        if name == ZSTD:
            return weight.replace(" ", "").rstrip("0") not in {"q=", "q=0."}
    return False


def shrunk(body: bytes) -> bytes | None:
    """`body` in zstd; None if it is short, or would not become smaller."""
    if len(body) < WORTH_BYTES:
        return None
    smaller = _tools.compressor.compress(body)
    return smaller if len(smaller) < len(body) else None


def expanded(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """What the sender had before coding it.  encoding: the Content-Encoding, "" if there was none.

    Raises TooLarge: it says that it holds more than `max_bytes`.  Raises BadRequest: another coding, or not one
    whole zstd frame that says its size.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", PLAIN}:
        return body
    if encoding != ZSTD:
        raise unknown_encoding(encoding)
    try:
        size = zstandard.get_frame_parameters(body).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN:
            raise BadRequest(
                "The zstd body does not say how long it will be",
                hint="Send one zstd frame that has its content size in its header.",
            )
        if size > max_bytes:
            raise too_large(max_bytes)
        return _tools.decompressor.decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadRequest(
            f"The body is no zstd frame ({error})", hint="Send one whole zstd frame, or no Content-Encoding."
        ) from error


def unknown_encoding(encoding: str) -> BadRequest:
    return BadRequest(
        f"The body has the Content-Encoding {encoding[:30]!r}",
        hint=f"Messages may come in {ZSTD} or as they are, streams as they are only.",
    )


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"The body has more than {max_bytes} bytes",
        hint="Send less at once; GET /hello has the limits.",
    )
