"""Warm workers: processes that have imported a block already and wait for jobs.

Owns: starting and ending them, giving each one job at a time, replacing one that died.
May import: the standard library, blocks.contract, blocks.runners, protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from blocks.contract.manifest import Resources
from blocks.runners.ran import Ended, Ran, from_status
from protocol.errors import Refused, Unavailable

START_SECONDS = 60.0
GRACE_SECONDS = 10.0  # beyond a job's own time, for a worker that does not keep it


class WarmWorkers:
    """`count` processes with one block.  Close it, or use `warm_workers`."""

    def __init__(self, entry: str, *, count: int) -> None:
        self._entry = entry
        self._free: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._free.put_nowait(None)
        self._alive: set[Process] = set()

    async def run(self, folder: Path, limits: Resources) -> Ran:
        """The block on the job in `folder`, as soon as a worker is free; however it ends, it is told."""
        worker = await self._free.get()
        try:
            if worker is None or worker.returncode is not None:
                worker = await self._start()
            ran = await self._ask(worker, folder, limits)
        except BaseException:  # also when we are cancelled: the job must not go on behind our back
            await self._end(worker)
            worker = None
            raise
        finally:
            self._free.put_nowait(worker)
        return ran

    async def close(self) -> None:
        for worker in list(self._alive):
            await self._end(worker)

    async def _start(self) -> Process:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "blocks.runners.worker", self._entry,
            stdin=PIPE, stdout=PIPE, start_new_session=True, env=_environment(),
        )  # fmt: skip
        self._alive.add(worker)
        try:
            async with asyncio.timeout(START_SECONDS):
                answer = await _answer(worker)
        except BaseException:
            await self._end(worker)
            raise
        if answer is None:  # killed, or out of memory: the block itself said nothing against it
            await self._end(worker)
            raise Unavailable("The block's process ended while it started", hint="It is tried again.")
        if "broken" in answer:
            await self._end(worker)
            raise Refused("The block cannot be loaded", hint=str(answer["broken"]))
        return worker

    async def _ask(self, worker: Process, folder: Path, limits: Resources) -> Ran:
        assert worker.stdin is not None
        line = json.dumps({"folder": str(folder.resolve()), "limits": msgspec.to_builtins(limits)})
        answer: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(limits.wall_seconds + GRACE_SECONDS):
                worker.stdin.write(line.encode() + b"\n")
                await worker.stdin.drain()
                answer = await _answer(worker)
        except TimeoutError:
            await self._end(worker)
            return Ran(Ended.OVERRAN, "its time was up", limits.wall_seconds + GRACE_SECONDS)
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        if answer is None:
            await self._end(worker)
            return Ran(Ended.CRASHED, "its worker process died")
        return from_status(answer["status"], answer["seconds"], killed=answer["killed"])

    async def _end(self, worker: Process | None) -> None:
        if worker is None:
            return
        self._alive.discard(worker)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        await worker.wait()


@contextlib.asynccontextmanager
async def warm_workers(entry: str, *, count: int) -> AsyncIterator[WarmWorkers]:
    workers = WarmWorkers(entry, count=count)
    try:
        yield workers
    finally:
        await workers.close()


def _environment() -> dict[str, str]:
    """No secret of the server's environment; what Python needs to find its own."""
    kept = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "HOME", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONDONTWRITEBYTECODE": "1"}


async def _answer(worker: Process) -> dict[str, Any] | None:
    assert worker.stdout is not None
    line = await worker.stdout.readline()
    return dict(json.loads(line)) if line else None
