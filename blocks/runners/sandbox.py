"""Command blocks in a bubblewrap sandbox: namespaces of their own, no network, nothing to write but their job's folder.

Owns: the sandbox's command line, and whether this machine can make one.
May import: the standard library, blocks.contract, blocks.runners, protocol.

Memory, processor time, file size and open files are limited for each process of the block (rlimits); a limit over all
of its processes together needs a container.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from blocks.contract.job import IN, JOB, KEYS
from blocks.contract.manifest import CommandProgram, Resources
from blocks.runners.command import run_command
from blocks.runners.ran import Ran
from protocol.errors import Refused

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
NOBODY = 65534


async def missing() -> str | None:
    """Why no sandbox can be made here, in words; None if one can."""
    if shutil.which("bwrap") is None or shutil.which("prlimit") is None:
        return "bubblewrap or prlimit is not installed"
    process = await asyncio.create_subprocess_exec(
        "bwrap", *_namespaces(), "--ro-bind", "/", "/", "true",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return None if await process.wait() == 0 else "the kernel gives no user namespaces to this account"


async def run_in_sandbox(program: CommandProgram, block: Path, folder: Path, limits: Resources) -> Ran:
    """block: the block's own folder, read only inside as /block.  folder: the job's, inside as /job."""
    why = await missing()
    if why is not None:
        raise Refused(f"The block is not run, since there is no sandbox: {why}", hint="See docs/blocks.md.")
    argv = sandbox_argv(program, block.resolve(), folder.resolve(), limits)
    return await run_command(argv, folder, wall_seconds=limits.wall_seconds)


def sandbox_argv(program: CommandProgram, block: Path, folder: Path, limits: Resources) -> list[str]:
    argv = ["prlimit", f"--as={limits.memory_bytes}", f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + 2}"]
    argv += [f"--fsize={limits.output_bytes}", f"--nofile={limits.open_files}", "--core=0", "--", "bwrap"]
    argv += [*_namespaces(), "--new-session", "--clearenv", "--cap-drop", "ALL"]
    for name, value in (("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8")):  # noqa: S108 - inside
        argv += ["--setenv", name, value]
    argv += ["--ro-bind", "/usr", "/usr"]
    for place in _SYSTEM:
        path = Path(place)
        if path.is_symlink():
            argv += ["--symlink", str(path.readlink()), place]
        elif path.is_dir():
            argv += ["--ro-bind", place, place]
    for place in _SETTINGS:
        argv += ["--ro-bind-try", place, place]
    argv += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 - inside
    argv += ["--ro-bind", str(block), "/block", "--bind", str(folder), "/job"]
    for name in (JOB, IN):
        argv += ["--ro-bind", str(folder / name), f"/job/{name}"]
    argv += ["--ro-bind-try", str(folder / KEYS), f"/job/{KEYS}", "--chdir", "/job", "--"]
    return argv + [part.replace("{block}", "/block") for part in program.command]


def _namespaces() -> list[str]:
    return [
        "--unshare-all",
        "--unshare-user",
        "--uid",
        str(NOBODY),
        "--gid",
        str(NOBODY),
        "--die-with-parent",
    ]
