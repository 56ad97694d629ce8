"""One program, run to its end or to its time: what sandbox and container have in common.

Owns: starting a command line with its log in the job's folder, killing all of it when time is up.
May import: the standard library, blocks.runners.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from blocks.runners.ran import Ended, Ran, from_code

LOG = "log"
# What an engine needs to find itself; a sandbox clears even these
_KEPT = ("PATH", "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST", "CONTAINER_HOST", "CONTAINERS_CONF")


async def run_command(
    argv: list[str],
    folder: Path,
    *,
    wall_seconds: float,
    stop: Callable[[], Awaitable[None]] | None = None,
) -> Ran:
    """stop: besides killing what we started, for a run that a daemon does on our behalf."""
    began = time.monotonic()
    with (folder / LOG).open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
        )
    try:
        async with asyncio.timeout(wall_seconds):
            code = await process.wait()
    except TimeoutError:
        return Ran(Ended.OVERRAN, "its time was up", time.monotonic() - began)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if stop is not None:
                await stop()
            await process.wait()
    return from_code(code, time.monotonic() - began)
