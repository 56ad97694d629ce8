"""The process in which a Python block lives: it imports the block once, and forks for each job.

Owns: the child's side of a warm worker; limits of a job; the line protocol with its parent.
May import: the standard library, blocks.contract.

A job runs in a fork of a process that never saw a job: nothing of one patient's files can reach the next, and a crash
takes nothing with it.  Started by `blocks.runners.warm` as `python -m blocks.runners.worker ENTRY`; on standard input
one JSON line for each job, on standard output one for each answer.  When standard input ends, so does it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from blocks.contract.block import Block, load_block
from blocks.contract.job import RESULT, read_job
from blocks.contract.manifest import Resources
from blocks.contract.result import ExitCode, encode_result
from blocks.runners.ran import FILE_EXIT, MEMORY_EXIT
from protocol.errors import MedicalBlocksError

LOG = "log"
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing a block prints is taken for an answer
    try:
        block = load_block(sys.argv[1])
    except MedicalBlocksError as error:
        answers.write(json.dumps({"broken": str(error)}) + "\n")
        return
    answers.write(json.dumps({"ready": block.manifest.name}) + "\n")
    for line in sys.stdin:
        asked = json.loads(line)
        limits = Resources(**asked["limits"])
        began = time.monotonic()
        status, killed = _fork(block, Path(asked["folder"]), limits)
        seconds = time.monotonic() - began
        answers.write(json.dumps({"status": status, "killed": killed, "seconds": seconds}) + "\n")


def _fork(block: Block, folder: Path, limits: Resources) -> tuple[int, bool]:
    """Runs one job in a child; its status, and whether its time was up."""
    child = os.fork()
    if child == 0:
        _in_child(block, folder, limits)
    process = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([process], [], [], limits.wall_seconds)
    finally:
        os.close(process)
    if not ready:
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)  # whatever it started and left behind
    _, status = os.waitpid(child, 0)
    return status, not ready


def _in_child(block: Block, folder: Path, limits: Resources) -> NoReturn:
    code = int(ExitCode.FAILED)
    try:
        _confine(folder, limits)
        result = block.run(read_job(folder), folder)
        (folder / RESULT).write_bytes(encode_result(result))
        code = ExitCode.DONE
    except MemoryError:
        code = MEMORY_EXIT
    except OSError as error:
        code = FILE_EXIT if error.errno == errno.EFBIG else ExitCode.FAILED
        _note(error)
    except BaseException as error:  # whatever it is, it must not go on in the parent's loop
        _note(error)
    finally:
        os._exit(code)


def _confine(folder: Path, limits: Resources) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setsid()
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with open("/proc/self/statm", "rb") as statm:
        held = int(statm.read().split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    cpu = spent + limits.cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 2))  # first the signal that says why, then the end
    for what, limit in (
        (resource.RLIMIT_AS, held + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),  # a core would hold a patient's file
    ):
        resource.setrlimit(what, (limit, limit))


def _note(error: BaseException) -> None:
    """The kind of error, for the log beside the job; its words may hold a value, and stay out."""
    os.write(2, f"{type(error).__name__}\n".encode())


if __name__ == "__main__":
    main()
