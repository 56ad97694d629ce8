"""Where blocks run: each in the isolation that the operator demands, Python blocks in workers that stay warm.

Owns: what this machine can isolate, the warm workers of each block.
May import: the standard library, blocks.
"""

from __future__ import annotations

from pathlib import Path

from blocks.contract.manifest import CommandProgram, ContainerProgram, Manifest, PythonProgram
from blocks.runners import container, sandbox
from blocks.runners.policy import Machine, Policy, choose
from blocks.runners.ran import Ran
from blocks.runners.warm import WarmWorkers

__all__ = ["Policy", "Workshop"]


class Workshop:
    """Runs blocks, each in the isolation that the policy asks for.  `close` it."""

    def __init__(self, *, at_once: int, policy: Policy = Policy()) -> None:  # noqa: B008  # frozen: one for all is one for each
        self._at_once = at_once
        self._policy = policy
        self._machine: Machine | None = None
        self._warm: dict[str, WarmWorkers] = {}

    async def run(self, manifest: Manifest, block: Path, folder: Path) -> Ran:
        if self._machine is None:
            self._machine = Machine(
                no_sandbox=await sandbox.missing(),
                no_container=None if await container.engine() else "no container engine answers here",
            )
        choose(manifest, self._policy, self._machine)
        match manifest.program:
            case PythonProgram(entry=entry):
                workers = self._warm.setdefault(entry, WarmWorkers(entry, count=self._at_once))
                return await workers.run(folder, manifest.resources)
            case CommandProgram() as program:
                return await sandbox.run_in_sandbox(program, block, folder, manifest.resources)
            case ContainerProgram() as program:
                return await container.run_in_container(program, folder, manifest.resources)

    async def close(self) -> None:
        for workers in self._warm.values():
            await workers.close()
