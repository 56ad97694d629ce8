"""Container blocks, by the command line of a Docker-compatible engine (podman or docker).

Owns: the container's command line, and which engine answers here.
May import: the standard library, blocks.contract, blocks.runners, protocol.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from blocks.contract.job import IN, JOB, KEYS
from blocks.contract.manifest import ContainerProgram, Resources
from blocks.runners.command import run_command
from blocks.runners.ran import Ran
from protocol.errors import Refused

ENGINES = ("podman", "docker")
ASK_SECONDS = 20.0
NOBODY = "65534:65534"


async def engine() -> str | None:
    """The first engine that answers, with its daemon if it has one."""
    for name in ENGINES:
        if shutil.which(name) is not None and await _quietly(name, "version") == 0:
            return name
    return None


async def run_in_container(program: ContainerProgram, folder: Path, limits: Resources) -> Ran:
    """The image must be there already: nothing is fetched while a job runs."""
    name = await engine()
    if name is None:
        raise Refused(
            "The block is not run, since no container engine answers here",
            hint="Install podman, or start docker: see docs/blocks.md.",
        )
    container = f"mb-{secrets.token_hex(8)}"

    async def stop() -> None:
        await _quietly(
            name, "kill", container
        )  # its time is up: `rm` alone would ask politely for ten seconds more
        await _quietly(name, "rm", "--force", container)

    folder.chmod(0o777)  # the container's user is nobody's; the folder above is closed to others
    (folder / "out").chmod(0o777)
    known = await _quietly(name, "image", "inspect", program.image) == 0
    # By the digest that `podman images --digests` tells; else by the image's own id, all that docker has of its own
    image = program.image if known else program.image.rpartition("@")[2]
    argv = container_argv(name, image, program.command, folder.resolve(), limits, container=container)
    return await run_command(argv, folder, wall_seconds=limits.wall_seconds, stop=stop)


def container_argv(
    engine: str, image: str, command: Sequence[str], folder: Path, limits: Resources, *, container: str
) -> list[str]:
    argv = [engine, "run", "--rm", "--pull", "never", "--name", container, "--network", "none", "--read-only"]
    argv += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", NOBODY]
    argv += ["--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)]
    argv += ["--cpus", f"{limits.cpus:g}", "--pids-limit", str(limits.processes)]
    argv += ["--ulimit", f"nofile={limits.open_files}:{limits.open_files}", "--ulimit", "core=0:0"]
    argv += ["--ulimit", f"fsize={limits.output_bytes}:{limits.output_bytes}"]
    argv += ["--ulimit", f"nproc={limits.processes}:{limits.processes}"]
    argv += ["--tmpfs", "/tmp:size=256m", "--workdir", "/job"]  # noqa: S108 - inside
    argv += ["--volume", f"{folder}:/job:rw"]
    for name in (JOB, IN, KEYS):
        if (folder / name).exists():
            argv += ["--volume", f"{folder / name}:/job/{name}:ro"]
    return [*argv, image, *command]


async def _quietly(*argv: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await process.wait()
    except TimeoutError:
        return 1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
