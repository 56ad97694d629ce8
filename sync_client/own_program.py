"""How our programs start themselves and others, as installed packages and as built programs alike.

Owns: the command that starts one of ours again, the environment of a program that is not ours.
May import: the standard library.

A built program (packaging/installers) has its libraries beside it and makes the system's loader look there, so
what it starts would take our libraries for its own; and one that is a single file unpacks itself, in a process that
waits for its child and shows the same command line as long as it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_LOADER = "LD_LIBRARY_PATH"  # the bundle's folder is put before it; what stood there is kept as …_ORIG
_ANEW = "PYINSTALLER_RESET_ENVIRONMENT"  # "1": the program started is no part of the one that starts it


def is_built() -> bool:
    return bool(getattr(sys, "frozen", False))


def is_single_file() -> bool:
    """Whether this program unpacked itself: then another process of it shows all arguments until it ends."""
    return is_built() and Path(sys.executable).parent not in Path(getattr(sys, "_MEIPASS", "/")).parents


def own_program(module: str) -> list[str]:
    """What starts `module` (`python -m` would) again; in a built program, that program."""
    # -P: a folder in which somebody types this may hold a `protocol` of its own
    return [sys.executable] if is_built() else [sys.executable, "-P", "-m", module]


def own_environment() -> dict[str, str]:
    """For one of ours that lives on by itself."""
    return dict(os.environ) | ({_ANEW: "1"} if is_built() else {})


def others_environment(variables: Mapping[str, str], *, built: bool) -> dict[str, str]:
    """For a program that is not ours: as if none of ours had been started."""
    found = {name: value for name, value in variables.items() if not built or not name.startswith("_PYI_")}
    if built:
        before = found.pop(f"{_LOADER}_ORIG", None)
        found.pop(_LOADER, None)
        if before is not None:
            found[_LOADER] = before
    return found
