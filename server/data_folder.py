"""The folder that holds everything a server keeps.

Owns: what lies where in it, the locks that keep a second server or a second gc out.
May import: the standard library, protocol.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import LocalProblem


@dataclass(frozen=True, slots=True)
class DataFolder:
    """`server.toml`, `server.db`, `packs/`, `keys/`, `scratch/`, `lock` and `upkeep.lock`, all in `root`."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "server.toml"

    @property
    def database(self) -> Path:
        return self.root / "server.db"

    @property
    def packs(self) -> Path:
        return self.root / "packs"

    @property
    def scratch(self) -> Path:
        """Where blocks work; emptied at each start."""
        return self.root / "scratch"

    @property
    def audit_heads(self) -> Path:
        """Signed heads of the log, outside the database; never in a backup."""
        return self.root / "audit-heads"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    def check_there(self) -> None:
        """Raises LocalProblem: this is no data folder."""
        if not self.root.is_dir():
            raise LocalProblem(
                f"There is no folder {self.root}",
                hint="Make one with `mb-server init`.",
            )
        if not self.database.is_file():
            raise LocalProblem(
                f"{self.root} is no data folder of a server",
                hint="Name another one with --data, or make one with `mb-server init`.",
            )

    def check_free(self) -> None:
        """Raises LocalProblem: a server's data lie here already, or it cannot become a data folder."""
        if self.root.exists() and not self.root.is_dir():
            raise LocalProblem(f"{self.root} is a file", hint="Name a folder, or a new one, with --data.")
        for found in (self.database, self.settings, self.keys, self.packs):
            if found.exists():
                raise LocalProblem(
                    f"{self.root} holds a server's data already ({found.name} is there)",
                    hint="Serve it with `mb-server serve`, or name another folder with --data.",
                )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Serve this folder alone; the system lets go of the lock however the process ends.

        Raises LocalProblem: another server has it.
        """
        with self._alone("lock") as got:
            if not got:
                raise LocalProblem(
                    f"Another server is running on {self.root}",
                    hint="Stop it first; one data folder has one server.",
                )
            yield

    @contextmanager
    def tended(self) -> Iterator[None]:
        """Packs may be dropped and copied by whoever holds this, a server or a command beside it.

        Raises LocalProblem: someone else is at it.
        """
        with self._alone("upkeep.lock") as got:
            if not got:
                raise LocalProblem(
                    "Another gc or backup is at work on this folder", hint="Wait until it has ended."
                )
            yield

    @contextmanager
    def _alone(self, name: str) -> Iterator[bool]:
        """False: someone else holds it."""
        handle = os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)
