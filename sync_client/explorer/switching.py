"""MB-Sync in the file explorer, on and off, for one client home.

Owns: which explorers are here, the list of clients that the extension asks, what is followed and so has a place.
May import: the standard library, protocol.errors, autostart (our own command), home, explorer.placing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from protocol.errors import LocalProblem
from sync_client.explorer import placing
from sync_client.explorer.placing import EXPLORERS, Explorer, File, Step

LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


@dataclass(frozen=True, slots=True)
class Here:
    """One explorer of this computer.  runs_extensions: the package that does is installed."""

    explorer: Explorer
    runs_extensions: bool


def explorers_here() -> list[Here]:
    return [Here(one, _has_library(one.library)) for one in EXPLORERS if shutil.which(one.name) is not None]


def _has_library(name: str) -> bool:
    """In .../nautilus/extensions-4/, in .../ARCHITECTURE/nemo/extensions-3.0/ or the like."""
    return any(
        next(Path(root).glob(pattern), None) is not None
        for root in LIBRARIES
        for pattern in (f"*/extensions*/{name}", f"*/*/extensions*/{name}")
    )


class Switch:
    """home: the client home.  command: what runs our commands on it."""

    def __init__(self, home: Path, command: Sequence[str], *, has_pages: bool) -> None:
        self._entry = {"home": str(home), "command": list(command), "pages": has_pages}
        self._data = placing.data_folder(Path.home(), os.environ)

    # ---- on and off --------------------------------------------------------------------------------------

    def turn_on(self, folders: Sequence[Path]) -> list[Here]:
        """The explorers of this computer.  Raises LocalProblem: there is none that we know."""
        if sys.platform != "linux":
            self._mark(folders)
            return []
        found = explorers_here()
        if not found:
            raise LocalProblem(
                "There is no file explorer that MB-Sync can show itself in",
                hint="It knows Files (Nautilus), Nemo and Caja.",
            )
        placing.put(placing.picture_steps(self._data))
        for here in found:
            placing.put(
                [self._where(here.explorer, on=True), *placing.extension_steps(self._data, here.explorer)]
            )
        self._mark(folders)
        return found

    def turn_off(self, folders: Sequence[Path]) -> None:
        """Of this client home; the extension goes with the last one.  Raises LocalProblem."""
        for folder in folders:
            placing.take_away(self._folder(folder))
        for explorer in EXPLORERS:
            where = self._where(explorer, on=False)
            if json.loads(where.data)["homes"]:
                placing.put([where])
                return
            placing.take_away([where, *placing.extension_steps(self._data, explorer)])
            with suppress(OSError):
                shutil.rmtree(where.path.parent / "__pycache__", ignore_errors=True)
                where.path.parent.rmdir()
        placing.take_away(placing.picture_steps(self._data))

    def is_on(self) -> bool:
        return any(self._entry["home"] in self._homes(explorer) for explorer in EXPLORERS)

    def is_current(self) -> bool:
        """Whether what lies in the explorers is of this version of MB-Sync."""
        return all(
            placing.is_there([*placing.extension_steps(self._data, one), *placing.picture_steps(self._data)])
            for one in EXPLORERS
            if self._entry["home"] in self._homes(one)
        )

    # ---- folders that come and go ------------------------------------------------------------------------

    def followed(self, folder: Path) -> None:
        if self.is_on():
            self._mark([folder])

    def followed_no_more(self, folder: Path) -> None:
        if self.is_on():
            placing.take_away(self._folder(folder))

    def _mark(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            placing.put(self._folder(folder))

    def _folder(self, folder: Path) -> list[Step]:
        if sys.platform == "win32":
            return placing.windows_steps(PureWindowsPath(folder), PureWindowsPath(sys.executable))
        if sys.platform == "darwin":
            return placing.macos_steps(folder, Path(sys.executable).with_name("mb-sync-folder.icns"))
        return placing.folder_steps(folder, Path.home(), os.environ)

    # ---- which clients the extension asks ----------------------------------------------------------------

    def _where(self, explorer: Explorer, *, on: bool) -> File:
        others = [one for home, one in self._homes(explorer).items() if home != self._entry["home"]]
        homes = [*others, self._entry] if on else others
        path = placing.where_of(self._data, explorer)
        return File(path, (json.dumps({"homes": homes}, indent=2) + "\n").encode())

    def _homes(self, explorer: Explorer) -> dict[str, dict[str, Any]]:
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(placing.where_of(self._data, explorer).read_text("utf-8"))
            return {str(one["home"]): one for one in found["homes"]}
        return {}
