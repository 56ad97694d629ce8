"""A code that was typed as an argument stands in the process list: the program replaces itself without it.

Owns: handing the code to the new program by a pipe, reading a secret from standard input or a file.
May import: the standard library, protocol.errors, sync_client.own_program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from protocol.errors import LocalProblem
from sync_client.own_program import is_single_file, own_environment, own_program

MAX_SECRET_BYTES = 4_096  # a pipe takes this much without a reader
STDIN = "-"


def is_hidden(argument: str) -> bool:
    """Whether it only says where the code is."""
    return argument == STDIN or argument.startswith("@")


def replace_self(arguments: Sequence[str], code: str) -> int:
    """Run the same again with `code` handed over by a pipe.  Comes back only where a program cannot replace itself,
    with the exit code of the other one."""
    if len(code.encode()) > MAX_SECRET_BYTES:
        raise LocalProblem("That is too long for a sync code", hint="Copy it once more.")
    if is_single_file():
        raise LocalProblem(
            "A code given as an argument can be read in the list of processes for as long as this program runs",
            hint="Give `-` instead and paste it, or @FILE; it was not used.",
        )
    program = own_program("synclight")
    if sys.platform == "win32":
        rest = [STDIN if one == code else one for one in arguments]
        return subprocess.run([*program, *rest], input=code + "\n", text=True, check=False).returncode  # noqa: S603 - this program itself
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)  # noqa: FBT003 - its only argument
    os.write(writing, code.encode() + b"\n")
    os.close(writing)
    rest = [f"@/dev/fd/{reading}" if one == code else one for one in arguments]
    return os.execve(program[0], [*program, *rest], own_environment())  # noqa: S606 - this program itself, without a shell


def read_secret(argument: str, *, what: str) -> str:
    """The first line of standard input (`-`) or of a file (`@FILE`).  Raises LocalProblem."""
    try:
        if argument == STDIN:
            if sys.stdin.isatty():
                print(f"Paste the {what}, then Enter: ", end="", file=sys.stderr, flush=True)
            text = sys.stdin.readline(MAX_SECRET_BYTES)
        else:
            with Path(argument.removeprefix("@")).expanduser().open(encoding="utf-8") as file:
                text = file.readline(MAX_SECRET_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LocalProblem(
            f"The {what} cannot be read from {argument.removeprefix('@')} ({reason})",
            hint="Name a file that holds it, as @FILE.",
        ) from error
    if not text.strip():
        where = "standard input" if argument == STDIN else argument.removeprefix("@")
        raise LocalProblem(f"There is no {what} in {where}", hint="It is read from the first line.")
    return text.strip()
