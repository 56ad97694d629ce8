"""One MetaImage file (.mha) made safe: the lines that say how to read it, the voxels as they were, nothing else.

Owns: the order of steps for one volume, packed or not, and what is told of it.
May import: the standard library, blocks.formats.

A header whose voxels lie in another file (.mhd) is held back: a block sees one file at a time, and the other one
alone cannot be told from any other bytes.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from blocks.formats.cleaned import Cleaned, Held, Task
from blocks.formats.metaimage import MOST_HEADER_BYTES, Header, read_header
from blocks.formats.unpacking import Unpacked, copy_exactly, drain
from blocks.formats.volumes import PICTURE, face_risk, volume_labels


def clean_metaimage(source: Path, target: Path, task: Task) -> Cleaned:
    """Writes `target`.  Raises Held: nothing of this file can be made safe."""
    size_bytes = source.stat().st_size
    with source.open("rb") as file:
        header = read_header(file.read(MOST_HEADER_BYTES))
        file.seek(header.size)
        if header.is_packed:
            behind = _pack_again(file, size_bytes - header.size, header, target)
        else:
            if header.size + header.voxel_bytes > size_bytes:
                raise Held("wrong-size", "The file is shorter than its header says.")
            with target.open("wb") as out:
                out.write(header.as_bytes(packed_bytes=None))
                copy_exactly(file, out, header.voxel_bytes)
            behind = size_bytes - header.size - header.voxel_bytes
    return _told(task, header, behind=behind)


def _pack_again(file: BinaryIO, size_bytes: int, header: Header, target: Path) -> int:
    """The voxels, packed by us: in the stream of another there may stand more than voxels.  What was behind them."""
    unpacked = Unpacked(file, size_bytes=size_bytes)
    packed = target.with_name(target.name + ".packed")
    try:
        with packed.open("w+b") as between:
            deflate = _Deflating(between)
            copy_exactly(unpacked, deflate, header.voxel_bytes)
            deflate.finish()
            behind = drain(unpacked)
            packed_bytes = between.tell()
            between.seek(0)
            with target.open("wb") as out:
                out.write(header.as_bytes(packed_bytes=packed_bytes))
                copy_exactly(between, out, packed_bytes)
    finally:
        packed.unlink(missing_ok=True)
    return behind + (int(header.values.get("CompressedDataSize", size_bytes)) != size_bytes)


class _Deflating:
    def __init__(self, out: BinaryIO) -> None:
        self._out, self._deflate = out, zlib.compressobj(6)

    def write(self, data: bytes, /) -> None:
        self._out.write(self._deflate.compress(data))

    def finish(self) -> None:
        self._out.write(self._deflate.flush())


def _told(task: Task, header: Header, *, behind: int) -> Cleaned:
    cleaned = Cleaned(task.volume_place(".mha"))
    for key in header.removed:
        cleaned.changes[key, "removed"] += 1
    if behind:
        cleaned.changes["behind the voxels", "removed"] += 1
    shape, spacing = header.shape, header.spacing_mm
    cleaned.labels = volume_labels(shape, spacing, rule="metaimage-header")
    if header.channels > 1 or len([length for length in shape[:3] if length > 1]) < 3:
        cleaned.reasons.append(PICTURE)
    cleaned.reasons += face_risk(task.template, shape, spacing)
    return cleaned
