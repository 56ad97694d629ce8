"""Who takes part in the demo, and with which programs.

Owns: the people, their computers and folders; waiting for something that becomes true on a disk.
May import: the demo's own modules.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from programs import Collaborator, Computer, Server, Traffic

REMOTE = "/Home/Studies"
ARRIVAL_SECONDS = 60.0


@dataclass(slots=True)
class Cast:
    """Who takes part.  adas_data, claras_data: where ada and clara get what comes out of the intake."""

    server: Server
    laptop: Computer
    workstation: Computer
    bens: Computer
    clara: Collaborator
    clinic: Computer
    desk: Computer
    claras_data: Collaborator
    adas_data: Path

    def adas_and_bens(self) -> tuple[Computer, ...]:
        return self.laptop, self.workstation, self.bens

    def computers(self) -> tuple[Computer, ...]:
        return *self.adas_and_bens(), self.clinic, self.desk

    def collaborators(self) -> tuple[Collaborator, ...]:
        return self.clara, self.claras_data

    def settle(self) -> None:
        """Until both of ada's computers and the server are equal; what one sends last, the other then has."""
        self.laptop.wait()
        self.workstation.wait()
        self.laptop.wait()

    def traffic(self) -> Traffic:
        """Of both of ada's computers together."""
        one, other = self.laptop.traffic(), self.workstation.traffic()
        return Traffic(one.sent_bytes + other.sent_bytes, one.received_bytes + other.received_bytes)


def cast_in(folder: Path) -> Cast:
    """The cast, with the state of every program below `folder`/state and what people look at beside it."""
    state = folder / "state"
    return Cast(
        server=Server(state / "server"),
        laptop=Computer("laptop", state / "laptop", folder / "ada-laptop"),
        workstation=Computer("workstation", state / "workstation", folder / "ada-workstation"),
        bens=Computer("bens-pc", state / "bens-pc", folder / "ben"),
        clara=Collaborator("clara", state / "clara", folder / "clara"),
        clinic=Computer("clinic", state / "clinic", folder / "iris-intake"),
        desk=Computer("desk", state / "desk", folder / "max"),
        claras_data=Collaborator("clara-nerves", state / "clara", folder / "clara-nerves"),
        adas_data=folder / "ada-nerves",
    )


def shown(path: Path) -> str:
    return os.path.relpath(path)


def comes_true(is_so: Callable[[], bool]) -> bool:
    ends = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < ends:
        if is_so():
            return True
        time.sleep(0.05)
    return False
