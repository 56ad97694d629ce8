"""Places on this computer that a person may choose from.

Owns: the folders in a folder, whether a place will do.
May import: the standard library, protocol.errors, operations, asked.  MB-SyncLight's window uses it too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from protocol.errors import LocalProblem
from sync_client.control import Json
from sync_client.operations import check_local
from sync_client.settings.asked import path_of, text_of

MAX_SHOWN = 2_000  # of one folder: nobody chooses from more
MAX_COUNTED = 1_000
USUAL = "Medical-Blocks"  # in a person's own folder


class LocalPlaces:
    """home: of the client.  followed: the folders that are followed already."""

    def __init__(self, home: Path, followed: Callable[[], list[Path]]) -> None:
        self._home = home
        self._followed = followed

    async def usual(self, _: dict[str, Json]) -> Json:
        return {"local": str(Path.home() / USUAL), "own": str(Path.home()), "separator": os.sep}

    async def local(self, asked: dict[str, Json]) -> Json:
        """The folders in a folder of this computer; "" is where a person's folders usually go."""
        text = text_of(asked, "path")
        return await asyncio.to_thread(_folders_in, path_of(asked, "path") if text else Path.home())

    async def place(self, asked: dict[str, Json]) -> Json:
        """Whether a folder of this computer will do, before anything is done.  Raises LocalProblem: it will not."""
        return await asyncio.to_thread(self._place, path_of(asked, "local"))

    def _place(self, local: Path) -> Json:
        real = check_local(local, self._followed(), self._home)
        standing = next(folder for folder in (real, *real.parents) if folder.exists())
        try:
            inside = [one for _, one in zip(range(MAX_COUNTED), real.iterdir(), strict=False)]
        except FileNotFoundError:
            inside = []
        except OSError as error:
            raise LocalProblem(
                f"{real} cannot be read ({error.strerror})", hint="Choose another folder."
            ) from error
        return {
            "local": str(real),
            "exists": real.exists(),
            "items": len(inside),
            "free_bytes": shutil.disk_usage(standing).free,
        }


def _folders_in(path: Path) -> Json:
    """Hidden ones are left out."""
    try:
        with os.scandir(path) as found:
            names = sorted(
                (one.name for one in found if not one.name.startswith(".") and one.is_dir()), key=str.casefold
            )
    except OSError as error:
        raise LocalProblem(
            f"{path} cannot be read ({error.strerror})", hint="Choose another folder."
        ) from error
    texts = [name for name in names if name.isprintable()][:MAX_SHOWN]
    return {
        "path": str(path),
        "parent": None if path == path.parent else str(path.parent),
        "folders": [{"name": name, "path": str(path / name)} for name in texts],
    }
