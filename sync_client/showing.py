"""Showing a file, a folder or a page as the desktop does.

Owns: which program of the system does it.  May import: the standard library, protocol.errors, own_program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from protocol.errors import LocalProblem
from sync_client.own_program import is_built, others_environment


def nearest(path: Path, *, inside: bool) -> Path:
    """What can be shown: the file, or the nearest folder above it that is there.  inside: at least the folder of it."""
    if inside and path.is_dir() is False:
        path = path.parent
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def opener(platform: str, what: str) -> list[str]:
    """The command that shows a path or an address as a double click would.  platform: `sys.platform`, not Windows."""
    return ["open" if platform == "darwin" else "xdg-open", what]


def show(what: Path | str) -> None:
    """what: a path, or the address of a page.  Raises LocalProblem."""
    if sys.platform == "win32":
        os.startfile(what)  # noqa: S606 - as a double click
        return
    try:
        subprocess.Popen(  # noqa: S603 - a fixed program and one absolute path, or an address of our own
            opener(sys.platform, str(what)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=others_environment(os.environ, built=is_built()),
            start_new_session=True,
        )
    except OSError as error:
        it = what if isinstance(what, Path) else "The page"
        raise LocalProblem(
            f"{it} cannot be shown ({error.strerror})",
            hint="Open it in your file manager; `xdg-utils` would do it."
            if isinstance(what, Path)
            else "Say `mb-sync settings --no-browser` and open the address that it prints.",
        ) from error
