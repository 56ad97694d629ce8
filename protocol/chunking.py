"""Where files are cut into chunks.  Where a chunk ends is protocol: equal bytes are cut alike by everyone.

Owns: the cutter's version and parameters, cutting a buffer, cutting a stream in bounded memory.
May import: protocol; pyfastcdc, and that only when something longer than one chunk is cut.

Where pyfastcdc is not installed (MB-SyncLight, which sends nothing) protocol.plain_cutter cuts the same, slowly.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from protocol.errors import LocalProblem
from protocol.messages import MAX_CHUNK_BYTES
from protocol.plain_cutter import PlainCutter

if TYPE_CHECKING:
    from pyfastcdc import FastCDC

CUTTER = "fastcdc-2020-nc1-256k-1m-4m"
ONE_CHUNK_BYTES = 256 * 1024  # content up to here is one chunk
_AVERAGE_BYTES = 1024 * 1024
_BUFFER_BYTES = 16 * 1024 * 1024

# What the cutter makes of random.Random(7).randbytes(_PROOF_BYTES); more of it in tests/data/cut_points.json.
_PROOF_SEED, _PROOF_BYTES = 7, 3 * 1024 * 1024
_PROOF = [848218, 2257769, 39741]


def cut(data: bytes | bytearray | memoryview) -> list[int]:
    """The lengths of the chunks of `data`, in order; they add up to its length.  Nothing in, nothing out."""
    size = len(data)
    if size <= ONE_CHUNK_BYTES:
        return [size] if size else []
    return [chunk.length for chunk in _tools.cutter().cut_buf(data)]


def iter_chunks(
    read_into: Callable[[memoryview], int | None], *, buffer_bytes: int = _BUFFER_BYTES
) -> Iterator[memoryview]:
    """The chunks of a stream, in order, however long it is: `iter_chunks(file.readinto)`.

    read_into: fills the start of a buffer and tells how many bytes that were, 0 at the end.
    buffer_bytes: twice the longest chunk or more.
    Each view lies in that one buffer and is good until the next one is taken.
    """
    buffer = memoryview(bytearray(buffer_bytes))
    filled = 0
    ended = False
    while not ended:
        while filled < buffer_bytes and not ended:
            count = read_into(buffer[filled:])
            filled += count or 0
            ended = not count
        start = 0
        for length in _lengths(buffer[:filled]):
            if not ended and filled - start < MAX_CHUNK_BYTES:
                break  # what is not read yet may still decide where this chunk ends
            yield buffer[start : start + length]
            start += length
        buffer[: filled - start] = buffer[start:filled]
        filled -= start


def verify_cutter() -> None:
    """For who sends files.  Raises LocalProblem unless the fast cutter is there and cuts as the protocol says."""
    if isinstance(_tools.cutter(), PlainCutter):
        raise LocalProblem(
            "The library that cuts files into chunks (pyfastcdc) is not installed in its compiled form",
            hint='Install Medical-Blocks with its "sync" extra on a platform that pyfastcdc is built for.',
        )


def _lengths(data: memoryview) -> Iterator[int]:
    """As `cut`, one by one, for a caller who may not want them all."""
    if len(data) > ONE_CHUNK_BYTES:
        return (chunk.length for chunk in _tools.cutter().cut_buf(data))
    return iter([len(data)] if data else [])


class _Tools(threading.local):
    """A cutter is not safe to share between threads."""

    def __init__(self) -> None:
        self._cutter: FastCDC | PlainCutter | None = None

    def cutter(self) -> FastCDC | PlainCutter:
        if self._cutter is None:
            self._cutter = _make_cutter()
        return self._cutter


_tools = _Tools()
_proven = threading.Event()  # once in a process is enough


def _make_cutter() -> FastCDC | PlainCutter:
    try:
        from pyfastcdc import cy  # noqa: PLC0415  # only sending needs it, and not every install has it
    except ImportError:
        return PlainCutter(_AVERAGE_BYTES, min_size=ONE_CHUNK_BYTES, max_size=MAX_CHUNK_BYTES)
    cutter: FastCDC = cy.FastCDC(
        _AVERAGE_BYTES,
        min_size=ONE_CHUNK_BYTES,
        max_size=MAX_CHUNK_BYTES,
        normalized_chunking=1,
        seed=0,
    )
    if not _proven.is_set():
        proof = random.Random(_PROOF_SEED).randbytes(_PROOF_BYTES)  # noqa: S311  # test data, no secret
        if [chunk.length for chunk in cutter.cut_buf(proof)] != _PROOF:
            raise LocalProblem(
                f"The library that cuts files into chunks does not cut as {CUTTER} says",
                hint="Reinstall Medical-Blocks: another version of pyfastcdc was put in its place.",
            )
        _proven.set()
    return cutter
