"""One run of a block on a few files, for its author: no server, no database, nothing published.

Owns: staging the job's folder, choosing the runner, showing what came out.
May import: the standard library, protocol, blocks.contract, blocks.runners.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blocks.contract.block import installed_manifest, known_blocks
from blocks.contract.job import IN, KEYS, OUT, InputFile, Job, write_job
from blocks.contract.manifest import (
    CommandProgram,
    ContainerProgram,
    Manifest,
    PythonProgram,
    read_manifest,
)
from blocks.contract.output import Finished, check_finished
from blocks.contract.parameters import with_defaults
from blocks.contract.sniff import HEAD_BYTES, sniff
from blocks.runners import container, sandbox
from blocks.runners.policy import Isolation, Machine, Policy, choose
from blocks.runners.ran import Ended, Ran
from blocks.runners.warm import warm_workers
from protocol.errors import BadRequest, LocalProblem, NotFound, Refused

_SHIPPED_MANIFESTS = {
    "classify": "classification/classify.toml",
    "deidentify": "formats/deidentify.toml",
    "dicom-deidentify": "dicom/deidentify.toml",
    "dicom-preview": "imaging/preview.toml",
    "dicom-to-volume": "imaging/convert.toml",
    "index": "formats/index.toml",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """changes: one for each attribute that is another one.  same: how many are as they were."""

    changes: list[dict[str, str]] = field(default_factory=list)
    same: int = 0


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of it.  compared: of each DICOM file what `blocks.dicom.compare` tells, by its place in the job."""

    ran: Ran
    finished: Finished | None
    compared: dict[int, Compared] = field(default_factory=dict)


def find_block(name: str) -> tuple[Manifest, Path]:
    """A block that we ship, one that is installed beside us, or the one in a folder with a block.toml; its manifest and
    its folder.  Raises NotFound, BadRequest: its manifest is none, or that of another."""
    if name in _SHIPPED_MANIFESTS:
        path = Path(__file__).parents[1] / _SHIPPED_MANIFESTS[name]
        return read_manifest(path.read_bytes()), path.parent
    if (entry := known_blocks().get(name)) is not None:
        return _installed(name, entry)
    folder = Path(name)
    if not (folder / "block.toml").is_file():
        known = ", ".join(sorted(known_blocks()))
        raise NotFound(f"{name} is no block", hint=f"Give a folder with a block.toml, or one of: {known}.")
    return read_manifest((folder / "block.toml").read_bytes()), folder


def _installed(name: str, entry: str) -> tuple[Manifest, Path]:
    path = installed_manifest(entry)
    if path is None:
        raise NotFound(
            f"The block {name} is installed without its block.toml",
            hint="It belongs into the package, beside the module: see docs/blocks.md.",
        )
    manifest = read_manifest(path.read_bytes())
    if manifest.name != name or manifest.program != PythonProgram(entry=entry):
        raise BadRequest(
            f"The block.toml of the installed block {name} is that of another",
            hint=f'It needs name = "{name}", and of its program type = "python" and entry = "{entry}".',
        )
    return manifest, path.parent


async def try_block(
    name: str, files: Sequence[Path], parameters: dict[str, Any], *, job_folder: Path, trusts: bool = False
) -> Tried:
    """Runs the block in the isolation it would have on a server; `job_folder` keeps what it left.

    trusts: it may be a Python block of somebody else's, which no sandbox holds.
    The key for pseudonyms is made for this run: what comes out cannot be compared with any project's.
    """
    manifest, folder = find_block(name)
    job = _stage(manifest, files, parameters, job_folder)
    policy = Policy(trusted=frozenset({manifest.name} if trusts else ()))
    machine = Machine(
        no_sandbox=await sandbox.missing(),
        no_container=None if await container.engine() else "no container engine answers here",
    )
    ran = await _run(manifest, folder, job_folder, choose(manifest, policy, machine))
    if ran.ended is not Ended.DONE:
        return Tried(ran, None)
    finished = check_finished(job_folder, job, manifest)
    return Tried(ran, finished, await _compare(job, finished, job_folder))


def _stage(manifest: Manifest, files: Sequence[Path], parameters: dict[str, Any], folder: Path) -> Job:
    for name in (IN, OUT, KEYS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    inputs = []
    for number, path in enumerate(files):
        try:
            shutil.copyfile(path, folder / IN / str(number))
            with path.open("rb") as file:
                kind = sniff(file.read(HEAD_BYTES))
        except OSError as error:
            raise LocalProblem(f"{path} cannot be read ({error.strerror})", hint="Give files.") from error
        if not manifest.accepts_file(kind, path.name):
            raise Refused(
                f"{manifest.name} does not take {path.name}, which is {kind}", hint="See its manifest."
            )
        size = (folder / IN / str(number)).stat().st_size
        inputs.append(InputFile(file=str(number), path=[path.name], kind=kind, size_bytes=size))
    if not inputs:
        raise BadRequest("No file was given", hint="Name one or more.")
    keys = {}
    if isinstance(manifest.program, PythonProgram):
        key = os.open(folder / KEYS / "project", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(key, "wb") as file:
            file.write(secrets.token_bytes(32))
        keys["project"] = f"{KEYS}/project"
    job = Job(
        id="try",
        block=manifest.name,
        version=manifest.version,
        parameters=with_defaults(manifest.parameters, parameters),
        files=inputs,
        keys=keys,
    )
    write_job(folder, job)
    return job


async def _run(manifest: Manifest, block: Path, folder: Path, isolation: Isolation) -> Ran:
    match manifest.program:
        case PythonProgram(entry=entry):
            async with warm_workers(entry, count=1) as workers:
                return await workers.run(folder, manifest.resources)
        case CommandProgram() as program:
            assert isolation is Isolation.SANDBOX
            return await sandbox.run_in_sandbox(program, block, folder, manifest.resources)
        case ContainerProgram() as program:
            return await container.run_in_container(program, folder, manifest.resources)


async def _compare(job: Job, finished: Finished, folder: Path) -> dict[int, Compared]:
    """For DICOM in and DICOM out: in a process of its own, since it parses what a stranger wrote."""
    compared = {}
    for file in finished.result.files:
        after = next((output.file for output in file.outputs if output.file.endswith(".dcm")), None)
        source = job.files[file.source]
        if after is None or not source.kind.startswith("dicom"):
            continue
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "blocks.dicom.compare", str(folder / IN / source.file), str(folder / OUT / after),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        lines, _ = await process.communicate()
        compared[file.source] = Compared(**json.loads(lines or b"{}"))
    return compared
