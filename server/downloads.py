"""Programs for those who were sent a sync link, as the operator put them into `downloads/` of the data folder.

Owns: which files are offered, and their hashes.  May import: the standard library.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = "downloads"
_MAX_FILES = 100


@dataclass(frozen=True, slots=True)
class Offered:
    name: str
    size: int
    sha256: str


class Downloads:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, int, int], str] = {}

    def path_of(self, name: str) -> Path | None:
        """The plain file of this name in the folder itself; None: there is none."""
        path = self._folder / name
        if name != path.name or name.startswith(".") or path.is_symlink() or not path.is_file():
            return None
        return path

    def offered(self) -> list[Offered]:
        """By name; empty where there is no such folder.  Reads a file when it is new or was changed."""
        try:
            names = sorted(path.name for path in self._folder.iterdir())[:_MAX_FILES]
        except OSError:
            return []
        known: dict[tuple[str, int, int], str] = {}
        found: list[Offered] = []
        for name in names:
            path = self.path_of(name)
            if path is None:
                continue
            about = path.stat()
            key = (name, about.st_size, about.st_mtime_ns)
            known[key] = self._known.get(key) or _sha256(path)
            found.append(Offered(name, about.st_size, known[key]))
        self._known = known
        return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
