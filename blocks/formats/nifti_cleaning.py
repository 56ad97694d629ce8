"""One NIfTI file made safe: a new header of its numbers, the voxels as they were, and nothing else.

Owns: the order of steps for one volume, plain or gzipped, and what is told of it.
May import: the standard library, blocks.formats.

No text of the header stays, no extension, nothing behind the voxels, nothing of gzip's own header: there is no list
of what is harmless in them, because nothing there is needed to read the volume.
"""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from blocks.formats.cleaned import Cleaned, Held, Task
from blocks.formats.nifti import COLOURS, MOST_HEADER_BYTES, Header, read_header
from blocks.formats.unpacking import Nowhere, Readable, Unpacked, copy_exactly, drain
from blocks.formats.volumes import PICTURE, face_risk, volume_labels

MOST_EXTENSION_BYTES = 256 << 20


def clean_nifti(source: Path, target: Path, task: Task) -> Cleaned:
    """Writes `target`.  Raises Held: nothing of this file can be made safe."""
    size_bytes = source.stat().st_size
    with ExitStack() as open_files:
        file = open_files.enter_context(source.open("rb"))
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        packed = Unpacked(file, size_bytes=size_bytes) if is_packed else None
        reader: Readable = packed or file
        head = _beginning(reader)
        header = read_header(head)
        if not is_packed and header.voxels_at + header.voxel_bytes > size_bytes:
            raise Held("wrong-size", "The file is shorter than its header says.")
        gap = header.voxels_at - len(head)
        if gap > MOST_EXTENSION_BYTES:
            raise Held(
                "too-large", "What stands between its header and its voxels is larger than is allowed."
            )
        out: BinaryIO = open_files.enter_context(target.open("wb"))
        if is_packed:  # no name, no time, always the same bytes
            new = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0)
            out = cast(BinaryIO, open_files.enter_context(new))
        out.write(header.as_bytes())
        copy_exactly(reader, Nowhere(), max(0, gap))
        early = head[header.voxels_at :][
            : header.voxel_bytes
        ]  # of a NIfTI-1 that is shorter than a NIfTI-2's header
        out.write(early)
        copy_exactly(reader, out, header.voxel_bytes - len(early))
        behind = drain(packed) if packed is not None else size_bytes - header.voxels_at - header.voxel_bytes
        behind += max(0, len(head) - header.voxels_at - len(early))
    return _told(task, header, is_packed=is_packed, behind=behind)


def _beginning(reader: Readable) -> bytes:
    """Enough for either header, or the whole of a smaller file."""
    data = b""
    while len(data) < MOST_HEADER_BYTES and (piece := reader.read(MOST_HEADER_BYTES - len(data))):
        data += piece
    return data


def _told(task: Task, header: Header, *, is_packed: bool, behind: int) -> Cleaned:
    cleaned = Cleaned(task.volume_place(".nii.gz" if is_packed else ".nii"))
    for name in header.texts:
        cleaned.changes[name, "emptied"] += 1
    if header.voxels_at > header.size + 4:
        cleaned.changes["extensions", "removed"] += 1
    if behind > 0:
        cleaned.changes["behind the voxels", "removed"] += 1
    shape, spacing = header.shape, header.spacing_mm
    cleaned.labels = volume_labels(shape, spacing, rule="nifti-header")
    if header.one("datatype") in COLOURS or len([length for length in shape[:3] if length > 1]) < 3:
        cleaned.reasons.append(PICTURE)
    cleaned.reasons += face_risk(task.template, shape, spacing)
    return cleaned
