"""What a block is told: `job.json`, beside `in/`, in the folder of one run.

Owns: its shape and bounds, the layout of a job's folder.
May import: msgspec, protocol, blocks.contract.

    JOB/job.json          read only
    JOB/in/…              the files, read only
    JOB/keys/…            secrets that the block was given, read only; named in `Job.keys`
    JOB/out/…             where the block writes
    JOB/result.json       its answer
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from blocks.contract.manifest import CONTRACT, Name, Version
from protocol.errors import BadRequest

JOB, IN, OUT, KEYS, RESULT = "job.json", "in", "out", "keys", "result.json"
MAX_JOB_BYTES = 8 << 20

Within = Annotated[str, Meta(min_length=1, max_length=4_096)]  # a path below the job's folder


class InputFile(Struct, frozen=True, kw_only=True):
    """One file to work on.  Its names are data of a patient too, unless the rule says otherwise."""

    file: Within  # below in/
    path: Annotated[
        list[str], Meta(min_length=1, max_length=128)
    ]  # its folders and its name, as people see it
    kind: Annotated[str, Meta(max_length=40)]  # as sniffed
    size_bytes: Annotated[int, Meta(ge=0)]


class Job(Struct, frozen=True, kw_only=True):
    """One run of one block over one or more files."""

    contract: int = CONTRACT
    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,64}$")]
    block: Name
    version: Version
    parameters: dict[str, Any]
    files: Annotated[list[InputFile], Meta(min_length=1, max_length=10_000)]
    keys: dict[str, Within] = {}  # what a secret is for, and where it lies below the job's folder


def write_job(folder: Path, job: Job) -> None:
    (folder / JOB).write_bytes(msgspec.json.format(msgspec.json.encode(job), indent=1) + b"\n")


def read_job(folder: Path) -> Job:
    data = (folder / JOB).read_bytes()
    try:
        if len(data) > MAX_JOB_BYTES:
            raise msgspec.ValidationError("it is too long")
        return msgspec.json.decode(data, type=Job)
    except msgspec.DecodeError as error:
        raise BadRequest(f"job.json is not a job: {error}", hint="See docs/blocks.md.") from error
