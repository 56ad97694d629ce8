"""How a run ended, the same for every runner.

Owns: the ways a run can end, and reading one from a process's status.
May import: the standard library, blocks.contract.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from enum import Enum

from blocks.contract.result import ExitCode

MEMORY_EXIT, FILE_EXIT = 70, 71  # by our own worker: a limit that shows as an exception, not as a signal


class Ended(Enum):
    DONE = "done"  # result.json waits to be checked
    FAILED = "failed"  # the block says so; doing it again will not help
    AGAIN = "again"  # the block says so; later it may work
    OVERRAN = "overran"  # it was stopped at a limit
    CRASHED = "crashed"  # it ended as no block should


@dataclass(frozen=True, slots=True)
class Ran:
    """why: a few words without anything from the block's files, for the log and for people."""

    ended: Ended
    why: str = ""
    seconds: float = 0.0


def from_status(status: int, seconds: float, *, killed: bool) -> Ran:
    """status: as `waitpid` gives it.  killed: by us, because its time was up."""
    if killed:
        return Ran(Ended.OVERRAN, "its time was up", seconds)
    if os.WIFSIGNALED(status):
        return from_code(-os.WTERMSIG(status), seconds)
    return from_code(os.WEXITSTATUS(status), seconds)


def from_code(code: int, seconds: float) -> Ran:
    """code: an exit code; below zero, or above 128, a signal."""
    number = -code if code < 0 else code - 128 if code > 128 else 0
    if number:
        match number:
            case signal.SIGXCPU:
                return Ran(Ended.OVERRAN, "it used more processor time than it may", seconds)
            case signal.SIGXFSZ:
                return Ran(Ended.OVERRAN, "it wrote a larger file than it may", seconds)
        return Ran(Ended.CRASHED, f"it was ended by signal {number}", seconds)
    match code:
        case ExitCode.DONE:
            return Ran(Ended.DONE, "", seconds)
        case ExitCode.FAILED:
            return Ran(Ended.FAILED, "it says that it failed", seconds)
        case ExitCode.AGAIN:
            return Ran(Ended.AGAIN, "it asks to be run again later", seconds)
        case ran if ran == MEMORY_EXIT:
            return Ran(Ended.OVERRAN, "it used more memory than it may", seconds)
        case ran if ran == FILE_EXIT:
            return Ran(Ended.OVERRAN, "it wrote a larger file than it may", seconds)
    return Ran(Ended.CRASHED, f"it ended with code {code}", seconds)
