"""What a block left behind, checked before anybody believes it.

Owns: which trees are allowed in `out/`, and that a result names exactly what lies there.
May import: msgspec, protocol, blocks.contract.

The block may be hostile: nothing is opened by a path (a link could stand where a folder stood a moment ago), only
through handles of folders that were looked at, and no link is followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blocks.contract.job import OUT, RESULT, Job
from blocks.contract.manifest import Manifest, Produces, Resources, Unit
from blocks.contract.result import (
    MAX_RESULT_BYTES,
    FileResult,
    OutputKind,
    Result,
    Verdict,
    decode_result,
)
from protocol.attributes import check_attributes
from protocol.errors import Refused
from protocol.names import name_key, path_refusal, refusal

MAX_FOLDERS = 100_000
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Finished:
    """A result that was checked against its job and its files."""

    result: Result
    size_bytes: dict[str, int]  # of each file below out/, by its path


def check_finished(folder: Path, job: Job, manifest: Manifest) -> Finished:
    """The answer of the block that ran in `folder`; Refused if any part of it is not allowed."""
    handle = os.open(folder, _OPEN_FOLDER)
    try:
        sizes = _look_through(handle, manifest.resources)
        result = decode_result(_read_regular(handle, RESULT))
    finally:
        os.close(handle)
    _check_files(result, job, manifest)
    _check_outputs(result.files, manifest, sizes)
    return Finished(result, sizes)


def open_output(folder: Path, file: str) -> int:
    """A handle of one checked output, to read from; no link is followed on the way."""
    *folders, name = file.split("/")
    handle = os.open(folder, _OPEN_FOLDER)
    try:
        for part in (OUT, *folders):
            below = os.open(part, _OPEN_FOLDER, dir_fd=handle)
            os.close(handle)
            handle = below
        return os.open(name, _OPEN_FILE, dir_fd=handle)
    except OSError as error:
        raise _refused("an output is not where it was") from error
    finally:
        os.close(handle)


def _read_regular(folder: int, name: str) -> bytes:
    try:
        handle = os.open(name, _OPEN_FILE, dir_fd=folder)
    except FileNotFoundError as error:
        raise _refused("it left no result.json") from error
    except OSError as error:
        raise _refused("its result.json cannot be opened") from error
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _refused("its result.json is not a regular file")
        return file.read(MAX_RESULT_BYTES + 1)


def _look_through(folder: int, limits: Resources) -> dict[str, int]:
    """Every file below out/ with its size; Refused at the first thing that is not allowed."""
    sizes: dict[str, int] = {}
    total = folders = 0
    try:
        handle = os.open(OUT, _OPEN_FOLDER, dir_fd=folder)
    except OSError as error:
        raise _refused("its out/ is not a folder") from error
    waiting: list[tuple[int, tuple[str, ...]]] = [(handle, ())]
    try:
        while waiting:
            handle, path = waiting.pop()
            try:
                for name, found in _entries(handle):
                    _check_names((*path, name))
                    if stat.S_ISDIR(found.st_mode):
                        folders += 1
                        if folders > MAX_FOLDERS:
                            raise _refused("it made too many folders")
                        waiting.append((os.open(name, _OPEN_FOLDER, dir_fd=handle), (*path, name)))
                        if len(waiting) > 200:
                            raise _refused("it made too many folders beside each other")
                        continue
                    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                        raise _refused("in out/ lies a link or something else that is not a plain file")
                    sizes["/".join((*path, name))] = found.st_size
                    total += found.st_size
                    if len(sizes) > limits.output_files or total > limits.output_bytes:
                        raise _refused("it wrote more than its manifest allows")
            finally:
                os.close(handle)
    finally:
        for handle, _ in waiting:
            os.close(handle)
    return sizes


def _entries(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name, entry.stat(follow_symlinks=False)


def _check_names(names: Sequence[str]) -> None:
    """By the rules that hold for every file of a space; the name itself is not repeated: it may be a person's."""
    wrong = refusal(names[-1]) or path_refusal(names)
    if wrong is not None:
        raise _refused("an output's name breaks the rules for names")


def _check_files(result: Result, job: Job, manifest: Manifest) -> None:
    sources = [file.source for file in result.files]
    if len(set(sources)) != len(sources):
        raise _refused("it answers twice for one file")
    if manifest.unit is Unit.FOLDER:
        if sources != [0]:
            raise _refused(
                "it works on folders, and does not answer once, as source 0, for all files together"
            )
    elif set(sources) != set(range(len(job.files))):
        raise _refused("it does not answer for each file of the job, and for no other")


def _check_outputs(files: list[FileResult], manifest: Manifest, sizes: dict[str, int]) -> None:
    named: set[str] = set()
    for file in files:
        known: set[tuple[OutputKind, str]] = set()
        places: set[tuple[str, ...]] = set()  # of two files' outputs under one name, one gets a number later
        for output in file.outputs:
            if output.file not in sizes:
                raise _refused("it names an output that is not in out/")
            if output.file in named:
                raise _refused("it names one output twice")
            named.add(output.file)
            if (output.kind, output.output) in known:
                raise _refused("two outputs of one file carry the same word")
            known.add((output.kind, output.output))
            for depth in range(len(output.path)):
                _check_names(output.path[: depth + 1])
            if output.kind is not OutputKind.REPORT:
                place = tuple(map(name_key, output.path)) or (name_key(output.file),)
                if place in places:
                    raise _refused("two outputs of one file would stand under one name")
                places.add(place)
        _check_promises(file, manifest)
    if len(named) != len(sizes):
        raise _refused("in out/ lies a file that its result does not name")


def _check_promises(file: FileResult, manifest: Manifest) -> None:
    kinds = {output.kind for output in file.outputs}
    if OutputKind.VERSION in kinds and Produces.VERSION not in manifest.produces:
        raise _refused("it made a new version, which its manifest does not announce")
    if sum(output.kind is OutputKind.VERSION for output in file.outputs) > 1:
        raise _refused("it made two new versions of one file")
    if OutputKind.DERIVED in kinds and Produces.DERIVED not in manifest.produces:
        raise _refused("it made derived files, which its manifest does not announce")
    if file.labels and Produces.LABELS not in manifest.produces:
        raise _refused("it set labels, which its manifest does not announce")
    tables = [file.attributes, *(output.attributes for output in file.outputs)]
    if any(tables) and Produces.ATTRIBUTES not in manifest.produces:
        raise _refused("it names attributes, which its manifest does not announce")
    for table in tables:
        check_attributes(table)
    if any(output.attributes for output in file.outputs if output.kind is OutputKind.REPORT):
        raise _refused("a report has no attributes")
    if file.verdict is Verdict.QUARANTINED:
        if Produces.VERDICT not in manifest.produces:
            raise _refused("it holds a file back, which its manifest does not announce")
        if not file.reasons:
            raise _refused("it holds a file back without a reason")
    if file.verdict in {Verdict.FAILED, Verdict.UNCHANGED} and kinds - {OutputKind.REPORT}:
        raise _refused("it made outputs of a file that it says it did not work on")


def _refused(why: str) -> Refused:
    return Refused(f"The block's answer is not accepted: {why}", hint="The block needs to be mended.")
