"""What a block may run in: the operator says which isolation a stranger's program needs.

Owns: the choice, and its refusal.
May import: the standard library, protocol, blocks.contract.

Pure: it is told what this machine has.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from blocks.contract.block import SHIPPED
from blocks.contract.manifest import CommandProgram, ContainerProgram, Manifest, PythonProgram
from protocol.errors import Refused


class Isolation(Enum):
    PROCESS = "process"  # a worker process of ours, with limits
    SANDBOX = "sandbox"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator says.  sandbox: is it enough for a command of somebody else's?  trusted: names of Python blocks
    of others that may run as processes of the server's account."""

    sandbox: bool = True
    trusted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Machine:
    """Why something is not there, in words; None where it is."""

    no_sandbox: str | None
    no_container: str | None


def choose(manifest: Manifest, policy: Policy, machine: Machine) -> Isolation:
    """Where this block runs here; Refused rather than anything less than the operator demands."""
    match manifest.program:
        case PythonProgram(entry=entry):
            if entry in SHIPPED.values() or manifest.name in policy.trusted:
                return Isolation.PROCESS
            raise _refused(
                manifest,
                "it is a Python block of somebody else's, and the operator does not name it as trusted",
            )
        case CommandProgram():
            if not policy.sandbox:
                raise _refused(manifest, "the operator lets strangers' blocks run in containers only")
            if machine.no_sandbox is not None:
                raise _refused(manifest, f"it needs a sandbox, and {machine.no_sandbox}")
            return Isolation.SANDBOX
        case ContainerProgram():
            if machine.no_container is not None:
                raise _refused(manifest, f"it needs a container, and {machine.no_container}")
            return Isolation.CONTAINER


def _refused(manifest: Manifest, why: str) -> Refused:
    return Refused(f"The block {manifest.name} is not run: {why}", hint="See docs/blocks.md, Isolation.")
