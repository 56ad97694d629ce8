"""The folder of one job: what a block is given, and the outputs that it left.

Owns: writing job.json and in/ from a stored version, reading outputs back as chunks, the digest of them.
May import: the standard library, sqlalchemy, protocol, blocks.contract, server.chunks, server.hooks, server.spaces.

While its job runs, the file of an intake lies in clear in this folder, readable for the server's user alone.  It is
removed when the job ends, and whatever a killed server left is removed at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from blocks.contract.job import IN, KEYS, OUT, InputFile, Job, write_job
from blocks.contract.manifest import Manifest
from blocks.contract.output import open_output
from blocks.contract.result import FileResult, Output, OutputKind
from blocks.contract.sniff import HEAD_BYTES, sniff
from protocol.chunking import cut, iter_chunks
from protocol.frames import Frame, frame_of
from protocol.ids import ChunkId
from protocol.limits import MAX_DIRECT_CHUNKS
from protocol.manifests import write_records
from protocol.messages import Manifest as FileManifest
from server.chunks.store import ChunkStore
from server.hooks.jobs import Leased, are_current
from server.spaces.holdings import resolve
from server.spaces.rows import load_with_ancestors, versions_named

KEY = "project"
_GROUP_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Input:
    """The version that a job works on, as the store has it."""

    size: int
    path: list[str]
    chunks: list[tuple[ChunkId, int]]


def find_inputs(session: Session, store: ChunkStore, batch: Sequence[Leased]) -> dict[int, Input]:
    """Where the bytes of the jobs' versions lie, and each file's path below the rule's folder; by the job's number.

    A job is missing whose file went away, or has a newer version.
    """
    current = are_current(session, batch)
    source = batch[0].rule.source
    names = {
        job.id: (job.node.bytes, job.revision.epoch, job.revision.number)
        for job in batch
        if job.id in current
    }
    versions = versions_named(session, source.space, list(names.values()))
    nodes = load_with_ancestors(session, source.space, [name[0] for name in names.values()])
    found = {}
    for job, name in names.items():
        manifest = versions[name].content.manifest
        path: list[str] = []
        at = nodes[name[0]]
        while at.id != source.node.bytes:
            path.insert(0, at.name)
            at = nodes[at.parent]
        found[job] = Input(manifest.size, path, resolve(session, store, manifest))
    return found


def make_folder(folder: Path) -> None:
    for name in (IN, OUT, KEYS):
        (folder / name).mkdir(parents=True, mode=0o700)


def write_input(session: Session, store: ChunkStore, found: Input, folder: Path, file_name: str) -> str:
    """`in/` and this name, each chunk proven by its id; the kind of file that it is."""
    head = b""
    handle = os.open(folder / IN / file_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        group: list[ChunkId] = []
        waiting = 0
        for chunk, length in found.chunks:
            group.append(chunk)
            waiting += length
            if waiting >= _GROUP_BYTES:
                data = store.read_bytes(session, group)
                head = head or data[:HEAD_BYTES]
                file.write(data)
                group, waiting = [], 0
        data = store.read_bytes(session, group) if group else b""
        head = head or data[:HEAD_BYTES]
        file.write(data)
    return sniff(head)


def write_task(
    folder: Path, batch: Sequence[Leased], manifest: Manifest, files: Sequence[InputFile], key: bytes | None
) -> Job:
    """job.json, and the key of the project where the block is one of ours.  files: of the batch, in its order."""
    keys = {}
    if key is not None:
        handle = os.open(folder / KEYS / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key)
        keys[KEY] = f"{KEYS}/{KEY}"
    task = Job(
        id=str(batch[0].id),
        block=manifest.name,
        version=manifest.version,
        parameters=dict(batch[0].rule.parameters),
        files=list(files),
        keys=keys,
    )
    write_job(folder, task)
    return task


# ---- what it left ----------------------------------------------------------------------------------------


def to_publish(result: FileResult) -> list[Output]:
    return [output for output in result.outputs if output.kind is not OutputKind.REPORT]


def report_of(result: FileResult, folder: Path, *, most: int) -> bytes | None:
    """The block's report on this file, for the people of the source."""
    for output in result.outputs:
        if output.kind is OutputKind.REPORT:
            with os.fdopen(open_output(folder, output.file), "rb") as file:
                report = file.read(most + 1)
                return report if len(report) <= most else None
    return None


def digest_of(folder: Path, outputs: Sequence[Output]) -> bytes:
    """Of the bytes and the places of all outputs: what a person looked at, and nothing else, is released."""
    whole = hashlib.sha256()
    for output in sorted(outputs, key=lambda one: (one.output, one.kind.value)):
        with os.fdopen(open_output(folder, output.file), "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        place = output.path if output.kind is OutputKind.DERIVED else ["", output.kind.value]
        whole.update("\0".join([output.output, content, *place]).encode() + b"\n")
    return whole.digest()


class Chunked:
    """One output as frames for the store; when they are through, `manifest` names them."""

    def __init__(self, folder: Path, output: Output) -> None:
        self.output = output
        self._folder = folder
        self._chunks: list[tuple[ChunkId, int]] = []
        self._manifest: FileManifest | None = None

    @property
    def manifest(self) -> FileManifest:
        assert self._manifest is not None, "its frames are not through"
        return self._manifest

    def frames(self) -> Iterator[Frame]:
        with os.fdopen(open_output(self._folder, self.output.file), "rb") as file:
            for chunk in iter_chunks(file.readinto):
                frame = _frame(bytes(chunk))
                self._chunks.append((frame.id, len(chunk)))
                yield frame
        size = sum(length for _, length in self._chunks)
        own = self._chunks
        if is_indirect := len(own) > MAX_DIRECT_CHUNKS:  # the manifest is stored as chunks itself
            records = memoryview(write_records(own))
            own = []
            for length in cut(records):
                frame = _frame(bytes(records[:length]))
                yield frame
                own.append((frame.id, length))
                records = records[length:]
        self._manifest = FileManifest(
            size=size,
            chunks=b"".join(chunk for chunk, _ in own),
            lengths=[length for _, length in own],
            indirect=is_indirect,
        )


async def frames_of(outputs: Sequence[Chunked]) -> AsyncIterator[list[Frame]]:
    """Of all of them, one after another, read and compressed beside the server's loop."""
    frames = (frame for output in outputs for frame in output.frames())
    while group := await asyncio.to_thread(_next_group, frames):
        yield group


def _next_group(frames: Iterator[Frame]) -> list[Frame]:
    group: list[Frame] = []
    size_bytes = 0
    while size_bytes < _GROUP_BYTES and (frame := next(frames, None)) is not None:
        group.append(frame)
        size_bytes += frame.length
    return group


def _frame(data: bytes) -> Frame:
    return frame_of(ChunkId(hashlib.sha256(data).digest()), data)
